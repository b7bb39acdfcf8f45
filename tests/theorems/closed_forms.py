"""What the papers say, in numbers: closed forms and quadrature, without a line of the library."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch import Tensor

SEVEN = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def integral(f: Callable[[float], float], low: float = -40.0, high: float = 40.0, **more: object) -> float:
    return quad(f, low, high, epsabs=1e-12, epsrel=1e-12, limit=500, **more)[0]


# ------------------------------------------------------------------- N(0, 1) against N(shift, 1)

# shift: KL, chi², squared Hellinger, JS, -log 4 + 2 JS, triangular, total variation, W1 = W2
TABLE = {
    0.5: (0.1250, 0.2840, 0.061534, 0.030311, -1.325672, 0.117892, 0.197413, 0.5),
    1.0: (0.5000, 1.7183, 0.235006, 0.111421, -1.163451, 0.408109, 0.382925, 1.0),
    2.0: (2.0000, 53.5982, 0.786939, 0.336831, -0.712633, 1.100801, 0.682689, 2.0),
    4.0: (8.0000, 8.886e6, 1.729329, 0.632720, -0.120854, 1.862805, 0.954500, 4.0),
}


def kl(shift: float) -> float:
    """KL(N(0, 1) || N(shift, 1)), and the other way round."""
    return shift**2 / 2


def chi_squared(shift: float) -> float:
    return math.expm1(shift**2)


def squared_hellinger(shift: float) -> float:
    return -2 * math.expm1(-(shift**2) / 8)


def total_variation(shift: float) -> float:
    return 2 * norm.cdf(shift / 2) - 1


def wasserstein(shift: float) -> float:
    return abs(shift)


def jensen_shannon(shift: float) -> float:
    """No closed form is known: the divergences from the mixture of both, by quadrature."""

    def halves(x: float) -> float:
        p, q = norm.pdf(x), norm.pdf(x - shift)
        return sum(0.5 * a * math.log(2 * a / (p + q)) for a in (p, q) if a > 0)

    return integral(halves, points=[0, shift])


def log_ratio(x: Tensor, shift: float) -> Tensor:
    """log p/q of p = N(0, 1) and q = N(shift, 1): the best logit."""
    return -shift * x + shift**2 / 2


def quantiles(n: int) -> Tensor:
    """n equally weighted points of N(0, 1): a plain mean over them is a quadrature rule."""
    return torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)


# --------------------------------------------------------------------------- expected kernels


def gaussian_kernel(d: int, h: float, distance2: float, variance: float) -> float:
    """E exp(-r²/2h²) for x - y ~ N(m, variance I_d), |m|² = distance2."""
    return (h**2 / (h**2 + variance)) ** (d / 2) * math.exp(-distance2 / (2 * (h**2 + variance)))


def imq_kernel(d: int, C: float, distance2: float, variance: float) -> float:
    """E C/(C + r²) for x - y ~ N(m, variance I_d): C/(C + r²) is a mixture of Gaussian kernels."""

    def mixed(t: float) -> float:
        stretch = 1 + 2 * t * variance / C
        return math.exp(-t - (d / 2) * math.log(stretch) - t * distance2 / (C * stretch))

    return quad(mixed, 0, math.inf, epsabs=1e-13, epsrel=1e-11, limit=500)[0]


def seven_imq(d: int, distance2: float, variance: float) -> float:
    """The seven-scale kernel of the official code, base constant 2d."""
    return sum(imq_kernel(d, s * 2 * d, distance2, variance) for s in SEVEN)


# Q: variance of each coordinate, squared distance of its mean from 0 (times d), {d: MMD² to N(0, I_d)}
DISTRIBUTIONS = {
    "point mass at 0": (0.0, 0.0, {2: 1.583953, 8: 1.833780, 64: 1.925386}),
    "N(0, I/4)": (0.25, 0.0, {2: 0.361941, 8: 0.427091, 64: 0.446771}),
    "N(0, 2I)": (2.0, 0.0, {2: 0.119325, 8: 0.134787, 64: 0.138292}),
    "N((1, ..., 1), I)": (1.0, 1.0, {2: 0.909077, 8: 0.934233, 64: 0.921830}),
}


def mmd_squared(expected: Callable[[float, float], float], variance: float, distance2: float) -> float:
    """MMD² of N(m, variance I) to N(0, I) from the expected kernel of (distance², variance)."""
    return expected(0, 2 * variance) - 2 * expected(distance2, 1 + variance) + expected(0, 2)


def centred_square(kernel: Callable[[Tensor], Tensor], d: int, draws: int = 1500) -> float:
    """E k̃² for P = N(0, I_d), by one large sample and U-statistics of order 2, 3 and 4."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(draws, d, generator=generator, dtype=torch.float64)
    k = kernel(torch.cdist(x, x).square()).fill_diagonal_(0)
    pairs, rows = draws * (draws - 1), k.sum(1)
    squares, paths, total = k.square().sum(), rows.square().sum(), rows.sum()
    triple = (paths - squares) / (pairs * (draws - 2))
    quadruple = (total**2 - 4 * paths + 2 * squares) / (pairs * (draws - 2) * (draws - 3))
    return float(squares / pairs - 2 * triple + quadruple)


def null_deviation(centred: float, n: int) -> float:
    """Deviation of the U-statistic when P = Q: with the kernel centred, all pairs are uncorrelated."""
    return math.sqrt((4 / (n * (n - 1)) + 4 / n**2) * centred)


# ------------------------------------------------------------------------- Gaussian transport


def root(S: Tensor) -> Tensor:
    """The symmetric square root."""
    values, vectors = torch.linalg.eigh(S)
    return vectors @ values.clamp_min(0).sqrt().diag() @ vectors.T


def bures(S: Tensor, T: Tensor) -> float:
    """W2² of N(0, S) and N(0, T)."""
    half = root(S)
    return float(torch.trace(S + T - 2 * root(half @ T @ half)))


def gaussian_kl(variance: float) -> float:
    """KL(N(0, variance) || N(0, 1))."""
    return 0.5 * (variance - 1 - math.log(variance))


def whitened(n: int, d: int) -> Tensor:
    """n rows of mean exactly 0 and covariance exactly I.

    The mean of a quadratic function over them *is* its expectation under N(0, I).
    """
    rows = torch.randn(n, d, dtype=torch.float64)
    rows = rows - rows.mean(0)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(rows.T @ rows / n), rows.T, upper=False).T
