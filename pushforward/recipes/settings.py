"""Settings as data: what a paper printed, what its code did, and what is quick on a laptop.

A recipe's arguments replace single entries; everything else comes from one of these rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from pushforward.data.dataset import Dataset
from pushforward.errors import ConfigError, check_int, nearest


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a run of an auto-encoder can be told, apart from its parts.

    Attributes:
        latent_dim: Dimensions of a code.
        weight: Factor of the match, against a cost summed over features; or ``"auto"`` or
            ``"auto:START"``.
        cost: A name in :data:`pushforward.recipes.parts.COSTS`.
        prior: A name in :data:`pushforward.recipes.parts.PRIORS`.
        alpha: How much of the price of information an InfoVAE remits.
        deviation: Deviation of a Gaussian cost, or its first value if learnt; None for the cost's own.
        prior_std: Scale of the prior.
        posterior: A name in :data:`pushforward.recipes.parts.POSTERIORS`: the encoder's kind.
        network: A name in :data:`pushforward.recipes.parts.NETWORKS`.
        input_noise: Deviation of noise on the encoder's input, in training.
        word_dropout: Share of the words said so far that the decoder of text is not told, in training.
        encoder_word_dropout: Share of the words that the encoder of text cannot read, in training.
        token_replacement: Share of the words of every second line of text that are swapped for others, in training,
            in what is read and in what is to be told.
        warmup: Steps over which the weight rises from 0.
        free_bits: Nats of each dimension that a KL does not charge.
        truncated: Whether that noise stays within two deviations, as in the official code of WAE.
        official_init: Whether weights start as N(0, 0.01²), as in the official code.
        pretrain: Rows in a batch while the encoder's moments are fitted first; 0 for no fitting.
        critic_widths: Hidden units of the critic.
        add_log_prior: Whether the critic is told the prior's log-density.
        label: Whether encoder and decoder are told the label.
        batch_size: Rows in a batch.
        lr: Adam's learning rate for encoder and decoder.
        critic_lr: Adam's learning rate for the critic.
        beta1: Adam's first moment for encoder and decoder.
        schedule: A name in :data:`pushforward.training.schedules.SCHEDULES`.
        epochs: Passes over the data when no budget is given.
        meaning: What the weight means here, in one sentence.
    """

    latent_dim: int
    weight: float | str
    cost: str = "squared"
    alpha: float = 0.0
    deviation: float | None = None
    prior: str = "normal"
    prior_std: float = 1.0
    posterior: str = "deterministic"
    network: str = "mlp"
    input_noise: float = 0.0
    word_dropout: float = 0.0
    encoder_word_dropout: float = 0.0
    token_replacement: float = 0.0
    warmup: int = 0
    free_bits: float = 0.0
    truncated: bool = True
    official_init: bool = False
    pretrain: int = 0
    critic_widths: tuple[int, ...] = (256, 256, 256)
    add_log_prior: bool = False
    label: bool = False
    batch_size: int = 100
    lr: float = 1e-3
    critic_lr: float = 1e-3
    beta1: float = 0.5
    schedule: str = "manual"
    epochs: float = 100
    meaning: str = ""

    def __post_init__(self) -> None:
        check_int("latent_dim", self.latent_dim, least=1)
        check_int("batch", self.batch_size, least=1)
        for name in ("lr", "critic_lr", "prior_std", "epochs"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")
        if not 0 <= self.input_noise < math.inf:
            raise ConfigError(f"input_noise must be at least 0, got {self.input_noise}")
        check_int("warmup", self.warmup, least=0)
        for name in ("beta1", "word_dropout", "word_noise", "word_swap"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    @classmethod
    def beyond(cls, usual: Settings, **changes: Any) -> Self:
        """The entries of other settings in settings that have more of them, with single entries replaced."""
        known = {name: getattr(usual, name) for name in usual.__dataclass_fields__}
        return cls(**(known | changes))

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """These settings with every entry of ``changes`` that is not None."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings(Settings):
    """What an adversarial auto-encoder can be told besides: everyone's own pace.

    Attributes:
        classes: Classes K of the code; 0 of codes without any.
        encoder_lr: Learning rate of the encoder's turn against the critics.
        label_lr: Learning rate of the encoder's turn with the labels.
        critic_noise: Deviation of noise on what the critics see, in training: a softmax is told from
            one-hot rows by its rounded corners alone.
        head_distance: The distance that cluster heads keep.
        sgd: Whether stochastic gradient descent moves everyone, with the paper's momenta, and not Adam.
    """

    weight: float | str = 1.0
    classes: int = 0
    encoder_lr: float = 1e-3
    label_lr: float = 1e-3
    critic_noise: float = 0.0
    head_distance: float = 2.0
    sgd: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("encoder_lr", "label_lr", "head_distance"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")
        if not 0 <= self.critic_noise < math.inf:
            raise ConfigError(f"critic_noise must be at least 0, got {self.critic_noise}")


@dataclass(frozen=True, kw_only=True)
class GANSettings(Settings):
    """What a model in data space can be told besides.

    Attributes:
        n_critic: Updates of the critic for each update of the model.
        optimizer: "adam", "rmsprop" or "sgd" with momentum ``beta1``.
        beta2: Adam's second moment.
        std: Deviation of the weights at the start, N(0, std²); 0 for torch's own.
        margin: The energy at which samples are left alone; 0 of games without one.
        gamma: The ratio of energies that a balance holds; 0 of games without one.
        k_lr: The pace at which it is held; 0 of games without one.
        power: The power of the errors that are an energy.
        scale: The distance of two rows of data, which widths of kernels are shares of; 0 of others.
        loss: Which game a recipe plays that has several; empty of others.
        bounded: Whether the critic's layers are divided by their largest singular values.
    """

    weight: float | str = 1.0
    n_critic: int = 1
    optimizer: str = "adam"
    beta2: float = 0.999
    std: float = 0.0
    margin: float = 0.0
    gamma: float = 0.0
    k_lr: float = 0.0
    power: int = 1
    scale: float = 0.0
    loss: str = ""
    bounded: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("n_critic", self.n_critic, least=1)
        if not 0 <= self.beta2 < 1:
            raise ConfigError(f"beta2 must be in [0, 1), got {self.beta2}")


@dataclass(frozen=True, kw_only=True)
class LearntPriorSettings(Settings):
    """What an auto-encoder whose prior learns in a game can be told besides.

    Attributes:
        noise: Dimensions of the noise that the prior pushes forward.
        latent_noise: Deviation of the noise on codes that are decoded, in training, at the first step.
        latent_noise_decay: What that deviation is multiplied by every 100 steps.
        n_critic: Updates of the critic for each update of the model.
        penalty: The factor of the penalty on the critic's slope; 0 for weights that are clipped.
        prior_widths: Hidden units of the prior.
        prior_lr: Adam's learning rate for the prior.
        play_beta1: Adam's first moment for prior and critic.
    """

    noise: int = 100
    latent_noise: float = 0.1
    latent_noise_decay: float = 0.9995
    n_critic: int = 2
    penalty: float = 1.0
    prior_widths: tuple[int, ...] = (256, 256)
    prior_lr: float = 5e-4
    play_beta1: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("noise", self.noise, least=1)
        check_int("n_critic", self.n_critic, least=1)
        if not 0 <= self.penalty < math.inf:
            raise ConfigError(f"penalty must be at least 0, got {self.penalty}")


S = TypeVar("S", bound=Settings)
SMALL_GREY = 32  # sides up to which a one-channel image counts as a digit rather than as a photograph


def is_digit(data: Dataset) -> bool:
    """Whether the settings for MNIST fit better than those for CelebA."""
    return len(data.shape) != 3 or (data.shape[0] == 1 and max(data.shape[1:]) <= SMALL_GREY)


def likelihood(data: Dataset) -> str:
    """The cost that is a negative log-likelihood of such data."""
    return "tokens" if data.vocabulary else "bernoulli" if data.in_unit_interval else "gaussian-learnt"


def small(data: Dataset, share: float | None, **changes: Any) -> Settings:
    """Settings that are done in minutes on two cores: small nets, Adam, a cosine.

    ``share`` makes the default weight of a match a multiple of the data's total variance, so
    that the balance of the two terms is that of MNIST on any data.
    """
    rows = len(data.train)
    batch_size = 200 if rows >= 10_000 else min(100, max(2, rows // 4))
    weight: float | str = 1.0
    meaning = ""
    if share is not None:
        variance = data.spec.variance
        weight = float(f"{share * variance:.3g}") or share
        what = "nats of a line without context" if data.vocabulary else "data's total variance"
        meaning = f"the default is {share:g} times the {what}, {variance:.3g}"
    if data.vocabulary:
        batch_size = min(64, max(2, rows // 4))
        return Settings(
            latent_dim=128, weight=weight, cost="tokens", network="gru", batch_size=batch_size, lr=4e-3, beta1=0.9,
            token_replacement=0.3, schedule="cosine", epochs=8000 * batch_size / rows, meaning=meaning,
        ).changed(changes)  # fmt: skip
    return Settings(
        latent_dim=8 if is_digit(data) else 64,
        weight=weight,
        network="mlp" if is_digit(data) else "conv",
        batch_size=batch_size,
        lr=2e-3,
        beta1=0.9,
        schedule="cosine",
        epochs=6000 * batch_size / rows,
        meaning=meaning,
    ).changed(changes)


def mnist(**changes: Any) -> Settings:
    """The nets and schedule of the WAE paper's experiments on MNIST."""
    return replace(
        Settings(
            latent_dim=8, weight=10.0, network="official-mnist", input_noise=0.01, official_init=True,
            pretrain=1000, critic_widths=(512, 512, 512, 512), critic_lr=5e-4,
        ),
        **changes,
    )  # fmt: skip


def celeba(**changes: Any) -> Settings:
    """The nets and schedule of the WAE paper's experiments on CelebA.

    The official input noise is 0.01 on data in [-1, 1], and so 0.005 on ours.
    """
    return replace(
        Settings(
            latent_dim=64, weight=100.0, network="official-celeba", input_noise=0.005, official_init=True,
            pretrain=256, critic_widths=(512, 512, 512, 512), add_log_prior=True, epochs=55,
        ),
        **changes,
    )  # fmt: skip


MNIST_SCALE = "the official code scales the squared error by 0.05, so its λ = 10 is 200 here"
CELEBA_SCALE = (
    "the official code scales the squared error by 0.05 on data in [-1, 1], 0.2 on [0, 1], "
    "so its λ = 100 is 500 here"
)
AS_PRINTED = "λ as the paper prints it; " + MNIST_SCALE


PLANAR = ("mixture", "swiss-roll")  # priors that lie in the plane


def pick(
    table: Mapping[str, Callable[[Dataset], S]],
    recipe: str,
    settings: str,
    data: Dataset,
    changes: Mapping[str, Any],
) -> S:
    """The named row of a recipe's table, for these data, with single entries replaced.

    Raises:
        ConfigError: If there is no such row, or an entry is out of range.
    """
    if settings not in table:
        raise ConfigError(f"{recipe} has no settings {settings!r}: {nearest(settings, table)}")
    row = table[settings](data)
    if changes.get("prior") in PLANAR and changes.get("latent_dim") is None:
        row = replace(row, latent_dim=2)
    changed = row.changed(changes)
    changed = replace(changed, batch_size=min(changed.batch_size, len(data.train)))
    return changed if changed.weight == row.weight else replace(changed, meaning="")
