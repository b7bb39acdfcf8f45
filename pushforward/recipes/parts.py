"""The parts a recipe is made of, by the names they have at the door."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypedDict, TypeVar

import torch
from torch import Tensor, nn

from pushforward.costs import L1, L2, Bernoulli, Cost, GaussianLikelihood, SquaredError, Tokens
from pushforward.data.dataset import Dataset
from pushforward.discrepancies import (
    IMQ,
    CriticDiscrepancy,
    DeepKernelMMD,
    Discrepancy,
    GaussianKernel,
    Kernel,
)
from pushforward.distributions import (
    ConditionalEncoder,
    DeterministicEncoder,
    Encoder,
    GaussianEncoder,
    ImplicitEncoder,
    NoisyInput,
    NormalPrior,
    Prior,
    SpherePrior,
    SwissRollPrior,
    UniformEncoder,
    UniformPrior,
    petals,
)
from pushforward.errors import ConfigError, nearest
from pushforward.models import AutoWeight, Model, WarmUp, Weight
from pushforward.networks import Mixing, conv_decoder, conv_encoder, mlp, official_init
from pushforward.networks.conditional import Conditional
from pushforward.networks.dcgan import halvings
from pushforward.recipes.settings import Settings
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.text.networks import (
    GRUDecoder,
    GRUEncoder,
    TextDecoder,
    TextEncoder,
    TransformerDecoder,
    TransformerEncoder,
)
from pushforward.training import Training
from pushforward.utils import eval_mode

COSTS: dict[str, Callable[[], Cost]] = {
    "squared": SquaredError,
    "l2": L2,
    "l1": L1,
    "bernoulli": Bernoulli,
    "gaussian": GaussianLikelihood,
    "gaussian-learnt": lambda: GaussianLikelihood(learnt=True),
    "tokens": Tokens,
}


def planar(name: str, prior: Callable[[float], Prior]) -> Callable[[int, float], Prior]:
    """A prior that lies in the plane."""

    def made(latent_dim: int, prior_std: float) -> Prior:
        if latent_dim != 2:
            raise ConfigError(f"prior {name!r} lies in the plane: latent_dim must be 2, got {latent_dim}")
        return prior(prior_std)

    return made


PRIORS: dict[str, Callable[[int, float], Prior]] = {
    "normal": NormalPrior,
    "uniform": UniformPrior,
    "sphere": SpherePrior,
    "mixture": planar(
        "mixture", lambda prior_std: petals(10, 1.4 * prior_std, 0.5 * prior_std, 0.05 * prior_std)
    ),
    "swiss-roll": planar("swiss-roll", lambda prior_std: SwissRollPrior(10, 0.1 * prior_std)),
}
KERNELS: dict[str, Callable[[Prior], Kernel]] = {
    "imq": lambda prior: IMQ(prior.expected_sq_distance),
    "gaussian": lambda prior: GaussianKernel([math.sqrt(prior.expected_sq_distance / 2)]),
}
Shape = tuple[int, ...]
IMPLICIT_NOISE = 16  # dimensions of the noise that goes through an implicit encoder
MIXED_NOISE = 2  # dimensions of the noise of each dimension of an encoder of kind "mixing"
MIXED = 8  # functions of noise that an encoder of kind "mixing" mixes


NUMBERS = ("image", "vector")


@dataclass(frozen=True)
class Network:
    """How an encoder and a decoder of one kind are made, and on which data they can be.

    Attributes:
        encoder: From the shape of a row and the numbers wanted; that of a line is (tokens, pieces).
        decoder: From the latent dimensions and the shape of a row.
        kinds: What rows may be.
    """

    encoder: Callable[[Shape, int], nn.Module]
    decoder: Callable[[int, Shape], nn.Module]
    kinds: tuple[str, ...] = ("image",)


def _widths(shape: Shape) -> list[int]:
    """Hidden units of a small fully connected net: enough for 28x28 digits, fewer for smaller rows."""
    return [512, 512] if math.prod(shape) >= 256 else [256, 256]


def _stages(shape: Shape) -> list[int]:
    """Channels of a small convolutional net: enough halvings to end at 8 pixels or fewer."""
    return [min(32 * 2**i, 128) for i in range(max(halvings(max(shape[1:]), 8), 2))]


NETWORKS: dict[str, Network] = {
    "mlp": Network(lambda s, n: mlp(s, n, _widths(s)), lambda n, s: mlp(n, s, _widths(s)), NUMBERS),
    "conv": Network(
        lambda s, n: conv_encoder(s, n, _stages(s), 4, hidden=[256]),
        lambda n, s: conv_decoder(n, s, _stages(s)[::-1], 4, hidden=[256], last=False),
    ),
    "conv-mlp": Network(
        lambda s, n: conv_encoder(s, n, [16, 32], 4, hidden=[256]),
        lambda n, s: mlp(n, s, [256, 256]),
    ),
    "conv-mlp-bare": Network(  # without BatchNorm in the decoder
        lambda s, n: conv_encoder(s, n, [16, 32], 4, hidden=[256]),
        lambda n, s: mlp(n, s, [256, 256], norm=None),
    ),
    "mlp-1000": Network(
        lambda s, n: mlp(s, n, [1000, 1000], norm=None),
        lambda n, s: mlp(n, s, [1000, 1000], norm=None),
        NUMBERS,
    ),
    "mlp-1200": Network(
        lambda s, n: mlp(s, n, [1200, 1200], norm=None),
        lambda n, s: mlp(n, s, [1200, 1200, 1200], norm=None, activation=nn.Tanh),
        NUMBERS,
    ),
    "mmd-vae": Network(
        lambda s, n: conv_encoder(s, n, [64, 128], 4, hidden=[1024]),
        lambda n, s: conv_decoder(n, s, [128, 64], 4, hidden=[1024], last=False),
    ),
    "gru": Network(lambda s, n: GRUEncoder(s[1], n), lambda n, s: GRUDecoder(n, s[1], s[0]), ("text",)),
    "transformer": Network(
        lambda s, n: TransformerEncoder(s[1], n, s[0]),
        lambda n, s: TransformerDecoder(n, s[1], s[0]),
        ("text",),
    ),
    "official-mnist": Network(
        lambda s, n: conv_encoder(s, n, [128, 256, 512, 1024], 4),
        lambda n, s: conv_decoder(n, s, [1024, 512, 256], 4),
    ),
    "official-celeba": Network(
        lambda s, n: conv_encoder(s, n, [128, 256, 512, 1024], 5),
        lambda n, s: conv_decoder(n, s, [1024, 512, 256, 128], 5),
    ),
}


def named(kind: str, name: str, table: Mapping[str, Any]) -> Any:
    """An entry of a table, or an error that offers the nearest name."""
    if name not in table:
        raise ConfigError(f"unknown {kind} {name!r}: {nearest(name, table)}")
    return table[name]


class Kind(Protocol):
    """Networks of a kind, for rows of some kinds."""

    @property
    def kinds(self) -> tuple[str, ...]: ...


K = TypeVar("K", bound=Kind)


def fitting(name: str, table: Mapping[str, K], data: Dataset) -> K:
    """The networks of that name, if they can be on these data.

    Raises:
        ConfigError: If there are none, or they need other rows.
    """
    found: K = named("network", name, table)
    if data.modality not in found.kinds:
        needed = " or ".join(found.kinds)
        raise ConfigError(
            f"network {name!r} needs {needed} data, {data.name} is {data.modality} data of shape {data.shape}"
        )
    return found


def gaussian(net: nn.Module, prior: Prior) -> Encoder:
    """A Gaussian encoder; its codes cannot be kept on a box or a sphere."""
    if not isinstance(prior, NormalPrior):
        raise ConfigError("posterior 'gaussian' needs prior 'normal'")
    return GaussianEncoder(net)


def uniform(net: nn.Module, prior: Prior) -> Encoder:
    """An encoder of boxes."""
    if isinstance(prior, SpherePrior):
        raise ConfigError("posterior 'uniform' cannot stay on prior 'sphere'")
    return UniformEncoder(net)


def implicit(net: nn.Module, prior: Prior) -> Encoder:
    """An implicit encoder whose trunk makes L numbers and whose head mixes them with noise."""
    head = mlp(prior.latent_dim + IMPLICIT_NOISE, prior.latent_dim, [64], norm=None)
    return ImplicitEncoder(net, head, IMPLICIT_NOISE, prior.to_support)


def mixing(net: nn.Module, prior: Prior) -> Encoder:
    """An implicit encoder that says of every dimension how much of which noise it takes."""
    head = Mixing(prior.latent_dim, MIXED_NOISE, MIXED)
    return ImplicitEncoder(net, head, prior.latent_dim * MIXED_NOISE, prior.to_support)


POSTERIORS: dict[str, tuple[int, Callable[[nn.Module, Prior], Encoder]]] = {
    # numbers that the net makes for each latent dimension, and the encoder around it
    "deterministic": (1, lambda net, prior: DeterministicEncoder(net, prior.to_support)),
    "gaussian": (2, gaussian),
    "uniform": (2, uniform),
    "implicit": (1, implicit),
    "mixing": (1 + MIXED, mixing),
}


def cost_of(settings: Settings) -> Cost:
    """The cost of that name; Gaussian ones with the deviation of the settings."""
    make = named("cost", settings.cost, COSTS)
    if settings.deviation is None:
        return make()
    if make not in (COSTS["gaussian"], COSTS["gaussian-learnt"]):
        raise ConfigError(f"deviation is that of a Gaussian cost, got cost {settings.cost!r}")
    return GaussianLikelihood(settings.deviation, learnt=settings.cost == "gaussian-learnt")


@dataclass(frozen=True)
class Parts:
    """What every auto-encoder is made of."""

    prior: Prior
    decoder: nn.Module
    encoder: Encoder
    cost: Cost
    weight: Weight


class Modules(TypedDict, total=False):
    """The user's own networks, as they stand among a recipe's options."""

    encoder: nn.Module | None
    decoder: nn.Module | None


def assemble(
    settings: Settings,
    data: Dataset,
    given: Modules,
    prior: Prior | None = None,
    points: int | None = None,
    tell_encoder: bool = True,
    last: nn.Module | None = None,
) -> Parts:
    """Prior, networks, cost and weight as the settings say; given modules stand for ours.

    A prior that is given stands for the one of the settings; decoders take ``points`` numbers, by default
    those of a code. If labels are told at all, the decoder is told them, and the encoder unless
    ``tell_encoder`` is false. Our encoder ends with the layer ``last``.
    """
    encoder, decoder = given.get("encoder"), given.get("decoder")
    prior = prior or named("prior", settings.prior, PRIORS)(settings.latent_dim, settings.prior_std)
    cost = cost_of(settings)
    if isinstance(cost, Tokens) != (data.modality == "text"):
        raise ConfigError(f"cost 'tokens' is for text and text for it; {data.name} has {settings.cost!r}")
    if isinstance(cost, Bernoulli) and not data.in_unit_interval:
        raise ConfigError(
            f"cost 'bernoulli' needs data in [0, 1]; the values of {data.name} are real numbers"
        )
    network = fitting(settings.network, NETWORKS, data)
    numbers, around = named("posterior", settings.posterior, POSTERIORS)
    if data.vocabulary and settings.input_noise:
        raise ConfigError("noise on tokens is no noise on words: use word_noise in the place of input_noise")
    shape = (*data.shape, len(data.vocabulary)) if data.vocabulary else data.shape
    told = len(data.labels) if settings.label else 0
    tell_encoder = tell_encoder and not data.vocabulary
    if settings.label and not told:
        raise ConfigError(f"{data.name} has no labels that networks could be told")
    ours = [net for net, given in (("encoder", encoder), ("decoder", decoder)) if given is None]
    if encoder is None:
        seen = (shape[0] + told, *shape[1:]) if tell_encoder else shape
        encoder = network.encoder(seen, numbers * prior.latent_dim)
        encoder = encoder if last is None else nn.Sequential(encoder, last)
    if decoder is None:
        decoder = network.decoder((points or prior.latent_dim) + told, shape)
        if settings.official_init:
            official_init(decoder)
        if data.in_unit_interval and not cost.logits:
            decoder = nn.Sequential(decoder, nn.Sigmoid())
    if settings.official_init and "encoder" in ours:
        official_init(encoder)
    _deafen(encoder, decoder, settings)
    whole = around(encoder, prior)
    if told:
        decoder = Conditional(decoder, told)
        whole = ConditionalEncoder(whole, told) if tell_encoder else whole
    if settings.input_noise:
        whole = NoisyInput(whole, settings.input_noise, truncated=settings.truncated)
    return Parts(prior, decoder, whole, cost, weight(settings, prior))


def _deafen(encoder: nn.Module, decoder: nn.Module, settings: Settings) -> None:
    """Tells networks of text which share of words they cannot read in training."""
    for net, name in ((decoder, "word_dropout"), (encoder, "word_noise")):
        share = getattr(settings, name)
        if not share:
            continue
        of_lines = [part for part in net.modules() if isinstance(part, TextDecoder | TextEncoder)]
        for part in of_lines:
            part.word_dropout = share
        if not of_lines:
            raise ConfigError(f"{name} is for networks of text, got {share:g} for a {type(net).__name__}")


def weight(settings: Settings, prior: Prior) -> Weight:
    """A fixed weight, one that rises, or one that adapts from the number behind ``auto:``."""
    value = settings.weight
    if settings.warmup and isinstance(value, str):
        raise ConfigError(f"a warm-up needs a weight that is a number, got {value!r}")
    if settings.warmup:
        return WarmUp(float(value), settings.warmup)
    if isinstance(value, str):
        word, _, start = value.partition(":")
        try:
            if word == "auto":
                return AutoWeight(prior, settings.batch_size, float(start or 1))
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

    model: Model
    training: Training
    settings: Settings
    meaning: str


def check_fit(model: Model, data: Dataset) -> None:
    """Runs two rows through every network, to say what does not fit before training starts.

    Raises:
        ConfigError: If a module fails or makes another shape than it should.
    """
    x, y = data.train.batch(slice(0, 2))
    square = Square(model, x, Noise("dry batch"), y)

    def attempt(name: str, draw: Callable[[], Tensor], expected: str = "") -> Shape:
        try:
            with eval_mode(model), torch.no_grad():
                return tuple(draw().shape)
        except Exception as error:  # a module of the user's own may raise anything
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(
                f"the {name} fails on rows of shape {data.shape}: {reason}{expected}"
            ) from error

    def check(name: str, wanted: Shape, draw: Callable[[], Tensor]) -> None:
        found = attempt(name, draw)
        if found != wanted:
            raise ConfigError(f"the {name} should make {wanted} from two rows, it makes {found}")

    if model.has_encoder:
        check("encoder", (2, model.prior.latent_dim), lambda: square.Ex)
    made = partial(lambda: model.cost.point(square.GEx if model.has_encoder else square.Gz))
    check("decoder", tuple(x.shape), made)
    if isinstance(model.discrepancy, Discrepancy):
        with eval_mode(model), torch.no_grad():
            games = model.discrepancy.components(*model.pair(square))
        for name, (game, _, p) in games.items():
            if isinstance(game, DeepKernelMMD):
                found = attempt(f"critic{name}", partial(_read, game, p), "; it should make (N, features)")
                if len(found) != 2:
                    raise ConfigError(f"the critic should make (2, features) from two rows, it makes {found}")
            elif isinstance(game, CriticDiscrepancy):
                check(f"critic{name}", (2, 1), partial(_judged, game.critic, p))


def _read(game: DeepKernelMMD, rows: Tensor) -> Tensor:
    """The features of rows, once they have been decoded."""
    features: Tensor = game.critic(rows)
    if game.decoder is not None:
        game.decoder(features)
    return features


def _judged(critic: nn.Module, rows: Tensor) -> Tensor:
    return critic(rows).view(2, -1)
