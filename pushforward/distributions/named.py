"""Priors and encoders by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from pushforward.distributions.class_priors import SwissRollPrior, petals
from pushforward.distributions.encoders import (
    DeterministicEncoder,
    Encoder,
    GaussianEncoder,
    ImplicitEncoder,
    UniformEncoder,
)
from pushforward.distributions.priors import NormalPrior, Prior, SpherePrior, UniformPrior
from pushforward.errors import ConfigError
from pushforward.networks import MixingHead, mlp
from pushforward.wording import option_name

IMPLICIT_NOISE = 16  # dimensions of the noise that goes through an implicit encoder
MIXED_NOISE = 2  # dimensions of the noise of each dimension of an encoder of kind "mixing"
MIXED = 8  # functions of noise that an encoder of kind "mixing" mixes


def planar(name: str, prior: Callable[[float], Prior]) -> Callable[[int, float], Prior]:
    """Makes a prior of the plane from ``latent_dim``, which must be 2, and its scale."""

    def make(latent_dim: int, prior_std: float) -> Prior:
        if latent_dim != 2:
            raise ConfigError(
                f"{option_name('prior', name)} lies in the plane: {option_name('latent_dim')} must be 2, "
                f"got {latent_dim}"
            )
        return prior(prior_std)

    return make


PRIORS: dict[str, Callable[[int, float], Prior]] = {
    "normal": NormalPrior,
    "uniform": UniformPrior,
    "sphere": SpherePrior,
    "mixture": planar("mixture", lambda std: petals(10, 1.4 * std, 0.5 * std, 0.05 * std)),
    "swiss-roll": planar("swiss-roll", lambda std: SwissRollPrior(10, 0.1 * std)),
}


def gaussian(net: nn.Module, prior: Prior) -> Encoder:
    """A Gaussian encoder; its codes cannot be kept in a box or on a sphere.

    Raises:
        ConfigError: If the prior is not normal.
    """
    if not isinstance(prior, NormalPrior):
        raise ConfigError(f"{option_name('posterior', 'gaussian')} needs {option_name('prior', 'normal')}")
    return GaussianEncoder(net)


def uniform(net: nn.Module, prior: Prior) -> Encoder:
    """An encoder of boxes, for any prior but the sphere, which a box cannot stay on.

    Raises:
        ConfigError: If the prior is the sphere.
    """
    if isinstance(prior, SpherePrior):
        raise ConfigError(
            f"{option_name('posterior', 'uniform')} cannot stay on {option_name('prior', 'sphere')}"
        )
    return UniformEncoder(net)


def implicit(net: nn.Module, prior: Prior) -> Encoder:
    """An implicit encoder whose trunk makes L numbers and whose head mixes them with noise."""
    head = mlp(prior.latent_dim + IMPLICIT_NOISE, prior.latent_dim, [64], norm=None)
    return ImplicitEncoder(net, head, IMPLICIT_NOISE, prior.to_support)


def mixing(net: nn.Module, prior: Prior) -> Encoder:
    """An implicit encoder that weighs functions of noise, dimension by dimension."""
    head = MixingHead(prior.latent_dim, MIXED_NOISE, MIXED)
    return ImplicitEncoder(net, head, prior.latent_dim * MIXED_NOISE, prior.to_support)


POSTERIORS: dict[str, tuple[int, Callable[[nn.Module, Prior], Encoder]]] = {
    # outputs of the network for each latent dimension, and the encoder around it
    "deterministic": (1, lambda net, prior: DeterministicEncoder(net, prior.to_support)),
    "gaussian": (2, gaussian),
    "uniform": (2, uniform),
    "implicit": (1, implicit),
    "mixing": (1 + MIXED, mixing),
}


__all__ = ["POSTERIORS", "PRIORS"]
