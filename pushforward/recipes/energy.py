"""Generative adversarial networks whose critic is an auto-encoder."""

from __future__ import annotations

from typing import Literal

from pushforward.costs import L1, L2, SquaredError
from pushforward.data.spec import DataSpec
from pushforward.discrepancies import BEGANEnergy, EBGANEnergy
from pushforward.errors import DataError
from pushforward.models import GAN
from pushforward.networks.norms import AT_HAND
from pushforward.options import option
from pushforward.recipes.gan_parts import (
    autoencoding_critic,
    finish_gan,
    gan_parts,
    norm_of,
    published,
    quick,
)
from pushforward.recipes.options import GAN as OPTIONS
from pushforward.recipes.recipe import GANS, OwnParts, Setup, recipe
from pushforward.recipes.settings import GANSettings
from pushforward.wording import Placeholder, option_name


class EBGANSettings(GANSettings):
    """Options of ``ebgan``."""

    margin: float = option(
        "The energy m above which the critic no longer raises that of samples: by default a quarter of the "
        "distance of two rows, with preset 'paper' 10.",
        10.0, ge=0,
    )  # fmt: skip
    pulling_away_weight: float = option(
        "The factor w of the pulling-away term, which spreads samples out; by default 0.1.", 0.1, ge=0
    )
    bottleneck_dim: int = option("Dimensions of the critic's code, by default 32.", 32, ge=1)


@recipe(
    "ebgan", family=GANS, settings=EBGANSettings,
    presets={
        "small": lambda spec: quick(spec, margin=spec.distance / 4),
        "paper": lambda spec: published(
            prior="normal", lr=1e-3, critic_lr=1e-3, network="mlp", init_std=0.0, margin=10.0
        ),
    },
    options=(*OPTIONS, "margin", "pulling_away_weight", "bottleneck_dim"),
    parts=("decoder", "critic", "prior"),
)  # fmt: skip
def ebgan(spec: DataSpec, settings: EBGANSettings, own: OwnParts) -> Setup:
    r"""Energy-based GAN: the critic is an auto-encoder, its error an energy.

    .. math:: \min_D\; E\,D(x) + E (m - D(G(z)))_+, \qquad \min_G\; E\,D(G(z)) + w\,\mathrm{PT}

    On images our critic has BatchNorm, which normalises by the current batch in evaluation mode too.

    References:
        | Energy-based Generative Adversarial Networks (Zhao et al., 2017), equations 1, 2 and 5
        | https://arxiv.org/abs/1609.03126

    Example:
        >>> ebgan(open_dataset("digits").spec, margin=1.0).model.discrepancy.margin
        1.0
    """
    if not settings.margin > 0:
        raise DataError(
            f"{spec.name}: all rows are equal, so that energies have no scale; give "
            f"{option_name('margin', Placeholder('NUMBER'))}"
        )
    parts = gan_parts(settings, spec, own, norm_of(spec, AT_HAND))
    critic = own.critic or autoencoding_critic(parts, settings.bottleneck_dim, L2())
    discrepancy = EBGANEnergy(critic, settings.margin, settings.pulling_away_weight, settings.n_critic)
    words = f"energies, with a margin of {settings.margin:g}"
    return finish_gan(GAN(parts.prior, parts.decoder, discrepancy), spec, settings, words)


class BEGANSettings(GANSettings):
    """Options of ``began``.

    Attributes:
        critic_norm: Whether the critic has BatchNorm on images.
    """

    gamma: float = option(
        "The ratio γ of energies; less is sharper and less diverse: 0.5, of images 0.85, with preset 'paper' "
        "0.5.",
        0.5,
    )
    k_lr: float = option("The learning rate r of k: 0.02, of images 0.1, with preset 'paper' 0.001.", 1e-3)
    energy_power: Literal[1, 2] = option(
        "The power η of an energy: 1, of images 2, with preset 'paper' 1. Of mostly black images a black one "
        "has a small absolute error.",
        1,
    )
    pulling_away_weight: float = option(
        "The factor of a pulling-away term as in ebgan, by default 0: the paper does not have it.", 0.0, ge=0
    )
    bottleneck_dim: int | None = option(
        "Dimensions of the critic's code: by default 32, with preset 'paper' as many as latent_dim.",
        None, ge=1,
    )  # fmt: skip
    critic_norm: bool = False


@recipe(
    "began", family=GANS, settings=BEGANSettings,
    presets={
        "small": lambda spec: (
            quick(spec, gamma=0.85, k_lr=0.1, energy_power=2, bottleneck_dim=32, critic_norm=True)
            if spec.modality == "image"
            else quick(spec, lr=5e-4, critic_lr=5e-4, gamma=0.5, k_lr=0.02, bottleneck_dim=32)
        ),
        "paper": lambda spec: published(
            latent_dim=64, batch_size=16, lr=1e-4, critic_lr=1e-4, init_std=0.0, gamma=0.5, k_lr=1e-3
        ),
    },
    options=(*OPTIONS, "gamma", "k_lr", "energy_power", "pulling_away_weight", "bottleneck_dim"),
    parts=("decoder", "critic", "prior"),
)  # fmt: skip
def began(spec: DataSpec, settings: BEGANSettings, own: OwnParts) -> Setup:
    r"""Boundary-equilibrium GAN: the energy of samples is held at a ratio to that of data.

    .. math:: \min_D\; L(x) - k\,L(G(z)), \qquad \min_G\; L(G(z)), \qquad
        k \leftarrow k + r (\gamma L(x) - L(G(z))), \qquad L(x) = \tfrac1d |x - D(x)|^\eta

    On images our critic has BatchNorm, which the paper's and that of preset "paper" have not: it cannot
    reconstruct samples that are all alike, which without it have the least energy. It normalises by the
    current batch in evaluation mode too, so that the ratio that is held is the one that is reported.

    References:
        | BEGAN: Boundary Equilibrium Generative Adversarial Networks (Berthelot et al., 2017), section 3
        | https://arxiv.org/abs/1703.10717

    Example:
        >>> began(open_dataset("digits").spec, gamma=0.6).model.discrepancy.gamma
        0.6
    """
    parts = gan_parts(settings, spec, own, norm_of(spec, AT_HAND) if settings.critic_norm else None)
    cost = L1() if settings.energy_power == 1 else SquaredError()
    width = settings.bottleneck_dim or settings.latent_dim
    critic = own.critic or autoencoding_critic(parts, width, cost, mean=True)
    discrepancy = BEGANEnergy(
        critic, settings.gamma, settings.k_lr, settings.n_critic, settings.pulling_away_weight
    )
    words = f"energies, those of samples held at {settings.gamma:g} times those of data"
    return finish_gan(GAN(parts.prior, parts.decoder, discrepancy), spec, settings, words)
