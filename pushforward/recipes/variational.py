"""Variational auto-encoders and their relatives."""

from __future__ import annotations

from typing import Literal

from torch import nn

from pushforward.data.spec import DataSpec
from pushforward.discrepancies import MMD
from pushforward.discrepancies.mmd import KERNELS
from pushforward.distributions import NormalPrior
from pushforward.errors import ConfigError
from pushforward.models import AVB, VAE, InfoVAE
from pushforward.networks import WithSquares, mlp
from pushforward.options import option
from pushforward.recipes.build import describe_cost, describe_weight, finish
from pushforward.recipes.options import AUTOENCODER, ENCODER_DECODER, LIKELIHOOD
from pushforward.recipes.parts import assemble
from pushforward.recipes.presets import Values, celeba, is_digit, likelihood, mnist, small
from pushforward.recipes.recipe import VARIATIONAL, OwnParts, Setup, recipe
from pushforward.recipes.settings import KERNEL_HELP, AutoEncoderSettings
from pushforward.tables.networks import EmbeddedRows


class VAESettings(AutoEncoderSettings):
    """Options of ``vae``."""

    posterior: Literal["deterministic", "gaussian", "uniform", "implicit", "mixing"] = "gaussian"


class BetaVAESettings(VAESettings):
    """Options of ``beta-vae``."""

    weight: float = option("The factor β of the KL, by default 4; 1 is the VAE.", 4.0, ge=0)


def _vae_small(spec: DataSpec) -> Values:
    return small(spec, cost=likelihood(spec))


def _vae_paper(spec: DataSpec) -> Values:
    usual = dict(weight=1.0, input_noise=0.0, pretrain=0, cost="bernoulli")
    return mnist(**usual) if is_digit(spec) else celeba(**usual, lr=1e-4, epochs=68, prior_std=2**0.5)


def _beta_vae_paper(spec: DataSpec) -> Values:
    return dict(
        latent_dim=10, cost="bernoulli", network="mlp-wide-tanh", optimizer="adagrad", lr=1e-2,
        schedule="constant",
    )  # fmt: skip


@recipe(
    "vae", family=VARIATIONAL, settings=VAESettings,
    presets={"small": _vae_small, "paper": _vae_paper, "official": _vae_paper},  # the last two do not differ
    options=(*LIKELIHOOD, "weight_init"), parts=(*ENCODER_DECODER, "prior"),
)  # fmt: skip
def vae(spec: DataSpec, settings: VAESettings, own: OwnParts) -> Setup:
    r"""Variational auto-encoder: compares the distribution of every code with the prior by KL divergence.

    .. math:: E\,[-\log p(x \mid z)] + \lambda\,\mathrm{KL}(Q(Z \mid x), P_Z)

    With weight 1, the default, this is the negative evidence lower bound.

    References:
        Auto-Encoding Variational Bayes (Kingma & Welling, 2014), https://arxiv.org/abs/1312.6114

    Example:
        >>> vae(open_dataset("digits").spec).model.cost
        Bernoulli()
    """
    parts = assemble(settings, spec, own)
    model = parts.build(VAE, weight=parts.weight, free=settings.free_bits)
    words = describe_weight(model, parts.weight, settings, spec, "KL(Q(Z | x), P_Z) in nats")
    return finish(model, spec, settings, words)


@recipe(
    "beta-vae", family=VARIATIONAL, settings=BetaVAESettings,
    # no code was published
    presets={"small": _vae_small, "paper": _beta_vae_paper, "official": _beta_vae_paper},
    options=LIKELIHOOD, parts=(*ENCODER_DECODER, "prior"),
)  # fmt: skip
def beta_vae(spec: DataSpec, settings: BetaVAESettings, own: OwnParts) -> Setup:
    r"""β-VAE: a variational auto-encoder whose KL divergence is multiplied by β.

    .. math:: E\,[-\log p(x \mid z)] + \beta\,\mathrm{KL}(Q(Z \mid x), P_Z)

    Preset "paper" is that of dSprites, with Adagrad.

    References:
        | beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework (Higgins et al.,
          2017), equation 4
        | https://openreview.net/forum?id=Sy2fzU9gl

    Example:
        >>> beta_vae(open_dataset("digits").spec).description[:40]
        'weight 4 times KL(Q(Z | x), P_Z) in nats'
    """
    return vae.build(spec, settings, own)


class InfoVAESettings(AutoEncoderSettings):
    """Options of ``info-vae``."""

    alpha: float = option("The factor α: the KL divergence is multiplied by 1 - α; at most 1.", 0.0)
    weight: float = option("The factor λ; alpha + weight must be at least 1.", 1.0, ge=0)
    kernel: Literal["imq", "gaussian"] = option(KERNEL_HELP, "imq")
    posterior: Literal["deterministic", "gaussian", "implicit"] = option(
        "Kind of encoder, that is, the distribution of the code of one row: gaussian; where alpha is 1 also "
        "one point (deterministic), or implicit, noise that passes through the network.",
        "deterministic",
    )


def _info_small(spec: DataSpec) -> Values:
    values = small(spec, share=4)
    if values["weight"] < 1:  # of data that vary little; codes would be driven away from the prior
        values |= dict(weight=1.0, weight_note="")
    return values | dict(posterior="gaussian", cost=likelihood(spec))


def _info_paper(spec: DataSpec) -> Values:
    return dict(
        latent_dim=20, weight=784.0, alpha=1.0, network="conv-dense", batch_size=200, beta1=0.9,
        schedule="constant", epochs=33,
        weight_note="the authors' code averages the squared error over pixels, so its λ = 1 is 784",
    )  # fmt: skip


@recipe(
    "info-vae", family=VARIATIONAL, settings=InfoVAESettings,
    presets={"small": _info_small, "paper": _info_paper, "official": _info_paper},
    options=(*AUTOENCODER, "alpha", "weight", "kernel", "posterior", "likelihood_std"),
    parts=(*ENCODER_DECODER, "discrepancy", "prior"),
)  # fmt: skip
def info_vae(spec: DataSpec, settings: InfoVAESettings, own: OwnParts) -> Setup:
    r"""InfoVAE: compares codes with the prior both one by one and as a batch; with alpha = 1 the MMD-VAE.

    .. math:: E\,[-\log p(x \mid z)] + (1 - \alpha)\,\mathrm{KL}(Q(Z \mid x), P_Z)
        + (\alpha + \lambda - 1)\,\mathrm{MMD}^2(Q_Z, P_Z)

    Presets "paper" and "official" are the authors' example for MNIST, an MMD-VAE.

    References:
        | InfoVAE: Balancing Learning and Inference in Variational Autoencoders (Zhao et al., 2019)
        | https://arxiv.org/abs/1706.02262

    Example:
        >>> info_vae(open_dataset("digits").spec, alpha=0.0, weight=0.001)
        Traceback (most recent call last):
        ...
        pushforward.errors.ConfigError: alpha must be at most 1 and alpha + weight at least 1, got alpha 0 ...
    """
    parts = assemble(settings, spec, own)
    discrepancy = own.discrepancy or MMD(KERNELS[settings.kernel](parts.prior.expected_sq_distance))
    alpha, weight = settings.alpha, float(parts.weight)
    model = parts.build(InfoVAE, discrepancy, alpha=alpha, weight=weight)
    name = own.discrepancy_name(f"MMD² ({settings.kernel} kernel)")
    note = f" ({settings.weight_note})" if settings.weight_note else ""
    words = (
        f"alpha {alpha:g} and weight {weight:g}{note}: {float(model.weight):g} times {name}, "
        f"{1 - alpha:g} times KL in nats; the cost is {describe_cost(model.cost, spec)}"
    )
    return finish(model, spec, settings, words)


class AVBSettings(AutoEncoderSettings):
    """Options of ``avb``."""

    adaptive_contrast: bool = option(
        "Whether the critic compares codes normalised by the moments of each row's codes; by default it "
        "does.",
        True,
    )
    posterior: Literal["gaussian", "implicit", "mixing"] = option(
        "Kind of encoder, that is, the distribution of the code of one row: gaussian; implicit, noise that "
        "passes through the network; or mixing, which adds functions of noise with factors that depend on "
        "the row.",
        "mixing",
    )


def _joint_critic(spec: DataSpec, settings: AVBSettings) -> nn.Module:
    """A critic of rows beside codes; cells of tables are embedded first."""
    codes = settings.latent_dim
    if spec.modality == "table":
        rows = EmbeddedRows(spec.network_shape)
        net = WithSquares(mlp(rows.outputs + 2 * codes, 1, settings.critic_widths, norm=None), codes)
        return nn.Sequential(rows, net)
    return WithSquares(mlp(spec.n_values + 2 * codes, 1, settings.critic_widths, norm=None), codes)


@recipe(
    "avb", family=VARIATIONAL, settings=AVBSettings,
    presets={
        "small": lambda spec: small(
            spec, cost=likelihood(spec), lr=1e-3, critic_lr=1e-3, critic_widths=(512, 512)
        )
    },
    options=(
        "latent_dim", "prior_std", "cost", "likelihood_std", "network", "batch_size", "schedule", "lr",
        "posterior", "adaptive_contrast", "n_critic", "critic_lr", "column_dropout", "encoder_column_dropout",
    ),
    parts=(*ENCODER_DECODER, "critic"),
)  # fmt: skip
def avb(spec: DataSpec, settings: AVBSettings, own: OwnParts) -> Setup:
    r"""Adversarial variational Bayes: a VAE with any distribution of codes, whose KL a critic estimates.

    .. math:: E\,[-\log p(x \mid z)] + E_{q(z \mid x)}\, T(x, z)

    A critic of your own maps rows of data beside codes, (N, values of a row + latent_dim), to (N, 1).

    References:
        | Adversarial Variational Bayes (Mescheder et al., 2017), algorithms 1 and 2
        | https://arxiv.org/abs/1701.04722

    Example:
        >>> [player.name for player in avb(open_dataset("digits").spec).model.players()]
        ['model', 'critic']
    """
    if spec.modality == "text":
        raise ConfigError("the critic of avb compares rows beside codes, and cannot read text data; use vae")
    parts = assemble(settings, spec, own)
    if not isinstance(parts.prior, NormalPrior):
        raise ConfigError(f"avb needs the density of a normal prior, got {parts.prior}")
    critic = own.critic
    if critic is None:
        critic = _joint_critic(spec, settings)
    model = AVB(
        parts.prior, parts.decoder, parts.encoder, critic, parts.cost, settings.adaptive_contrast,
        settings.n_critic,
    )  # fmt: skip
    words = f"KL(Q(Z | x), P_Z) in nats, by a critic; the cost is {describe_cost(model.cost, spec)}"
    return finish(model, spec, settings, words)
