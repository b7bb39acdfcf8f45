"""A data set in memory: two splits, the range their values live in, and a fingerprint.

Small image sets are kept whole, as bytes, and batches are drawn by index: on 28x28 images
this is some twenty times faster than a loader with worker processes, and the order of the
batches is a function of (seed, epoch) alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.errors import DataError
from pushforward.rng import Noise
from pushforward.text.vocabulary import Vocabulary


class Batch(NamedTuple):
    """One batch: data ``x`` of shape (N, \\*), labels ``y`` of shape (N,) or None; -1 is "unknown"."""

    x: Tensor
    y: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same on a device."""
        return Batch(self.x.to(device), None if self.y is None else self.y.to(device))


@dataclass(frozen=True)
class Split:
    """Rows of one split: ``x`` (N, \\*), uint8, float32 or tokens in int64, and labels ``y`` (N,) or None.

    ``factors`` (N, K), int64, or None are the values of the factors of variation that made each row. Judges
    ask for them; no batch holds them, for nothing learns from them. ``paired`` (N, \\*) or None are rows that
    say the same under the other of two labels, -1 where there is none.
    """

    x: Tensor
    y: Tensor | None = None
    factors: Tensor | None = None
    paired: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, index: Tensor) -> Split:
        """The split that holds the rows at ``index`` alone."""
        parts = (None if part is None else part[index] for part in (self.y, self.factors, self.paired))
        return Split(self.x[index], *parts)

    def subsample(self, count: int, noise: Noise) -> Batch:
        """At most so many rows at random: the first ones of a split may all be of one class."""
        return self.batch(noise.permutation(len(self))[:count])

    def keep_labels(self, labels: int, noise: Noise) -> Split:
        """The same rows with so many labels known, spread evenly over the classes; the others become -1.

        Raises:
            DataError: If there are fewer labels than that.
        """
        order = noise.permutation(len(self))
        y = torch.full((len(self),), -1) if self.y is None else self.y
        known = order[y[order] >= 0]
        if labels > len(known):
            raise DataError(f"{labels} labels are to be shown, the rows to learn from have {len(known)}")
        # Each row's turn within its class: the first of every class, then the second of every class, ...
        place = torch.empty_like(known)
        for label in y[known].unique():
            members = (y[known] == label).nonzero().flatten()
            place[members] = torch.arange(len(members))
        shown = known[place.argsort(stable=True)[:labels]]
        hidden = torch.full_like(y, -1)
        hidden[shown] = y[shown]
        return replace(self, y=hidden)

    def labelled(self) -> Split:
        """The rows whose label is known.

        Raises:
            DataError: If there is none.
        """
        known = torch.empty(0).long() if self.y is None else (self.y >= 0).nonzero().flatten()
        if not len(known):
            raise DataError("rows with labels are needed, and there is none")
        return self.rows(known)

    def keep_pairs(self, share: float, noise: Noise) -> Split:
        """The same rows with a share at random of the pairs known; the twins of the others become -1.

        Raises:
            DataError: If there is no pair to be known.
        """
        if share == 0:
            return replace(self, paired=None)
        if self.paired is None or self.y is None:
            raise DataError(f"a share of {share:g} of the pairs is to be known, and the rows have none")
        # Both rows of a pair are asked for the same number, which is a function of what they say.
        first = torch.where((self.y == 0).unsqueeze(1), self.x, self.paired)
        _, pair = first.unique(dim=0, return_inverse=True)
        known = (noise.uniform(int(pair.max()) + 1) < share)[pair]
        return replace(self, paired=self.paired.masked_fill(~known.unsqueeze(1), -1))

    def batch(self, index: Tensor | slice) -> Batch:
        """The rows at ``index``: tokens as they are, all else as float32; bytes become numbers in [0, 1]."""
        x = self.x[index] if isinstance(index, slice) else self.x.index_select(0, index)
        if x.dtype == torch.uint8:
            x = x.float().div_(255)
        return Batch(x, None if self.y is None else self.y[index])

    def paired_rows(self, index: Tensor) -> Tensor | None:
        """The twins of the rows at ``index``, -1 where there is none; None of rows without any."""
        return None if self.paired is None else self.paired[index]


@dataclass(frozen=True)
class Centres:
    """Modes that are known: equally likely normal laws of deviation ``sigma`` around centres (K, D)."""

    points: Tensor
    sigma: float


@dataclass(frozen=True)
class Stacked:
    """Modes that are known: each channel is one image of another data set, with classes of its own."""

    images: Dataset


@dataclass(frozen=True)
class Dataset:
    """Data to learn from, and data held out to judge by.

    Arguments:
        name: What the run is called after.
        train: Rows to learn from.
        test: Rows held out.
        in_unit_interval: Whether every value lies in [0, 1] (images) or may be any real number.
        classes: Names of the labels 0, 1, ...
        notes: What the reader did to the data, in plain sentences, to be printed.
        source: What ``open_dataset`` was given, so that a run can open it again.
        factors: Names of the factors of variation, one for each column of the splits' ``factors``.
        modes: The modes of the law, where they are known.
        words: What tokens stand for, of data that are text.

    Raises:
        DataError: If a split has fewer than 2 rows, or its factors are not one row each of the names.

    Example:
        >>> rows = torch.rand(10, 3)
        >>> data = Dataset("toy", Split(rows[:8]), Split(rows[8:]), unit=True)
        >>> data.shape, len(data.train), data.train.batch(slice(0, 2)).x.shape
        ((3,), 8, torch.Size([2, 3]))
    """

    name: str
    train: Split
    test: Split
    in_unit_interval: bool
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = field(default=(), compare=False)
    source: str | None = None
    factors: tuple[str, ...] | None = None
    modes: Centres | Stacked | None = field(default=None, compare=False)
    words: Vocabulary | None = None

    def __post_init__(self) -> None:
        if min(len(self.train), len(self.test)) < 2:
            rows = f"{len(self.train)} to learn from and {len(self.test)} held out"
            raise DataError(
                f"{self.name}: at least 2 rows to learn from and 2 held out are needed, got {rows}"
            )
        for split in (self.train, self.test):
            _check_factors(self.name, split, self.factors)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row: (C, H, W) for images, (D,) for vectors, (T,) for lines of T tokens."""
        return tuple(self.train.x.shape[1:])

    @property
    def kind(self) -> str:
        """What a row is: "images", "text" or "vectors"."""
        return "text" if self.words else "images" if len(self.shape) == 3 else "vectors"

    @property
    def range(self) -> str:
        """The range of values, as it is printed beside every figure."""
        if self.words:
            return f"tokens of {len(self.words)}"
        return "[0, 1]" if self.in_unit_interval else "real numbers"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The name of every class, its number where it has none; empty without labels."""
        if self.classes is not None:
            return self.classes
        ys = [split.y for split in (self.train, self.test) if split.y is not None]
        return tuple(str(label) for label in range(int(max((y.max() for y in ys), default=-1)) + 1))

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of shapes, values and labels of both splits, and of their factors if they have any."""
        digest = hashlib.sha256()
        # Without factors or words nothing is added: runs on such data keep the fingerprint they began with.
        factors = () if self.factors is None else (self.train.factors, self.test.factors)
        paired_rows = (self.train.paired, self.test.paired) if self.words else ()
        if self.words:
            digest.update(self.words.text.encode())
        for part in (self.train.x, self.train.y, self.test.x, self.test.y, *factors, *paired_rows):
            if part is None:
                digest.update(b"none")
            else:
                digest.update(f"{part.dtype}{tuple(part.shape)}".encode())
                digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()

    def noted(self, *notes: str) -> Dataset:
        """The same data with more notes."""
        return replace(self, notes=(*self.notes, *notes))


def _check_factors(name: str, split: Split, names: tuple[str, ...] | None) -> None:
    factors = split.factors
    if names is None:
        if factors is not None:
            raise DataError(f"{name}: expected names for factors of shape {tuple(factors.shape)}, found none")
        return
    found = None if factors is None else (factors.dtype, *factors.shape)
    if found != (torch.int64, len(split), len(names)):
        shown = "none" if factors is None else f"{factors.dtype} {tuple(factors.shape)}"
        raise DataError(
            f"{name}: expected the factors {', '.join(names)} of {len(split)} rows as torch.int64 "
            f"{(len(split), len(names))}, found {shown}"
        )


def hold_out(rows: int, share: float = 0.1, most: int = 10_000) -> tuple[Tensor, Tensor]:
    """Indices to train on and indices to test on, for data that come in one piece.

    The split is the same on every machine and for every seed: a row is never trained on in
    one run and tested on in another. Both parts are in random order, so that the first rows of
    either are a fair sample of files that were sorted.

    >>> train, test = hold_out(100)
    >>> len(train), len(test), sorted(torch.cat([train, test]).tolist()) == list(range(100))
    (90, 10, True)
    """
    order = Noise("hold-out").permutation(rows)
    count = min(most, max(2, round(rows * share)))
    return order[count:], order[:count]
