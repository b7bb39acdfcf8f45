"""Values that presets share: what a paper prints, what its code does, and what is quick on a laptop."""

from __future__ import annotations

from typing import Any

from pushforward.data.modality import modality
from pushforward.data.spec import DataSpec

Values = dict[str, Any]
DIGIT_SIDE = 32  # up to this side a one-channel image takes the settings of MNIST, not those of CelebA
FEW_VALUES = 256  # below which an image takes small codes
MANY_VALUES = 1000  # from which on an image takes convolutions, and MNIST is below
MNIST_SCALE = "the official code scales the squared error by 0.05, so its λ = 10 is 200 here"
CELEBA_SCALE = (
    "the official code scales the squared error by 0.05 on data in [-1, 1], 0.2 on [0, 1], "
    "so its λ = 100 is 500 here"
)
AS_PRINTED = "λ as the paper prints it; " + MNIST_SCALE


def is_digit(spec: DataSpec) -> bool:
    """Whether the settings for MNIST fit better than those for CelebA."""
    return len(spec.shape) != 3 or (spec.shape[0] == 1 and max(spec.shape[1:]) <= DIGIT_SIDE)


def is_continuous(spec: DataSpec) -> bool:
    """Whether rows are real numbers."""
    return modality(spec.modality).is_continuous


def likelihood(spec: DataSpec) -> str:
    """The cost that is a negative log-likelihood of such data."""
    return modality(spec.modality).likelihood_cost(spec.in_unit_interval)


def small(spec: DataSpec, share: float | None = None, **changes: Any) -> Values:
    """Values for a run of minutes on two cores: small networks, Adam, a cosine schedule.

    With a ``share`` the weight is this multiple of the data's total variance, so that the balance of the two
    terms is that of MNIST on any data.
    """
    rows = spec.n_train
    if spec.modality == "text":
        batch_size = min(64, max(2, rows // 4))
        values = dict(
            latent_dim=128, cost="tokens", network="gru", lr=4e-3, token_replacement=0.3,
            epochs=8000 * batch_size / rows,
        )  # fmt: skip
    elif spec.modality == "table":
        batch_size = min(500, max(2, rows // 4))
        values = dict(
            latent_dim=16, cost="columns", network="table-autoregressive", lr=2e-3, column_dropout=0.25,
            epochs=4000 * batch_size / rows,
        )  # fmt: skip
    else:
        image = spec.modality == "image"
        convolutions = image and spec.n_values >= MANY_VALUES
        usual = 50 if convolutions else 200 if rows >= 10_000 and not image else 100
        batch_size = min(usual, max(2, rows // 4))
        values = dict(
            latent_dim=_latent_dim(spec) if image else 8, network="conv" if convolutions else "mlp", lr=2e-3,
            epochs=6000 * batch_size / rows,
        )  # fmt: skip
    values |= dict(batch_size=batch_size, beta1=0.9, schedule="cosine")
    if share is not None:
        name = modality(spec.modality).variance_name
        values["weight"] = float(f"{share * spec.variance:.3g}") or share
        values["weight_note"] = f"the default is {share:g} times the {name}, {spec.variance:.3g}"
    return values | changes


def _latent_dim(spec: DataSpec) -> int:
    """Dimensions of the codes of images.

    With more than 16 dimensions samples of MNIST and CIFAR-10 are farther from data after half a minute
    (benchmarks/presets.py); images of 8x8 are full with 8.
    """
    if spec.n_values < FEW_VALUES:
        return 8
    return 16 if max(spec.shape[1:]) <= DIGIT_SIDE else 64


def mnist(**changes: Any) -> Values:
    """The networks and schedule of the WAE paper's experiments on MNIST."""
    return dict(
        latent_dim=8, weight=10.0, network="dcgan-4x4", input_noise=0.01, official_init=True, pretrain=1000,
        critic_widths=(512, 512, 512, 512), critic_lr=5e-4,
    ) | changes  # fmt: skip


def celeba(**changes: Any) -> Values:
    """The networks and schedule of the WAE paper's experiments on CelebA.

    The official input noise is 0.01 on data in [-1, 1], and so 0.005 on ours.
    """
    return dict(
        latent_dim=64, weight=100.0, network="dcgan-5x5", input_noise=0.005, official_init=True, pretrain=256,
        critic_widths=(512, 512, 512, 512), add_log_prior=True, epochs=55,
    ) | changes  # fmt: skip
