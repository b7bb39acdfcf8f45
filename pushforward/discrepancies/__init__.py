"""Discrepancies between two samples: ``D(q, p)``, made first, given second."""

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
from pushforward.discrepancies.exact_prior import ExactPriorMMD
from pushforward.discrepancies.f_divergences import FDivergence
from pushforward.discrepancies.kernel import IMQ, GaussianKernel, Kernel, Polynomial, Radial
from pushforward.discrepancies.mmd import MMD
from pushforward.discrepancies.registry import (
    DiscrepancyContext,
    build_discrepancy,
    discrepancy_names,
    register_discrepancy,
)
from pushforward.discrepancies.sliced import SlicedWasserstein
from pushforward.utils import import_submodules

import_submodules(__name__)  # every file registers its discrepancies

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
    "DiscrepancyContext",
    "EBGANEnergy",
    "Energy",
    "ExactPriorMMD",
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
    "SlicedWasserstein",
    "SquareRoot",
    "Wasserstein",
    "build_discrepancy",
    "discrepancy_names",
    "pulling_away",
    "register_discrepancy",
    "spectral",
]
