"""Generative adversarial networks whose critic makes one number of a row: signatures are configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Unpack

from torch import nn

from pushforward.data.dataset import Dataset
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
from pushforward.recipes.in_data import (
    Options,
    Rows,
    Table,
    chosen_of,
    game,
    norm_of,
    played,
    published,
    quick,
)
from pushforward.recipes.options import entries, unfolded
from pushforward.recipes.parts import Recipe, named
from pushforward.recipes.settings import GANSettings

GAN_TABLE: Table = {
    "small": quick,
    "paper": lambda data: published(
        # the code halves the critic's loss; its uniform noise has variance 1
        network="mlp",
        lr=0.1,
        critic_lr=0.05,
        optimizer="sgd",
        batch_size=100,
        epochs=250,
        std=0.0,
        prior_std=3**0.5,
    ),
}


@unfolded
def gan(
    data: Dataset, *, settings: Rows = "small", non_saturating: bool = True, **options: Unpack[Options]
) -> Recipe:
    r"""Generative adversarial network: samples meet data in the Jensen-Shannon divergence.

    .. math:: \min_G \max_T\; E \log \sigma(T(x)) + E \log (1 - \sigma(T(G(z))))

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        non_saturating: Whether the generator plays with the roles exchanged (non-saturating) or min-max.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Generative Adversarial Nets (Goodfellow et al., 2014), algorithm 1
        | https://arxiv.org/abs/1406.2661

    Example:
        >>> from pushforward.data import open_dataset
        >>> gan(open_dataset("digits"), latent_dim=8).model.prior
        NormalPrior(latent_dim=8, std=1)
    """
    return game(
        "gan", GAN_TABLE, data, settings, options, norm_of(data),
        lambda critic, chosen: JensenShannon(critic, non_saturating, chosen.n_critic), "a Jensen-Shannon game",
    )  # fmt: skip


DCGAN_TABLE: Table = {"small": quick, "paper": lambda data: published()}


@unfolded
def dcgan(data: Dataset, *, settings: Rows = "small", **options: Unpack[Options]) -> Recipe:
    r"""GAN of convolutions with BatchNorm in generator and critic.

    The critic's BatchNorm sees what is made and what is given as two batches, and keeps running statistics
    in its own turn alone.

    Arguments:
        data: What to learn from: images.
        settings: Which row of defaults.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Unsupervised Representation Learning with Deep Convolutional GANs (Radford et al., 2016), section 4
        | https://arxiv.org/abs/1511.06434

    Example:
        >>> from pushforward.data import open_dataset
        >>> dcgan(open_dataset("digits")).training.batch
        64
    """
    return game(
        "dcgan", DCGAN_TABLE, data, settings, options, "batch",
        lambda critic, chosen: JensenShannon(critic, True, chosen.n_critic), "a Jensen-Shannon game",
    )  # fmt: skip


LSGAN_TABLE: Table = {
    "small": quick,
    "paper": lambda data: published(latent_dim=1024, lr=1e-3, critic_lr=1e-3, batch_size=64),
}
TARGETS = {"binary": (0.0, 1.0, 1.0), "pearson": (-1.0, 1.0, 0.0)}


@unfolded
def lsgan(
    data: Dataset,
    *,
    settings: Rows = "small",
    targets: Literal["binary", "pearson"] = "binary",
    **options: Unpack[Options],
) -> Recipe:
    r"""Least-squares GAN: the critic's values are pulled to numbers.

    .. math:: \min_T\; \tfrac12 E (T(x) - b)^2 + \tfrac12 E (T(G(z)) - a)^2, \qquad
        \min_G\; \tfrac12 E (T(G(z)) - c)^2

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        targets: "binary" has (a, b, c) = (0, 1, 1), "pearson" (-1, 1, 0), which is Pearson's χ².

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Least Squares Generative Adversarial Networks (Mao et al., 2017), equations 8 and 9
        | https://arxiv.org/abs/1611.04076

    Example:
        >>> from pushforward.data import open_dataset
        >>> lsgan(open_dataset("digits"), targets="pearson").model.match.targets
        (-1.0, 1.0, 0.0)
    """
    coding = named("targets", targets, TARGETS)
    return game(
        "lsgan", LSGAN_TABLE, data, settings, options, norm_of(data),
        lambda critic, chosen: LeastSquares(critic, coding, True, chosen.n_critic), "a game of least squares",
    )  # fmt: skip


SN_TABLE: Table = {
    "small": lambda data: (
        quick(data, n_critic=3, loss="wasserstein")
        if data.modality == "image"
        else quick(data, n_critic=5, loss="hinge")
    ),
    "paper": lambda data: published(
        latent_dim=128, prior="normal", batch_size=64, schedule="constant", loss="hinge"
    ),
}
SN_GAMES: dict[str, Callable[[nn.Module, int], Discrepancy]] = {
    "hinge": lambda critic, n_critic: Hinge(critic, n_critic=n_critic),
    "gan": lambda critic, n_critic: JensenShannon(critic, n_critic=n_critic),
    "wasserstein": lambda critic, n_critic: Wasserstein(critic, n_critic=n_critic),
}


@unfolded
def sngan(
    data: Dataset,
    *,
    settings: Rows = "small",
    loss: Literal["hinge", "gan", "wasserstein"] | None = None,
    **options: Unpack[Options],
) -> Recipe:
    r"""GAN whose critic is spectrally normalised: every layer is divided by its largest singular value.

    .. math:: \max_T\; -E (1 - T(x))_+ - E (1 + T(G(z)))_+, \qquad \min_G\; -E\,T(G(z))

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        loss: The game: "hinge" as above, "gan", or "wasserstein", which has no margin beyond which the critic
            is content. By default "hinge", but of images with small settings "wasserstein", and three turns:
            small critics reach the margin at once.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), algorithm 1
        | https://arxiv.org/abs/1802.05957
        | Geometric GAN (Lim & Ye, 2017), equations 13 and 14
        | https://arxiv.org/abs/1705.02894

    Example:
        >>> from pushforward.data import open_dataset
        >>> type(sngan(open_dataset("digits"), loss="hinge").model.match).__name__
        'Hinge'
    """
    chosen = chosen_of(SN_TABLE, "sngan", settings, data, entries(locals() | options, GANSettings))
    make = named("loss", chosen.loss, SN_GAMES)
    return played(
        chosen, data, options, None,
        lambda critic, chosen: make(spectral(critic), chosen.n_critic), f"a game of kind {chosen.loss}",
    )  # fmt: skip


F_TABLE: Table = {
    "small": lambda data: quick(data) if data.modality == "image" else quick(data, n_critic=5, bounded=True),
    "paper": lambda data: published(network="mlp", batch_size=4096, std=0.0),
}
DivergenceName = Literal["kl", "reverse-kl", "pearson", "squared-hellinger", "jensen-shannon", "gan"]


@unfolded
def f_gan(
    data: Dataset,
    *,
    settings: Rows = "small",
    divergence: DivergenceName = "jensen-shannon",
    non_saturating: bool = True,
    bounded: bool | None = None,
    **options: Unpack[Options],
) -> Recipe:
    r"""f-GAN: samples meet data in any f-divergence.

    .. math:: \min_G \max_V\; E\,g(V(x)) - E\,f^*(g(V(G(z))))

    Between laws that do not overlap a KL is infinite, and its critic has nowhere to go but up. A critic of
    slope at most 1 makes of it the softer :math:`\min_R W_1(P_X, R) + \mathrm{KL}(R \| G_\# P_Z)`, which is
    finite.

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        divergence: That of the data from the model; "kl" covers every mode, "reverse-kl" seeks some.
        non_saturating: Whether the generator plays with the roles exchanged, -E g(V(G(z))), or min-max.
        bounded: Whether the critic's slope is at most 1, its layers divided by their largest singular values:
            by default on points; on images the critic has BatchNorm instead, with "paper" neither.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | f-GAN (Nowozin et al., 2016), equation 6 and section 3.2
        | https://arxiv.org/abs/1606.00709
        | A Convex Duality Framework for GANs (Farnia & Tse, 2018), section 4
        | https://arxiv.org/abs/1810.11740

    Example:
        >>> from pushforward.data import open_dataset
        >>> f_gan(open_dataset("digits"), divergence="kl").model.match.name
        'kl'
    """
    chosen = chosen_of(F_TABLE, "f-gan", settings, data, entries(locals() | options, GANSettings))
    return played(
        chosen, data, options, None if chosen.bounded else norm_of(data),
        lambda critic, chosen: FDivergence(
            spectral(critic) if chosen.bounded else critic, divergence, non_saturating, chosen.n_critic
        ),
        f"the divergence {divergence}",
    )  # fmt: skip


WGAN_TABLE: Table = {
    "small": lambda data: quick(data, n_critic=5, optimizer="rmsprop", lr=2e-4, critic_lr=2e-4),
    "paper": lambda data: published(
        prior="normal", batch_size=64, n_critic=5, optimizer="rmsprop", lr=5e-5, critic_lr=5e-5
    ),
}


@unfolded
def wgan(
    data: Dataset, *, settings: Rows = "small", clip: float = 0.01, **options: Unpack[Options]
) -> Recipe:
    r"""Wasserstein GAN with clipped weights.

    .. math:: \min_G \max_{|\theta_j| \le c}\; E\,T_\theta(x) - E\,T_\theta(G(z))

    Without BatchNorm this is a multiple of W1 over the slopes that weights of at most c allow. On images
    the critic has BatchNorm, as in the authors' code, and the bound is that of no distance.

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        clip: The bound c of every parameter of the critic, of BatchNorm's too, which it has on images.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Wasserstein GAN (Arjovsky et al., 2017), algorithm 1
        | https://arxiv.org/abs/1701.07875

    Example:
        >>> from pushforward.data import open_dataset
        >>> wgan(open_dataset("digits")).model.match.constraint
        Clipping(limit=0.01)
    """
    norm = norm_of(data)
    return game(
        "wgan", WGAN_TABLE, data, settings, options, norm,
        lambda critic, chosen: Wasserstein(critic, Clipping(clip), chosen.n_critic),
        "a game of a clipped critic with BatchNorm" if norm else "K times W1, K unknown",
    )  # fmt: skip


GP_TABLE: Table = {
    "small": lambda data: quick(data, n_critic=5, beta2=0.9),
    "paper": lambda data: published(
        latent_dim=128,
        prior="normal",
        batch_size=64,
        n_critic=5,
        lr=1e-4,
        critic_lr=1e-4,
        beta2=0.9,
        std=0.0,
        epochs=200_000 * 5 * 64 / len(data.train),
    ),
}


@unfolded
def wgan_gp(
    data: Dataset,
    *,
    settings: Rows = "small",
    penalty: float | None = None,
    **options: Unpack[Options],
) -> Recipe:
    r"""Wasserstein GAN with a gradient penalty.

    .. math:: \min_G \max_T\; E\,T(x) - E\,T(G(z)) - \lambda\, E (\|\nabla T(\hat x)\| - 1)^2

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        penalty: The factor λ: 10 for images; 0.1 for points, as in the official code.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data: a critic with
            BatchNorm does not.

    References:
        | Improved Training of Wasserstein GANs (Gulrajani et al., 2017), algorithm 1
        | https://arxiv.org/abs/1704.00028

    Example:
        >>> from pushforward.data import open_dataset
        >>> wgan_gp(open_dataset("digits")).model.match.constraint
        GradientPenalty(weight=10.0, slope=1.0, one_sided=False)
    """
    factor = (10.0 if data.modality == "image" else 0.1) if penalty is None else penalty
    return game(
        "wgan-gp", GP_TABLE, data, settings, options, None,
        lambda critic, chosen: Wasserstein(critic, GradientPenalty(factor), chosen.n_critic),
        f"W1, the critic's slope held near 1 by a penalty of factor {factor:g}",
    )  # fmt: skip
