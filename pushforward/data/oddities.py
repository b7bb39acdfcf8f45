"""What is odd about data, and what becomes of it: one list, of which each line names what was found."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pushforward.data.dataset import Dataset
from pushforward.data.formats import Progress
from pushforward.data.rows import take
from pushforward.data.scaling import Standardized
from pushforward.data.split import UNKNOWN
from pushforward.errors import listed
from pushforward.tables.schema import Schema
from pushforward.wording import plural

SHOWN = 3  # names in a line
TINY = 10  # rows of a class, below which it is tiny
UNEVEN = 10  # times as many rows as the smallest class, from which on classes are uneven
FAR = 10.0  # scales from the centre of a column, beyond which a row is an outlier
STEP = 1000  # rows that are looked at at once


@dataclass(frozen=True)
class Oddity:
    """One kind of oddity.

    Attributes:
        kind: "unreadable", "refused", "missing", "size", "converted", "duplicate", "leak", "constant row",
            "constant column", "outlier", "tiny class", "uneven classes" or "unknown label".
        names: What has it: files, rows or columns.
        words: What was found.
        consequence: What becomes of it in training.
        stops: Whether nothing is trained on such data.
    """

    kind: str
    names: tuple[str, ...]
    words: str
    consequence: str
    stops: bool = False

    def __str__(self) -> str:
        shown = f" ({listed(self.names, SHOWN)})" if self.names else ""
        return f"{self.words}{shown}: {self.consequence}"


@dataclass(frozen=True)
class DataCheck:
    """What a scan of data found.

    Attributes:
        name: What was scanned.
        facts: What the data are, in sentences.
        oddities: What is odd about them.
    """

    name: str
    facts: tuple[str, ...]
    oddities: tuple[Oddity, ...]

    @property
    def usable(self) -> bool:
        """Whether something can be trained on the data as they are."""
        return not any(oddity.stops for oddity in self.oddities)

    def names(self, *kinds: str) -> set[str]:
        """The names of what has oddities of these kinds; of all kinds by default."""
        return {name for one in self.oddities if not kinds or one.kind in kinds for name in one.names}

    def __repr__(self) -> str:
        lines = [*self.facts, *(f"- {one}" for one in self.oddities)]
        return "\n".join([self.name, *lines] if self.oddities else [self.name, *lines, "- nothing odd"])


@dataclass
class Scan:
    """Collects what rows are, one after another.

    Arguments:
        classes: Names of the classes.
    """

    classes: Sequence[str] = ()
    _first: dict[bytes, tuple[str, str]] = field(default_factory=dict)
    _copies: list[str] = field(default_factory=list)
    _leaks: list[str] = field(default_factory=list)
    _flat: list[str] = field(default_factory=list)
    _labels: dict[str, Counter[int]] = field(default_factory=dict)

    def add(self, name: str, part: str, content: bytes, constant: bool, label: int | None) -> None:
        """Notes a row.

        Arguments:
            name: Its name.
            part: "train" or "test".
            content: Its values.
            constant: Whether all of them are equal.
            label: The number of its class.
        """
        digest = hashlib.blake2b(content, digest_size=16).digest()
        before, where = self._first.setdefault(digest, (name, part))
        if before != name:
            (self._copies if where == part else self._leaks).append(f"{name} = {before}")
        if constant:
            self._flat.append(name)
        if label is not None:
            self._labels.setdefault(part, Counter())[label] += 1

    def oddities(self) -> Iterator[Oddity]:
        """What was odd about the rows so far."""
        if self._leaks:
            yield many("leak", self._leaks, "held-out row", "also among the training rows",
                        "kept: scores on held-out rows are too good; leave them out of one")  # fmt: skip
        if self._copies:
            yield many("duplicate", self._copies, "row", "equal to another of the same split", "kept")
        if self._flat:
            yield many("constant row", self._flat, "row", "of a single value", "kept")
        yield from self._of_classes()

    def _of_classes(self) -> Iterator[Oddity]:
        counts = sum(self._labels.values(), Counter())
        if unknown := counts.pop(UNKNOWN, 0):
            words = f"{unknown} {plural(unknown, 'row')} without a label"
            yield Oddity("unknown label", (), words, "kept; only models that use labels leave them out")
        if not counts:
            return
        names = self.classes or [str(number) for number in range(max(counts) + 1)]
        tiny = [f"{names[number]}: {count}" for number, count in sorted(counts.items()) if count < TINY]
        if tiny:
            yield many(
                "tiny class", tiny, "class", f"of fewer than {TINY} rows", "kept: too few to learn from"
            )
        largest, smallest = max(counts.values()), min(counts.values())
        if largest >= UNEVEN * smallest:
            ends = [f"{names[n]}: {count}" for n, count in counts.items() if count in (largest, smallest)]
            words = f"the largest class has {largest / smallest:.0f} times the rows of the smallest"
            yield Oddity("uneven classes", tuple(sorted(ends)), words, "kept: samples are as uneven")
        for part, found in self._labels.items():
            missing = sorted(set(counts) - set(found))
            if missing and len(self._labels) > 1:
                where = "training" if part == "train" else "held-out"
                yield many("tiny class", [names[number] for number in missing],
                            "class", f"without {where} rows", "kept")  # fmt: skip


def many(
    kind: str, names: Sequence[str], what: str, words: str, consequence: str, stops: bool = False
) -> Oddity:
    """An oddity of so many of what a noun in the singular names.

    >>> print(many("constant row", ["row 7"], "row", "of a single value", "kept"))
    1 row of a single value (row 7): kept
    """
    return Oddity(kind, tuple(names), f"{len(names)} {plural(len(names), what)} {words}", consequence, stops)


def scan_rows(data: Dataset, progress: Progress | None = None) -> list[Oddity]:
    """What is odd about the rows of data, which are named by their split and number.

    Arguments:
        data: The data.
        progress: Called with (done, total) rows.
    """
    scan, done, total = Scan(data.labels), 0, len(data.train) + len(data.test)
    lowest: Tensor | None = None
    highest: Tensor | None = None
    far: list[str] = []
    for part, split in (("train", data.train), ("test", data.test)):
        for start in range(0, len(split), STEP):
            x = take(split.x, slice(start, start + STEP))
            rows, flat = x.contiguous().numpy(), x.flatten(1)
            channels = x.flatten(2) if x.ndim > 2 else x.unsqueeze(1)  # an image of one colour is constant
            constant = (channels == channels[..., :1]).flatten(1).all(1) & (channels.shape[2] > 1)
            labels: Mapping[int, int] | None = None
            if split.y is not None:
                labels = dict(enumerate(split.y[start : start + STEP].tolist()))
            for place, row in enumerate(rows):
                label = None if labels is None else labels[place]
                name = f"{part} row {start + place}"
                scan.add(name, part, row.tobytes(), bool(constant[place]), label)
            if data.modality == "vector":
                low, high = flat.amin(0), flat.amax(0)
                lowest = low if lowest is None else torch.minimum(lowest, low)
                highest = high if highest is None else torch.maximum(highest, high)
                if isinstance(data.scaling, Standardized):
                    beyond = (data.scaling.apply(x).abs() > FAR).flatten(1).any(1).nonzero()
                    far += [f"{part} row {start + place}" for place in beyond[:, 0].tolist()]
            done += len(x)
            if progress:
                progress(done, total)
    found = list(scan.oddities())
    if isinstance(data.codec, Schema):
        found += _missing_cells(data, data.codec)
    if lowest is not None and highest is not None:
        columns = [str(column) for column in np.flatnonzero((lowest == highest).numpy())]
        if columns:
            found.append(many("constant column", columns, "column", "of a single value",
                               "kept: a model sees 0, samples have the value"))  # fmt: skip
    if far:
        words = f"with a value more than {FAR:g} scales from the centre of its column"
        found.append(
            many("outlier", far, "row", words, "kept: scales are those of the middle 98 % of a column")
        )
    return found


def _missing_cells(data: Dataset, schema: Schema) -> Iterator[Oddity]:
    """The columns of a table with missing values, and how many."""
    names = []
    for place, column in enumerate(schema.modelled):
        missing = sum(int((split.x[:][:, place] >= column.n - 1).sum()) for split in (data.train, data.test))
        if column.missing and missing:
            names.append(f"{column.name}: {missing}")
    if names:
        yield many("missing", names, "column", "with missing values", "kept: missing is a value of its own")


__all__ = ["DataCheck", "Oddity", "Scan", "many", "scan_rows"]
