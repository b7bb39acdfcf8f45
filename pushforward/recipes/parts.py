"""The parts of auto-encoders, by name: prior, encoder, decoder, cost and weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from torch import Tensor, nn

from pushforward.costs import COSTS, Cost, GaussianLikelihood
from pushforward.data.modality import modality
from pushforward.data.spec import DataSpec
from pushforward.distributions import ConditionalEncoder, DeterministicEncoder, Encoder, NoisyInput, Prior
from pushforward.distributions.named import POSTERIORS, PRIORS
from pushforward.errors import ConfigError
from pushforward.models import AutoEncoder, AutoWeight, WarmUp, Weight
from pushforward.networks import official_init
from pushforward.networks.architectures import NETWORKS, A, choose_network
from pushforward.networks.conditional import Conditional
from pushforward.recipes.recipe import OwnParts
from pushforward.recipes.settings import AutoEncoderSettings, Settings
from pushforward.rng import Noise
from pushforward.tables import networks as _  # noqa: F401 - registers the networks of tables
from pushforward.text.tokens import replace_tokens
from pushforward.wording import option_name

M = TypeVar("M", bound=AutoEncoder)


@dataclass(frozen=True)
class AutoEncoderParts:
    """What every auto-encoder is made of."""

    prior: Prior
    decoder: nn.Module
    encoder: Encoder
    cost: Cost
    weight: Weight
    augment: Callable[[Tensor, Noise], Tensor] | None

    def build(self, model: Callable[..., M], *more: Any, **named: Any) -> M:
        """A model of these parts, and of what only models of that type take."""
        fixed = {"cost": self.cost, "augment": self.augment}
        return model(self.prior, self.decoder, self.encoder, *more, **fixed, **named)


def networks_for(settings: Settings, table: Mapping[str, A], spec: DataSpec) -> A:
    """The networks that the settings name.

    Raises:
        ConfigError: If there are none, or they are for data of another modality.
    """
    data = f"{spec.name} is {spec.modality} data of shape {spec.shape}"
    return choose_network(settings.network, table, spec.modality, data)


def make_prior(settings: Settings, own: OwnParts) -> Prior:
    """The prior of that name, or the user's own."""
    return own.prior or PRIORS[settings.prior](settings.latent_dim, settings.prior_std)


def make_cost(settings: AutoEncoderSettings, spec: DataSpec, own: OwnParts) -> Cost:
    """The cost of that name, or the user's own.

    Raises:
        ConfigError: If it is for other data, or has no standard deviation that could be set.
    """
    if own.cost is not None:
        return own.cost
    for cost, kind in (("tokens", "text"), ("columns", "table")):
        if (settings.cost == cost) != (spec.modality == kind):
            what = "tables and tables" if kind == "table" else f"{kind} and {kind}"
            raise ConfigError(
                f"{option_name('cost', cost)} is for {what} for it; {spec.name} is "
                f"{spec.modality} data, got cost "
                f"{settings.cost!r}"
            )
    if settings.cost == "bernoulli" and not spec.in_unit_interval:
        raise ConfigError(
            f"{option_name('cost', 'bernoulli')} needs data in [0, 1]; {spec.name} has real numbers"
        )
    if settings.likelihood_std is None:
        return COSTS[settings.cost]()
    if settings.cost not in ("gaussian", "gaussian-learnt"):
        raise ConfigError(
            f"{option_name('likelihood_std')} is for Gaussian costs, got cost {settings.cost!r}"
        )
    return GaussianLikelihood(settings.likelihood_std, learnt=settings.cost == "gaussian-learnt")


def make_weight(settings: AutoEncoderSettings, prior: Prior) -> Weight:
    """A fixed weight, one that rises over a warm-up, or one that adapts."""
    if settings.weight == "auto":
        return AutoWeight(prior, settings.batch_size, settings.weight_init)
    return WarmUp(settings.weight, settings.warmup) if settings.warmup else Weight(settings.weight)


def assemble(
    settings: AutoEncoderSettings,
    spec: DataSpec,
    own: OwnParts,
    *,
    prior: Prior | None = None,
    decoder_inputs: int | None = None,
    conditional_encoder: bool = True,
    last: nn.Module | None = None,
    to_support: Callable[[Tensor], Tensor] | None = None,
    decoder: nn.Module | None = None,
) -> AutoEncoderParts:
    """The parts of an auto-encoder that its settings describe, with the user's own in their place.

    Arguments:
        settings: The settings.
        spec: Describes the data.
        own: Parts of the user's own.
        prior: In the place of the prior of the settings.
        decoder_inputs: Number of the decoder's inputs, by default ``prior.latent_dim``; labels are added.
        conditional_encoder: Whether the encoder receives labels where the decoder does.
        last: A layer behind our encoder network.
        to_support: In the place of the prior's last step of codes; the encoder is then deterministic.
        decoder: In the place of the decoder network of the settings.

    Raises:
        ConfigError: If settings exclude each other or do not fit the data.
    """
    prior = prior or make_prior(settings, own)
    cost = make_cost(settings, spec, own)
    network = networks_for(settings, NETWORKS, spec)
    outputs, around = POSTERIORS[settings.posterior]
    kind = modality(spec.modality)
    encoder_dropout, decoder_dropout = kind.hidden or ("", "")
    if kind.hidden and settings.input_noise:
        raise ConfigError(
            f"{option_name('input_noise')} cannot be added to {str(kind.parts).partition(' ')[0]}; use "
            f"{option_name(encoder_dropout)}"
        )
    classes = spec.n_classes if settings.conditional else 0
    if settings.conditional and not classes:
        raise ConfigError(f"{option_name('conditional')} needs labels, {spec.name} has none")
    conditional_encoder = conditional_encoder and kind.is_continuous
    for name, part in ((encoder_dropout, own.encoder), (decoder_dropout, own.decoder)):
        if name and part is not None and getattr(settings, name):
            raise ConfigError(
                f"{option_name(name)} is for the recipe's network; build it into the module of your own"
            )
    net: nn.Module
    if own.encoder is None:
        shape = spec.network_shape
        shape = (shape[0] + classes, *shape[1:]) if conditional_encoder else shape
        dropout = {"dropout": getattr(settings, encoder_dropout)} if kind.hidden else {}
        net = network.encoder(shape, outputs * prior.latent_dim, **dropout)
        net = net if last is None else nn.Sequential(net, last)
    else:
        net = own.encoder
    generator = decoder or own.decoder
    if generator is None:
        dropout = {"dropout": getattr(settings, decoder_dropout)} if kind.hidden else {}
        inputs = (decoder_inputs or prior.latent_dim) + classes
        generator = network.decoder(inputs, spec.network_shape, **dropout)
        if settings.official_init:
            official_init(generator)
        if spec.in_unit_interval and not cost.logits:
            generator = nn.Sequential(generator, nn.Sigmoid())
    if settings.official_init and own.encoder is None:
        official_init(net)
    if isinstance(net, Encoder):
        encoder = net
    else:
        encoder = DeterministicEncoder(net, to_support) if to_support else around(net, prior)
    if classes:
        generator = Conditional(generator, classes)
        encoder = ConditionalEncoder(encoder, classes) if conditional_encoder else encoder
    if settings.input_noise:
        encoder = NoisyInput(encoder, settings.input_noise, truncated=settings.truncated)
    rate = settings.token_replacement
    augment = partial(replace_tokens, rate=rate) if rate else None
    return AutoEncoderParts(prior, generator, encoder, cost, make_weight(settings, prior), augment)
