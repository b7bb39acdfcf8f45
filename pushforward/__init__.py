"""Pushforward: generative models as two distributions that shall meet."""

from pushforward.costs import KL, L1, L2, Bernoulli, GaussianLikelihood, SquaredError
from pushforward.discrepancies import IMQ, MMD, GaussianKernel, JensenShannon
from pushforward.models import VAE, WAE, AutoEncoder, AutoWeight

__version__ = "0.1.0.dev0"
__all__ = [
    "IMQ",
    "KL",
    "L1",
    "L2",
    "MMD",
    "VAE",
    "WAE",
    "AutoEncoder",
    "AutoWeight",
    "Bernoulli",
    "GaussianKernel",
    "GaussianLikelihood",
    "JensenShannon",
    "SquaredError",
]
