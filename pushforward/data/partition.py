"""A split of one's own: held-out rows that the user names, and rows of one group on one side."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.dataset import LEAST, Dataset, held_out_count, hold_out
from pushforward.data.split import Split
from pushforward.errors import ConfigError, DataError
from pushforward.rng import Noise
from pushforward.wording import option_name, plural

Array = NDArray[Any]
SAME = "the same in every run"  # ends the note on a split


class Parts(NamedTuple):
    """Training rows and held-out rows, their numbers in random order or slices, and a note on them."""

    train: Tensor | slice
    test: Tensor | slice
    note: str


def usual(n: int, what: str = "rows") -> Parts:
    """The split of n rows that have none of their own."""
    train, test = hold_out(n)
    return Parts(train, test, f"{len(test)} of {n} {what} {plural(len(test), 'is')} held out, {SAME}")


@dataclass
class Partition:
    """Which rows of a source are held out.

    Arguments:
        test: Numbers of the held-out rows, or a mask of them; None if they are chosen.
        source: A source of its own of the held-out rows: all rows of the data are training rows.
        group: The name of a column, or one value a row: rows with the same value are on the same side.
        against: The split of which these are the held-out rows: no group may be among its rows.
        every: Whether there is no split: all rows are training rows, in the order of the source.

    Attributes:
        used: Whether a reader has split its rows so.
    """

    test: Array | None = None
    source: Any = None
    group: str | Array | None = None
    against: Partition | None = None
    every: bool = False
    used: bool = field(default=False, init=False)
    _held_out: NDArray[np.bool_] | None = field(default=None, init=False)
    _groups: Array | None = field(default=None, init=False)

    @classmethod
    def of(cls, test: Any, group: Any) -> Partition | None:
        """The split that a user asked for; None if it is the usual one.

        Raises:
            ConfigError: If the group is neither a name nor one value a row.
            DataError: If the held-out rows are not there: a run holds no more than their hash.
        """
        if test is None and group is None:
            return None
        if group is not None and not isinstance(group, str):
            group = np.asarray(group)
            if group.ndim != 1:
                raise ConfigError(
                    f"{option_name('group')} must be a column or one value a row, got shape {group.shape}"
                )
        if isinstance(test, Mapping) and {*test} == {"sha256"}:
            raise DataError(
                "the held-out rows were given in memory; give a Dataset that open_dataset made with them"
            )
        if isinstance(test, Mapping) and {*test} == {"n", "rows"}:
            packed = np.frombuffer(base64.b64decode(test["rows"]), np.uint8)
            return cls(np.unpackbits(packed, count=test["n"]).astype(bool), None, group)
        index = _index(test)
        if index is None and test is not None and isinstance(group, np.ndarray):
            raise ConfigError(
                f"{option_name('group')} of one value a row needs {option_name('test')} as numbers of rows "
                f"or a mask, got {type(test).__name__}"
            )
        return cls(index, None if index is not None else test, group)

    def of_rows(self, n: int, column: Any = None, where: str = "the data") -> Parts:
        """The split of n rows.

        Arguments:
            n: Number of rows.
            column: The values (n,) of the column that ``group`` names.
            where: What the data are called in messages.

        Raises:
            ConfigError: If there is no column of groups.
            DataError: If the rows that are held out are not among the n, a group is on both sides, or there
                are too few groups.
        """
        values = self._values(n, column, where)
        self.used = True
        if self.against is not None and values is not None:
            self.against.check_apart(values, where)
        if self.every:
            return Parts(slice(None), slice(LEAST), "")
        numbers = None if values is None else _numbered(values, where)
        order = Noise("hold-out").permutation(n)
        if self.source is not None:
            used = Parts(order, order[:LEAST], "")  # the held-out rows are replaced
        elif self.test is not None or numbers is not None:
            held_out = _by_group(numbers, where) if self.test is None else _mask(self.test, n, where)
            if numbers is not None:
                _check_apart(held_out, numbers, values, where)
            self._held_out = held_out
            chosen = torch.from_numpy(held_out)[order]
            used = Parts(order[~chosen], order[chosen], self._note(held_out, numbers))
        if values is not None:
            self._groups = np.unique(values)
        return used

    def applied(self, data: Dataset, everything: Callable[[Dataset], Split]) -> Dataset:
        """Data with this split, unless their reader has split them so.

        Arguments:
            data: The data.
            everything: Returns all their rows, in the order of the source.

        Raises:
            ConfigError: If the data are text, or have a split of their own.
        """
        if data.modality == "text":
            raise ConfigError(
                f"{self._name} is not for text, and {data.name} is text: a folder of train.txt and test.txt "
                "is split so"
            )
        if self.used:
            return data
        if not data.held_out_at_random:
            raise ConfigError(
                f"{self._name} is for data without a split of their own, and {data.name} has one"
            )
        rows = everything(data)
        parts = self.of_rows(len(rows), None, data.name)
        notes = [note for note in data.notes if not note.endswith(SAME)]
        made = data.split_into(rows.rows(parts.train), rows.rows(parts.test))
        return replace(made, notes=(*notes, *[parts.note] * bool(parts.note)))

    @property
    def _name(self) -> str:
        return option_name("test" if self.group is None else "group")

    def check_apart(self, values: Array, where: str) -> None:
        """Checks that no group of these rows is one of other rows.

        Raises:
            DataError: If one is.
        """
        assert self._groups is not None
        both = np.intersect1d(self._groups, values)
        if len(both):
            raise DataError(_mixed(where, both))

    def as_json(self, sha256: Callable[[], str]) -> dict[str, Any]:
        """What is stored of the split in a run, from which :meth:`of` makes it again.

        Arguments:
            sha256: Computes the fingerprint of the held-out rows, which stands for rows in memory.
        """
        named = self.group if isinstance(self.group, str) else None
        if self.source is not None:
            path = isinstance(self.source, (str, os.PathLike))
            return {"test": _absolute(self.source) if path else {"sha256": sha256()}, "group": named}
        if self.test is None and named is not None:
            return {"test": None, "group": named}
        assert self._held_out is not None
        packed = base64.b64encode(np.packbits(self._held_out).tobytes()).decode()
        return {"test": {"n": len(self._held_out), "rows": packed}, "group": named}

    def _values(self, n: int, column: Any, where: str) -> Array | None:
        if self.group is None:
            return None
        if isinstance(self.group, str):
            if column is None:
                raise ConfigError(
                    f"{option_name('group')} must name a column, and {where} has no column {self.group!r}"
                )
            values = _plain(column)
        else:
            values = _plain(self.group)
        if values.shape != (n,):
            raise DataError(
                f"{where}: expected one value of {option_name('group')} for each of {n} rows, found shape "
                f"{values.shape}"
            )
        return values

    def _note(self, held_out: Array, numbers: Array | None) -> str:
        n = int(held_out.sum())
        count = f"{n} of {len(held_out)} rows {plural(n, 'is')} held out"
        if numbers is None:
            return f"{count}, as asked"
        groups, total = len(np.unique(numbers[held_out])), int(numbers.max()) + 1
        return f"{count}, those of {groups} of {total} groups, {SAME}"


def _absolute(source: str | os.PathLike[str]) -> str:
    """A path from wherever it is read; a name of the catalogue stays one."""
    path = os.path.abspath(os.path.expanduser(source))
    return path if os.path.exists(path) else os.fspath(source)


def _index(test: Any) -> Array | None:
    """Numbers or a mask of rows; None of anything else."""
    if isinstance(test, (list, tuple)) and not all(isinstance(one, (bool, int, np.integer)) for one in test):
        return None
    if isinstance(test, (str, os.PathLike, Mapping)) or not hasattr(test, "__len__"):
        return None
    if getattr(test, "ndim", 1) != 1 or (not isinstance(test, (list, tuple)) and not hasattr(test, "dtype")):
        return None
    found = np.asarray(test)
    return found if found.dtype.kind in "biu" or found.size == 0 else None


def _mask(test: Array, n: int, where: str) -> NDArray[np.bool_]:
    name = option_name("test")
    if test.dtype.kind == "b":
        if len(test) != n:
            raise DataError(f"{where}: expected a mask {name} of {n} rows, found one of {len(test)}")
        mask = test.astype(bool)
    else:
        numbers = test.astype(np.int64)
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < n:
            wrong = numbers[(numbers < 0) | (numbers >= n)][0]
            raise DataError(f"{where}: expected numbers of rows from 0 to {n - 1} in {name}, found {wrong}")
        mask = np.zeros(n, dtype=bool)
        mask[numbers] = True
        if mask.sum() < len(numbers):
            raise DataError(f"{where}: expected each row once in {name}, found some more than once")
    if min(mask.sum(), n - mask.sum()) < LEAST:
        raise DataError(
            f"{where}: expected at least {LEAST} training and {LEAST} held-out rows, found "
            f"{n - mask.sum()} and {mask.sum()}"
        )
    return mask


def _plain(column: Any) -> Array:
    """The values of a column as they can be compared: text, where they are no numbers."""
    values = np.asarray(column)
    if values.dtype.kind in "fiub":
        return values
    return np.array([_word(value) for value in values.tolist()] if values.ndim == 1 else values)


def _word(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _numbered(values: Array, where: str) -> Array:
    """The number of the group of each row."""
    lost = ~np.isfinite(values) if values.dtype.kind == "f" else values == ""
    if values.dtype.kind in "fU" and lost.any():
        raise DataError(
            f"{where}: expected a value of {option_name('group')} in every row, found none in row "
            f"{int(lost.argmax())}"
        )
    return np.unique(values, return_inverse=True)[1]


def _by_group(numbers: Array | None, where: str) -> NDArray[np.bool_]:
    """A mask of the rows of some groups, together at most as many as are held out otherwise.

    If every group is larger, the smallest is held out.
    """
    assert numbers is not None
    sizes = np.bincount(numbers)
    if len(sizes) < 2:
        raise DataError(f"{where}: expected at least 2 groups to hold one out, found {len(sizes)}")
    most, chosen, total = held_out_count(len(numbers)), [], 0
    for group in Noise("hold-out", "groups").permutation(len(sizes)).tolist():
        if total + sizes[group] <= most:
            chosen.append(group)
            total += sizes[group]
    mask = np.isin(numbers, chosen or [int(sizes.argmin())])
    if min(mask.sum(), (~mask).sum()) < LEAST:
        raise DataError(f"{where}: expected groups of more rows to hold some out, found {len(sizes)} groups")
    return mask


def _check_apart(held_out: Array, numbers: Array, values: Any, where: str) -> None:
    both = np.intersect1d(numbers[held_out], numbers[~held_out])
    if len(both):
        raise DataError(_mixed(where, np.unique(values)[both]))


def _mixed(where: str, groups: Array) -> str:
    return (
        f"{where}: expected each group on one side of {option_name('test')}, found {len(groups)} on both, "
        f"such as {groups[0]}"
    )


__all__ = ["SAME", "Partition", "Parts", "usual"]
