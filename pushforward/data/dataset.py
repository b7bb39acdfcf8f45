"""A data set: two splits, the range of their values, and a fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pushforward.codec import Codec
from pushforward.data.modality import modality, modality_of
from pushforward.data.rows import parts
from pushforward.data.scaling import Scaling, Standardized, UnitInterval, Unscaled
from pushforward.data.spec import DataSpec, range_in_words
from pushforward.data.split import Batch, Split
from pushforward.errors import DataError
from pushforward.rng import Noise
from pushforward.text.vocabulary import Vocabulary

LEAST = 2  # rows of each split
AT_ONCE = 2**16  # rows whose places are found together
VARIANCE_ROWS = 10_000  # of the training split, from which its variance is computed


@dataclass(frozen=True)
class Centres:
    """Known modes: a mixture, with equal weights, of normal distributions around centres (K, D)."""

    points: Tensor
    std: float


@dataclass(frozen=True)
class Stacked:
    """Known modes: each channel is an image of another data set, a mode is a combination of classes."""

    images: Dataset


@dataclass(frozen=True)
class Stated:
    """A fingerprint that the source of two splits states, so that their rows need not be read for it."""

    sha256: str
    parts: tuple[object, ...]

    @classmethod
    def of(cls, train: Split, test: Split, sha256: str) -> Stated:
        """The fingerprint of these very splits."""
        return cls(sha256, (train.x, train.y, test.x, test.y))

    def holds(self, train: Split, test: Split) -> bool:
        """Whether it is that of these splits."""
        found = (train.x, train.y, test.x, test.y)
        return all(one is other for one, other in zip(found, self.parts, strict=True))


@dataclass(frozen=True)
class Dataset:
    """Training rows and held-out rows, and what is known about them.

    Arguments:
        name: Name of the data set, and part of the default name of a run.
        train: Training rows.
        test: Held-out rows, for evaluation.
        in_unit_interval: Whether every value lies in [0, 1] (images) or may be any real number.
        classes: Names of the labels 0, 1, ...
        notes: What the reader did to the data, in sentences that are printed.
        source: The argument of ``open_dataset``, from which a run can open the data again.
        factors: Names of the factors of variation, one for each column of the splits' ``factors``.
        modes: The modes of the distribution, if they are known.
        codec: What turns rows into what a model sees, if they are not numbers: the vocabulary of text.
        scaling: How the values of the splits become those that a model sees; by default bytes become [0, 1],
            and other values stay as they are.
        stated: The fingerprint, if the source states it.
        held_out_at_random: Whether the held-out rows are those of :func:`hold_out`, from which the order of
            the source can be found again.
        own_split: The options ``test`` and ``group`` of :func:`open_dataset` as runs store them, if any was
            given.

    Raises:
        DataError: If a split has no rows, or the factors do not fit their names.

    Example:
        >>> rows = torch.rand(10, 3)
        >>> data = Dataset("toy", Split(rows[:8]), Split(rows[8:]), in_unit_interval=True)
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
    codec: Codec | None = None
    scaling: Scaling | None = field(default=None, compare=False)
    stated: Stated | None = field(default=None, compare=False, repr=False)
    held_out_at_random: bool = field(default=False, compare=False)
    own_split: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    display: ClassVar[Callable[[Dataset], str | None] | None] = None  # set where pictures are made

    def __repr__(self) -> str:
        classes = f", {len(self.labels)} classes" if self.labels else ""
        counts = f"{len(self.train)} training and {len(self.test)} held-out rows {self.shape}"
        return f"Dataset({self.name!r}: {counts}, {self.range}{classes})"

    def _repr_html_(self) -> str | None:
        return None if Dataset.display is None else Dataset.display(self)

    def __post_init__(self) -> None:
        unit = UnitInterval(255 if self.train.x.dtype == torch.uint8 else None)
        scaling = self.scaling or (unit if self.in_unit_interval else Unscaled())
        object.__setattr__(self, "scaling", scaling)
        for name in ("train", "test"):
            object.__setattr__(self, name, replace(getattr(self, name), scaling=scaling))
        self._need(1)
        for split in (self.train, self.test):
            _check_factors(self.name, split, self.factors)

    def need_rows(self) -> None:
        """Checks that there are rows enough to train on and to evaluate.

        Raises:
            DataError: If a split has fewer than 2 rows.
        """
        self._need(LEAST)

    def _need(self, least: int) -> None:
        if min(len(self.train), len(self.test)) < least:
            found = f"{len(self.train)} and {len(self.test)}"
            raise DataError(
                f"{self.name}: expected at least {least} training and {least} held-out rows, found {found}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row, (C, H, W) for images, (D,) for vectors, (T,) for lines of T tokens."""
        return tuple(self.train.x.shape[1:])

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary of the tokens, if the rows are text."""
        return self.codec if isinstance(self.codec, Vocabulary) else None

    @property
    def modality(self) -> str:
        """Name of the modality, one of "image", "vector", "table" and "text"."""
        return modality_of(self.shape, self.codec).name

    @cached_property
    def spec(self) -> DataSpec:
        """The description of these data, from which models are built and which runs store."""
        return DataSpec(
            name=self.name,
            shape=self.shape,
            modality=self.modality,
            in_unit_interval=self.in_unit_interval,
            classes=self.labels,
            n_train=len(self.train),
            n_test=len(self.test),
            variance=modality(self.modality).variance(self.train.batch(slice(0, VARIANCE_ROWS)).x),
            codec=self.codec,
            scaling=self.scaling or Unscaled(),
        )

    @property
    def range(self) -> str:
        """The range of the values that a model sees, in words."""
        return range_in_words(self.modality, self.in_unit_interval, self.codec, self.scaling)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The name of every class, by default its number; empty without labels."""
        if self.classes is not None:
            return self.classes
        ys = [split.y for split in (self.train, self.test) if split.y is not None]
        return tuple(str(label) for label in range(int(max((y.max() for y in ys), default=-1)) + 1))

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of both splits' values and labels, and of factors and codec if there are any."""
        if self.stated is not None and self.stated.holds(self.train, self.test):
            return self.stated.sha256
        digest = hashlib.sha256()
        # Factors and codecs came later: without them the fingerprint is what it was before.
        factors = () if self.factors is None else (self.train.factors, self.test.factors)
        paired_rows = (self.train.paired, self.test.paired) if self.codec is not None else ()
        if self.codec is not None:
            digest.update(self.codec.text.encode())
        if isinstance(self.scaling, Standardized):
            digest.update(str(self.scaling).encode())
        for rows in (self.train.x, self.train.y, self.test.x, self.test.y, *factors, *paired_rows):
            if rows is None:
                digest.update(b"none")
                continue
            digest.update(f"{rows.dtype}{tuple(rows.shape)}".encode())
            for part in parts(rows):
                digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()

    def noted(self, *notes: str) -> Dataset:
        """The same data with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def split_into(self, train: Split, test: Split) -> Dataset:
        """The same data, split in another way."""
        return replace(self, train=train, test=test, held_out_at_random=False)


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
    """Indices of training rows and of held-out rows, for data that have no splits of their own.

    The split is the same on every machine and for every seed: no row is a training row of one run and held
    out in another. Both parts are in random order, so that their first rows are a fair sample even of sorted
    files.

    >>> train, test = hold_out(100)
    >>> len(train), len(test), sorted(torch.cat([train, test]).tolist()) == list(range(100))
    (90, 10, True)
    """
    order = Noise("hold-out").permutation(rows)
    count = held_out_count(rows, share, most)
    return order[count:], order[:count]


def hold_out_places(rows: int) -> Tensor:
    """Where each row of a source is among its training rows and, after these, its held-out rows (N,).

    They have the type, and are found part by part, so that they take the least memory.

    >>> torch.equal(torch.cat(hold_out(100))[hold_out_places(100)], torch.arange(100))
    True
    """
    order = Noise("hold-out").permutation(rows, np.int32 if rows < 2**31 else np.int64)
    places, count = torch.empty_like(order), held_out_count(rows)
    for start in range(0, rows, AT_ONCE):
        part = order[start : start + AT_ONCE].long()
        # The first of the order are held out, and so come last.
        places[part] = ((torch.arange(start, start + len(part)) - count) % rows).to(places.dtype)
    return places


def held_out_count(rows: int, share: float = 0.1, most: int = 10_000) -> int:
    """How many of some rows are held out."""
    return min(most, max(LEAST, round(rows * share)))


__all__ = ["LEAST", "Batch", "Centres", "Dataset", "Split", "Stacked", "held_out_count", "hold_out",
           "hold_out_places"]  # fmt: skip
