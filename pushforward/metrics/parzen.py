r"""The Parzen window: the log-likelihood of test rows under samples blurred by a Gaussian.

.. math:: \log \hat p(x) = \log \frac1N \sum_{i=1}^N \exp\left(-\frac{\|x - s_i\|^2}{2 \sigma^2}\right)
    - D \log (\sigma \sqrt{2\pi})

It is here because papers of 2014 to 2016 print it. **Never rank models by it**: in many dimensions it
is far from the likelihood however many samples there are, it prefers blurred samples to those
of the data's own distribution, and a handful of k-means centroids beats the data themselves.
:func:`parzen_with_baselines` prints that embarrassment beside every score.

References:
    | Generative Adversarial Nets (Goodfellow et al., 2014), section 5
    | https://arxiv.org/abs/1406.2661
    | A Note on the Evaluation of Generative Models (Theis et al., 2016), section 3.2 and table 1
    | https://arxiv.org/abs/1511.01844
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.discrepancies.kernel import squared_distances
from pushforward.errors import ConfigError, DataError, check_int
from pushforward.metrics.arrays import takes_arrays
from pushforward.parts import map_parts
from pushforward.rng import Noise

WIDTHS = tuple(10 ** (i / 9 - 1) for i in range(10))  # those of the first papers, for pixels in [0, 1]
BLOCK = 1024  # rows and samples whose distances are held at once


@dataclass(frozen=True)
class Parzen:
    """A Parzen score. Never rank models by it.

    Attributes:
        mean: The mean log-likelihood of a test row, in nats.
        error: Its standard error over test rows, at these samples and this width; with one row not a number.
        width: The width σ, in units of the data: the best of ``tried`` on the validation rows.
        samples: How many samples that was; the score rises with it.
        tried: The widths of the search.
    """

    mean: float
    error: float
    width: float
    samples: int
    tried: tuple[float, ...]

    @property
    def at_edge(self) -> bool:
        """Whether the best width is the first or last one tried, so that a better one may lie outside."""
        return self.width in (min(self.tried), max(self.tried))


@takes_arrays
def parzen(
    samples: Tensor,
    validation: Tensor,
    test: Tensor,
    widths: Sequence[float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Parzen:
    """The Parzen score of samples, at the width that is best on validation rows.

    Never rank models by it (Theis et al., 2016): see :func:`parzen_with_baselines`.

    Arguments:
        samples: Shape (N, \\*), 10,000 of them by convention.
        validation: Shape (M, \\*), 1000 rows by convention; neither training nor test rows.
        test: Shape (K, \\*).
        widths: The σ to try; ten from 0.1 to 1, evenly in the logarithm, if not given. They suit
            pixels in [0, 1]; twice as wide for [-1, 1].
        progress: Called with the rows done and all rows to do.

    Raises:
        ConfigError: If a width is not above 0, or none is given.
        DataError: If rows differ in features, are not finite, or there are none.

    Example:
        >>> one = parzen(torch.zeros(1, 2), torch.ones(5, 2), torch.ones(1, 2), widths=[0.5, 1.0, 2.0])
        >>> one.width, round(one.mean, 4)  # E|x|² / D = 1; -|x|²/2 - log 2π
        (1.0, -2.8379)
    """
    tried = WIDTHS if widths is None else tuple(float(width) for width in widths)
    samples, validation, test = _flat(samples=samples, validation=validation, test=test)
    total = len(validation) + len(test)

    def scores(rows: Tensor, widths: Sequence[float], before: int) -> Tensor:
        return log_densities(
            samples, rows, widths, progress and (lambda done, _: progress(before + done, total))
        )

    best = int(scores(validation, tried, 0).mean(1).argmax())
    values = scores(test, tried[best : best + 1], len(validation))[0]
    error = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Parzen(values.mean().item(), error, tried[best], len(samples), tried)


@takes_arrays
def parzen_with_baselines(
    samples: Tensor,
    train: Tensor,
    validation: Tensor,
    test: Tensor,
    seed: int = 0,
    centroids: int | None = None,
    widths: Sequence[float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Parzen]:
    """The Parzen score of samples, and of two baselines that tell how little it means.

    Never rank models by it (Theis et al., 2016): no model should score above the data's own rows,
    and many do, the centroids first. On MNIST with 10,000 of each, training rows score about 243 nats
    and centroids above 300.

    Arguments:
        samples: Shape (N, \\*).
        train: The rows the model has learnt from, shape (R, \\*).
        validation: Shape (M, \\*).
        test: Shape (K, \\*).
        seed: Which training rows are taken, and where k-means begins.
        centroids: Number of centroids; as many as samples, or training rows if those are fewer.
        widths: As in :func:`parzen`; searched for each of the three by itself.
        progress: Called with the rows done and all rows to do. K-means comes in between, and is slow.

    Returns:
        ``"samples"``; ``"training rows"``, as many of them at random as there are samples, or all
        if they are fewer; and ``"centroids"`` of mini-batch k-means on all training rows.

    Raises:
        ConfigError: If ``centroids`` is not from 1 to the number of training rows.
        DataError: As in :func:`parzen`.

    Example:
        >>> rows = Noise(0).uniform(400, 2)
        >>> scores = parzen_with_baselines(rows[:20] / 2, rows[20:200], rows[200:300], rows[300:])
        >>> [(name, score.samples) for name, score in scores.items()]
        [('samples', 20), ('training rows', 20), ('centroids', 20)]
    """
    samples, train, validation, test = _flat(samples=samples, train=train, validation=validation, test=test)
    count = min(len(samples), len(train)) if centroids is None else check_int("centroids", centroids, least=1)
    if count > len(train):
        raise ConfigError(f"centroids must be at most the number of training rows, {len(train)}, got {count}")
    noise = Noise(seed, "parzen")
    chosen = noise("rows").permutation(len(train))[: len(samples)].to(train.device)
    rivals: dict[str, Callable[[], Tensor]] = {
        "samples": lambda: samples,
        "training rows": lambda: train[chosen],
        "centroids": lambda: _centroids(train, count, noise("centroids")),
    }
    rows = len(validation) + len(test)

    def score(place: int, rival: Tensor) -> Parzen:
        part = progress and (lambda done, _: progress(place * rows + done, len(rivals) * rows))
        return parzen(rival, validation, test, widths, part)

    return {name: score(place, rival()) for place, (name, rival) in enumerate(rivals.items())}


@torch.no_grad()
def log_densities(
    samples: Tensor,
    rows: Tensor,
    widths: Sequence[float],
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """The Parzen log-density of every row at every width in nats, shape (widths, M), float64.

    Distances are of the precision of ``samples``, and only one block of them is held at a time.

    Arguments:
        samples: Shape (N, \\*).
        rows: Shape (M, \\*).
        widths: The σ, above 0.
        progress: Called with the rows done and M.
    """
    if not widths or not all(0 < width < math.inf for width in widths):
        raise ConfigError(f"widths must be above 0, got {tuple(widths)}")
    samples, rows = _flat(samples=samples, rows=rows)
    middle = samples.mean(0)  # matrix products are exact to rounding only near 0
    samples = samples - middle

    def densities_of(start: int) -> Tensor:
        block = rows[start : start + BLOCK]
        sums = torch.full((len(widths), len(block)), -math.inf, dtype=torch.float64, device=rows.device)
        for part in samples.split(BLOCK):
            squares = squared_distances(block - middle, part)
            nearest = squares.amin(1)
            squares -= nearest.unsqueeze(1)  # the largest term is 1: nothing underflows that matters
            for total, width in zip(sums, widths, strict=True):
                terms = (squares * (-0.5 / width**2)).exp_().sum(1, dtype=torch.float64)
                torch.logaddexp(total, terms.log() - nearest.double() * (0.5 / width**2), out=total)
        if progress:
            progress(start + len(block), len(rows))
        return sums

    found = torch.cat([*map_parts(densities_of, range(0, len(rows), BLOCK))], dim=1).to(rows.device)
    densities = found - math.log(len(samples))
    for density, width in zip(densities, widths, strict=True):
        density -= samples.shape[1] * (math.log(width) + 0.5 * math.log(2 * math.pi))
    return densities


def _centroids(rows: Tensor, count: int, noise: Noise) -> Tensor:
    """Centroids (count, D) of rows (N, D)."""
    from sklearn.cluster import MiniBatchKMeans

    means = MiniBatchKMeans(
        count,
        init="random",  # k-means++ takes as long as everything else at ten thousand centroids
        n_init=1,
        max_iter=10,
        batch_size=4096,
        reassignment_ratio=0,  # or small clusters are thrown back onto single rows
        random_state=noise.integer() % 2**32,
    ).fit(rows.cpu().numpy())
    return torch.from_numpy(means.cluster_centers_).to(rows)


def _flat(**named: Tensor) -> tuple[Tensor, ...]:
    """Rows as matrices of one precision, checked; the first one's."""
    (first, *_) = named.values()
    dtype = first.dtype if first.dtype == torch.float64 else torch.float32
    flat = []
    for name, rows in named.items():
        if rows.ndim < 2 or not rows.numel():
            raise DataError(f"{name} must have shape (N, *) with N of at least 1, got {tuple(rows.shape)}")
        if rows.shape[1:] != first.shape[1:]:
            shapes = f"{tuple(first.shape[1:])} and {tuple(rows.shape[1:])}"
            raise DataError(f"{next(iter(named))} and {name} must be rows of one shape, got {shapes}")
        if not rows.isfinite().all():
            raise DataError(f"{name} must be finite; some numbers are not")
        flat.append(rows.flatten(1).to(first.device, dtype))
    return tuple(flat)


__all__ = ["Parzen", "log_densities", "parzen", "parzen_with_baselines"]
