"""The parts a recipe is made of, by the names they have at the door."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pushforward.costs import L1, L2, Bernoulli, Cost, GaussianLikelihood, SquaredError
from pushforward.data.dataset import Dataset
from pushforward.discrepancies import IMQ, Adversarial, GaussianKernel, Kernel
from pushforward.distributions import (
    DeterministicEncoder,
    Encoder,
    GaussianEncoder,
    ImplicitEncoder,
    NoisyInput,
    NormalPrior,
    Prior,
    SpherePrior,
    UniformPrior,
)
from pushforward.errors import ConfigError, nearest
from pushforward.models import AutoEncoder, AutoWeight, Weight
from pushforward.networks import conv_decoder, conv_encoder, mlp, official_init
from pushforward.randomness import Noise
from pushforward.recipes.settings import Settings
from pushforward.square import Square, at_rest
from pushforward.training import Training

COSTS: dict[str, Callable[[], Cost]] = {
    "squared": SquaredError,
    "l2": L2,
    "l1": L1,
    "bernoulli": Bernoulli,
    "gaussian": GaussianLikelihood,
    "gaussian-learnt": lambda: GaussianLikelihood(learnt=True),
}
PRIORS: dict[str, Callable[[int, float], Prior]] = {
    "normal": NormalPrior,
    "uniform": UniformPrior,
    "sphere": SpherePrior,
}
KERNELS: dict[str, Callable[[Prior], Kernel]] = {
    "imq": lambda prior: IMQ(prior.spread),
    "gaussian": lambda prior: GaussianKernel([math.sqrt(prior.spread / 2)]),
}
Shape = tuple[int, ...]
IMPLICIT_NOISE = 16  # dimensions of the noise that goes through an implicit encoder


@dataclass(frozen=True)
class Network:
    """How an encoder and a decoder of one kind are made, and on which data they can be.

    Attributes:
        encoder: From the shape of a row and the numbers wanted.
        decoder: From the latent dimensions and the shape of a row.
        images: Whether rows must be images.
    """

    encoder: Callable[[Shape, int], nn.Module]
    decoder: Callable[[int, Shape], nn.Module]
    images: bool


def _widths(shape: Shape) -> list[int]:
    """Hidden units of a small fully connected net: enough for 28x28 digits, fewer for smaller rows."""
    return [512, 512] if math.prod(shape) >= 256 else [256, 256]


def _stages(shape: Shape) -> list[int]:
    """Channels of a small convolutional net: enough halvings to end at 8 pixels or fewer."""
    halvings = max(1, math.ceil(math.log2(max(shape[1:]) / 8)))
    return [min(32 * 2**i, 128) for i in range(max(halvings, 2))]


NETWORKS: dict[str, Network] = {
    "mlp": Network(lambda s, n: mlp(s, n, _widths(s)), lambda n, s: mlp(n, s, _widths(s)), images=False),
    "conv": Network(
        lambda s, n: conv_encoder(s, n, _stages(s), 4, hidden=[256]),
        lambda n, s: conv_decoder(n, s, _stages(s)[::-1], 4, hidden=[256], last=False),
        images=True,
    ),
    "official-mnist": Network(
        lambda s, n: conv_encoder(s, n, [128, 256, 512, 1024], 4),
        lambda n, s: conv_decoder(n, s, [1024, 512, 256], 4),
        images=True,
    ),
    "official-celeba": Network(
        lambda s, n: conv_encoder(s, n, [128, 256, 512, 1024], 5),
        lambda n, s: conv_decoder(n, s, [1024, 512, 256, 128], 5),
        images=True,
    ),
}


def named(kind: str, name: str, table: Mapping[str, Any]) -> Any:
    """An entry of a table, or an error that offers the nearest name."""
    if name not in table:
        raise ConfigError(f"unknown {kind} {name!r}: {nearest(name, table)}")
    return table[name]


def gaussian(net: nn.Module, prior: Prior) -> Encoder:
    """A Gaussian encoder; its codes cannot be kept on a box or a sphere."""
    if not isinstance(prior, NormalPrior):
        raise ConfigError("posterior 'gaussian' needs prior 'normal'")
    return GaussianEncoder(net)


def implicit(net: nn.Module, prior: Prior) -> Encoder:
    """An implicit encoder whose trunk makes L numbers and whose head mixes them with noise."""
    head = mlp(prior.latent + IMPLICIT_NOISE, prior.latent, [64], norm=False)
    return ImplicitEncoder(net, head, IMPLICIT_NOISE, prior.onto)


POSTERIORS: dict[str, tuple[int, Callable[[nn.Module, Prior], Encoder]]] = {
    # numbers that the net makes for each latent dimension, and the encoder around it
    "deterministic": (1, lambda net, prior: DeterministicEncoder(net, prior.onto)),
    "gaussian": (2, gaussian),
    "implicit": (1, implicit),
}


@dataclass(frozen=True)
class Parts:
    """What every auto-encoder is made of."""

    prior: Prior
    decoder: nn.Module
    encoder: Encoder
    cost: Cost
    weight: Weight


def assemble(
    settings: Settings, data: Dataset, encoder: nn.Module | None, decoder: nn.Module | None
) -> Parts:
    """Prior, networks, cost and weight as the settings say; given modules stand for ours."""
    prior = named("prior", settings.prior, PRIORS)(settings.latent, settings.sigma)
    cost = named("cost", settings.cost, COSTS)()
    if isinstance(cost, Bernoulli) and not data.unit:
        raise ConfigError(
            f"cost 'bernoulli' needs data in [0, 1]; the values of {data.name} are real numbers"
        )
    network: Network = named("network", settings.network, NETWORKS)
    if network.images and len(data.shape) != 3:
        raise ConfigError(
            f"network {settings.network!r} needs images, the rows of {data.name} have shape {data.shape}"
        )
    numbers, around = named("posterior", settings.posterior, POSTERIORS)
    ours = [net for net, given in (("encoder", encoder), ("decoder", decoder)) if given is None]
    if encoder is None:
        encoder = network.encoder(data.shape, numbers * settings.latent)
    if decoder is None:
        decoder = network.decoder(settings.latent, data.shape)
        if settings.official_init:
            official_init(decoder)
        if data.unit and not cost.logits:
            decoder = nn.Sequential(decoder, nn.Sigmoid())
    if settings.official_init and "encoder" in ours:
        official_init(encoder)
    whole = around(encoder, prior)
    if settings.input_noise:
        whole = NoisyInput(whole, settings.input_noise)
    return Parts(prior, decoder, whole, cost, weight(settings, prior))


def weight(settings: Settings, prior: Prior) -> Weight:
    """A fixed weight, or one that adapts from the number behind ``auto:``."""
    value = settings.weight
    if isinstance(value, str):
        word, _, start = value.partition(":")
        try:
            if word == "auto":
                return AutoWeight(prior, settings.batch, float(start or 1))
            value = float(value)
        except ValueError as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"weight must be a number, 'auto' or 'auto:START', got {value!r}") from None
    return Weight(value)


@dataclass(frozen=True)
class Recipe:
    """A model ready to be trained, and how.

    Attributes:
        model: Who.
        training: How.
        settings: Every entry as it was decided.
        meaning: One line that says what the weight means.
    """

    model: AutoEncoder
    training: Training
    settings: Settings
    meaning: str


def check_fit(model: AutoEncoder, data: Dataset) -> None:
    """Runs two rows through every network, to say what does not fit before training starts.

    Raises:
        ConfigError: If a module fails or makes another shape than it should.
    """
    x, y = data.train.batch(slice(0, 2))
    square = Square(model, x, Noise("dry batch"), y)
    made: dict[str, tuple[Shape, Callable[[], Any]]] = {
        "encoder": ((2, model.prior.latent), lambda: square.Ex),
        "decoder": (tuple(x.shape), lambda: square.GEx),
    }
    if isinstance(model.match, Adversarial):
        critic = model.match.critic
        made["critic"] = ((2, 1), lambda: critic(square.z).view(2, -1))
    for name, (wanted, draw) in made.items():
        try:
            with at_rest(model), torch.no_grad():
                found = tuple(draw().shape)
        except Exception as error:  # a module of the user's own may raise anything
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(f"the {name} fails on rows of shape {data.shape}: {reason}") from error
        if found != wanted:
            raise ConfigError(f"the {name} should make {wanted} from two rows, it makes {found}")
