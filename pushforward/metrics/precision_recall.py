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
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.discrepancies.kernel import squared_distances
from pushforward.errors import DataError, check_int
from pushforward.metrics.two_sample import pair
from pushforward.rng import Noise

CELLS = 2**22  # numbers of a block of distances: 16 MB of float32
WEIGHT = 8.0  # of recall against precision in F_8


@dataclass(frozen=True)
class Prdc:
    """Precision and recall by k-nearest-neighbour balls.

    Attributes:
        precision: The share of made rows inside a ball of a given row, in [0, 1].
        recall: The share of given rows inside a ball of a made row, in [0, 1].
        density: How many balls of given rows a made row is in, divided by k; at least 0, on average 1
            if the distributions are equal. An outlier's ball adds 1/k where it makes precision 1. With
            thousands of features few central rows are in most balls, and it scatters by tenths.
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
def prdc(made: Tensor, given: Tensor, k: int = 5, progress: Callable[[int, int], None] | None = None) -> Prdc:
    r"""Precision, recall, density and coverage of made (N, D) against given (M, D) features.

    With :math:`B(x)` the *open* ball around x that ends at its k-th neighbour in its own sample,

    .. math::
        \mathrm{precision} = \frac1N \sum_j 1[q_j \in \cup_i B(p_i)], \quad
        \mathrm{recall} = \frac1M \sum_i 1[p_i \in \cup_j B(q_j)],

        \mathrm{density} = \frac{1}{kN} \sum_{i,j} 1[q_j \in B(p_i)], \quad
        \mathrm{coverage} = \frac1M \sum_i 1[\exists j: q_j \in B(p_i)]

    For samples of one continuous distribution density is 1 on average, and coverage
    :math:`1 - \binom{M-1}{k} / \binom{M+N-1}{k}`, about :math:`1 - 2^{-k}` for N = M, .969 at
    k = 5. Balls are open as in the authors' ``prdc``; torch-fidelity and Kynkäänniemi et al. take closed
    ones and k = 3. The difference is in ties, at rows copied from the other sample, and there rounding may
    close a ball: a copy's density is between 1 and 1 + 1/k.

    Distances are formed in blocks, in float64 if a sample is and in float32 otherwise, after both samples
    are centred together.

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
    n, m = len(made), len(given)
    report = progress or (lambda done, total: None)
    radius_of_made = _radii(made, k, lambda done: report(done, n + 2 * m))
    radius_of_given = _radii(given, k, lambda done: report(n + done, n + 2 * m))
    balls = torch.zeros(n, dtype=torch.int64, device=made.device)  # of given rows, around each made row
    recalled = covered = 0
    step = max(1, CELLS // n)
    for start in range(0, m, step):
        part = slice(start, start + step)
        squares = squared_distances(given[part], made)
        inside = squares < radius_of_given[part, None]
        balls += inside.sum(0)
        covered += int(inside.any(1).sum())
        recalled += int((squares < radius_of_made).any(1).sum())
        report(n + m + min(start + step, m), n + 2 * m)
    return Prdc(
        precision=int((balls > 0).sum()) / n,
        recall=recalled / m,
        density=int(balls.sum()) / (k * n),
        coverage=covered / m,
        k=k,
        rows=(n, m),
    )


def _radii(x: Tensor, k: int, report: Callable[[int], None]) -> Tensor:
    """The squared distance of every row to its k-th neighbour, shape (N,)."""
    radii = x.new_empty(len(x))
    step = max(1, CELLS // len(x))
    for start in range(0, len(x), step):
        block = x[start : start + step]
        squares = squared_distances(block, x)
        squares[:, start:].fill_diagonal_(math.inf)  # a row is no neighbour of itself
        radii[start : start + step] = squares.topk(k, largest=False).values.amax(1)
        report(start + len(block))
    return radii


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
