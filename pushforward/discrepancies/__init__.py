"""How two samples are compared: ``D(q, p)``, made first, given second."""

from pushforward.discrepancies.adversarial import Adversarial, DensityRatio, JensenShannon, PriorDensity
from pushforward.discrepancies.base import Blocks, Discrepancy
from pushforward.discrepancies.kernel import IMQ, MMD, GaussianKernel, Kernel, Polynomial, Radial

__all__ = [
    "IMQ",
    "MMD",
    "Adversarial",
    "Blocks",
    "DensityRatio",
    "Discrepancy",
    "GaussianKernel",
    "JensenShannon",
    "Kernel",
    "Polynomial",
    "PriorDensity",
    "Radial",
]
