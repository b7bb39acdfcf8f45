r"""The Fréchet distance of two samples of features: how far two Gaussians with their moments are.

.. math:: \|\mu_Q - \mu_P\|^2 + \mathrm{tr}\,(\Sigma_Q + \Sigma_P - 2 (\Sigma_Q \Sigma_P)^{1/2})

It is the squared 2-Wasserstein distance of those Gaussians. On the last pooled layer of Inception-v3
it is the FID; on other features it is another number, and is named after them.

References:
    | GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017), equation 6
    | https://arxiv.org/abs/1706.08500
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import DataError
from pushforward.metrics.arrays import takes_arrays
from pushforward.metrics.uncertainty import Estimate, jackknife
from pushforward.torch_state import in_double

MANY = 4096  # features beyond which the standard error is left out
BLOCK = 512  # rows whose moments are formed together: the leaves of every tree of moments


@dataclass(frozen=True)
class Moments:
    """What the Fréchet distance knows of a sample: number of rows, mean (D,), scatter (D, D); float64.

    The scatter is the sum of outer products of the centred rows. Sums of raw squares would lose
    all digits where the mean is large; merged like this, none are lost.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Moments:
        """The moments of rows (N, D)."""
        rows = rows.double().contiguous()  # the layout in memory changes last bits
        mean = rows.mean(0)
        rows = rows - mean
        return cls(len(rows), mean, rows.T @ rows)

    def __add__(self, other: Moments) -> Moments:
        """The moments of both samples together (Chan et al., 1979)."""
        count = self.count + other.count
        gap = other.mean - self.mean
        mean = self.mean + gap * (other.count / count)
        weight = self.count * other.count / count
        return Moments(count, mean, torch.addr(self.scatter + other.scatter, gap, gap, alpha=weight))

    def __sub__(self, part: Moments) -> Moments:
        """The moments of the rows that are left when a part is taken away."""
        count = self.count - part.count
        mean = self.mean - (part.mean - self.mean) * (part.count / count)
        gap = part.mean - mean
        weight = -count * part.count / self.count
        return Moments(count, mean, torch.addr(self.scatter - part.scatter, gap, gap, alpha=weight))

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance (D, D)."""
        if self.count < 2:
            raise DataError(f"a covariance needs at least 2 rows, got {self.count}")
        return self.scatter / (self.count - 1)


class MomentTree:
    """Moments of a stream of rows, the same to the last bit however the rows are shared out.

    Blocks of 512 rows are the leaves of a binary tree over the whole sample; two neighbours are
    merged as soon as both are there, left before right. So the result depends neither on which
    process saw which block nor on the order in which blocks arrive, and at most one node of each
    level is kept: eleven for a million rows.

    Example:
        >>> rows = torch.rand(2000, 3)
        >>> whole, one, other = MomentTree(), MomentTree(), MomentTree()
        >>> whole.add(rows)
        >>> other.add(rows[1024:], start=1024)
        >>> one.add(rows[:1024])
        >>> one.merge(other)
        >>> bool((one.total().scatter == whole.total().scatter).all())
        True
    """

    def __init__(self) -> None:
        self.nodes: dict[tuple[int, int], Moments] = {}  # (level, place in the level)

    def add(self, rows: Tensor, start: int = 0) -> None:
        """Adds rows (N, D), of which the first is number ``start`` of the sample.

        Raises:
            DataError: If the rows do not begin where a block does, a feature is not finite, or a row
                was added before.
        """
        if rows.ndim != 2 or not len(rows):
            raise DataError(f"features must have shape (N, D) with N of at least 1, got {tuple(rows.shape)}")
        if start % BLOCK:
            raise DataError(f"rows must begin at a multiple of {BLOCK}, got {start}")
        if not rows.isfinite().all():
            raise DataError("features must be finite; some are not")
        for number, block in enumerate(rows.split(BLOCK), start // BLOCK):
            self._put(0, number, Moments.of(block))

    def merge(self, other: MomentTree) -> None:
        """Adds the rows that another tree, such as that of another process, has seen.

        Raises:
            DataError: If a row was added before.
        """
        for (level, place), moments in other.nodes.items():
            self._put(level, place, moments)

    def total(self) -> Moments:
        """The moments of all rows that were added.

        Raises:
            DataError: If there are none, or rows between them are missing.
        """
        if not self.nodes:
            raise DataError("no rows were added")
        # What is left is merged from the left, large nodes first: again independent of the order.
        keys = sorted(self.nodes, key=lambda key: key[1] << key[0])
        total: Moments | None = None
        for level, place in keys:
            start = (place << level) * BLOCK
            rows = 0 if total is None else total.count
            if rows != start:
                raise DataError(f"rows are missing: those from {start} on follow {rows}")
            moments = self.nodes[level, place]
            total = moments if total is None else total + moments
        assert total is not None
        return total

    def _put(self, level: int, place: int, moments: Moments) -> None:
        if any(self._overlap(key, (level, place)) for key in self.nodes):
            raise DataError(f"rows from {(place << level) * BLOCK} on were added twice")
        neighbour = self.nodes.pop((level, place ^ 1), None)
        if neighbour is None:
            self.nodes[level, place] = moments
        else:
            left, right = (neighbour, moments) if place & 1 else (moments, neighbour)
            self._put(level + 1, place >> 1, left + right)

    @staticmethod
    def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
        """Whether one node stands below, above or at the other."""
        low, high = sorted((one, other))
        return low[1] >> (high[0] - low[0]) == high[1]


@takes_arrays
def moments(rows: Tensor | Iterable[Tensor]) -> Moments:
    """The moments of features (N, D), in one pass; an iterable gives them in parts of any size.

    >>> moments(torch.tensor([[0.0], [2.0]])).covariance
    tensor([[2.]], dtype=torch.float64)
    """
    tree, start, waiting = MomentTree(), 0, torch.empty(0)
    for part in (rows,) if isinstance(rows, Tensor) else rows:
        waiting = torch.cat([waiting, part]) if len(waiting) else part
        ready = len(waiting) // BLOCK * BLOCK
        if ready:
            tree.add(waiting[:ready], start)
            start, waiting = start + ready, waiting[ready:]
    if len(waiting):
        tree.add(waiting, start)
    return tree.total()


def frechet_distance(q: Moments, p: Moments) -> float:
    """The Fréchet distance of two samples by their moments, at least 0.

    With n rows of D features it is biased upwards, by about 1/n: report n. With n of at most D
    covariances are singular; the value is right all the same, and its bias is large.

    Raises:
        DataError: If the features differ in number, or a sample has fewer than 2 rows.

    Example:
        >>> rows = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
        >>> round(frechet_distance(moments(rows), moments(3 * rows + 1)), 6)  # 2 + 2 (3 - 1)² 2/3
        7.333333
    """
    if q.mean.shape != p.mean.shape:
        raise DataError(f"made and given differ in features: {len(q.mean)} and {len(p.mean)}")
    return _distance(q, p, trace_of_root(q.covariance, p.covariance))


def _distance(q: Moments, p: Moments, trace_of_root: Tensor) -> float:
    means = (q.mean - p.mean).square().sum()
    return max(0.0, (means + q.covariance.trace() + p.covariance.trace() - 2 * trace_of_root).item())


def trace_of_root(A: Tensor, B: Tensor) -> Tensor:
    r""":math:`\mathrm{tr}\,(A B)^{1/2}` of two covariances (D, D), float64.

    With :math:`A = L L^\top` the product AB has the eigenvalues of the symmetric
    :math:`L^\top B L`: no general matrix root, nothing complex. Where one is singular, it is the sum
    of singular values of :math:`L_A^\top L_B`, which loses no digits to squares.
    """
    left, right = _factor(A), _factor(B)
    if left.shape == right.shape == A.shape:
        return torch.linalg.eigvalsh(left.T @ B @ left).clamp_min(0).sqrt().sum()
    return torch.linalg.svdvals(left.T @ right).sum()


def _factor(A: Tensor) -> Tensor:
    """L (D, rank) with L L' = A, for a positive semi-definite A."""
    tiny = len(A) * torch.finfo(A.dtype).eps
    factor, fault = torch.linalg.cholesky_ex(A)
    pivots = factor.diagonal().square()
    if fault == 0 and pivots.min() > tiny * pivots.max():
        return factor
    values, vectors = torch.linalg.eigh(A)
    kept = values > tiny * values[-1]
    return vectors[:, kept] * values[kept].sqrt()


def _factor_of_rows(rows: Tensor) -> Tensor:
    """L (D, n) with L L' the covariance of rows (n, D)."""
    rows = in_double(rows)
    return ((rows - rows.mean(0)) / math.sqrt(len(rows) - 1)).T


@takes_arrays
def frechet(made: Tensor, given: Tensor | Moments, blocks: int = 20) -> Estimate:
    """The Fréchet distance of made features (N, D) to given features (M, D) or their moments, with its error.

    The error is a jackknife over blocks of the made rows: how much it would change with other
    samples of the same size. The bias at n rows is not in it. Of more than 4096 features it is not a
    number: every block costs a root.

    Arguments:
        made: Features of made rows.
        given: Features of given rows, or their moments.
        blocks: Blocks of the jackknife, at most half of the made rows.

    Raises:
        ConfigError: If there are fewer than 4 made rows, which do not make two blocks.
        DataError: If the features differ in number, or one is not finite.
    """
    total, there = moments(made), moments(given) if isinstance(given, Tensor) else given
    features = made.shape[1]
    root: Callable[[Tensor], Tensor] | None = None
    if 2 <= len(made) <= features == len(there.mean):
        # No more rows than features are a factor of their covariance that costs nothing; roots of it would.
        if isinstance(given, Tensor) and 2 <= len(given) <= features:
            right = _factor_of_rows(given)
        else:
            right = _factor(there.covariance)

        def root(rows: Tensor) -> Tensor:
            return torch.linalg.svdvals(_factor_of_rows(rows).T @ right).sum()

    def distance(q: Moments, rows: Callable[[], Tensor]) -> float:
        return frechet_distance(q, there) if root is None else _distance(q, there, root(rows()))

    value = distance(total, lambda: made)
    if features > MANY:
        return Estimate(value, math.nan)
    parts = made.tensor_split(max(min(blocks, len(made) // 2), 1))

    def without(left: int | None) -> float:
        if left is None:
            return value
        return distance(
            total - Moments.of(parts[left]), lambda: torch.cat([*parts[:left], *parts[left + 1 :]])
        )

    return jackknife(len(parts), without)


__all__ = ["MomentTree", "Moments", "frechet", "frechet_distance", "moments", "trace_of_root"]
