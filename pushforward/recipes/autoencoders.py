"""The auto-encoders worth naming: each a function whose signature is its configuration.

``settings`` picks a row of defaults: ``"small"`` is done in minutes on two cores; ``"paper"``
is what was printed; ``"official"`` is what the authors' code does, where it differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from torch import nn

from pushforward.data.dataset import Dataset
from pushforward.discrepancies import MMD, JensenShannon, PriorDensity
from pushforward.errors import ConfigError
from pushforward.models import VAE, WAE, AutoEncoder, AutoWeight
from pushforward.networks import mlp, official_init
from pushforward.recipes.parts import KERNELS, Parts, Recipe, assemble, check_fit, named
from pushforward.recipes.settings import (
    AS_PRINTED,
    CELEBA_SCALE,
    MNIST_SCALE,
    Settings,
    celeba,
    is_digit,
    mnist,
    pick,
    small,
)
from pushforward.training import Training, adam

Table = dict[str, Callable[[Dataset], Settings]]
COST_WORDS = {
    "squared": "the squared error",
    "l2": "the Euclidean distance",
    "l1": "the absolute error",
    "bernoulli": "the Bernoulli negative log-likelihood in nats",
    "gaussian": "the Gaussian negative log-likelihood in nats",
    "gaussian-learnt": "the Gaussian negative log-likelihood in nats, its deviation learnt",
}

WAE_MMD: Table = {
    "small": lambda data: small(data, share=4),
    "paper": lambda data: (
        mnist(meaning=AS_PRINTED)
        if is_digit(data)
        else celeba(sigma=2**0.5, meaning="λ as the paper prints it; " + CELEBA_SCALE)
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
        else celeba(weight=1.0, sigma=2**0.5, lr=3e-4, meaning="λ as the paper prints it; " + CELEBA_SCALE)
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
_VAE_BASE: dict[str, Any] = {"weight": 1.0, "posterior": "gaussian", "input_noise": 0.0, "pretrain": 0}
VAE_TABLE: Table = {
    "small": lambda data: small(
        data, None, posterior="gaussian", cost="bernoulli" if data.unit else "gaussian-learnt"
    ),
    "paper": lambda data: (
        mnist(**_VAE_BASE, cost="bernoulli")
        if is_digit(data)
        else celeba(**_VAE_BASE, cost="bernoulli", lr=1e-4, epochs=68, sigma=2**0.5)
    ),
}  # fmt: skip
VAE_TABLE["official"] = VAE_TABLE["paper"]  # they do not differ
AE_TABLE: Table = {
    "small": lambda data: small(data, None, weight=0.0),
    "paper": lambda data: replace(WAE_MMD["paper"](data), weight=0.0, pretrain=0, meaning=""),
    "official": lambda data: replace(WAE_MMD["official"](data), weight=0.0, pretrain=0, meaning=""),
}

CostName = Literal["squared", "l2", "l1", "bernoulli", "gaussian", "gaussian-learnt"]
PriorName = Literal["normal", "uniform", "sphere"]
PosteriorName = Literal["deterministic", "gaussian", "implicit"]
ScheduleName = Literal["constant", "cosine", "manual", "manual-smooth"]
NetworkName = Literal["mlp", "conv", "official-mnist", "official-celeba"]


def wae_mmd(
    data: Dataset,
    *,
    settings: Literal["small", "paper", "official"] = "small",
    latent: int | None = None,
    weight: float | str | None = None,
    kernel: Literal["imq", "gaussian"] = "imq",
    estimator: Literal["u", "v"] = "u",
    prior: PriorName | None = None,
    sigma: float | None = None,
    posterior: PosteriorName | None = None,
    input_noise: float | None = None,
    cost: CostName | None = None,
    network: NetworkName | None = None,
    batch: int | None = None,
    schedule: ScheduleName | None = None,
    lr: float | None = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    r"""Wasserstein auto-encoder: codes meet the prior in maximum mean discrepancy.

    .. math:: E\,c(G(E(x)), x) + \lambda\,\mathrm{MMD}^2(Q_Z, P_Z)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        latent: Dimensions of a code.
        weight: λ, the factor of MMD², against a cost summed over features; "auto" finds its own.
        kernel: "imq" sums seven scales; "gaussian" has one bandwidth, that of the prior.
        estimator: "u" is unbiased and may be negative; "v" is biased upwards.
        prior: The law that codes are to follow.
        sigma: Scale of the prior.
        posterior: Kind of encoder.
        input_noise: Deviation of noise on the encoder's input, in training.
        cost: What is compared between data and reconstruction.
        network: Kind of encoder and decoder networks.
        batch: Rows in a batch.
        schedule: How the learning rate changes over the run.
        lr: Learning rate of encoder and decoder.
        encoder: A module of your own, from data to (N, latent) or what the posterior needs.
        decoder: A module of your own, from (N, latent) to data.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    References:
        | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), algorithm 2
        | https://arxiv.org/abs/1711.01558

    Example:
        >>> from pushforward.data import open_dataset
        >>> built = wae_mmd(open_dataset("digits"), weight=20.0)
        >>> built.model.prior, built.model.match.kernel
        (NormalPrior(latent=8, sigma=1), IMQ(C=16, scales=(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)))
        >>> built.meaning
        'weight 20 times MMD² (imq kernel, U-statistic); the cost is the squared error, summed over 64 values
        in [0, 1], mean over the batch'
    """
    chosen = pick(WAE_MMD, "wae-mmd", settings, data, _entries(locals()))
    parts = assemble(chosen, data, encoder, decoder)
    match = MMD(named("kernel", kernel, KERNELS)(parts.prior), estimator)
    if estimator == "u" and chosen.batch < 2:
        raise ConfigError(
            "the U-statistic compares pairs and needs a batch of at least 2, got 1; or set estimator to 'v'"
        )
    model = WAE(parts.prior, parts.decoder, parts.encoder, match, parts.cost, parts.weight)
    return _recipe(model, chosen, data, parts, f"MMD² ({kernel} kernel, {estimator.upper()}-statistic)")


def wae_gan(
    data: Dataset,
    *,
    settings: Literal["small", "paper", "official"] = "small",
    latent: int | None = None,
    weight: float | str | None = None,
    exchange: bool = True,
    turns: int = 1,
    prior: PriorName | None = None,
    sigma: float | None = None,
    posterior: PosteriorName | None = None,
    input_noise: float | None = None,
    cost: CostName | None = None,
    network: NetworkName | None = None,
    prior_density: bool | None = None,
    batch: int | None = None,
    schedule: ScheduleName | None = None,
    lr: float | None = None,
    critic_lr: float | None = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    critic: nn.Module | None = None,
) -> Recipe:
    r"""Wasserstein auto-encoder: codes meet the prior in a game against a critic.

    .. math:: E\,c(G(E(x)), x) + \lambda\, D_T(Q_Z, P_Z)

    with the critic's bound in the place of a divergence: see
    :class:`~pushforward.discrepancies.JensenShannon`.

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        latent: Dimensions of a code.
        weight: λ, the factor of the critic's bound; "auto" finds its own.
        exchange: Whether the encoder plays with the roles exchanged (non-saturating) or min-max.
        turns: Updates of the critic for each update of encoder and decoder.
        prior: The law that codes are to follow.
        sigma: Scale of the prior.
        posterior: Kind of encoder.
        input_noise: Deviation of noise on the encoder's input, in training.
        cost: What is compared between data and reconstruction.
        network: Kind of encoder and decoder networks.
        prior_density: Whether the critic is told the prior's log-density.
        batch: Rows in a batch.
        schedule: How the learning rate changes over the run.
        lr: Learning rate of encoder and decoder.
        critic_lr: Learning rate of the critic.
        encoder: A module of your own, from data to (N, latent) or what the posterior needs.
        decoder: A module of your own, from (N, latent) to data.
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
    chosen = pick(WAE_GAN, "wae-gan", settings, data, _entries(locals()))
    parts = assemble(chosen, data, encoder, decoder)
    if critic is None:
        critic = mlp(chosen.latent, 1, chosen.critic_widths, norm=False)
        if chosen.official_init:
            official_init(critic)
    if chosen.prior_density:
        critic = PriorDensity(critic, parts.prior)
    match = JensenShannon(critic, exchange, turns)
    model = WAE(parts.prior, parts.decoder, parts.encoder, match, parts.cost, parts.weight)
    return _recipe(model, chosen, data, parts, "the critic's Jensen-Shannon bound")


def vae(
    data: Dataset,
    *,
    settings: Literal["small", "paper", "official"] = "small",
    latent: int | None = None,
    weight: float | str | None = None,
    sigma: float | None = None,
    cost: CostName | None = None,
    network: NetworkName | None = None,
    batch: int | None = None,
    schedule: ScheduleName | None = None,
    lr: float | None = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    r"""Variational auto-encoder: the law of every code meets the prior in KL divergence.

    .. math:: E\,[-\log p(x \mid z)] + \lambda\,\mathrm{KL}(Q(Z \mid x), P_Z)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        latent: Dimensions of a code.
        weight: λ, the factor of the KL; 1 is the evidence lower bound; "auto" finds its own.
        sigma: Scale of the prior.
        cost: The negative log-likelihood; other costs make it a regularised auto-encoder.
        network: Kind of encoder and decoder networks.
        batch: Rows in a batch.
        schedule: How the learning rate changes over the run.
        lr: Learning rate.
        encoder: A module of your own, from data to (N, 2 latent): means, then log-variances.
        decoder: A module of your own, from (N, latent) to data (logits if the cost is bernoulli).

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
    chosen = pick(VAE_TABLE, "vae", settings, data, _entries(locals()))
    parts = assemble(chosen, data, encoder, decoder)
    model = VAE(parts.prior, parts.decoder, parts.encoder, parts.cost, parts.weight)
    return _recipe(model, chosen, data, parts, "KL(Q(Z | x), P_Z) in nats")


def ae(
    data: Dataset,
    *,
    settings: Literal["small", "paper", "official"] = "small",
    latent: int | None = None,
    input_noise: float | None = None,
    cost: CostName | None = None,
    network: NetworkName | None = None,
    batch: int | None = None,
    schedule: ScheduleName | None = None,
    lr: float | None = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    r"""Plain auto-encoder: the baseline whose codes follow no prior.

    .. math:: E\,c(G(E(x)), x)

    Arguments:
        data: What to learn from.
        settings: Which row of defaults.
        latent: Dimensions of a code.
        input_noise: Deviation of noise on the encoder's input, in training.
        cost: What is compared between data and reconstruction.
        network: Kind of encoder and decoder networks.
        batch: Rows in a batch.
        schedule: How the learning rate changes over the run.
        lr: Learning rate.
        encoder: A module of your own, from data to (N, latent).
        decoder: A module of your own, from (N, latent) to data.

    Raises:
        ConfigError: If a setting cannot be, or a module of your own does not fit the data.

    Example:
        >>> from pushforward.data import open_dataset
        >>> ae(open_dataset("digits"), latent=2).meaning
        'no match: the cost is the squared error, summed over 64 values in [0, 1], mean over the batch;
        codes will not follow the prior'
    """
    chosen = pick(AE_TABLE, "ae", settings, data, _entries(locals()))
    parts = assemble(chosen, data, encoder, decoder)
    model = AutoEncoder(parts.prior, parts.decoder, parts.encoder, parts.cost)
    return _recipe(model, chosen, data, parts, None)


def _entries(arguments: dict[str, Any]) -> dict[str, Any]:
    """Those of a recipe's arguments that are entries of its settings."""
    return {name: value for name, value in arguments.items() if name in Settings.__dataclass_fields__}


def _recipe(model: AutoEncoder, chosen: Settings, data: Dataset, parts: Parts, match: str | None) -> Recipe:
    if chosen.batch < 2:
        raise ConfigError(
            f"batch must be at least 2, got {chosen.batch}: BatchNorm compares the rows of a batch"
        )
    check_fit(model, data)
    features = data.train.x[0].numel()
    price = f"{COST_WORDS[chosen.cost]}, summed over {features} values in {data.range}, mean over the batch"
    if match is None:
        meaning = f"no match: the cost is {price}; codes will not follow the prior"
    elif isinstance(parts.weight, AutoWeight):
        meaning = (
            f"weight auto, from {float(parts.weight):g}: the factor of {match} adapts until a test of two "
            f"samples of {chosen.batch} cannot tell codes from the prior; the cost is {price}"
        )
    else:
        elbo = "with weight 1 the sum is the negative evidence lower bound"
        note = elbo if model.is_bound else chosen.meaning
        tail = f" ({note})" if note else ""
        meaning = f"weight {float(parts.weight):g}{tail} times {match}; the cost is {price}"
    betas = (chosen.beta1, 0.999)
    training = Training(
        batch=chosen.batch,
        optimizers={"model": adam(chosen.lr, betas), "critic": adam(chosen.critic_lr, (0.5, 0.999))},
        schedule=chosen.schedule,
        epochs=chosen.epochs,
        pretrain=chosen.pretrain,
    )
    return Recipe(model, training, chosen, meaning)
