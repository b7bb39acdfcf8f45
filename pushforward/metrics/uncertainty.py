"""A figure and how far it may be off: standard errors by the jackknife, intervals over runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from pushforward.errors import ConfigError


class Estimate(NamedTuple):
    """A value and its standard error, in the same unit."""

    value: float
    error: float


def mean_of(rows: Tensor) -> Estimate:
    """The mean of values (N,) of independent rows and its standard error, s / √N.

    >>> import torch
    >>> mean_of(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    Estimate(value=3.0, error=1.0801...)
    """
    return Estimate(rows.mean().item(), (rows.std() / len(rows) ** 0.5).item())


def jackknife(parts: int, value: Callable[[int | None], float]) -> Estimate:
    r"""A statistic of blocks of rows, and its standard error from leaving each block out.

    .. math:: \mathrm{se}^2 = \frac{m - 1}{m} \sum_{i=1}^m (\theta_{-i} - \bar\theta)^2

    Arguments:
        parts: The number m of blocks, all of about one size; at least 2.
        value: The statistic without the block of this number; without any left out for None.

    References:
        | The Jackknife Estimate of Variance (Efron & Stein, 1981), equation 1.3
        | https://doi.org/10.1214/aos/1176345462

    Example:
        >>> blocks = [1.0, 2.0, 3.0, 6.0]  # of the mean it is the usual standard error, s / √m
        >>> def mean(left):
        ...     kept = [block for number, block in enumerate(blocks) if number != left]
        ...     return sum(kept) / len(kept)
        >>> jackknife(4, mean)
        Estimate(value=3.0, error=1.0801...)
    """
    if parts < 2:
        raise ConfigError(f"a standard error needs at least 2 blocks of rows, got {parts}")
    without = [value(left) for left in range(parts)]
    middle = math.fsum(without) / parts
    spread = math.fsum((one - middle) ** 2 for one in without)
    return Estimate(value(None), math.sqrt((parts - 1) / parts * spread))


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    r"""The mean over independent runs and the half-width of its interval, by Student's t.

    With a single value the half-width is not a number.

    >>> mean_interval([1.0, 2.0, 3.0])  # t = 4.303 at two degrees of freedom, s/√3 = 0.577
    (2.0, 2.484...)
    """
    from scipy.stats import t

    n = len(values)
    middle = math.fsum(values) / n
    if n < 2:
        return middle, math.nan
    deviation = math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (n - 1))
    return middle, float(t.ppf((1 + level) / 2, n - 1)) * deviation / math.sqrt(n)


__all__ = ["Estimate", "jackknife", "mean_interval", "mean_of"]
