r"""Cells: how a column of any kind becomes one of n choices and a position within it.

A value is the number :math:`x = k + u`: the cell k, and :math:`0 < u < 1` the position within it. A cell is
one value (a category, a frequent number, what is missing) or an interval of numbers, whose position is the
level in the empirical quantile function of the training values there. So a uniform position gives the
training values their distribution back, whatever their tails.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
CELLS = 128  # of a column of numbers, at most
ROWS_A_CELL = 20  # training rows in a cell of numbers, on average, at least
LEAST_CELLS = 8
KNOTS = 16  # of the quantile function of an interval; up to so many values keep their own frequencies
MARGIN = 2.0**-10  # positions keep away from the ends of a cell, since float32 would round them into the next
CATEGORIES = 256  # with a cell of their own; rarer ones share one


class Cells(ABC):
    """The cells of the values of one column.

    Attributes:
        kind: Its name in a schema.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of cells."""

    @property
    def named(self) -> list[Any]:
        """The values that have names; none of numbers."""
        return []

    @abstractmethod
    def encode(self, values: NDArray[Any]) -> Numbers:
        """Cells and positions x of values (N,), NaN where a value has no cell."""

    @abstractmethod
    def decode(self, x: Numbers) -> NDArray[Any]:
        """The values (N,) at x."""

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """Plain values, from which :func:`cells_from_json` makes the same cells."""


@dataclass(frozen=True)
class NumberCells(Cells):
    """Single numbers and intervals, in the order of their medians.

    Attributes:
        values: Knots of the quantile function of each cell, in order; of a single number twice the number.
        levels: The levels of the knots, from 0 to 1.
        decimals: Decimals that values are rounded to; None for no rounding.

    >>> cells = NumberCells.of(np.array([0.0] * 6 + [1.5, 2.5, 3.5, 4.5]), most=3)
    >>> cells.decode(cells.encode(np.array([0.0, 2.5, 4.5])))
    array([0. , 2.5, 4.5])
    """

    kind = "numbers"
    values: tuple[tuple[float, ...], ...]
    levels: tuple[tuple[float, ...], ...]
    decimals: int | None

    @classmethod
    def of(cls, values: Numbers, most: int | None = None) -> NumberCells:
        """The cells of training values: single numbers where they are few or frequent, else intervals.

        Arguments:
            values: Finite numbers (N,), at least one.
            most: Number of cells, at most; by default one for 20 rows, from 8 to 128.
        """
        if most is None:
            most = max(LEAST_CELLS, min(CELLS, len(values) // ROWS_A_CELL))
        found, counts = np.unique(values, return_counts=True)
        single = np.ones(len(found), dtype=bool)
        if len(found) > most:
            single = counts * most > len(values)
            frequent = np.argsort(-counts, kind="stable")[: most // 2]
            single &= np.isin(np.arange(len(found)), frequent)
        groups = [(found[place : place + 1], counts[place : place + 1]) for place in single.nonzero()[0]]
        if not single.all():
            rest, weights = found[~single], counts[~single]
            middle = np.cumsum(weights) - weights / 2
            number = np.floor(middle * (most - len(groups)) / weights.sum()).astype(int)
            groups += [(rest[number == one], weights[number == one]) for one in np.unique(number)]
        knots = sorted(
            (_knots(*group) for group in groups), key=lambda knot: float(np.interp(0.5, knot[1], knot[0]))
        )
        return cls(tuple(knot[0] for knot in knots), tuple(knot[1] for knot in knots), _decimals(found))

    @property
    def n(self) -> int:
        """Number of cells."""
        return len(self.values)

    @cached_property
    def _curve(self) -> tuple[Numbers, Numbers]:
        """Positions and values of all knots, cell after cell."""
        positions = np.concatenate([cell + np.array(levels) for cell, levels in enumerate(self.levels)])
        return positions, np.concatenate([np.array(values) for values in self.values])

    @cached_property
    def _parts(self) -> tuple[Numbers, NDArray[np.int64], Numbers, Numbers, NDArray[np.int64]]:
        """Single numbers with their cells; then values, levels and cells of the knots of intervals, in their
        order.
        """
        single = [cell for cell, values in enumerate(self.values) if values[0] == values[-1]]
        wide = sorted(set(range(self.n)) - set(single), key=lambda cell: self.values[cell][0])
        numbers = np.array([self.values[cell][0] for cell in single])
        order = np.argsort(numbers)
        knots = [np.array([x for cell in wide for x in part[cell]]) for part in (self.values, self.levels)]
        owners = np.array([cell for cell in wide for _ in self.values[cell]], dtype=np.int64)
        return numbers[order], np.array(single, dtype=np.int64)[order], knots[0], knots[1], owners

    def encode(self, values: NDArray[Any]) -> Numbers:
        """Cells and positions of numbers; one that no training row had goes to the nearest cell."""
        v = values.astype(np.float64)
        numbers, cells, knots, levels, owners = self._parts
        x = np.full(len(v), np.nan)
        gap = np.full(len(v), np.inf)
        if len(knots):
            left, right = np.searchsorted(knots, v, "left"), np.searchsorted(knots, v, "right")
            before, after = np.clip(right - 1, 0, len(knots) - 1), np.clip(left, 0, len(knots) - 1)
            exact = right > left
            same = owners[before] == owners[after]
            width = np.where(knots[after] > knots[before], knots[after] - knots[before], 1.0)
            share = np.clip((v - knots[before]) / width, 0.0, 1.0)
            inside = levels[before] + share * (levels[after] - levels[before])
            tied = (
                levels[np.clip(left, 0, len(knots) - 1)] + levels[np.clip(right - 1, 0, len(knots) - 1)]
            ) / 2
            nearer = np.abs(v - knots[before]) <= np.abs(v - knots[after])
            level = np.where(exact, tied, np.where(same, inside, levels[np.where(nearer, before, after)]))
            cell = owners[np.where(exact | same, before, np.where(nearer, before, after))]
            x = cell + np.clip(level, MARGIN, 1 - MARGIN)
            ends = np.minimum(np.abs(v - knots[before]), np.abs(v - knots[after]))
            gap = np.where(exact | (same & (v >= knots[0]) & (v <= knots[-1])), 0.0, ends)
        if len(numbers):
            place = np.clip(np.searchsorted(numbers, v), 0, len(numbers) - 1)
            lower = np.clip(place - 1, 0, None)
            place = np.where(np.abs(v - numbers[lower]) < np.abs(v - numbers[place]), lower, place)
            distance = np.abs(v - numbers[place])
            x = np.where((distance == 0) | (distance < gap), cells[place] + 0.5, x)
        return x

    def decode(self, x: Numbers) -> Numbers:
        """The numbers at x, rounded to the decimals of the column."""
        v = np.interp(x, *self._curve)
        return v if self.decimals is None else np.round(v, self.decimals) + 0.0

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return min(map(min, self.values)), max(map(max, self.values))

    def as_json(self) -> dict[str, Any]:
        """See :meth:`Cells.as_json`."""
        return {
            "kind": self.kind,
            "values": [[part[0]] if part[0] == part[-1] else list(part) for part in self.values],
            "levels": [
                [] if part == (0.0, 1.0) and v[0] == v[-1] else list(part)
                for part, v in zip(self.levels, self.values, strict=True)
            ],
            "decimals": self.decimals,
        }


class DateCells(NumberCells):
    """Dates as microseconds, rounded to the coarsest unit that holds all (``decimals`` microseconds)."""

    kind = "dates"

    def decode(self, x: Any) -> Any:
        """The microseconds at x."""
        unit = self.decimals or 1
        return np.round(np.interp(x, *self._curve) / unit) * unit


@dataclass(frozen=True)
class CategoryCells(Cells):
    """Categories, each a cell of its own; those that are too rare share the last one by their frequencies.

    Attributes:
        categories: The categories: text, numbers or truth values.
        rare: Those that share the last cell, which comes after all others.
        shares: The share of each of them in it.

    >>> cells = CategoryCells(("no", "yes"), (), ())
    >>> cells.encode(np.array(["yes", "maybe"], dtype=object))
    array([1.5, nan])
    """

    kind = "categories"
    categories: tuple[Any, ...]
    rare: tuple[Any, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[Any], order: Sequence[Any] | None = None) -> CategoryCells:
        """The cells of training values, in the given order or in their own."""
        found: dict[Any, int] = {}
        for value in values:
            found[value] = found.get(value, 0) + 1
        known = list(order) if order is not None else sorted(found)
        known = [value for value in known if value in found]
        if len(known) <= CATEGORIES:
            return cls(tuple(known), (), ())
        kept = set(sorted(known, key=lambda value: -found[value])[:CATEGORIES])
        rare = [value for value in known if value not in kept]
        total = sum(found[value] for value in rare)
        shares = tuple(found[value] / total for value in rare)
        return cls(tuple(value for value in known if value in kept), tuple(rare), shares)

    @property
    def n(self) -> int:
        """Number of cells."""
        return len(self.categories) + bool(self.rare)

    @property
    def named(self) -> list[Any]:
        """All categories, those that share a cell last."""
        return [*self.categories, *self.rare]

    @cached_property
    def _known(self) -> dict[Any, float]:
        ends = np.cumsum(self.shares) if self.rare else np.zeros(0)
        middles = ends - np.array(self.shares) / 2 if self.rare else ends
        known = {value: cell + 0.5 for cell, value in enumerate(self.categories)}
        return known | {v: len(self.categories) + float(u) for v, u in zip(self.rare, middles, strict=True)}

    def encode(self, values: NDArray[Any]) -> Numbers:
        """Cells of values, NaN of unknown ones."""
        found, back = np.unique(values, return_inverse=True) if values.dtype != object else _distinct(values)
        return np.array([self._known.get(_plain(value), np.nan) for value in found])[back]

    def decode(self, x: Numbers) -> NDArray[Any]:
        """The categories at x."""
        cell = np.floor(x).astype(np.int64)
        every = np.array([*self.categories, *self.rare], dtype=object)
        if self.rare:
            within = np.searchsorted(np.cumsum(self.shares), x - cell)
            cell = np.where(cell >= len(self.categories), len(self.categories) + within, cell)
        return every[np.clip(cell, 0, len(every) - 1)]

    def as_json(self) -> dict[str, Any]:
        """See :meth:`Cells.as_json`."""
        return {
            "kind": self.kind,
            "categories": list(self.categories),
            "rare": list(self.rare),
            "shares": list(self.shares),
        }


def cells_from_json(values: Mapping[str, Any]) -> Cells:
    """The cells that :meth:`Cells.as_json` has written.

    Raises:
        ValueError: If they are none.
    """
    if values["kind"] == CategoryCells.kind:
        parts = (tuple(values[name]) for name in ("categories", "rare", "shares"))
        cells: Cells = CategoryCells(*parts)
    elif values["kind"] in (NumberCells.kind, DateCells.kind):
        kind = DateCells if values["kind"] == DateCells.kind else NumberCells
        knots = [tuple(map(float, part)) for part in values["values"]]
        levels = [tuple(map(float, part)) or (0.0, 1.0) for part in values["levels"]]
        knots = [part * 2 if len(part) == 1 else part for part in knots]
        if [len(part) for part in knots] != [len(part) for part in levels] or not all(knots):
            raise ValueError("knots and levels do not agree")
        decimals = values["decimals"]
        cells = kind(tuple(knots), tuple(levels), None if decimals is None else int(decimals))
    else:
        raise ValueError(f"unknown cells {values['kind']!r:.60}")
    if cells.n < 1:
        raise ValueError("no cells")
    return cells


def _knots(values: Numbers, counts: NDArray[np.int64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Values and levels of the quantile function of values with counts."""
    if len(values) == 1:
        return (float(values[0]),) * 2, (0.0, 1.0)
    ends = np.cumsum(counts) / counts.sum()
    if len(values) <= KNOTS:  # a step for each value
        starts = np.concatenate([[0.0], ends[:-1]])
        levels = np.stack([starts, ends], axis=1).ravel()
        return tuple(np.repeat(values, 2).tolist()), tuple(levels.tolist())
    levels = np.linspace(0, 1, KNOTS + 1)
    middles = ends - counts / counts.sum() / 2
    knots = np.interp(levels, middles, values)
    return tuple(knots.tolist()), tuple(levels.tolist())


def _decimals(values: Numbers) -> int | None:
    """The fewest decimals, up to 6, that hold all values."""
    largest = np.abs(values).max(initial=0.0)
    for decimals in range(7):
        if decimals and largest >= 2.0**53 / 10**decimals:  # rounding could overflow, and changes nothing
            return None
        if np.allclose(np.round(values, decimals), values, rtol=1e-7, atol=1e-12):
            return decimals
    return None


def _distinct(values: NDArray[Any]) -> tuple[list[Any], NDArray[np.int64]]:
    place: dict[Any, int] = {}
    back = np.array([place.setdefault(value, len(place)) for value in values], dtype=np.int64)
    return list(place), back


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


__all__ = ["CategoryCells", "Cells", "DateCells", "NumberCells", "cells_from_json"]
