"""Models that match moments."""

from __future__ import annotations

import torch

from pushforward.data.spec import DataSpec
from pushforward.discrepancies import (
    MMD,
    Clipping,
    DeepKernelMMD,
    GaussianKernel,
    GradientPenalty,
    SquareRoot,
)
from pushforward.distributions import GeneratorPrior, UniformPrior
from pushforward.errors import DataError
from pushforward.models import GAN, LearntPriorAE
from pushforward.networks import Concatenated, mlp
from pushforward.options import option
from pushforward.recipes.build import describe_cost, finish
from pushforward.recipes.gan_parts import finish_gan, gan_parts, published, quick
from pushforward.recipes.options import ENCODER_DECODER
from pushforward.recipes.options import GAN as OPTIONS
from pushforward.recipes.parts import assemble
from pushforward.recipes.presets import Values, small
from pushforward.recipes.recipe import LEARNT_PRIOR, MOMENTS, OwnParts, Setup, recipe
from pushforward.recipes.settings import GANSettings, LearntPriorSettings
from pushforward.training import adam
from pushforward.wording import Placeholder, option_name

WIDE = (0.138, 0.218, 0.308, 0.435, 0.616, 0.871)  # those of the official code on MNIST, as shares
FINE = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # for points, whose modes are narrow


def mixture_of_widths(scale: float, shares: tuple[float, ...]) -> GaussianKernel:
    """Gaussian kernels whose bandwidths are shares of the distance between two draws of the data."""
    return GaussianKernel([float(f"{share * scale:.3g}") for share in shares])


def large_batch(spec: DataSpec) -> int:
    """Rows per batch: a biased MMD needs many, a small data set several batches."""
    return min(500, max(2, spec.n_train // 4))


class GMMNSettings(GANSettings):
    """Options of ``gmmn``."""

    scale: float = option(
        "The distance that the kernels' bandwidths are shares of; by default that of two rows of data.",
        0.0, ge=0,
    )  # fmt: skip


@recipe(
    "gmmn", family=MOMENTS, settings=GMMNSettings,
    presets={
        "small": lambda spec: quick(spec, batch_size=large_batch(spec), latent_dim=10, scale=spec.distance),
        "paper": lambda spec: dict(
            # the code has rate 2 on 1000 times the loss
            latent_dim=10, prior="uniform", network="mlp", batch_size=1000, optimizer="sgd", lr=2000.0,
            beta1=0.9, schedule="constant", epochs=700, scale=spec.distance,
        ),
    },
    options=(*OPTIONS, "scale"), parts=("decoder", "discrepancy", "prior"),
)  # fmt: skip
def gmmn(spec: DataSpec, settings: GMMNSettings, own: OwnParts) -> Setup:
    r"""Generative moment matching network: compares samples with data by MMD, without a critic.

    .. math:: \min_G\; \mathrm{MMD}(G_\# P_Z, P_X)

    References:
        Generative Moment Matching Networks (Li et al., 2015), section 4, https://arxiv.org/abs/1502.02761

    Example:
        >>> [player.name for player in gmmn(open_dataset("digits").spec).model.players()]
        ['model']
    """
    parts = gan_parts(settings, spec, own, None)
    if own.discrepancy is not None:
        words = type(own.discrepancy).__name__
        return finish_gan(GAN(parts.prior, parts.decoder, own.discrepancy), spec, settings, words)
    if not settings.scale > 0:
        raise DataError(
            f"{spec.name}: all rows are equal, so that kernels have no bandwidth; give "
            f"{option_name('scale', Placeholder('NUMBER'))}"
        )
    kernel = mixture_of_widths(settings.scale, WIDE if spec.modality == "image" else FINE)
    words = f"MMD, Gaussian kernels of bandwidths {', '.join(f'{h:g}' for h in kernel.bandwidths)}"
    model = GAN(parts.prior, parts.decoder, SquareRoot(MMD(kernel, "v")))
    return finish_gan(model, spec, settings, words)


class MMDGANSettings(GANSettings):
    """Options of ``mmd-gan``.

    Attributes:
        keep_rows: Whether the row itself stands beside its features.
    """

    feature_dim: int | None = option(
        "Number of features of the critic: by default 16, with preset 'paper' as many as latent_dim.",
        None, ge=1,
    )  # fmt: skip
    reconstruction_weight: float = option(
        "The factor of the mean squared error of decoding the features, which keeps them injective: by "
        "default 0; with preset 'paper' 32 on data in [0, 1], which is the 8 of the code on [-1, 1].",
        0.0, ge=0,
    )  # fmt: skip
    gp_weight: float = option(
        "The factor of the penalty on the witness's gradient: 1; with 0, as in preset 'paper', weights are "
        "clipped instead.",
        1.0, ge=0,
    )  # fmt: skip
    keep_rows: bool = True


def _mmd_gan_paper(spec: DataSpec) -> Values:
    return published(
        prior="normal", latent_dim=10 if spec.shape[0] == 1 else 128, batch_size=64, n_critic=5,
        optimizer="rmsprop", lr=5e-5, critic_lr=5e-5, init_std=0.0, gp_weight=0.0, keep_rows=False,
        reconstruction_weight=32.0 if spec.in_unit_interval else 8.0,
    )  # fmt: skip


@recipe(
    "mmd-gan", family=MOMENTS, settings=MMDGANSettings,
    presets={"small": lambda spec: quick(spec, n_critic=3, beta2=0.9, feature_dim=16),
    "paper": _mmd_gan_paper},
    options=(*OPTIONS, "feature_dim", "reconstruction_weight", "gp_weight"),
    parts=("decoder", "critic", "prior"),
)  # fmt: skip
def mmd_gan(spec: DataSpec, settings: MMDGANSettings, own: OwnParts) -> Setup:
    r"""MMD-GAN: compares samples with data by the MMD of features that a critic learns to make it large.

    .. math:: \min_G \max_f\; \mathrm{MMD}_k(f_\# G_\# P_Z, f_\# P_X)

    Features that lose information would leave modes with wrong shares. With preset "paper" features are
    decoded again, and weights are clipped; with "small" the row itself stands beside its features, and the
    gradient of the witness is penalised, as in later work. Bandwidths are 1 to 16: rows should be at
    distances of that order, as images and points of the catalogue are.

    References:
        | MMD GAN: Towards Deeper Understanding of Moment Matching Network (Li et al., 2017), algorithm 1
        | https://arxiv.org/abs/1705.08584
        | Demystifying MMD GANs (Bińkowski et al., 2018), section 2.1, https://arxiv.org/abs/1801.01401

    Example:
        >>> mmd_gan(open_dataset("digits").spec).model.discrepancy.constraint
        GradientPenalty(weight=1.0, slope=1.0, one_sided=False)
    """
    parts = gan_parts(settings, spec, own, None)
    width = settings.feature_dim or settings.latent_dim
    critic = own.critic
    if critic is None:
        critic = Concatenated(parts.make_critic(width)) if settings.keep_rows else parts.make_critic(width)
    kernel = GaussianKernel([1.0, 2.0, 4.0, 8.0, 16.0])
    inverse = parts.make_decoder(width) if settings.reconstruction_weight else None
    if settings.gp_weight:
        discrepancy = DeepKernelMMD(
            critic, kernel, inverse, settings.reconstruction_weight, order=0.0, estimator="u", root=False,
            n_critic=settings.n_critic, constraint=GradientPenalty(settings.gp_weight),
        )  # fmt: skip
    else:
        discrepancy = DeepKernelMMD(
            critic, kernel, inverse, settings.reconstruction_weight, n_critic=settings.n_critic,
            constraint=Clipping(0.01),
        )  # fmt: skip
    return finish_gan(GAN(parts.prior, parts.decoder, discrepancy), spec, settings, "MMD of learnt features")


@recipe(
    "gmmn-ae", family=LEARNT_PRIOR, settings=LearntPriorSettings,
    presets={
        "small": lambda spec: small(
            spec, latent_dim=12 if spec.modality == "image" else 2, batch_size=large_batch(spec),
            noise_dim=10, epochs=6000 * large_batch(spec) / spec.n_train, prior_widths=(256, 256, 256),
        ),
    },
    options=("latent_dim", "noise_dim", "network", "batch_size", "schedule", "lr"),
    parts=(*ENCODER_DECODER, "discrepancy"),
)  # fmt: skip
def gmmn_ae(spec: DataSpec, settings: LearntPriorSettings, own: OwnParts) -> Setup:
    r"""GMMN+AE: a plain auto-encoder with codes in [0, 1], and a moment matching network that generates
    codes.

    .. math:: \min_{E, G} E\,c(G(E(x)), x), \qquad \min_g\; \mathrm{MMD}(g_\# P_0, E_\# P_X)

    In the paper the auto-encoder is trained first, layer by layer; here both are trained at once, and the
    prior follows codes that do not depend on it. An encoder of your own is followed by a sigmoid.

    References:
        Generative Moment Matching Networks (Li et al., 2015), section 4.2, https://arxiv.org/abs/1502.02761

    Example:
        >>> gmmn_ae(open_dataset("digits").spec).model.prior
        GeneratorPrior(...latent_dim=12...)
    """
    net = mlp(settings.noise_dim, settings.latent_dim, settings.prior_widths, norm=None)
    prior = GeneratorPrior(net, UniformPrior(settings.noise_dim), settings.latent_dim)
    parts = assemble(settings, spec, own, prior=prior, to_support=torch.sigmoid)
    kernel = mixture_of_widths((settings.latent_dim / 6) ** 0.5, WIDE)
    discrepancy = own.discrepancy or SquareRoot(MMD(kernel, "v"))
    model = parts.build(LearntPriorAE, discrepancy)
    name, cost = own.discrepancy_name("MMD"), describe_cost(parts.cost, spec)
    words = f"no weight: a learnt prior follows the codes by {name}; the cost is {cost}"
    optimizers = {name: adam(settings.lr, (settings.beta1, 0.999)) for name in ("model", "prior", "critic")}
    return finish(model, spec, settings, words, optimizers)
