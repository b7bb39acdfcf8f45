"""What recipes of models in data space share: presets, prior, generator, critic and optimizers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from pushforward.costs import Cost
from pushforward.data.spec import DataSpec
from pushforward.discrepancies import Discrepancy, Energy
from pushforward.distributions import Prior
from pushforward.models import GAN, Model
from pushforward.networks.architectures import GAN_NETWORKS
from pushforward.recipes.build import finish, optimizer
from pushforward.recipes.parts import make_prior, networks_for
from pushforward.recipes.presets import Values
from pushforward.recipes.recipe import OwnParts, Setup
from pushforward.recipes.settings import GANSettings
from pushforward.training.player_state import Optimizing


@dataclass(frozen=True)
class GANParts:
    """What models in data space are made of.

    Attributes:
        prior: The distribution that is pushed forward.
        decoder: The generator.
        make_critic: Makes a critic with so many outputs.
        make_decoder: Makes a network from so many inputs back to data, normalised as the critic is.
    """

    prior: Prior
    decoder: nn.Module
    make_critic: Callable[[int], nn.Sequential]
    make_decoder: Callable[[int], nn.Sequential]


def quick(spec: DataSpec, **changes: Any) -> Values:
    """Values for a run of minutes on two cores: Adam with little momentum, and rates that fall."""
    images = spec.modality == "image"
    values = dict(
        latent_dim=64 if images else max(2, min(16, spec.n_values)), network="conv" if images else "mlp",
        batch_size=min(64 if images else 256, max(2, spec.n_train // 4)), lr=1e-3,
        critic_lr=5e-4 if images else 1e-3, schedule="cosine", n_critic=1, fixed_steps=True,
    ) | changes  # fmt: skip
    steps = 6000 if images else 10_000
    return values | {"epochs": steps * values["n_critic"] * values["batch_size"] / spec.n_train}


def published(**changes: Any) -> Values:
    """Values as DCGAN prints them; other papers take most over, epochs too where theirs are not known."""
    return dict(
        latent_dim=100, prior="uniform", network="dcgan", batch_size=128, lr=2e-4, critic_lr=2e-4,
        schedule="constant", epochs=25, init_std=0.02,
    ) | changes  # fmt: skip


def initialise(net: nn.Module, std: float) -> nn.Module:
    """Weights N(0, std²) and gains N(1, std²), as in DCGAN; biases 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, std=std)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(module.weight, 1.0, std)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    return net


def gan_parts(
    settings: GANSettings, spec: DataSpec, own: OwnParts, norm: str | None, prior: Prior | None = None
) -> GANParts:
    """Prior, generator and critic as the settings describe them, with the user's own in their place.

    Arguments:
        settings: The settings.
        spec: Describes the data.
        own: Parts of the user's own.
        norm: The critic's normalisation.
        prior: In the place of the prior of the settings.
    """
    prior = prior or make_prior(settings, own)
    networks = networks_for(settings, GAN_NETWORKS, spec)
    decoder = own.decoder
    if decoder is None:
        decoder = networks.generator(prior.latent_dim, spec.shape, "batch")
        if settings.init_std:
            initialise(decoder, settings.init_std)
        if spec.in_unit_interval:
            decoder = nn.Sequential(*decoder, nn.Sigmoid())

    def make_critic(outputs: int) -> nn.Sequential:
        net = networks.critic(spec.shape, outputs, norm)
        if settings.init_std:
            initialise(net, settings.init_std)
        return net

    return GANParts(prior, decoder, make_critic, lambda inputs: networks.generator(inputs, spec.shape, norm))


def autoencoding_critic(parts: GANParts, bottleneck_dim: int, cost: Cost, mean: bool = False) -> Energy:
    """A critic that is an auto-encoder with a code of so many numbers."""
    return Energy(parts.make_critic(bottleneck_dim), parts.make_decoder(bottleneck_dim), cost, mean)


def norm_of(spec: DataSpec, kind: str = "batch") -> str | None:
    """The normalisation of a critic without any other constraint: on images it would win."""
    return kind if spec.modality == "image" else None


def gan_optimizers(settings: GANSettings) -> dict[str, Optimizing]:
    """The optimizer of every player."""

    def of(lr: float) -> Optimizing:
        return optimizer(settings.optimizer, lr, settings.beta1, settings.beta2)

    return {"model": of(settings.lr), "critic": of(settings.critic_lr), "prior": of(settings.lr)}


def finish_gan(model: Model, spec: DataSpec, settings: GANSettings, words: str) -> Setup:
    """The setup of a model that compares samples with data; ``words`` say by what."""
    updates = (
        f"; {settings.n_critic} updates of the critic for each of the model" if settings.n_critic > 1 else ""
    )
    description = f"no weight: samples are compared with data of {spec.n_values} values by {words}{updates}"
    return finish(model, spec, settings, description, gan_optimizers(settings))


def adversarial(
    spec: DataSpec,
    settings: GANSettings,
    own: OwnParts,
    norm: str | None,
    make: Callable[[nn.Module], Discrepancy],
    words: str,
) -> Setup:
    """A GAN whose critic makes one number of a row; ``make`` makes the discrepancy of it."""
    parts = gan_parts(settings, spec, own, norm)
    discrepancy = own.discrepancy or make(own.critic or parts.make_critic(1))
    model = GAN(parts.prior, parts.decoder, discrepancy)
    return finish_gan(model, spec, settings, own.discrepancy_name(words))
