"""Variational auto-encoders and their relatives: signatures are configurations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Unpack

import torch
from torch import nn

from pushforward.data.dataset import Dataset
from pushforward.discrepancies import MMD
from pushforward.distributions import NormalPrior
from pushforward.errors import ConfigError
from pushforward.models import AVB, VAE, AutoWeight, InfoVAE
from pushforward.networks import Squares, mlp
from pushforward.recipes.build import Table, finish, price, weighed
from pushforward.recipes.options import (
    AutoEncoderOptions,
    CostName,
    NetworkName,
    ScheduleName,
    SettingsName,
    entries,
    unfolded,
)
from pushforward.recipes.parts import KERNELS, Recipe, assemble, named
from pushforward.recipes.settings import Settings, celeba, is_digit, likelihood, mnist, pick, small

_VAE_BASE: dict[str, Any] = {"weight": 1.0, "posterior": "gaussian", "input_noise": 0.0, "pretrain": 0}
VAE_TABLE: Table = {
    "small": lambda data: small(
        data, None, posterior="gaussian", cost=likelihood(data)
    ),
    "paper": lambda data: (
        mnist(**_VAE_BASE, cost="bernoulli")
        if is_digit(data)
        else celeba(**_VAE_BASE, cost="bernoulli", lr=1e-4, epochs=68, prior_std=2**0.5)
    ),
}  # fmt: skip
VAE_TABLE["official"] = VAE_TABLE["paper"]  # they do not differ


@unfolded
def vae(
    data: Dataset,
    *,
    settings: SettingsName = "small",
    weight: float | str | None = None,
    deviation: float | None = None,
    warmup: int | None = None,
    free_bits: float | None = None,
    **options: Unpack[AutoEncoderOptions],
) -> Recipe:
    r"""Variational auto-encoder: the law of every code meets the prior in KL divergence.

    .. math:: E\,[-\log p(x \mid z)] + \lambda\,\mathrm{KL}(Q(Z \mid x), P_Z)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        weight: λ, the factor of the KL; 1 is the evidence lower bound; "auto" finds its own.
        deviation: Deviation of a Gaussian likelihood, fixed or (gaussian-learnt) the first one.
        warmup: Steps over which the weight rises from 0.
        free_bits: Nats of each dimension that the KL does not charge.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Auto-Encoding Variational Bayes (Kingma & Welling, 2014)
        | https://arxiv.org/abs/1312.6114

    Example:
        >>> from pushforward.data import open_dataset
        >>> vae(open_dataset("digits")).model.cost
        Bernoulli()
    """
    chosen = pick(VAE_TABLE, "vae", settings, data, entries(locals() | options))
    parts = assemble(chosen, data, options)
    model = VAE(parts.prior, parts.decoder, parts.encoder, parts.cost, parts.weight, chosen.free_bits)
    return finish(
        model, chosen, data, weighed(model, parts.weight, chosen, data, "KL(Q(Z | x), P_Z) in nats")
    )


BETA_VAE: Table = {
    "small": lambda data: replace(VAE_TABLE["small"](data), weight=4.0),
    "paper": lambda data: Settings(
        latent_dim=10, weight=4.0, cost="bernoulli", posterior="gaussian", network="mlp-1200", lr=1e-2,
        schedule="constant",
    ),
}  # fmt: skip
BETA_VAE["official"] = BETA_VAE["paper"]  # no code was published


@unfolded
def beta_vae(
    data: Dataset,
    *,
    settings: SettingsName = "small",
    weight: float | None = None,
    deviation: float | None = None,
    warmup: int | None = None,
    free_bits: float | None = None,
    **options: Unpack[AutoEncoderOptions],
) -> Recipe:
    r"""β-VAE: a variational auto-encoder that pays β times for information.

    .. math:: E\,[-\log p(x \mid z)] + \beta\,\mathrm{KL}(Q(Z \mid x), P_Z)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults; "paper" is that of dSprites, with Adagrad.
        weight: β; 1 is the VAE.
        deviation: Deviation of a Gaussian likelihood, fixed or (gaussian-learnt) the first one.
        warmup: Steps over which the weight rises from 0.
        free_bits: Nats of each dimension that the KL does not charge.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework (Higgins et al.,
          2017), equation 4
        | https://openreview.net/forum?id=Sy2fzU9gl

    Example:
        >>> from pushforward.data import open_dataset
        >>> beta_vae(open_dataset("digits")).meaning[:40]
        'weight 4 times KL(Q(Z | x), P_Z) in nats'
    """
    chosen = pick(BETA_VAE, "beta-vae", settings, data, entries(locals() | options))
    parts = assemble(chosen, data, options)
    model = VAE(parts.prior, parts.decoder, parts.encoder, parts.cost, parts.weight, chosen.free_bits)
    adagrad = {"model": lambda parameters: torch.optim.Adagrad(parameters, lr=chosen.lr)}
    optimizers = None if settings == "small" else adagrad
    meaning = weighed(model, parts.weight, chosen, data, "KL(Q(Z | x), P_Z) in nats")
    return finish(model, chosen, data, meaning, optimizers)


def _small_info(data: Dataset) -> Settings:
    row = small(data, share=4)
    if float(row.weight) < 1:  # of data that vary little; codes would be driven away from the prior
        row = replace(row, weight=1.0, meaning="")
    return replace(row, posterior="gaussian", cost=likelihood(data))


INFO_VAE: Table = {
    "small": _small_info,
    "paper": lambda data: Settings(
        latent_dim=20, weight=784.0, alpha=1.0, network="mmd-vae", batch_size=200, beta1=0.9, schedule="constant",
        epochs=33,
        meaning="the authors' code averages the squared error over pixels, so its λ = 1 is 784",
    ),
}  # fmt: skip
INFO_VAE["official"] = INFO_VAE["paper"]  # the paper's settings are those of the authors' example


@unfolded
def info_vae(
    data: Dataset,
    *,
    settings: SettingsName = "small",
    alpha: float | None = None,
    weight: float | None = None,
    kernel: Literal["imq", "gaussian"] = "imq",
    posterior: Literal["deterministic", "gaussian", "implicit"] | None = None,
    deviation: float | None = None,
    **options: Unpack[AutoEncoderOptions],
) -> Recipe:
    r"""InfoVAE: codes meet the prior one by one and all together; with alpha = 1 the MMD-VAE.

    .. math:: E\,[-\log p(x \mid z)] + (1 - \alpha)\,\mathrm{KL}(Q(Z \mid x), P_Z)
        + (\alpha + \lambda - 1)\,\mathrm{MMD}^2(Q_Z, P_Z)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults; "paper" is the authors' example for MNIST, an MMD-VAE.
        alpha: How much of the price of information is remitted, at most 1.
        weight: λ; alpha + weight must be at least 1.
        kernel: "imq" sums seven scales; "gaussian" has one bandwidth, that of the prior.
        posterior: Kind of encoder; Gaussian unless alpha is 1.
        deviation: Deviation of a Gaussian likelihood, fixed or (gaussian-learnt) the first one.

    Raises:
        ConfigError: If a setting cannot be (a negative factor of the MMD²), or a module of your own does not
            fit the data.

    References:
        | InfoVAE: Balancing Learning and Inference in Variational Autoencoders (Zhao et al., 2019)
        | https://arxiv.org/abs/1706.02262

    Example:
        >>> from pushforward.data import open_dataset
        >>> info_vae(open_dataset("digits"), alpha=0.0, weight=0.001)
        Traceback (most recent call last):
        ...
        pushforward.errors.ConfigError: alpha must be at most 1 and alpha + weight at least 1, got alpha 0 ...
    """
    chosen = pick(INFO_VAE, "info-vae", settings, data, entries(locals() | options))
    parts = assemble(chosen, data, options)
    if isinstance(parts.weight, AutoWeight):
        raise ConfigError(f"weight must be a number: info-vae has two matches, got {chosen.weight!r}")
    discrepancy = MMD(named("kernel", kernel, KERNELS)(parts.prior))
    model = InfoVAE(
        parts.prior, parts.decoder, parts.encoder, discrepancy, parts.cost, chosen.alpha, float(parts.weight)
    )
    words = f"{model.factor:g} times MMD² ({kernel} kernel), {1 - chosen.alpha:g} times KL in nats"
    note = f" ({chosen.meaning})" if chosen.meaning else ""
    meaning = f"alpha {chosen.alpha:g} and weight {float(parts.weight):g}{note}: {words}; the cost is "
    return finish(model, chosen, data, meaning + price(chosen, data))


AVB_TABLE: Table = {
    "small": lambda data: small(
        data, None, posterior="mixing", cost=likelihood(data),
        lr=1e-3, critic_lr=1e-3, critic_widths=(512, 512),
    ),
}  # fmt: skip


def avb(
    data: Dataset,
    *,
    settings: Literal["small"] = "small",
    latent_dim: int | None = None,
    adaptive_contrast: bool = True,
    n_critic: int = 1,
    posterior: Literal["gaussian", "implicit", "mixing"] | None = None,
    prior_std: float | None = None,
    cost: CostName | None = None,
    deviation: float | None = None,
    network: NetworkName | None = None,
    batch_size: int | None = None,
    schedule: ScheduleName | None = None,
    lr: float | None = None,
    critic_lr: float | None = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    critic: nn.Module | None = None,
) -> Recipe:
    r"""Adversarial variational Bayes: a VAE whose codes' law may have any shape, its KL left to a critic.

    .. math:: E\,[-\log p(x \mid z)] + E_{q(z \mid x)}\, T(x, z)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        latent_dim: Dimensions of a code.
        adaptive_contrast: Whether the critic starts from the moments of each row's codes (adaptive contrast).
        n_critic: Updates of the critic for each update of encoder and decoder.
        posterior: Kind of encoder.
        prior_std: Scale of the prior.
        cost: The negative log-likelihood.
        deviation: Deviation of a Gaussian likelihood, fixed or (gaussian-learnt) the first one.
        network: Kind of encoder and decoder networks.
        batch_size: Rows in a batch.
        schedule: How the learning rate changes over the run.
        lr: Learning rate of encoder and decoder.
        critic_lr: Learning rate of the critic.
        encoder: A module of your own, from data to (N, latent) or what the posterior needs.
        decoder: A module of your own, from (N, latent) to data (logits if the cost is bernoulli).
        critic: A module of your own, from (N, values of a row + latent) to (N, 1), unbounded.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Adversarial Variational Bayes (Mescheder et al., 2017), algorithms 1 and 2
        | https://arxiv.org/abs/1701.04722

    Example:
        >>> from pushforward.data import open_dataset
        >>> [player.name for player in avb(open_dataset("digits")).model.players()]
        ['model', 'critic']
    """
    if data.vocabulary:
        raise ConfigError("the critic of avb sees rows beside codes, and cannot read text: take vae")
    chosen = pick(AVB_TABLE, "avb", settings, data, entries(locals()))
    parts = assemble(chosen, data, {"encoder": encoder, "decoder": decoder})
    if not isinstance(parts.prior, NormalPrior):
        raise ConfigError(f"avb needs the density of a normal prior, got {parts.prior}")
    if critic is None:
        joint = data.train.x[0].numel() + 2 * chosen.latent_dim
        critic = Squares(mlp(joint, 1, chosen.critic_widths, norm=None), chosen.latent_dim)
    model = AVB(parts.prior, parts.decoder, parts.encoder, critic, parts.cost, adaptive_contrast, n_critic)
    meaning = f"KL(Q(Z | x), P_Z) in nats, as a critic sees it; the cost is {price(chosen, data)}"
    return finish(model, chosen, data, meaning)
