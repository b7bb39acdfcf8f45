"""Priors and encoders: modules whose call returns a distribution.

A deterministic encoder returns a :class:`Dirac`, so that every model can write ``q.rsample``
without asking which kind of encoder it has. All noise comes in from outside
(:class:`~pushforward.rng.Noise`); nothing here draws from a global generator.
"""

from pushforward.distributions.base import Dirac, Distribution, Gaussian, Implicit, Uniform, moments
from pushforward.distributions.class_priors import MixturePrior, OneHotPrior, SwissRollPrior, petals
from pushforward.distributions.encoders import (
    ConditionalEncoder,
    DeterministicEncoder,
    Encoder,
    GaussianEncoder,
    ImplicitEncoder,
    NoisyInput,
    UniformEncoder,
)
from pushforward.distributions.flow import FlowPrior
from pushforward.distributions.generator_prior import GeneratorPrior
from pushforward.distributions.priors import NormalPrior, Prior, ProductPrior, SpherePrior, UniformPrior

__all__ = [
    "ConditionalEncoder",
    "DeterministicEncoder",
    "Dirac",
    "Distribution",
    "Encoder",
    "FlowPrior",
    "Gaussian",
    "GaussianEncoder",
    "GeneratorPrior",
    "Implicit",
    "ImplicitEncoder",
    "MixturePrior",
    "NoisyInput",
    "NormalPrior",
    "OneHotPrior",
    "Prior",
    "ProductPrior",
    "SpherePrior",
    "SwissRollPrior",
    "Uniform",
    "UniformEncoder",
    "UniformPrior",
    "moments",
    "petals",
]
