"""How two samples are compared: ``D(q, p)``, made first, given second."""

from pushforward.discrepancies.adversarial import (
    Adversarial,
    DensityRatio,
    Hinge,
    JensenShannon,
    LeastSquares,
    PriorDensity,
    Wasserstein,
)
from pushforward.discrepancies.base import Blocks, Discrepancy, Game
from pushforward.discrepancies.constraints import Clipping, Constraint, GradientPenalty, spectral
from pushforward.discrepancies.deep_kernel import LearntMMD, Root
from pushforward.discrepancies.energy import Energy, EnergyMargin, Equilibrium, pulling_away
from pushforward.discrepancies.f_divergences import FDivergence
from pushforward.discrepancies.kernel import IMQ, MMD, GaussianKernel, Kernel, Polynomial, Radial

__all__ = [
    "IMQ",
    "MMD",
    "Adversarial",
    "Blocks",
    "Clipping",
    "Constraint",
    "DensityRatio",
    "Discrepancy",
    "Energy",
    "EnergyMargin",
    "Equilibrium",
    "FDivergence",
    "Game",
    "GaussianKernel",
    "GradientPenalty",
    "Hinge",
    "JensenShannon",
    "Kernel",
    "LearntMMD",
    "LeastSquares",
    "Polynomial",
    "PriorDensity",
    "Radial",
    "Root",
    "Wasserstein",
    "pulling_away",
    "spectral",
]
