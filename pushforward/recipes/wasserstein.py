"""Wasserstein auto-encoders, and the plain auto-encoder as their baseline.

Preset "small" takes minutes on two cores; "paper" is what was printed; "official" is what the authors' code
does, where it differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import nn

from pushforward.data.spec import DataSpec
from pushforward.discrepancies import (
    IMQ,
    MMD,
    DiscrepancyContext,
    LogPriorCritic,
    build_discrepancy,
    discrepancy_names,
)
from pushforward.models import WAE, AutoEncoder, RandomWAE
from pushforward.networks import mlp, official_init
from pushforward.options import option
from pushforward.recipes.build import describe_cost, describe_weight, finish
from pushforward.recipes.options import AUTOENCODER, ENCODER_DECODER, WASSERSTEIN
from pushforward.recipes.parts import assemble
from pushforward.recipes.presets import (
    AS_PRINTED,
    CELEBA_SCALE,
    MNIST_SCALE,
    celeba,
    is_continuous,
    is_digit,
    likelihood,
    mnist,
    small,
)
from pushforward.recipes.recipe import WASSERSTEIN as FAMILY
from pushforward.recipes.recipe import OwnParts, Preset, Setup, recipe
from pushforward.recipes.settings import KERNEL_HELP, AutoEncoderSettings

CELEBA_AS_PRINTED = "λ as the paper prints it; " + CELEBA_SCALE
# In variances of the data; deterministic codes of rows of a table would else hold all of them, and follow no
# prior.
WEIGHTS = {"text": 0.5, "table": 10}
WAE_MMD: dict[str, Preset] = {
    "small": lambda spec: small(spec, share=WEIGHTS.get(spec.modality, 4)),
    "paper": lambda spec: (
        mnist(weight_note=AS_PRINTED)
        if is_digit(spec)
        else celeba(prior_std=2**0.5, weight_note=CELEBA_AS_PRINTED)
    ),
    "official": lambda spec: (
        mnist(weight=200.0, weight_note=MNIST_SCALE)
        if is_digit(spec)
        else celeba(weight=500.0, lr=5e-4, epochs=50, schedule="wae-celeba", weight_note=CELEBA_SCALE)
    ),
}
WAE_GAN: dict[str, Preset] = {
    "small": lambda spec: small(spec, share=0.2, lr=1e-3, beta1=0.5),
    "paper": lambda spec: (
        mnist(weight_note=AS_PRINTED)
        if is_digit(spec)
        else celeba(weight=1.0, prior_std=2**0.5, lr=3e-4, weight_note=CELEBA_AS_PRINTED)
    ),
    "official": lambda spec: (
        mnist(weight=200.0, weight_note=MNIST_SCALE)
        if is_digit(spec)
        else celeba(
            weight=500.0, lr=5e-4, critic_widths=(1024,) * 4, epochs=50, schedule="wae-celeba",
            weight_note=CELEBA_SCALE,
        )
    ),
}  # fmt: skip


class WAESettings(AutoEncoderSettings):
    """Options of ``wae``, and of ``wae-mmd`` and ``wae-gan``, which fix the discrepancy."""

    discrepancy: str = option(
        "Discrepancy between codes and the prior: mmd, the maximum mean discrepancy; mmd-exact-prior, the "
        "same from a normal prior itself in place of draws; sliced-w2, Wasserstein distances of projections "
        "to lines; or by a critic: js, the Jensen-Shannon divergence; another "
        "f-divergence (f-kl, f-reverse-kl, f-pearson, f-squared-hellinger, f-jensen-shannon, f-gan); ls, "
        "least squares, as in LSGAN; hinge, the hinge loss; w1, the Wasserstein distance with a gradient "
        "penalty; w1-clip, the same with clipped weights.",
        "mmd",
        choices=discrepancy_names,
    )
    kernel: Literal["imq", "gaussian"] = option(KERNEL_HELP, "imq")
    estimator: Literal["u", "v"] = option(
        "Estimator of the MMD²: 'u' (the default) is unbiased and may be negative; 'v' is biased upwards.",
        "u",
    )
    gp_weight: float = option("The factor of the gradient penalty of 'w1', by default 10.", 10.0, ge=0)
    weight_clip: float = option(
        "The bound of the critic's weights of 'w1-clip', by default 0.01.", 0.01, gt=0
    )


def build_wae(spec: DataSpec, settings: WAESettings, own: OwnParts) -> Setup:
    """A WAE with the discrepancy of the settings, or the user's own."""
    parts = assemble(settings, spec, own)

    def make_critic() -> nn.Module:
        critic = own.critic
        if critic is None:
            critic = mlp(parts.prior.latent_dim, 1, settings.critic_widths, norm=None)
            if settings.official_init:
                official_init(critic)
        return LogPriorCritic(critic, parts.prior) if settings.add_log_prior else critic

    context = DiscrepancyContext(
        make_critic, parts.prior.expected_sq_distance, settings.n_critic, settings.non_saturating,
        settings.gp_weight, settings.weight_clip, settings.kernel, settings.estimator, parts.prior,
    )  # fmt: skip
    discrepancy = own.discrepancy or build_discrepancy(settings.discrepancy, context)
    model = parts.build(WAE, discrepancy, weight=parts.weight)
    mmd = f"MMD² ({settings.kernel} kernel, {settings.estimator.upper()}-statistic)"
    names = {
        "mmd": mmd,
        "mmd-exact-prior": f"{mmd} from the prior itself",
        "js": "the critic's Jensen-Shannon bound",
    }
    name = names.get(settings.discrepancy, f"the discrepancy {settings.discrepancy!r}")
    words = describe_weight(model, parts.weight, settings, spec, own.discrepancy_name(name))
    return finish(model, spec, settings, words)


def _fixed(discrepancy: str, presets: Mapping[str, Preset]) -> dict[str, Preset]:
    """Presets with a discrepancy of their own."""

    def fix(preset: Preset) -> Preset:
        return lambda spec: {**preset(spec), "discrepancy": discrepancy}

    return {name: fix(preset) for name, preset in presets.items()}


CRITIC = ("non_saturating", "n_critic", "add_log_prior", "critic_lr")


@recipe(
    "wae", family=FAMILY, settings=WAESettings, presets=WAE_MMD,
    options=("discrepancy", *WASSERSTEIN, "kernel", "estimator", *CRITIC, "gp_weight", "weight_clip"),
    parts=(*ENCODER_DECODER, "critic", "discrepancy", "prior"),
)  # fmt: skip
def wae(spec: DataSpec, settings: WAESettings, own: OwnParts) -> Setup:
    r"""Wasserstein auto-encoder that compares codes with the prior by any discrepancy.

    .. math:: E\,c(G(E(x)), x) + \lambda\, D(Q_Z, P_Z)

    Presets are those of ``wae-mmd``. The default weight is for the MMD; for another discrepancy give a
    weight, or "auto", whose meaning does not depend on the discrepancy.

    References:
        Wasserstein Auto-Encoders (Tolstikhin et al., 2018), equation 4, https://arxiv.org/abs/1711.01558

    Example:
        >>> type(wae(open_dataset("digits").spec, discrepancy="w1").model.discrepancy).__name__
        'Wasserstein'
    """
    return build_wae(spec, settings, own)


@recipe(
    "wae-mmd", family=FAMILY, settings=WAESettings, presets=_fixed("mmd", WAE_MMD),
    options=(*WASSERSTEIN, "kernel", "estimator"), parts=(*ENCODER_DECODER, "prior"),
)  # fmt: skip
def wae_mmd(spec: DataSpec, settings: WAESettings, own: OwnParts) -> Setup:
    r"""Wasserstein auto-encoder that compares codes with the prior by maximum mean discrepancy.

    .. math:: E\,c(G(E(x)), x) + \lambda\,\mathrm{MMD}^2(Q_Z, P_Z)

    References:
        Wasserstein Auto-Encoders (Tolstikhin et al., 2018), algorithm 2, https://arxiv.org/abs/1711.01558

    Example:
        >>> setup = wae_mmd(open_dataset("digits").spec, weight=20.0)
        >>> setup.model.prior, setup.model.discrepancy.kernel
        (NormalPrior(latent_dim=8, std=1), IMQ(C=16, scales=(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)))
        >>> setup.description
        'weight 20 times MMD² (imq kernel, U-statistic); the cost is the squared error, summed over 64 values
        in [0, 1], averaged over the batch'
    """
    return build_wae(spec, settings, own)


@recipe(
    "wae-gan", family=FAMILY, settings=WAESettings, presets=_fixed("js", WAE_GAN),
    options=(*WASSERSTEIN, *CRITIC), parts=(*ENCODER_DECODER, "critic", "prior"),
)  # fmt: skip
def wae_gan(spec: DataSpec, settings: WAESettings, own: OwnParts) -> Setup:
    r"""Wasserstein auto-encoder that compares codes with the prior by a critic.

    .. math:: E\,c(G(E(x)), x) + \lambda\, D_T(Q_Z, P_Z)

    The critic's bound is that of the Jensen-Shannon divergence: see
    :class:`~pushforward.discrepancies.JensenShannon`.

    References:
        Wasserstein Auto-Encoders (Tolstikhin et al., 2018), algorithm 1, https://arxiv.org/abs/1711.01558

    Example:
        >>> setup = wae_gan(open_dataset("digits").spec)
        >>> [player.name for player in setup.model.players()]
        ['model', 'critic']
    """
    return build_wae(spec, settings, own)


# Widths of kernels over the mean squared distance of two draws of N(0, I): C = c L, c from .001 to 2.
TEN_SCALES = tuple(c / 2 for c in (0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 0.8, 1.0, 2.0))


class RandomWAESettings(AutoEncoderSettings):
    """Options of ``wae-random``."""

    posterior: Literal["gaussian", "uniform"] = option(
        "Noise of the encoder: gaussian, or uniform on a box.", "gaussian"
    )
    variance_weight: float = option(
        "The factor λ1 of the penalty on the encoder's variances, by default 3; with 0 the encoder becomes "
        "deterministic.",
        3.0, ge=0,
    )  # fmt: skip
    variance_penalty: Literal["log", "kl"] = option(
        "The penalty: 'log' (the default) is the distance of log-variances, 'kl' the KL divergence of the "
        "variances.",
        "log",
    )


def _dsprites(weight: float, weight_note: str) -> dict[str, Any]:
    return mnist(
        latent_dim=16, weight=weight, weight_note=weight_note, posterior="gaussian", cost="bernoulli",
        network="mlp-wide-tanh", input_noise=0.0, official_init=False, pretrain=0, beta1=0.9,
        schedule="constant",
    )  # fmt: skip


@recipe(
    "wae-random", family=FAMILY, settings=RandomWAESettings,
    presets={
        "small": lambda spec: small(
            spec, weight=100.0,
            cost=likelihood(spec) if spec.in_unit_interval or not is_continuous(spec) else "squared"
        ),
        "paper": lambda spec: _dsprites(400.0, "λ of the published command line for dSprites"),
        "official": lambda spec: _dsprites(20.0, "λ of the published configuration for dSprites"),
    },
    options=(*(name for name in WASSERSTEIN if name != "input_noise"), "variance_weight", "variance_penalty"),
    parts=(*ENCODER_DECODER, "discrepancy", "prior"),
)  # fmt: skip
def wae_random(spec: DataSpec, settings: RandomWAESettings, own: OwnParts) -> Setup:
    r"""Wasserstein auto-encoder with a random encoder: dimensions that are not needed hold noise.

    .. math:: E\,c(G(z), x) + \lambda\,\mathrm{MMD}^2(Q_Z, P_Z)
        + \lambda_1\, E \textstyle\sum_j |\log \sigma_j^2(x) - \log \sigma_P^2|

    Presets "paper" and "official" are those of dSprites.

    References:
        | On the Latent Space of Wasserstein Auto-Encoders (Rubenstein et al., 2018)
        | https://arxiv.org/abs/1802.03761

    Example:
        >>> wae_random(open_dataset("digits").spec, variance_weight=1.0).model
        RandomWAE(
          variance_weight=1, variance_penalty=log
        ...
    """
    parts = assemble(settings, spec, own)
    discrepancy = own.discrepancy or MMD(IMQ(parts.prior.expected_sq_distance, TEN_SCALES))
    model = parts.build(
        RandomWAE, discrepancy, weight=parts.weight, variance_weight=settings.variance_weight,
        variance_penalty=settings.variance_penalty,
    )  # fmt: skip
    log, kl = "the distance of log-variances from the prior's", "the KL divergence of the variances"
    penalty = f"{settings.variance_weight:g} times {log if settings.variance_penalty == 'log' else kl}"
    words = f"{own.discrepancy_name('MMD² (imq kernel, ten scales)')}, {penalty}"
    return finish(model, spec, settings, describe_weight(model, parts.weight, settings, spec, words))


def _without_weight(preset: Preset) -> Preset:
    return lambda spec: {**preset(spec), "weight": 0.0, "pretrain": 0, "weight_note": ""}


@recipe(
    "ae", family=FAMILY, settings=AutoEncoderSettings,
    presets={
        "small": lambda spec: small(spec, weight=0.0),
        "paper": _without_weight(WAE_MMD["paper"]),
        "official": _without_weight(WAE_MMD["official"]),
    },
    options=(*AUTOENCODER, "input_noise"), parts=ENCODER_DECODER,
)  # fmt: skip
def ae(spec: DataSpec, settings: AutoEncoderSettings, own: OwnParts) -> Setup:
    r"""Plain auto-encoder: the baseline whose codes follow no prior.

    .. math:: E\,c(G(E(x)), x)

    Example:
        >>> ae(open_dataset("digits").spec, latent_dim=2).description
        'no discrepancy: the cost is the squared error, summed over 64 values in [0, 1], averaged over the
        batch; codes will not follow the prior'
    """
    parts = assemble(settings, spec, own)
    words = f"no discrepancy: the cost is {describe_cost(parts.cost, spec)}; codes will not follow the prior"
    return finish(parts.build(AutoEncoder), spec, settings, words)
