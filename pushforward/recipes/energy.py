"""Generative adversarial networks whose critic is an auto-encoder: signatures are configurations."""

from __future__ import annotations

from typing import Literal, Unpack

from pushforward.costs import L1, L2, SquaredError
from pushforward.data.dataset import Dataset
from pushforward.discrepancies import BEGANEnergy, EBGANEnergy
from pushforward.errors import ConfigError, DataError, check_int
from pushforward.models import GAN
from pushforward.networks.norms import AT_HAND
from pushforward.recipes.in_data import (
    Options,
    Rows,
    Table,
    chosen_of,
    meeting,
    norm_of,
    pieces,
    published,
    quick,
    rebuilder,
)
from pushforward.recipes.options import entries, unfolded
from pushforward.recipes.parts import Recipe
from pushforward.recipes.settings import GANSettings

EBGAN_TABLE: Table = {
    "small": lambda data: quick(data, margin=data.spec.distance / 4),
    "paper": lambda data: published(
        prior="normal", lr=1e-3, critic_lr=1e-3, network="mlp", std=0.0, margin=10.0
    ),
}


@unfolded
def ebgan(
    data: Dataset,
    *,
    settings: Rows = "small",
    margin: float | None = None,
    pulling_away_weight: float = 0.1,
    code: int = 32,
    **options: Unpack[Options],
) -> Recipe:
    r"""Energy-based GAN: the critic is an auto-encoder, its error an energy.

    .. math:: \min_D\; E\,D(x) + E (m - D(G(z)))_+, \qquad \min_G\; E\,D(G(z)) + w\,\mathrm{PT}

    On images our critic has BatchNorm, which goes by the batch at hand at rest too.

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        margin: The energy m at which samples are left alone: by default a quarter of the distance of two
            rows, with "paper" 10.
        pulling_away_weight: The factor w of the pulling-away term, which spreads samples out.
        code: Dimensions of the critic's code.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Energy-based Generative Adversarial Networks (Zhao et al., 2017), equations 1, 2 and 5
        | https://arxiv.org/abs/1609.03126

    Example:
        >>> from pushforward.data import open_dataset
        >>> ebgan(open_dataset("digits"), margin=1.0).model.match
        EBGANEnergy(...margin=1, pull=0.1, turns=1...)
    """
    chosen = chosen_of(
        EBGAN_TABLE, "ebgan", settings, data, entries(options, GANSettings) | {"margin": margin}
    )
    if not chosen.margin > 0:
        raise DataError(f"{data.name}: all rows are equal, so energies have no scale; give a margin")
    made = pieces(chosen, data, options, norm_of(data, AT_HAND))
    critic = options.get("critic") or rebuilder(made, check_int("code", code, least=1), L2())
    discrepancy = EBGANEnergy(critic, chosen.margin, pulling_away_weight, chosen.n_critic)
    words = f"energies, with a margin of {chosen.margin:g}"
    return meeting(GAN(made.prior, made.decoder, discrepancy), chosen, data, words)


BEGAN_TABLE: Table = {
    "small": lambda data: (
        quick(data, gamma=0.85, k_lr=0.1, power=2)
        if data.modality == "image"
        else quick(data, lr=5e-4, critic_lr=5e-4, gamma=0.5, k_lr=0.02)
    ),
    "paper": lambda data: published(
        latent_dim=64, batch_size=16, lr=1e-4, critic_lr=1e-4, std=0.0, gamma=0.5, k_lr=1e-3
    ),
}


@unfolded
def began(
    data: Dataset,
    *,
    settings: Rows = "small",
    gamma: float | None = None,
    k_lr: float | None = None,
    power: Literal[1, 2] | None = None,
    pulling_away_weight: float = 0.0,
    code: int | None = None,
    **options: Unpack[Options],
) -> Recipe:
    r"""Boundary-equilibrium GAN: energies of samples are held at a share of those of data.

    .. math:: \min_D\; L(x) - k\,L(G(z)), \qquad \min_G\; L(G(z)), \qquad
        k \leftarrow k + r (\gamma L(x) - L(G(z))), \qquad L(x) = \tfrac1d |x - D(x)|^\eta

    On images our critic has BatchNorm, which the paper's and that of "paper" have not: it cannot rebuild
    samples that are all alike, which without it cost least. It goes by the batch at hand at rest too, so
    that the ratio that is held is the one that is reported.

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        gamma: The share γ, less is sharper and less diverse: 0.5, of images 0.85, with "paper" 0.5.
        k_lr: The pace r of k, so that a short run comes to rest: 0.02, of images 0.1, with "paper" 0.001.
        power: The power η of an energy, 1 or 2: 1, of images 2, with "paper" 1. Of mostly black images a
            black one has a small absolute error.
        pulling_away_weight: The factor of a pulling-away term as in ``ebgan``, which the paper does not have.
        code: Dimensions of the critic's code: by default 32, and with "paper" as many as ``latent_dim``.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | BEGAN: Boundary BEGANEnergy Generative Adversarial Networks (Berthelot et al., 2017), section 3
        | https://arxiv.org/abs/1703.10717

    Example:
        >>> from pushforward.data import open_dataset
        >>> began(open_dataset("digits"), gamma=0.6).model.match.gamma
        0.6
    """
    chosen = chosen_of(BEGAN_TABLE, "began", settings, data, entries(locals() | options, GANSettings))
    if chosen.power not in (1, 2):
        raise ConfigError(f"power must be 1 or 2, got {chosen.power}")
    paper = settings == "paper"
    made = pieces(chosen, data, options, None if paper else norm_of(data, AT_HAND))
    usual = chosen.latent_dim if paper else 32
    width = usual if code is None else check_int("code", code, least=1)
    cost = L1() if chosen.power == 1 else SquaredError()
    critic = options.get("critic") or rebuilder(made, width, cost, mean=True)
    discrepancy = BEGANEnergy(critic, chosen.gamma, chosen.k_lr, chosen.n_critic, pulling_away_weight)
    words = f"energies, those of samples held at {chosen.gamma:g} times those of data"
    return meeting(GAN(made.prior, made.decoder, discrepancy), chosen, data, words)
