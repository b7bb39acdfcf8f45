"""Tables of codes and factors: checks, splits, and rows that share a factor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import ConfigError, DataError, check_int
from pushforward.rng import Noise

INACTIVE_STD = 0.05  # a standard deviation below which a dimension holds nothing, where the prior's is 1
BLOCK = 64  # batches, or points of a classifier, that are drawn together


@dataclass(frozen=True)
class Groups:
    """Rows by their value of one factor: those of a value side by side, where each one's value begins
    in ``rows``, and how many rows have it. Rows whose value no other has are left out."""

    rows: Tensor
    start: Tensor
    size: Tensor

    @classmethod
    def of(cls, values: Tensor, rows: Tensor, k: int = 0) -> Groups:
        """The groups of some rows, by the values (N,) of factor k."""
        order = rows[values[rows].argsort(stable=True)]
        size = values[order].unique_consecutive(return_counts=True)[1]
        order, size = order[size.repeat_interleave(size) > 1], size[size > 1]
        if not len(order):
            raise DataError(
                f"factor {k} must have a value that rows share; all {len(rows)} rows differ in it"
            )
        return cls(order, (size.cumsum(0) - size).repeat_interleave(size), size.repeat_interleave(size))

    def pairs(self, points: int, count: int, noise: Noise) -> tuple[Tensor, Tensor]:
        """Pairs of distinct rows with one value, another for each pair: two of shape (points, count)."""
        first = below(len(self.rows), noise("first").uniform(points, count))
        start, size = self.start[first], self.size[first]
        away = 1 + below(size - 1, noise("second").uniform(points, count))
        return self.rows[first], self.rows[start + (first - start + away) % size]

    def batches(self, points: int, count: int, noise: Noise) -> Tensor:
        """Rows with one value, another for each batch: shape (points, count)."""
        one = below(len(self.rows), noise("value").uniform(points, 1))
        return self.rows[self.start[one] + below(self.size[one], noise("rows").uniform(points, count))]


def below(limit: Tensor | int, uniform: Tensor) -> Tensor:
    """Integers from 0 to ``limit`` - 1, from uniform numbers in [0, 1)."""
    return (uniform.double() * limit).long()


def checked_table(codes: Tensor, factors: Tensor, least: int = 1) -> tuple[Tensor, Tensor]:
    """Codes (N, L) in float64 and factors (N, K) numbered from 0 in int64.

    Raises:
        DataError: If shapes do not fit, there are fewer than 4 rows or ``least`` factors, a code is not
            finite, or a factor is not of whole numbers or has a single value.
    """
    shapes = f"{tuple(codes.shape)} and {tuple(factors.shape)}"
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors) or not codes.shape[1]:
        raise DataError(f"codes and factors must have shapes (N, L) and (N, K), got {shapes}")
    if factors.shape[1] < least or len(codes) < 4:
        raise DataError(f"a table must have at least 4 rows and {least} factors, got {shapes}")
    if factors.is_floating_point() or factors.is_complex():
        raise DataError(f"factors must be whole numbers, got {factors.dtype}")
    z, v = codes.detach().double().cpu(), factors.long().cpu()
    if not z.isfinite().all():
        raise DataError("codes must be finite; some are not")
    for k, values in enumerate(v.T):
        if (values == values[0]).all():
            raise DataError(f"factor {k} must have at least 2 values, got {values[0]} in all {len(v)} rows")
    return z, torch.stack([numbered(values) for values in v.T], 1)


def numbered(values: Tensor) -> Tensor:
    """Values (N,) by the order in which they appear, so that their names cannot matter."""
    names, places = values.unique(return_inverse=True)
    first = torch.full_like(names, len(values)).scatter_reduce(0, places, torch.arange(len(values)), "amin")
    return first.argsort().argsort()[places]


def changing(z: Tensor) -> Tensor:
    """Which dimensions of codes (N, L) take more than one value, shape (L,)."""
    return z.amax(0) > z.amin(0)  # the deviation of a constant may be off 0 by rounding


def active_dimensions(z: Tensor, inactive_std: float) -> Tensor:
    """Which dimensions change, and by a standard deviation of at least ``inactive_std``."""
    if not (math.isfinite(inactive_std) and inactive_std >= 0):
        raise ConfigError(f"inactive_std must be at least 0 and finite, got {inactive_std}")
    return changing(z) & (z.std(0) >= inactive_std)


def standardised(z: Tensor) -> Tensor:
    """Dimensions that change, at mean 0 and deviation 1; one of zeros if there is none."""
    if not changing(z).any():
        return torch.zeros_like(z[:, :1])
    z = z[:, changing(z)]
    return (z - z.mean(0)) / z.std(0)


def split_rows(v: Tensor, train: int, evaluate: int, noise: Noise) -> tuple[Tensor, Tensor]:
    """Indices of rows that fit and of rows that evaluate, at random, in the proportion of the two numbers.

    Raises:
        ConfigError: If a number is below 1.
        DataError: If a factor has a single value in the rows that fit.
    """
    train, evaluate = check_int("train", train, least=1), check_int("evaluate", evaluate, least=1)
    kept = noise("rows").permutation(len(v))[: train + evaluate]
    cut = min(max(len(kept) * train // (train + evaluate), 2), len(kept) - 2)
    for k, values in enumerate(v[kept[:cut]].T):
        if (values == values[0]).all():
            raise DataError(f"factor {k} must have at least 2 values in the {cut} rows that fit, got 1")
    return kept[:cut], kept[cut:]


__all__ = [
    "BLOCK",
    "INACTIVE_STD",
    "Groups",
    "active_dimensions",
    "below",
    "changing",
    "checked_table",
    "numbered",
    "split_rows",
    "standardised",
]
