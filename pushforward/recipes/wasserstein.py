"""Wasserstein auto-encoders, and the plain one as their baseline: signatures are configurations.

``settings`` picks a row of defaults: ``"small"`` is done in minutes on two cores; ``"paper"``
is what was printed; ``"official"`` is what the authors' code does, where it differs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Unpack

from torch import nn

from pushforward.data.dataset import Dataset
from pushforward.discrepancies import IMQ, MMD, JensenShannon, LogPriorCritic
from pushforward.errors import ConfigError
from pushforward.models import WAE, AutoEncoder, RandomWAE
from pushforward.networks import mlp, official_init
from pushforward.recipes.build import Table, finish, price, weighed
from pushforward.recipes.options import (
    AutoEncoderOptions,
    PosteriorName,
    PriorName,
    SettingsName,
    entries,
    unfolded,
)
from pushforward.recipes.parts import KERNELS, Recipe, assemble, named
from pushforward.recipes.settings import (
    AS_PRINTED,
    CELEBA_SCALE,
    MNIST_SCALE,
    celeba,
    is_digit,
    likelihood,
    mnist,
    pick,
    small,
)

WAE_MMD: Table = {
    "small": lambda data: small(data, share=0.5 if data.vocabulary else 4),
    "paper": lambda data: (
        mnist(meaning=AS_PRINTED)
        if is_digit(data)
        else celeba(prior_std=2**0.5, meaning="λ as the paper prints it; " + CELEBA_SCALE)
    ),
    "official": lambda data: (
        mnist(weight=200.0, meaning=MNIST_SCALE)
        if is_digit(data)
        else celeba(weight=500.0, lr=5e-4, epochs=50, schedule="manual-smooth", meaning=CELEBA_SCALE)
    ),
}
WAE_GAN: Table = {
    "small": lambda data: small(data, share=0.2, lr=1e-3, beta1=0.5),
    "paper": lambda data: (
        mnist(meaning=AS_PRINTED)
        if is_digit(data)
        else celeba(weight=1.0, prior_std=2**0.5, lr=3e-4, meaning="λ as the paper prints it; " + CELEBA_SCALE)
    ),
    "official": lambda data: (
        mnist(weight=200.0, meaning=MNIST_SCALE)
        if is_digit(data)
        else celeba(
            weight=500.0, lr=5e-4, critic_widths=(1024,) * 4, epochs=50, schedule="manual-smooth",
            meaning=CELEBA_SCALE,
        )
    ),
}  # fmt: skip
AE_TABLE: Table = {
    "small": lambda data: small(data, None, weight=0.0),
    "paper": lambda data: replace(WAE_MMD["paper"](data), weight=0.0, pretrain=0, meaning=""),
    "official": lambda data: replace(WAE_MMD["official"](data), weight=0.0, pretrain=0, meaning=""),
}


@unfolded
def wae_mmd(
    data: Dataset,
    *,
    settings: SettingsName = "small",
    weight: float | str | None = None,
    kernel: Literal["imq", "gaussian"] = "imq",
    estimator: Literal["u", "v"] = "u",
    prior: PriorName | None = None,
    posterior: PosteriorName | None = None,
    input_noise: float | None = None,
    **options: Unpack[AutoEncoderOptions],
) -> Recipe:
    r"""Wasserstein auto-encoder: codes meet the prior in maximum mean discrepancy.

    .. math:: E\,c(G(E(x)), x) + \lambda\,\mathrm{MMD}^2(Q_Z, P_Z)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        weight: λ, the factor of MMD², against a cost summed over features; "auto" finds its own.
        kernel: "imq" sums seven scales; "gaussian" has one bandwidth, that of the prior.
        estimator: "u" is unbiased and may be negative; "v" is biased upwards.
        prior: The law that codes are to follow.
        posterior: Kind of encoder.
        input_noise: Deviation of noise on the encoder's input, in training.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), algorithm 2
        | https://arxiv.org/abs/1711.01558

    Example:
        >>> from pushforward.data import open_dataset
        >>> built = wae_mmd(open_dataset("digits"), weight=20.0)
        >>> built.model.prior, built.model.match.kernel
        (NormalPrior(latent_dim=8, std=1), IMQ(C=16, scales=(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)))
        >>> built.meaning
        'weight 20 times MMD² (imq kernel, U-statistic); the cost is the squared error, summed over 64 values
        in [0, 1], mean over the batch'
    """
    chosen = pick(WAE_MMD, "wae-mmd", settings, data, entries(locals() | options))
    parts = assemble(chosen, data, options)
    discrepancy = MMD(named("kernel", kernel, KERNELS)(parts.prior), estimator)
    if estimator == "u" and chosen.batch_size < 2:
        raise ConfigError(
            "the U-statistic compares pairs and needs a batch of at least 2, got 1; or set estimator to 'v'"
        )
    model = WAE(parts.prior, parts.decoder, parts.encoder, discrepancy, parts.cost, parts.weight)
    return finish(
        model,
        chosen,
        data,
        weighed(model, parts.weight, chosen, data, f"MMD² ({kernel} kernel, {estimator.upper()}-statistic)"),
    )


@unfolded
def wae_gan(
    data: Dataset,
    *,
    settings: SettingsName = "small",
    weight: float | str | None = None,
    non_saturating: bool = True,
    n_critic: int = 1,
    prior: PriorName | None = None,
    posterior: PosteriorName | None = None,
    input_noise: float | None = None,
    add_log_prior: bool | None = None,
    critic_lr: float | None = None,
    critic: nn.Module | None = None,
    **options: Unpack[AutoEncoderOptions],
) -> Recipe:
    r"""Wasserstein auto-encoder: codes meet the prior in a game against a critic.

    .. math:: E\,c(G(E(x)), x) + \lambda\, D_T(Q_Z, P_Z)

    with the critic's bound in the place of a divergence: see
    :class:`~pushforward.discrepancies.JensenShannon`.

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        weight: λ, the factor of the critic's bound; "auto" finds its own.
        non_saturating: Whether the encoder plays with the roles exchanged (non-saturating) or min-max.
        n_critic: Updates of the critic for each update of encoder and decoder.
        prior: The law that codes are to follow.
        posterior: Kind of encoder.
        input_noise: Deviation of noise on the encoder's input, in training.
        add_log_prior: Whether the critic is told the prior's log-density.
        critic_lr: Learning rate of the critic.
        critic: A module of your own, from (N, latent) to (N, 1), unbounded.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), algorithm 1
        | https://arxiv.org/abs/1711.01558

    Example:
        >>> from pushforward.data import open_dataset
        >>> built = wae_gan(open_dataset("digits"))
        >>> [(player.name, player.turns) for player in built.model.players()]
        [('model', 1), ('critic', 1)]
    """
    chosen = pick(WAE_GAN, "wae-gan", settings, data, entries(locals() | options))
    parts = assemble(chosen, data, options)
    if critic is None:
        critic = mlp(chosen.latent_dim, 1, chosen.critic_widths, norm=None)
        if chosen.official_init:
            official_init(critic)
    if chosen.add_log_prior:
        critic = LogPriorCritic(critic, parts.prior)
    discrepancy = JensenShannon(critic, non_saturating, n_critic)
    model = WAE(parts.prior, parts.decoder, parts.encoder, discrepancy, parts.cost, parts.weight)
    return finish(
        model, chosen, data, weighed(model, parts.weight, chosen, data, "the critic's Jensen-Shannon bound")
    )


# Of kernel widths over the mean squared distance of two draws of N(0, I): C = c L, c from .001 to 2.
TEN_SCALES = tuple(c / 2 for c in (0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 0.8, 1.0, 2.0))
_RANDOM: dict[str, Any] = {"posterior": "gaussian", "cost": "bernoulli", "network": "mlp-1200"}
WAE_RANDOM: Table = {
    "small": lambda data: small(
        data, None, weight=100.0, posterior="gaussian",
        cost=likelihood(data) if data.in_unit_interval or data.vocabulary else "squared",
    ),
    "paper": lambda data: replace(
        mnist(latent_dim=16, weight=400.0, meaning="λ of the published command line for dSprites", **_RANDOM),
        input_noise=0.0, official_init=False, pretrain=0, beta1=0.9, schedule="constant",
    ),
    "official": lambda data: replace(
        mnist(latent_dim=16, weight=20.0, meaning="λ of the published configuration for dSprites", **_RANDOM),
        input_noise=0.0, official_init=False, pretrain=0, beta1=0.9, schedule="constant",
    ),
}  # fmt: skip


@unfolded
def wae_random(
    data: Dataset,
    *,
    settings: SettingsName = "small",
    weight: float | str | None = None,
    variance_weight: float = 3.0,
    variance_penalty: Literal["log", "kl"] = "log",
    posterior: Literal["gaussian", "uniform"] | None = None,
    prior: PriorName | None = None,
    **options: Unpack[AutoEncoderOptions],
) -> Recipe:
    r"""Wasserstein auto-encoder with a random encoder: dimensions that are not needed hold noise.

    .. math:: E\,c(G(z), x) + \lambda\,\mathrm{MMD}^2(Q_Z, P_Z)
        + \lambda_1\, E \textstyle\sum_j |\log \sigma_j^2(x) - \log \sigma_P^2|

    Arguments:
        data: What to learn from.
        settings: Which row of defaults; "paper" and "official" are those of dSprites.
        weight: λ, the factor of MMD², against a cost summed over features; "auto" finds its own.
        variance_weight: λ1, the factor of the penalty on variances; 0 lets the noise die out.
        variance_penalty: The penalty: "log" is the distance of log-variances, "kl" the divergence, as for sentences.
        posterior: Kind of noise.
        prior: The law that codes are to follow.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | On the Latent Space of Wasserstein Auto-Encoders (Rubenstein et al., 2018)
        | https://arxiv.org/abs/1802.03761

    Example:
        >>> from pushforward.data import open_dataset
        >>> wae_random(open_dataset("digits"), noise_weight=1.0).model
        RandomWAE(
          noise_weight=1, keep=log
        ...
    """
    chosen = pick(WAE_RANDOM, "wae-random", settings, data, entries(locals() | options))
    parts = assemble(chosen, data, options)
    discrepancy = MMD(IMQ(parts.prior.expected_sq_distance, TEN_SCALES))
    model = RandomWAE(
        parts.prior, parts.decoder, parts.encoder, discrepancy, parts.cost, parts.weight,
        variance_weight=variance_weight, variance_penalty=variance_penalty,
    )  # fmt: skip
    kept = {"log": "the log-variances' distance from the prior's", "kl": "the KL of variances alone"}[
        variance_penalty
    ]
    words = f"MMD² (imq kernel, ten scales), {variance_weight:g} times {kept}"
    return finish(model, chosen, data, weighed(model, parts.weight, chosen, data, words))


@unfolded
def ae(
    data: Dataset,
    *,
    settings: SettingsName = "small",
    input_noise: float | None = None,
    **options: Unpack[AutoEncoderOptions],
) -> Recipe:
    r"""Plain auto-encoder: the baseline whose codes follow no prior.

    .. math:: E\,c(G(E(x)), x)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        input_noise: Deviation of noise on the encoder's input, in training.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    Example:
        >>> from pushforward.data import open_dataset
        >>> ae(open_dataset("digits"), latent_dim=2).meaning
        'no match: the cost is the squared error, summed over 64 values in [0, 1], mean over the batch;
        codes will not follow the prior'
    """
    chosen = pick(AE_TABLE, "ae", settings, data, entries(locals() | options))
    parts = assemble(chosen, data, options)
    model = AutoEncoder(parts.prior, parts.decoder, parts.encoder, parts.cost)
    meaning = f"no match: the cost is {price(chosen, data)}; codes will not follow the prior"
    return finish(model, chosen, data, meaning)
