"""A table in memory: named columns, each an array of one type beside a mask of what is missing.

Every reader makes one, and every frame that leaves is made from one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import DataError, NonfiniteError

Array = NDArray[Any]
MOST_EXACT = 2**53  # beyond which float64 does not tell integers apart
MISSING_WORDS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>")


@dataclass(frozen=True)
class Column:
    """The values of one column.

    Attributes:
        name: Its name.
        values: An array (N,) of float64, int64, bool, datetime64[us], or text (objects that are str); what
            stands where a value is missing does not matter.
        missing: Where there is no value, (N,).
        dtype: The type that the column had, in the words of its library.
        categories: The categories of a categorical type, in their order.
        ordered: Whether that order means something.
    """

    name: str
    values: Array
    missing: NDArray[np.bool_]
    dtype: str
    categories: tuple[Any, ...] | None = None
    ordered: bool = False

    def __len__(self) -> int:
        return len(self.values)

    @property
    def known(self) -> Array:
        """The values that are there."""
        return self.values[~self.missing]

    @property
    def type(self) -> str:
        """The type of the values: "float", "integer", "boolean", "date" or "text"."""
        return {"f": "float", "i": "integer", "b": "boolean", "M": "date"}.get(self.values.dtype.kind, "text")

    def rows(self, index: Array) -> Column:
        """The column of some rows."""
        return Column(
            self.name, self.values[index], self.missing[index], self.dtype, self.categories, self.ordered
        )


@dataclass(frozen=True)
class Table:
    """Columns of equal length.

    Attributes:
        columns: The columns by name, in order.
        library: What it came from and leaves as: "pandas", "polars" or "numpy".
        source: What it is called in messages.
        first: The number of the first row in messages: 0 of frames, 2 of files with a header.
        row: What a row is called in messages: "row", or "line" of a file.
    """

    columns: Mapping[str, Column]
    library: str = "pandas"
    source: str = "the table"
    first: int = 0
    row: str = "row"
    lines: Sequence[int] | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def place(self, row: int, column: str) -> str:
        """Where a value stands, in words."""
        return f"{self.source}: {self.row} {self.number(row)}, column {column!r}"

    def number(self, row: int) -> int:
        """The number of a row in messages."""
        return self.lines[row] if self.lines is not None else row + self.first

    def rows(self, index: Array) -> Table:
        """Some rows, as a table."""
        columns = {name: column.rows(index) for name, column in self.columns.items()}
        lines = None if self.lines is None else [self.lines[row] for row in index.tolist()]
        return Table(columns, self.library, self.source, self.first, self.row, lines)


def check_names(names: Sequence[Any], source: str) -> tuple[str, ...]:
    """The names of columns.

    Raises:
        DataError: If there are none, one is no text, or two are equal.

    >>> check_names(["a", "a"], "people.csv")
    Traceback (most recent call last):
    pushforward.errors.DataError: people.csv: expected different names of columns, found 'a' twice
    """
    if not names:
        raise DataError(f"{source}: expected columns, found none")
    for name in names:
        if not isinstance(name, str):
            raise DataError(f"{source}: expected names of columns as text, found {name!r}")
        if list(names).count(name) > 1:
            raise DataError(f"{source}: expected different names of columns, found {name!r} twice")
    return tuple(names)


def typed(name: str, values: Sequence[Any], missing: NDArray[np.bool_], dtype: str, table: Table) -> Column:
    """A column of Python objects, in the narrowest type that holds them all.

    Raises:
        DataError: If they are of different types, or of one that no column can have.
    """
    kinds = {type(value) for value, absent in zip(values, missing.tolist(), strict=True) if not absent}
    fill: Any
    kind: np.dtype[Any]
    if not kinds:
        return Column(name, np.zeros(len(values)), missing, dtype)
    if kinds <= {bool, np.bool_}:
        kind, fill = np.dtype(bool), False
    elif kinds <= {int, np.int64, np.int32}:
        kind, fill = np.dtype(np.int64), 0
    elif kinds <= {int, float, np.int64, np.float64, np.float32}:
        kind, fill = np.dtype(np.float64), 0.0
    elif all(issubclass(one, str) for one in kinds):
        kind, fill = np.dtype(object), ""
    elif all(
        (hasattr(one, "isoformat") and not hasattr(one, "tzinfo")) or hasattr(one, "year") for one in kinds
    ):
        kind, fill = np.dtype("datetime64[us]"), np.datetime64(0, "us")
    else:
        row, odd = _odd_one(values, missing)
        raise DataError(
            f"{table.place(row, name)}: expected numbers, truth values, dates or text, "
            f"all of one type, found {odd!r}"
        )
    for row, value in enumerate(values):
        if not missing[row] and getattr(value, "tzinfo", None) is not None:
            raise DataError(
                f"{table.place(row, name)}: expected dates without a time zone, found {value!r}; convert them"
            )
        if kind == np.int64 and not missing[row] and abs(value) > MOST_EXACT:
            raise _too_large(row, name, value, table)
    filled = [fill if absent else value for value, absent in zip(values, missing.tolist(), strict=True)]
    try:
        array = np.array(filled, dtype=kind)
    except (ValueError, TypeError, OverflowError):
        row, odd = _odd_one(values, missing)
        raise DataError(f"{table.place(row, name)}: expected values of one type, found {odd!r}") from None
    return checked(Column(name, array, missing, dtype), table)


def _too_large(row: int, name: str, value: Any, table: Table) -> DataError:
    return DataError(
        f"{table.place(row, name)}: expected integers up to 2^53, found {value}; store the column as text"
    )


def _odd_one(values: Sequence[Any], missing: NDArray[np.bool_]) -> tuple[int, Any]:
    """The first value whose type is not that of the most."""
    kinds = [None if absent else type(value) for value, absent in zip(values, missing.tolist(), strict=True)]
    present = [kind for kind in kinds if kind is not None]
    most = max(set(present), key=lambda kind: (present.count(kind), kind.__name__))
    row = next((row for row, kind in enumerate(kinds) if kind not in (None, most)), kinds.index(most))
    return row, values[row]


def checked(column: Column, table: Table) -> Column:
    """A column whose NaN are marked as missing.

    Raises:
        DataError: If a number is infinite, or an integer too large for float64.
    """
    values, missing = column.values, column.missing
    if values.dtype.kind == "M":
        missing = missing | np.isnat(values)
    elif values.dtype.kind == "f":
        missing = missing | np.isnan(values)
        bad = np.isinf(values) & ~missing
        if bad.any():
            row = int(bad.argmax())
            raise NonfiniteError(
                f"{table.place(row, column.name)}: expected a finite number, found {values[row]}",
                [f"{table.row} {table.number(at)}" for at in bad.nonzero()[0].tolist()],
                {column.name: int(bad.sum())},
            )
    elif values.dtype.kind == "i":
        bad = (np.abs(values) > MOST_EXACT) & ~missing
        if bad.any():
            row = int(bad.argmax())
            raise _too_large(row, column.name, values[row], table)
    return Column(column.name, values, missing, column.dtype, column.categories, column.ordered)


__all__ = ["MISSING_WORDS", "Array", "Column", "Table", "check_names", "checked", "typed"]
