"""Kinds of columns: which one a column is, its cells, and values of another type as those of training."""

from __future__ import annotations

from typing import Any

import numpy as np

from pushforward.errors import ConfigError, DataError, plain
from pushforward.tables.cells import CategoryCells, Cells, DateCells, NumberCells
from pushforward.tables.csv import parsed
from pushforward.tables.table import MISSING_WORDS, Column, Table
from pushforward.wording import option_name

KINDS = ("numeric", "integer", "categorical", "ordinal", "boolean", "date", "constant", "identifier")
LEAST_DIFFERENT = 10  # rows, from which on a column of different values is taken for an identifier
MANY = 100  # different texts, most of them in one row alone: an identifier or free text
UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000, "day": 86_400_000_000}


def infer_kind(column: Column) -> str:
    """The kind of a column, from its values.

    >>> from pushforward.tables.frames import table_of
    >>> table = table_of({"a": [1, 2, 2], "b": ["x"] * 3, "c": [True, False, None]})
    >>> [infer_kind(column) for column in table.columns.values()]
    ['integer', 'constant', 'boolean']
    """
    known = column.known
    different = len(set(known.tolist())) if known.dtype == object else len(np.unique(known))
    if different == 0 or (different == 1 and not column.missing.any()):
        return "constant"
    unique = different == len(known) >= LEAST_DIFFERENT
    if column.type == "text":
        if column.ordered:
            return "ordinal"
        scattered = different > MANY and 2 * different > len(known)
        return "identifier" if (unique or scattered) and column.categories is None else "categorical"
    if column.type == "integer":
        span = int(known.max()) - int(known.min()) + 1  # some rows of a file may be held out
        numbered = unique and not column.missing.any() and span <= 1.5 * len(known)
        return "identifier" if numbered else "integer"
    return {"float": "numeric", "boolean": "boolean", "date": "date"}[column.type]


def cells_of(column: Column, kind: str, table: Table) -> Cells:
    """The cells of a column of a kind.

    Raises:
        ConfigError: If it cannot be of that kind.
    """
    if kind in ("categorical", "ordinal", "boolean"):
        values = column.known.tolist() if column.type != "date" else column.known.astype(str).tolist()
        different = len(set(values))
        if kind == "boolean" and different > 2:
            raise ConfigError(
                f"{option_name('columns')}: {column.name!r} cannot be boolean, it has {different} values"
            )
        if column.type == "date":
            raise ConfigError(
                f"{option_name('columns')}: {column.name!r} holds dates, which can be date, constant or "
                f"identifier, got {kind}"
            )
        return CategoryCells.of(values, column.categories)
    if column.type == "text" or (column.type == "boolean") or (kind == "date") != (column.type == "date"):
        raise ConfigError(
            f"{option_name('columns')}: {column.name!r} cannot be {kind}, its values are "
            f"{_plural(column.type)}"
        )
    known = column.known
    if kind == "date":
        ticks = known.astype("datetime64[us]").astype(np.int64)
        cells = NumberCells.of(ticks.astype(np.float64) / (unit := _unit(ticks)))
        scaled = tuple(tuple(value * unit for value in part) for part in cells.values)
        return DateCells(scaled, cells.levels, unit)
    if kind == "integer" and column.type == "float" and (known != np.round(known)).any():
        row = int((~column.missing & (column.values != np.round(column.values))).argmax())
        raise DataError(f"{table.place(row, column.name)}: expected an integer, found {column.values[row]}")
    return NumberCells.of(known.astype(np.float64))


def restore(column: Column, kind: str, table: Table) -> Column:
    """A column with values of the type of training rows; text is read as in a file, such as dates in a frame.

    Raises:
        DataError: If it has others.
    """
    values, found = column.values, column.type
    if kind == found:
        return (
            Column(
                column.name, values.astype("datetime64[us]").astype(np.int64), column.missing, column.dtype
            )
            if kind == "date"
            else column
        )
    if column.missing.all():
        return Column(column.name, np.zeros(len(values)), column.missing, column.dtype)
    if {kind, found} <= {"float", "integer"} or (kind == "text" and found != "date"):
        if kind == "text":
            values = np.array([str(value) for value in values.tolist()], dtype=object)
        if kind == "integer" and (values[~column.missing] != np.round(values[~column.missing])).any():
            row = int((~column.missing & (values != np.round(values))).argmax())
            raise DataError(f"{table.place(row, column.name)}: expected an integer, found {values[row]}")
        return Column(column.name, values, column.missing, column.dtype)
    row = int((~column.missing).argmax())
    if found == "text":
        texts = np.where(column.missing, "", values).tolist()
        read = parsed(column.name, texts, table)
        if read.type != "text":
            return restore(read, kind, table)
        there = (at for at, text in enumerate(texts) if text.strip() not in MISSING_WORDS)
        row = next((at for at in there if parsed(column.name, [texts[at]], table).type == "text"), row)
    written = {"date": ", or write them as 2024-01-31"}.get(kind, "")
    hint = f"; convert the column to {_plural(kind)}{written}" if "date" in (kind, found) else ""
    raise DataError(
        f"{table.place(row, column.name)}: expected {_plural(kind)} as in training, found "
        f"{_plural(found)} such as {plain(values[row])!r:.60}{hint}"
    )


def _plural(kind: str) -> str:
    return {"float": "numbers", "integer": "integers", "boolean": "truth values", "date": "dates"}.get(
        kind, kind
    )


def _unit(ticks: Any) -> int:
    """The microseconds of the coarsest unit of which all dates are multiples."""
    return next((size for size in reversed(UNITS.values()) if not (ticks % size).any()), 1)


__all__ = ["KINDS", "cells_of", "infer_kind", "restore"]
