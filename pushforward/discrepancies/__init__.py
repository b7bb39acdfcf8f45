"""How two samples are compared: ``D(q, p)``, made first, given second."""

from pushforward.discrepancies.adversarial import (
    Adversarial,
    DensityRatio,
    Hinge,
    JensenShannon,
    LeastSquares,
    LogPriorCritic,
    Wasserstein,
)
from pushforward.discrepancies.base import Blockwise, CriticDiscrepancy, Discrepancy
from pushforward.discrepancies.constraints import Clipping, Constraint, GradientPenalty, spectral
from pushforward.discrepancies.deep_kernel import DeepKernelMMD, SquareRoot
from pushforward.discrepancies.energy import BEGANEnergy, EBGANEnergy, Energy, pulling_away
from pushforward.discrepancies.f_divergences import FDivergence
from pushforward.discrepancies.kernel import IMQ, MMD, GaussianKernel, Kernel, Polynomial, Radial

__all__ = [
    "IMQ",
    "MMD",
    "Adversarial",
    "BEGANEnergy",
    "Blockwise",
    "Clipping",
    "Constraint",
    "CriticDiscrepancy",
    "DeepKernelMMD",
    "DensityRatio",
    "Discrepancy",
    "EBGANEnergy",
    "Energy",
    "FDivergence",
    "GaussianKernel",
    "GradientPenalty",
    "Hinge",
    "JensenShannon",
    "Kernel",
    "LeastSquares",
    "LogPriorCritic",
    "Polynomial",
    "Radial",
    "SquareRoot",
    "Wasserstein",
    "pulling_away",
    "spectral",
]
