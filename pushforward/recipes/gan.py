"""Generative adversarial networks whose critic makes one number of a row.

Networks are ours, with preset "paper" too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import nn

from pushforward.data.spec import DataSpec
from pushforward.discrepancies import (
    Clipping,
    Discrepancy,
    FDivergence,
    GradientPenalty,
    Hinge,
    JensenShannon,
    LeastSquares,
    Wasserstein,
    spectral,
)
from pushforward.options import option
from pushforward.recipes.gan_parts import adversarial, norm_of, published, quick
from pushforward.recipes.options import GAN
from pushforward.recipes.recipe import GANS, OwnParts, Setup, recipe
from pushforward.recipes.settings import GANSettings

PARTS = ("decoder", "critic", "prior")


@recipe(
    "gan", family=GANS, settings=GANSettings,
    presets={
        "small": quick,
        "paper": lambda spec: published(
            # the code halves the critic's loss; its uniform noise has variance 1
            network="mlp", lr=0.1, critic_lr=0.05, optimizer="sgd", batch_size=100, epochs=250, init_std=0.0,
            prior_std=3**0.5,
        ),
    },
    options=(*GAN, "non_saturating"), parts=(*PARTS, "discrepancy"),
)  # fmt: skip
def gan(spec: DataSpec, settings: GANSettings, own: OwnParts) -> Setup:
    r"""Generative adversarial network: compares samples with data by the Jensen-Shannon divergence.

    .. math:: \min_G \max_T\; E \log \sigma(T(x)) + E \log (1 - \sigma(T(G(z))))

    With a discrepancy of your own it is the model that minimises that one instead.

    References:
        Generative Adversarial Nets (Goodfellow et al., 2014), algorithm 1, https://arxiv.org/abs/1406.2661

    Example:
        >>> gan(open_dataset("digits").spec, latent_dim=8).model.prior
        NormalPrior(latent_dim=8, std=1)
    """
    return adversarial(
        spec, settings, own, norm_of(spec),
        lambda critic: JensenShannon(critic, settings.non_saturating, settings.n_critic),
        "a critic's Jensen-Shannon bound",
    )  # fmt: skip


@recipe(
    "dcgan", family=GANS, settings=GANSettings, presets={"small": quick, "paper": lambda spec: published()},
    options=GAN, parts=PARTS,
)  # fmt: skip
def dcgan(spec: DataSpec, settings: GANSettings, own: OwnParts) -> Setup:
    r"""GAN of convolutions with BatchNorm in generator and critic, for images.

    The critic's BatchNorm sees made and given samples as two batches, and updates its running statistics only
    while the critic is updated.

    References:
        | Unsupervised Representation Learning with Deep Convolutional GANs (Radford et al., 2016), section 4
        | https://arxiv.org/abs/1511.06434

    Example:
        >>> dcgan(open_dataset("digits").spec).training.batch_size
        64
    """
    return adversarial(
        spec, settings, own, "batch", lambda critic: JensenShannon(critic, True, settings.n_critic),
        "a critic's Jensen-Shannon bound",
    )  # fmt: skip


TARGETS = {"binary": (0.0, 1.0, 1.0), "pearson": (-1.0, 1.0, 0.0)}


class LSGANSettings(GANSettings):
    """Options of ``lsgan``."""

    targets: Literal["binary", "pearson"] = option(
        "The targets (a, b, c): 'binary' (the default) is (0, 1, 1), 'pearson' (-1, 1, 0), which is "
        "Pearson's χ².",
        "binary",
    )


@recipe(
    "lsgan", family=GANS, settings=LSGANSettings,
    presets={
        "small": quick,
        "paper": lambda spec: published(latent_dim=1024, lr=1e-3, critic_lr=1e-3, batch_size=64),
    },
    options=(*GAN, "targets"), parts=PARTS,
)  # fmt: skip
def lsgan(spec: DataSpec, settings: LSGANSettings, own: OwnParts) -> Setup:
    r"""Least-squares GAN: the critic regresses samples and data on two numbers.

    .. math:: \min_T\; \tfrac12 E (T(x) - b)^2 + \tfrac12 E (T(G(z)) - a)^2, \qquad
        \min_G\; \tfrac12 E (T(G(z)) - c)^2

    References:
        | Least Squares Generative Adversarial Networks (Mao et al., 2017), equations 8 and 9
        | https://arxiv.org/abs/1611.04076

    Example:
        >>> lsgan(open_dataset("digits").spec, targets="pearson").model.discrepancy.targets
        (-1.0, 1.0, 0.0)
    """
    return adversarial(
        spec, settings, own, norm_of(spec),
        lambda critic: LeastSquares(critic, TARGETS[settings.targets], True, settings.n_critic),
        "a critic's least squares",
    )  # fmt: skip


LOSSES: dict[str, Callable[[nn.Module, int], Discrepancy]] = {
    "hinge": lambda critic, n_critic: Hinge(critic, n_critic=n_critic),
    "gan": lambda critic, n_critic: JensenShannon(critic, n_critic=n_critic),
    "wasserstein": lambda critic, n_critic: Wasserstein(critic, n_critic=n_critic),
}


class SNGANSettings(GANSettings):
    """Options of ``sngan``."""

    loss: Literal["hinge", "gan", "wasserstein"] = option(
        "The loss: 'hinge'; 'gan', that of the first GAN; or 'wasserstein', which has no margin beyond which "
        "the critic's gradient vanishes. By default 'hinge', but of images with preset 'small' "
        "'wasserstein', with n_critic 3: small critics reach the margin at once.",
        "hinge",
    )


@recipe(
    "sngan", family=GANS, settings=SNGANSettings,
    presets={
        "small": lambda spec: (
            quick(spec, n_critic=3, loss="wasserstein")
            if spec.modality == "image"
            else quick(spec, n_critic=5)
        ),
        "paper": lambda spec: published(latent_dim=128, prior="normal", batch_size=64),
    },
    options=(*GAN, "loss"), parts=PARTS,
)  # fmt: skip
def sngan(spec: DataSpec, settings: SNGANSettings, own: OwnParts) -> Setup:
    r"""GAN whose critic is spectrally normalised: every layer is divided by its largest singular value.

    .. math:: \max_T\; -E (1 - T(x))_+ - E (1 + T(G(z)))_+, \qquad \min_G\; -E\,T(G(z))

    References:
        | Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), algorithm 1
        | https://arxiv.org/abs/1802.05957
        | Geometric GAN (Lim & Ye, 2017), equations 13 and 14, https://arxiv.org/abs/1705.02894

    Example:
        >>> type(sngan(open_dataset("digits").spec, loss="hinge").model.discrepancy).__name__
        'Hinge'
    """
    return adversarial(
        spec, settings, own, None, lambda critic: LOSSES[settings.loss](spectral(critic), settings.n_critic),
        f"a spectrally normalised critic with the loss {settings.loss!r}",
    )  # fmt: skip


class FGANSettings(GANSettings):
    """Options of ``f-gan``."""

    divergence: Literal["kl", "reverse-kl", "pearson", "squared-hellinger", "jensen-shannon", "gan"] = option(
        "Divergence of the data from the model: kl, which covers every mode; reverse-kl, which seeks some; "
        "pearson, Pearson's χ²; squared-hellinger; jensen-shannon; or gan, that of the first GAN, which is "
        "jensen-shannon minus log 4.",
        "jensen-shannon",
    )
    spectral_norm: bool = option(
        "Whether the critic's slope is at most 1, its layers divided by their largest singular values: by "
        "default of vectors; of images the critic has BatchNorm instead, with preset 'paper' neither.",
        False,
    )


@recipe(
    "f-gan", family=GANS, settings=FGANSettings,
    presets={
        "small": lambda spec: (
            quick(spec) if spec.modality == "image" else quick(spec, n_critic=5, spectral_norm=True)
        ),
        "paper": lambda spec: published(network="mlp", batch_size=4096, init_std=0.0),
    },
    options=(*GAN, "divergence", "non_saturating", "spectral_norm"), parts=PARTS,
)  # fmt: skip
def f_gan(spec: DataSpec, settings: FGANSettings, own: OwnParts) -> Setup:
    r"""f-GAN: compares samples with data by any f-divergence.

    .. math:: \min_G \max_V\; E\,g(V(x)) - E\,f^*(g(V(G(z))))

    Between distributions that do not overlap a KL is infinite, and its critic grows without bound. A critic
    of slope at most 1 makes of it the softer :math:`\min_R W_1(P_X, R) + \mathrm{KL}(R \| G_\# P_Z)`, which
    is finite.

    References:
        | f-GAN (Nowozin et al., 2016), equation 6 and section 3.2, https://arxiv.org/abs/1606.00709
        | A Convex Duality Framework for GANs (Farnia & Tse, 2018), section 4
        | https://arxiv.org/abs/1810.11740

    Example:
        >>> f_gan(open_dataset("digits").spec, divergence="kl").model.discrepancy.name
        'kl'
    """
    return adversarial(
        spec, settings, own, None if settings.spectral_norm else norm_of(spec),
        lambda critic: FDivergence(
            spectral(critic) if settings.spectral_norm else critic, settings.divergence,
            settings.non_saturating, settings.n_critic,
        ),
        f"the divergence {settings.divergence}",
    )  # fmt: skip


class WGANSettings(GANSettings):
    """Options of ``wgan``."""

    weight_clip: float = option(
        "The bound c of every parameter of the critic, also of the BatchNorm that it has on images; by "
        "default 0.01.",
        0.01, gt=0,
    )  # fmt: skip


@recipe(
    "wgan", family=GANS, settings=WGANSettings,
    presets={
        "small": lambda spec: quick(spec, n_critic=5, optimizer="rmsprop", lr=2e-4, critic_lr=2e-4),
        "paper": lambda spec: published(
            prior="normal", batch_size=64, n_critic=5, optimizer="rmsprop", lr=5e-5, critic_lr=5e-5
        ),
    },
    options=(*GAN, "weight_clip"), parts=PARTS,
)  # fmt: skip
def wgan(spec: DataSpec, settings: WGANSettings, own: OwnParts) -> Setup:
    r"""Wasserstein GAN with clipped weights.

    .. math:: \min_G \max_{|\theta_j| \le c}\; E\,T_\theta(x) - E\,T_\theta(G(z))

    Without BatchNorm this is a multiple of W1 over the slopes that weights of at most c allow. On images the
    critic has BatchNorm, as in the authors' code, and the bound is that of no distance.

    References:
        Wasserstein GAN (Arjovsky et al., 2017), algorithm 1, https://arxiv.org/abs/1701.07875

    Example:
        >>> wgan(open_dataset("digits").spec).model.discrepancy.constraint
        Clipping(limit=0.01)
    """
    norm = norm_of(spec)
    return adversarial(
        spec, settings, own, norm,
        lambda critic: Wasserstein(critic, Clipping(settings.weight_clip), settings.n_critic),
        "a critic with clipped weights and BatchNorm" if norm else "K times W1, K unknown",
    )  # fmt: skip


class WGANGPSettings(GANSettings):
    """Options of ``wgan-gp``."""

    gp_weight: float = option(
        "The factor λ of the gradient penalty: 10 for images; 0.1 for vectors, as in the official code.",
        10.0, ge=0,
    )  # fmt: skip


def _gp_weight(spec: DataSpec) -> float:
    return 10.0 if spec.modality == "image" else 0.1


@recipe(
    "wgan-gp", family=GANS, settings=WGANGPSettings,
    presets={
        "small": lambda spec: quick(spec, n_critic=5, beta2=0.9, gp_weight=_gp_weight(spec)),
        "paper": lambda spec: published(
            latent_dim=128, prior="normal", batch_size=64, n_critic=5, lr=1e-4, critic_lr=1e-4, beta2=0.9,
            init_std=0.0, epochs=200_000 * 5 * 64 / spec.n_train, gp_weight=_gp_weight(spec),
        ),
    },
    options=(*GAN, "gp_weight"), parts=PARTS,
)  # fmt: skip
def wgan_gp(spec: DataSpec, settings: WGANGPSettings, own: OwnParts) -> Setup:
    r"""Wasserstein GAN with a gradient penalty.

    .. math:: \min_G \max_T\; E\,T(x) - E\,T(G(z)) - \lambda\, E (\|\nabla T(\hat x)\| - 1)^2

    A critic with BatchNorm is refused: its value for a row depends on the other rows.

    References:
        | Improved Training of Wasserstein GANs (Gulrajani et al., 2017), algorithm 1
        | https://arxiv.org/abs/1704.00028

    Example:
        >>> wgan_gp(open_dataset("digits").spec).model.discrepancy.constraint
        GradientPenalty(weight=10.0, slope=1.0, one_sided=False)
    """
    return adversarial(
        spec, settings, own, None,
        lambda critic: Wasserstein(critic, GradientPenalty(settings.gp_weight), settings.n_critic),
        f"W1, the critic's slope held near 1 by a penalty of factor {settings.gp_weight:g}",
    )  # fmt: skip
