r"""Optimal transport between two samples, for evaluation: values without gradients.

.. math:: W_r(Q, P) = \Big( \inf_\pi E_\pi \|q - p\|^r \Big)^{1/r}

Every function returns :math:`W_r` itself, not its power, in the unit of the data. A discrepancy to train
with is another matter: it needs gradients, and directions that change with every step.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pushforward.discrepancies.kernel import squared_distances
from pushforward.errors import ConfigError, DataError, check_int
from pushforward.metrics.arrays import takes_arrays
from pushforward.metrics.two_sample import pair
from pushforward.parts import map_parts
from pushforward.rng import Noise

MOST = 5000  # rows of an exact assignment: 200 MB and of the order of a minute
SLICED = "take fewer rows, or sliced_wasserstein"
CELLS = 2**22  # numbers of a block of projections


@takes_arrays
def wasserstein(q: Tensor, p: Tensor, power: int = 2) -> float:
    r"""The exact :math:`W_1` or :math:`W_2` of two samples.

    With D = 1 it is the distance of the quantile functions, for any N and M:
    :math:`W_r^r = \int_0^1 |F_Q^{-1}(u) - F_P^{-1}(u)|^r du`. With more, and N = M, it is the cheapest
    assignment, :math:`W_r^r = \min_\sigma \frac1N \sum_i \|q_i - p_{\sigma(i)}\|^r`, in about
    :math:`N^3` steps.

    As an estimate of the distributions' distance it is too large, by as much as :math:`N^{-1/D}`: two samples
    of one distribution are far apart in high dimension. Compare it with that of two given samples.

    Arguments:
        q: Made rows (N, D).
        p: Given rows (M, D); with D above 1, M = N of at most 5000.
        power: r, 1 or 2.

    Raises:
        ConfigError: If ``power`` is neither.
        DataError: If shapes do not fit, numbers are not finite, or D is above 1 and N differs from M or is
            above 5000.

    References:
        | Computational Optimal Transport (Peyré & Cuturi, 2019), proposition 2.1 and remark 2.30
        | https://arxiv.org/abs/1803.00567

    Example:
        >>> square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> wasserstein(square, square + torch.tensor([3.0, 4.0]))
        5.0
    """
    _check(power)
    q, p = (sample.double().cpu() for sample in pair(q, p))
    if q.shape[1] == 1:
        return _quantile_cost(q, p, power).item() ** (1 / power)
    if len(q) != len(p):
        raise DataError(f"an assignment needs samples of equal size, got {len(q)} and {len(p)}: {SLICED}")
    if len(q) > MOST:
        raise DataError(f"an assignment takes at most {MOST} rows, got {len(q)}: {SLICED}")
    from scipy.optimize import linear_sum_assignment

    middle = torch.cat([q, p]).mean(0)
    costs = squared_distances(q - middle, p - middle) ** (power / 2)
    _, order = linear_sum_assignment(costs.numpy())
    # The matrix product serves to find the assignment; its distances are exact to half the digits.
    lengths = (q - p[torch.from_numpy(order)]).norm(dim=1)
    return lengths.pow(power).mean().item() ** (1 / power)


@takes_arrays
def sliced_wasserstein(
    q: Tensor, p: Tensor, directions: int = 256, power: int = 2, noise: Noise | None = None
) -> float:
    r"""The mean over directions of the distance in one dimension, for any N and M.

    .. math:: SW_r(Q, P) = \Big( E_\theta\, W_r^r(\theta^\top Q, \theta^\top P) \Big)^{1/r}, \quad
        \theta \text{ uniform on the unit sphere}

    It is a distance of distributions, at most :math:`W_r`; of a shift by m in D dimensions,
    :math:`SW_2 = |m| / \sqrt D`. Directions are the rows of ``noise.normal(directions, D)``, normalised:
    the same seed compares all models along the same ones.

    Arguments:
        q: Made rows (N, D).
        p: Given rows (M, D).
        directions: How many directions are drawn.
        power: r, 1 or 2.
        noise: Where directions come from.

    Raises:
        ConfigError: If ``power`` is neither, or ``directions`` below 1.
        DataError: If shapes do not fit or numbers are not finite.

    References:
        | Sliced and Radon Wasserstein Barycenters of Measures (Bonneel et al., 2015)
        | https://doi.org/10.1007/s10851-014-0506-3

    Example:
        >>> made = Noise(0).normal(100, 4)
        >>> round(sliced_wasserstein(made, made + 3.0, directions=4096), 1)  # |m| = 6
        3.0
    """
    _check(power)
    check_int("directions", directions, least=1)
    q, p = (sample.double() for sample in pair(q, p))
    noise = noise or Noise(0, "sliced wasserstein")
    sphere = normalize(noise.normal(directions, q.shape[1]).to(q), dim=1)
    blocks = sphere.split(max(1, CELLS // (len(q) + len(p))))

    def cost(block: Tensor) -> Tensor:
        return _quantile_cost(q @ block.T, p @ block.T, power).sum()

    total = torch.stack([*map_parts(cost, blocks)]).sum()
    return (total.item() / directions) ** (1 / power)


def _quantile_cost(q: Tensor, p: Tensor, power: int) -> Tensor:
    """The power of the distance in each column of q (N, L) and p (M, L), shape (L,)."""
    n, m = len(q), len(p)
    # Both quantile functions are steps; in units of 1 / NM their edges are whole numbers, so none is
    # missed or met twice by rounding.
    edges = torch.cat([m * torch.arange(n + 1), n * torch.arange(m + 1)]).unique()
    left, widths = edges[:-1].to(q.device), edges.diff().to(q)
    q, p = q.sort(dim=0).values, p.sort(dim=0).values
    gaps = (q[left // m] - p[left // n]).abs()
    return widths @ gaps.pow(power) / (n * m)


def _check(power: int) -> None:
    if power not in (1, 2):
        raise ConfigError(f"power must be 1 or 2, got {power!r}")


__all__ = ["sliced_wasserstein", "wasserstein"]
