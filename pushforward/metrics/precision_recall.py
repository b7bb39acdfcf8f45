r"""Fidelity and diversity apart: precision and recall of a sample of features against another.

Two families. The one (:func:`prdc`) takes the union of balls around rows for a sample's support; the
other (:func:`prd`) compares histograms over common clusters, and so sees frequencies as well.

References:
    | Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi et al., 2019)
    | https://arxiv.org/abs/1904.06991
    | Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020)
    | https://arxiv.org/abs/2002.09797
    | Assessing Generative Models via Precision and Recall (Sajjadi et al., 2018)
    | https://arxiv.org/abs/1806.00035
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.discrepancies.kernel import squared_distances
from pushforward.errors import DataError, check_int
from pushforward.metrics.arrays import takes_arrays
from pushforward.metrics.two_sample import pair
from pushforward.parts import map_parts
from pushforward.rng import Noise

CELLS = 2**22  # numbers of a block of distances: 16 MB of float32
WEIGHT = 8.0  # of recall against precision in F_8
ROUNDING = 16  # times the machine's epsilon: what distances by one matrix product are accurate to


@dataclass(frozen=True)
class Prdc:
    """Precision and recall by k-nearest-neighbour balls.

    Attributes:
        precision: The share of made rows inside a ball of a given row, in [0, 1].
        recall: The share of given rows inside a ball of a made row, in [0, 1].
        density: How many balls of given rows a made row is in, over the number of given rows in each (k,
            without ties); at least 0, on average 1 if the distributions are equal. An outlier's ball adds
            1/k where it makes precision 1. With thousands of features few central rows are in most balls,
            and it scatters by tenths.
        coverage: The share of given rows with a made row in their own ball, in [0, 1]. Outliers among the
            made rows, whose balls raise recall, do nothing to it.
        k: Which neighbour is the radius.
        rows: How many made and given rows there were. Figures of other numbers do not compare.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    k: int
    rows: tuple[int, int]


@torch.no_grad()
@takes_arrays
def prdc(made: Tensor, given: Tensor, k: int = 5, progress: Callable[[int, int], None] | None = None) -> Prdc:
    r"""Precision, recall, density and coverage of made (N, D) against given (M, D) features.

    With :math:`B(x)` the *open* ball around x that ends at its k-th neighbour in its own sample, and
    :math:`b_i` the number of given rows in :math:`B(p_i)`, that row included,

    .. math::
        \mathrm{precision} = \frac1N \sum_j 1[q_j \in \cup_i B(p_i)], \quad
        \mathrm{recall} = \frac1M \sum_i 1[p_i \in \cup_j B(q_j)],

        \mathrm{density} = \frac1N \sum_{i,j} \frac{1[q_j \in B(p_i)]}{b_i}, \quad
        \mathrm{coverage} = \frac1M \sum_i 1[\exists j: q_j \in B(p_i)]

    For samples of one continuous distribution :math:`b_i = k`, density is 1 on average, and coverage
    :math:`1 - \binom{M-1}{k} / \binom{M+N-1}{k}`, about :math:`1 - 2^{-k}` for N = M, .969 at
    k = 5. Balls are open as in the authors' ``prdc``; torch-fidelity and Kynkäänniemi et al. take closed
    ones and k = 3. The difference is in ties, at rows copied from the other sample, and there rounding may
    close a ball: a copy's density is between 1 and 1 + 1/k.

    **Discrete data.** Where a row has k copies or more, its k-th neighbour is at distance 0, and the open
    ball of the papers holds nothing, not even the row. Here every ball holds its centre: a row that equals a
    row of the other sample is in its ball, however many copies there are, and another value is not. Such a
    ball holds more than k rows, and one that ends at several rows at the same distance fewer, so density
    divides by :math:`b_i` where the papers divide by k. Samples of one discrete distribution in which
    every value has more than k copies score 1, density on average. Closed balls would not do: with them
    density is :math:`M \sum_a w_a^2 / k` for values of probability :math:`w_a`, 100 for two values and 1,000
    rows, and values that have few copies accept their neighbours on the lattice.

    Distances are formed in blocks, in float64 if a sample is or if neighbours are as near as float32 rounds,
    and in float32 otherwise, after both samples are centred together. Rows that differ by the rounding of
    their features are equal.

    Arguments:
        made: Features of made rows.
        given: Features of given rows; take as many.
        k: Which neighbour is the radius.
        progress: Called with (rows done, rows in all).

    Raises:
        ConfigError: If ``k`` is below 1.
        DataError: If shapes do not fit, numbers are not finite, or a sample has no more than k rows.

    Example:
        >>> given = Noise(0).normal(200, 2)
        >>> prdc(given[given[:, 0] > 0], given).precision
        1.0
        >>> prdc(given + 100, given).coverage
        0.0
    """
    check_int("k", k, least=1)
    made, given = pair(made, given, least=k + 1)
    middle = torch.cat([made, given]).mean(0)
    made, given = made - middle, given - middle
    rounding = ROUNDING * torch.finfo(made.dtype).eps
    n, m = len(made), len(given)
    report = progress or (lambda done, total: None)
    balls_of_made, blurred = _balls(made, k, rounding, lambda done: report(done, n + 2 * m))
    balls_of_given, blurred_too = _balls(given, k, rounding, lambda done: report(n + done, n + 2 * m))
    if made.dtype == torch.float32 and (blurred or blurred_too):
        made, given = made.double(), given.double()
        balls_of_made, _ = _balls(made, k, rounding**2)
        balls_of_given, _ = _balls(given, k, rounding**2)
    precise = torch.zeros(n, dtype=torch.bool, device=made.device)
    recalled = covered = 0
    density = torch.zeros((), dtype=torch.float64, device=made.device)

    def block(part: slice) -> tuple[Tensor, Tensor, int, int]:
        squares = squared_distances(given[part], made)
        inside = squares < balls_of_given.squared_radius[part, None]
        counts = inside.sum(1)
        recalled = int((squares < balls_of_made.squared_radius).any(1).sum())
        report(n + m + part.stop, n + 2 * m)
        balls = (counts * (k / balls_of_given.held[part])).sum()
        return inside.any(0), balls, int((counts > 0).sum()), recalled

    for near, balls, with_one, within in map_parts(block, _blocks(m, n)):
        precise |= near.to(precise.device)
        density += balls.to(density.device)
        covered += with_one
        recalled += within
    return Prdc(
        precision=int(precise.sum()) / n,
        recall=recalled / m,
        density=density.item() / (k * n),
        coverage=covered / m,
        k=k,
        rows=(n, m),
    )


@dataclass(frozen=True, eq=False)
class _Balls:
    """The open balls around rows.

    Attributes:
        squared_radius: Their squared radii, (N,), above 0.
        held: How many rows of their own sample they hold, float64, (N,); the row itself is one.
    """

    squared_radius: Tensor
    held: Tensor


def _balls(
    x: Tensor, k: int, rounding: float, report: Callable[[int], None] = lambda done: None
) -> tuple[_Balls, bool]:
    """The ball of every row of x (N, D), and whether any is as small as the distances are accurate.

    Arguments:
        x: The rows, centred.
        k: Which neighbour is the radius.
        rounding: A squared distance up to this part of the rows' squared norm is none.
        report: Called with the rows done.
    """
    # Above 0 also for a row at the origin, so that no ball is empty.
    least = (rounding * x.square().sum(1)).clamp_min(torch.finfo(x.dtype).tiny)

    def block(part: slice) -> tuple[Tensor, Tensor, bool]:
        squares = squared_distances(x[part], x)
        squares[:, part.start :].fill_diagonal_(math.inf)  # a row is no neighbour of itself
        nearest = squares.topk(k, largest=False).values
        last = nearest.amax(1)
        radii = torch.maximum(last, least[part])
        held = 1 + (nearest < last[:, None]).sum(1).double()
        small = last < least[part]
        blurred = bool(small.any())
        if blurred:  # the ball may hold more than k rows
            near = squares[small] < radii[small, None]
            held = held.masked_scatter(small, 1 + near.sum(1).double())
        report(part.stop)
        return radii, held, blurred

    radii, held, blurred = zip(*map_parts(block, _blocks(len(x), len(x))), strict=True)
    return _Balls(torch.cat(radii).to(x.device), torch.cat(held).to(x.device)), any(blurred)


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    """Blocks of the rows of a matrix of distances, of some 16 MB each."""
    step = max(1, CELLS // columns)
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


@dataclass(frozen=True, eq=False)
class Prd:
    """Precision and recall of histograms.

    Attributes:
        precision: The largest F with weight 1/8, in [0, 1]: mostly precision.
        recall: The largest F with weight 8, in [0, 1]: mostly recall.
        curve: Pairs (precision, recall) from λ = 0 to ∞, shape (angles, 2).
    """

    precision: float
    recall: float
    curve: Tensor


@takes_arrays
def prd(
    made: Tensor,
    given: Tensor,
    clusters: int = 20,
    seed: int = 0,
    runs: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> Prd:
    r"""Precision and recall of made (N, D) and given (M, D) by how often they fall into common clusters.

    k-means of both samples together gives the histograms q, p of :func:`prd_curve`; curve and figures are
    means over ``runs`` clusterings. Equal distributions score a little below 1, by chance differences of
    counts.

    Arguments:
        made: Features of made rows.
        given: Features of given rows; take as many, or the clusters are those of the larger sample.
        clusters: How many clusters.
        seed: Where the clusterings start from.
        runs: How many clusterings.
        progress: Called with (clusterings done, clusterings in all).

    Raises:
        ConfigError: If ``clusters`` or ``runs`` is below 1.
        DataError: If shapes do not fit, numbers are not finite, or there are fewer rows than clusters.

    Example:
        >>> given = Noise(0).normal(200, 2)
        >>> found = prd(given, given)
        >>> round(found.precision, 6), round(found.recall, 6), prd(given + 100, given).recall
        (1.0, 1.0, 0.0)
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    check_int("clusters", clusters, least=1)
    check_int("runs", runs, least=1)
    made, given = pair(made, given)
    rows = torch.cat([made, given])
    if len(rows) < clusters:
        raise DataError(f"{clusters} clusters need at least as many rows, got {len(rows)}")
    x = (rows - rows.mean(0)).cpu().numpy()
    curves, figures = [], []
    for run in range(runs):
        state = Noise(seed, "prd", run).integer() % 2**32
        with warnings.catch_warnings():  # fewer distinct rows than clusters: some stay empty, which is right
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = torch.from_numpy(KMeans(clusters, n_init=1, random_state=state).fit_predict(x)).long()
        q, p = (
            part.bincount(minlength=clusters).double() / len(part)
            for part in labels.split([len(made), len(given)])
        )
        curves.append(prd_curve(q, p))
        figures.append((best_f(q, p, 1 / WEIGHT), best_f(q, p, WEIGHT)))
        if progress:
            progress(run + 1, runs)
    precision, recall = torch.tensor(figures, dtype=torch.float64).mean(0).tolist()
    return Prd(precision, recall, torch.stack(curves).mean(0))


def prd_curve(q: Tensor, p: Tensor, angles: int = 1001) -> Tensor:
    r"""Which precisions and recalls two histograms allow together.

    .. math:: \alpha(\lambda) = \sum_i \min(\lambda p_i, q_i), \quad
        \beta(\lambda) = \sum_i \min(p_i, q_i / \lambda) = \alpha(\lambda) / \lambda

    for :math:`\lambda = \tan \varphi`, at equal steps of :math:`\varphi` from 0 to :math:`\pi / 2`, both ends
    included: recall begins with the share of p where q is not 0, precision ends with that of q where p
    is not 0.

    Arguments:
        q: The made histogram (K,), with sum 1.
        p: The given histogram (K,), with sum 1.
        angles: The number of points.

    Returns:
        Pairs (α, β), shape (angles, 2), float64.

    Raises:
        ConfigError: If ``angles`` is below 2.
        DataError: If the histograms differ in shape, or are none.

    References:
        | Assessing Generative Models via Precision and Recall (Sajjadi et al., 2018), section 3
        | https://arxiv.org/abs/1806.00035

    Example:
        >>> prd_curve(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5]), angles=3)
        tensor([[0.0000, 0.5000], [0.5000, 0.5000], [1.0000, 0.0000]], dtype=torch.float64)
    """
    q, p = _histograms(q, p)
    angle = torch.linspace(0, math.pi / 2, check_int("angles", angles, least=2), dtype=torch.float64)[
        1:-1, None
    ]
    sine, cosine = angle.sin(), angle.cos()
    common = torch.minimum(sine * p, cosine * q).sum(1, keepdim=True)
    inner = torch.cat([common / cosine, common / sine], dim=1)  # no λ, which has no end
    first, last = [0.0, p[q > 0].sum().item()], [q[p > 0].sum().item(), 0.0]
    return torch.cat([inner.new_tensor([first]), inner, inner.new_tensor([last])]).clamp_max(1)


def best_f(q: Tensor, p: Tensor, weight: float) -> float:
    r"""The largest :math:`F_b = (1 + b^2) \alpha \beta / (b^2 \alpha + \beta)` on the curve, exactly.

    With :math:`\beta = \alpha / \lambda` it is :math:`(1 + b^2) \alpha(\lambda) / (b^2 \lambda + 1)`. Between
    two of the ratios :math:`q_i / p_i`, α is linear and F therefore monotone: the largest is at a ratio.

    >>> best_f(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5]), 1.0)  # α = 1, β = 1/2
    0.666...
    """
    q, p = _histograms(q, p)
    both = (q > 0) & (p > 0)
    ratios = (q[both] / p[both])[:, None]
    alpha = torch.minimum(ratios * p, q).sum(1)
    values = (1 + weight**2) * alpha / (weight**2 * ratios[:, 0] + 1)
    return min(1.0, max([0.0, *values.tolist()]))


def _histograms(q: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    q, p = q.double().cpu(), p.double().cpu()
    if q.ndim != 1 or q.shape != p.shape:
        raise DataError(f"histograms must have one shape (K,), got {tuple(q.shape)} and {tuple(p.shape)}")
    for name, h in (("made", q), ("given", p)):
        if not (h.isfinite().all() and (h >= 0).all() and abs(h.sum().item() - 1) < 1e-6):
            raise DataError(
                f"the {name} histogram must be at least 0 and sum to 1; its sum is {h.sum().item():g}"
            )
    return q, p


__all__ = ["Prd", "Prdc", "best_f", "prd", "prd_curve", "prdc"]
