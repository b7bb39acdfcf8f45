"""Models that match moments: signatures are configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

import torch
from torch import nn

from pushforward.data.dataset import Dataset
from pushforward.discrepancies import (
    MMD,
    Clipping,
    DeepKernelMMD,
    GaussianKernel,
    GradientPenalty,
    SquareRoot,
)
from pushforward.distributions import DeterministicEncoder, GeneratorPrior, UniformPrior
from pushforward.errors import DataError, check_int
from pushforward.models import GAN, LearntPriorAE
from pushforward.networks import Concatenated, mlp
from pushforward.recipes.build import finish, price
from pushforward.recipes.in_data import (
    Options,
    Rows,
    Table,
    chosen_of,
    meeting,
    pieces,
    published,
    quick,
)
from pushforward.recipes.options import NetworkName, ScheduleName, entries, unfolded
from pushforward.recipes.parts import Recipe, assemble
from pushforward.recipes.settings import GANSettings, Settings, pick, small
from pushforward.training import adam


def mixture_of_widths(scale: float, shares: tuple[float, ...]) -> GaussianKernel:
    """Gaussian kernels whose bandwidths are shares of the distance between two draws of the given law."""
    return GaussianKernel([float(f"{share * scale:.3g}") for share in shares])


WIDE = (0.138, 0.218, 0.308, 0.435, 0.616, 0.871)  # those of the official code on MNIST, as shares
FINE = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # for points, whose modes are narrow


def many(data: Dataset) -> int:
    """Rows in a batch: a biased MMD wants many, a small data set several batches."""
    return min(500, max(2, len(data.train) // 4))


GMMN_TABLE: Table = {
    "small": lambda data: quick(
        data, batch_size=many(data), latent_dim=10, lr=1e-3, scale=data.spec.distance
    ),
    "paper": lambda data: GANSettings(
        # the code has rate 2 on 1000 times the loss
        latent_dim=10, prior="uniform", network="mlp", batch_size=1000, optimizer="sgd", lr=2000.0, beta1=0.9,
        schedule="constant", epochs=700, scale=data.spec.distance,
    ),
}  # fmt: skip


@unfolded
def gmmn(
    data: Dataset, *, settings: Rows = "small", scale: float | None = None, **options: Unpack[Options]
) -> Recipe:
    r"""Generative moment matching network: samples meet data in MMD, without a critic.

    .. math:: \min_G\; \mathrm{MMD}(G_\# P_Z, P_X)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        scale: The distance that kernels' widths are shares of; that of two rows of data by default.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Generative Moment Matching Networks (Li et al., 2015), section 4
        | https://arxiv.org/abs/1502.02761

    Example:
        >>> from pushforward.data import open_dataset
        >>> [player.name for player in gmmn(open_dataset("digits")).model.players()]
        ['model']
    """
    chosen = chosen_of(GMMN_TABLE, "gmmn", settings, data, entries(options, GANSettings) | {"scale": scale})
    made = pieces(chosen, data, options, None)
    if not chosen.scale > 0:
        raise DataError(f"{data.name}: all rows are equal, so kernels have no width; give one by scale=")
    kernel = mixture_of_widths(chosen.scale, WIDE if data.modality == "image" else FINE)
    discrepancy = SquareRoot(MMD(kernel, "v"))
    words = f"MMD, Gaussian kernels of bandwidths {', '.join(f'{h:g}' for h in kernel.bandwidths)}"
    return meeting(GAN(made.prior, made.decoder, discrepancy), chosen, data, words)


MMD_TABLE: Table = {
    "small": lambda data: quick(data, n_critic=3, beta2=0.9),
    "paper": lambda data: published(
        prior="normal", latent_dim=10 if data.shape[0] == 1 else 128, batch_size=64, n_critic=5, optimizer="rmsprop",
        lr=5e-5, critic_lr=5e-5, std=0.0,
    ),
}  # fmt: skip


@unfolded
def mmd_gan(
    data: Dataset,
    *,
    settings: Rows = "small",
    features: int | None = None,
    back: float | None = None,
    penalty: float | None = None,
    **options: Unpack[Options],
) -> Recipe:
    r"""MMD-GAN: samples meet data in MMD of features that a critic makes as different as it can.

    .. math:: \min_G \max_f\; \mathrm{MMD}_k(f_\# G_\# P_Z, f_\# P_X)

    Features that lose something would leave modes in the wrong shares. With settings "paper" they are decoded
    again, and their weights clipped; with "small" they stand beside the row itself, and the slope of the
    witness is penalised, as in later work. Bandwidths are 1 to 16: rows should be at distances of that order,
    as images and points of the catalogue are.

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        features: Numbers that the critic makes of a row: by default 16, with "paper" as many as ``latent_dim``.
        back: The factor of the mean squared error of decoding the features, which keeps them injective: by
            default none, and with "paper" 32 on data in [0, 1], which is the 8 of the code on [-1, 1].
        penalty: The factor of the penalty on the witness's slope; None for 1, and for clipping with "paper".

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | MMD GAN: Towards Deeper Understanding of Moment Matching Network (Li et al., 2017), algorithm 1
        | https://arxiv.org/abs/1705.08584
        | Demystifying MMD GANs (Bińkowski et al., 2018), section 2.1
        | https://arxiv.org/abs/1801.01401

    Example:
        >>> from pushforward.data import open_dataset
        >>> mmd_gan(open_dataset("digits")).model.match.constraint
        GradientPenalty(weight=1.0, slope=1.0, one_sided=False)
    """
    chosen = chosen_of(MMD_TABLE, "mmd-gan", settings, data, entries(options, GANSettings))
    made = pieces(chosen, data, options, None)
    printed = settings == "paper"
    width = (
        (chosen.latent_dim if printed else 16)
        if features is None
        else check_int("features", features, least=1)
    )
    own = options.get("critic")
    encoder = own or (made.critic(width) if printed else Concatenated(made.critic(width)))
    scales = GaussianKernel([1.0, 2.0, 4.0, 8.0, 16.0])
    factor = (32.0 if data.in_unit_interval else 8.0) * printed if back is None else back
    inverse = made.back(width) if factor else None
    if printed and penalty is None:
        discrepancy = DeepKernelMMD(
            encoder, scales, inverse, factor, n_critic=chosen.n_critic, constraint=Clipping(0.01)
        )
    else:
        discrepancy = DeepKernelMMD(
            encoder, scales, inverse, factor, order=0.0, estimator="u", root=False, n_critic=chosen.n_critic,
            constraint=GradientPenalty(1.0 if penalty is None else penalty),
        )  # fmt: skip
    return meeting(GAN(made.prior, made.decoder, discrepancy), chosen, data, "MMD of learnt features")


AE_TABLE: dict[str, Callable[[Dataset], Settings]] = {
    "small": lambda data: small(
        data, None, latent_dim=12 if data.modality == "image" else 2, batch_size=many(data),
        epochs=6000 * many(data) / len(data.train),
    ),
}  # fmt: skip


def gmmn_ae(
    data: Dataset,
    *,
    latent_dim: int | None = None,
    noise: int = 10,
    network: NetworkName | None = None,
    batch_size: int | None = None,
    schedule: ScheduleName | None = None,
    lr: float | None = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    r"""GMMN+AE: a plain auto-encoder of codes in [0, 1], and a moment matching network that makes them.

    .. math:: \min_{E, G} E\,c(G(E(x)), x), \qquad \min_g\; \mathrm{MMD}(g_\# P_0, E_\# P_X)

    In the paper the auto-encoder is trained first, layer by layer; here both learn at once, and the prior
    follows codes that do not move for it.

    Arguments:
        data: What to learn from.
        latent_dim: Dimensions of a code.
        noise: Dimensions of the noise that the prior pushes forward.
        network: Kind of encoder and decoder networks.
        batch_size: Rows in a batch.
        schedule: How the learning rate changes over the run.
        lr: Learning rate of everyone.
        encoder: A module of your own, from data to (N, latent), of which a sigmoid makes codes.
        decoder: A module of your own, from (N, latent) to data.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Generative Moment Matching Networks (Li et al., 2015), section 4.2
        | https://arxiv.org/abs/1502.02761

    Example:
        >>> from pushforward.data import open_dataset
        >>> gmmn_ae(open_dataset("digits")).model.prior
        GeneratorPrior(...latent_dim=12...)
    """
    chosen = pick(AE_TABLE, "gmmn-ae", "small", data, entries(locals(), Settings))
    net = mlp(check_int("noise", noise, least=1), chosen.latent_dim, [256, 256, 256], norm=None)
    prior = GeneratorPrior(net, UniformPrior(noise), chosen.latent_dim)
    parts = assemble(chosen, data, {"encoder": encoder, "decoder": decoder}, prior)
    assert isinstance(parts.encoder, DeterministicEncoder)
    parts.encoder.to_support = torch.sigmoid
    kernel = mixture_of_widths((chosen.latent_dim / 6) ** 0.5, WIDE)
    model = LearntPriorAE(prior, parts.decoder, parts.encoder, SquareRoot(MMD(kernel, "v")), parts.cost)
    meaning = f"no weight: a prior of its own follows the codes in MMD; the cost is {price(chosen, data)}"
    optimizers = {name: adam(chosen.lr, (chosen.beta1, 0.999)) for name in ("model", "prior")}
    return finish(model, chosen, data, meaning, optimizers)
