"""The schema of a table: what each column is, and how rows become cells and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.codec import Codec
from pushforward.errors import ConfigError, DataError, did_you_mean, listed, nearest, reason
from pushforward.reading import parse_json
from pushforward.tables.cells import Cells, NumberCells, cells_from_json
from pushforward.tables.kinds import KINDS, cells_of, infer_kind, restore
from pushforward.tables.table import Array, Column, Table
from pushforward.wording import option_name

NAMES = 6  # categories that are named in the printed schema
IMPUTED = -1.0  # in the place of a value that is not known and is to be imputed


@dataclass(frozen=True)
class ColumnSchema:
    """One column.

    Attributes:
        name: Its name.
        kind: numeric, integer, categorical, ordinal, boolean, date, constant or identifier.
        dtype: The type that it had, which it has again in samples.
        type: The type of its values: see :attr:`Column.type`.
        missing: Whether training rows lack values; that is then one more cell.
        cells: The cells of its values; None of a constant or an identifier, and of a column without values.
        constant: The value of a constant; None if it is always missing.
        categories: The categories of a categorical type, in their order, with those that do not occur.
        ordered: Whether that order means something.
        share: The share of training rows that lack a value.
    """

    name: str
    kind: str
    dtype: str
    type: str
    missing: bool = False
    cells: Cells | None = None
    constant: Any = None
    categories: tuple[Any, ...] | None = None
    ordered: bool = False
    share: float = 0.0

    @property
    def n(self) -> int:
        """Number of cells, that of missing values among them; it is the last."""
        return (self.cells.n if self.cells else 0) + self.missing

    @property
    def is_modelled(self) -> bool:
        """Whether a model sees the column."""
        return self.kind not in ("constant", "identifier")

    @property
    def is_ordered(self) -> bool:
        """Whether its cells lie on an axis."""
        return self.kind not in ("categorical", "boolean")

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return values | {"cells": None if self.cells is None else self.cells.as_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ColumnSchema:
        """The inverse of :meth:`as_json`."""
        cells, categories = values["cells"], values["categories"]
        found = cls(**{
            **values,
            "cells": None if cells is None else cells_from_json(cells),
            "categories": None if categories is None else tuple(categories),
        })  # fmt: skip
        if found.kind not in KINDS or not isinstance(found.name, str) or (found.is_modelled and not found.n):
            raise ValueError(f"no column: {found.name!r:.60} of the kind {found.kind!r:.60}")
        return found

    def words(self) -> str:
        """The column in one line."""
        lacks = f", missing in {self.share:.1%} of rows" if self.missing else ""
        if self.kind == "constant":
            return (
                f"{self.name}: constant, "
                f"{'missing' if self.constant is None else repr(self.constant)}; not modelled"
            )
        if self.kind == "identifier":
            return f"{self.name}: identifier; not modelled, numbered anew"
        if self.kind in ("categorical", "ordinal", "boolean"):
            named = [] if self.cells is None else self.cells.named
            return f"{self.name}: {self.kind}, {len(named)} values: {listed(named, NAMES)}{lacks}"
        low, high = _ends(self)
        return f"{self.name}: {self.kind}, from {low} to {high}, {self.n - self.missing} cells{lacks}"


class Schema(Codec):
    """Turns rows of a table into cells and back.

    Rows of a model are (N, C) numbers for the C columns that are modelled: the cell, and the position within
    it (see :mod:`pushforward.tables.cells`).

    Arguments:
        text: The JSON.

    Raises:
        DataError: If it is no schema.

    Example:
        >>> from pushforward.tables.frames import table_of
        >>> table = table_of({"age": [20, 30, 40, 30], "town": ["Rome", "Oslo", "Rome", None]})
        >>> schema = Schema.of(table)
        >>> print(*schema.lines(), sep="\\n")
        age: integer, from 20 to 40, 3 cells
        town: categorical, 2 values: Oslo, Rome, missing in 25.0% of rows
        >>> schema.decode(schema.encode(table)).columns["age"].values
        array([20, 30, 40, 30])
    """

    modality = "table"
    file = "schema.json"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        try:
            values = parse_json(text)
            self.columns = tuple(ColumnSchema.from_json(column) for column in values["columns"])
            self.library: str = values["library"]
            self.label: str | None = values["label"]
            known = {column.name for column in self.columns}
            if self.label is not None and self.label not in known:
                raise ValueError(f"no column is called {self.label!r:.60}")
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise DataError(f"the schema cannot be read: {type(error).__name__} {reason(error)}") from error
        self.modelled = tuple(column for column in self.columns if column.is_modelled)
        if not self.modelled:
            raise DataError("the table: expected a column that varies, found constants and identifiers only")

    @classmethod
    def of(cls, table: Table, kinds: Mapping[str, str] | None = None, label: str | None = None) -> Schema:
        """The schema of training rows.

        Arguments:
            table: The rows.
            kinds: Kinds of columns, in the place of those that are inferred.
            label: Name of the column that is the label, if there is one.

        Raises:
            ConfigError: If there is no column or kind of that name.
            DataError: If a column cannot be of the kind that was given.
        """
        kinds = kinds or {}
        for name, kind in kinds.items():
            if name not in table.columns:
                raise ConfigError(
                    f"{option_name('columns')}: there is no column {name!r}: {nearest(name, table.columns)}"
                )
            if kind not in KINDS:
                raise ConfigError(
                    f"{option_name('columns')}: there is no kind {kind!r} of columns: {nearest(kind, KINDS)}"
                )
        if label is not None and label not in table.columns:
            raise ConfigError(
                f"{option_name('target')}: there is no column {label!r}: {nearest(label, table.columns)}"
            )
        columns = [_column(column, kinds.get(name), table) for name, column in table.columns.items()]
        values = {"columns": [one.as_json() for one in columns], "library": table.library, "label": label}
        return cls(json.dumps(values))

    def __repr__(self) -> str:
        return f"Schema({len(self.columns)} columns, {sum(self.sizes)} cells)"

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of cells of each modelled column."""
        return tuple(column.n for column in self.modelled)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the modelled columns."""
        return tuple(column.name for column in self.modelled)

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of each column, also of those that are not modelled."""
        return {column.name: column.kind for column in self.columns}

    def lines(self) -> list[str]:
        """One line for each column."""
        return [column.words() for column in self.columns]

    def encode(self, table: Table, lacking: bool = False) -> Tensor:
        """Rows (N, C), float32, of a table; other columns than the modelled ones are not looked at.

        Arguments:
            table: The rows.
            lacking: Whether values that are missing become :data:`IMPUTED`, and columns that are missing too.

        Raises:
            DataError: If a column is missing, is of another type, or has a value that no training row had.
        """
        x = torch.full((len(table), len(self.modelled)), IMPUTED)
        for place, column in enumerate(self.modelled):
            if column.name in table.columns:
                x[:, place] = torch.from_numpy(self._encoded(column, table, lacking)).float()
            elif not lacking:
                found = listed(list(table.columns), NAMES)
                raise DataError(f"{table.source}: expected a column {column.name!r}, found {found}")
        return x

    def _encoded(self, column: ColumnSchema, table: Table, lacking: bool) -> Array:
        given = restore(table.columns[column.name], column.type, table)
        x = np.full(len(given), IMPUTED)
        if given.missing.any() and not lacking:
            if not column.missing:
                row = int(given.missing.argmax())
                raise DataError(
                    f"{table.place(row, column.name)}: expected a value as in all training rows, found none"
                )
            x[given.missing] = column.n - 0.5
        if column.cells is not None:
            known = column.cells.encode(given.known)
            x[~given.missing] = known
        elif not given.missing.all():
            known = np.array([np.nan])
            x[~given.missing] = np.nan
        if np.isnan(x).any():
            row = int(np.isnan(x).argmax())
            raise DataError(
                f"{table.place(row, column.name)}: expected a value of the training rows "
                f"({column.words()}), found {given.values[row]!r:.60}{_meant(column, given.values[row])}"
            )
        return x

    def decode(self, x: Tensor, first: int = 0) -> Table:
        """The table that rows (N, C) stand for, with the columns that are not modelled.

        Arguments:
            x: The rows.
            first: The number of the first row, for identifiers.
        """
        place = {name: number for number, name in enumerate(self.names)}
        rows = x.detach().cpu().double().numpy()
        columns = {}
        for column in self.columns:
            if column.is_modelled:
                found = _decoded(column, rows[:, place[column.name]])
            elif column.kind == "identifier":
                numbers = np.arange(first + 1, first + 1 + len(rows))
                values = (
                    numbers if column.type == "integer" else np.array([str(n) for n in numbers], dtype=object)
                )
                found = _typed(column, values, np.zeros(len(rows), dtype=bool))
            else:
                absent = np.full(len(rows), column.constant is None)
                found = _typed(column, np.array([column.constant] * len(rows), dtype=object), absent)
            columns[column.name] = found
        return Table(columns, self.library)

    def numbers(self, table: Table) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The modelled columns of a table as numbers (N, C), and which of them hold categories, (C,).

        NaN is missing; a category is its place in the schema, one that is not there comes after all others.
        """
        parts = []
        for column in self.modelled:
            given = restore(table.columns[column.name], column.type, table)
            if column.is_ordered and column.kind != "ordinal":
                values = given.values.astype(np.float64)
            else:
                known = {} if column.cells is None else {v: k for k, v in enumerate(column.cells.named)}
                values = np.array(
                    [known.get(value, len(known)) for value in given.values.tolist()], dtype=np.float64
                )
            parts.append(np.where(given.missing, np.nan, values))
        categorical = [column.kind in ("categorical", "ordinal", "boolean") for column in self.modelled]
        return np.stack(parts, axis=1), np.array(categorical)

    def class_of(self, table: Table) -> tuple[Tensor, tuple[str, ...]] | None:
        """The classes (N,) of rows and their names, of the label if its values are few; -1 where it is
        missing.
        """
        column = next((one for one in self.modelled if one.name == self.label), None)
        if column is None or column.kind not in ("categorical", "ordinal", "boolean"):
            return None
        assert column.cells is not None
        given = restore(table.columns[column.name], column.type, table)
        y = np.full(len(given), -1, dtype=np.int64)
        known = column.cells.encode(given.known)
        y[~given.missing] = np.where(np.isnan(known), -1, np.floor(np.nan_to_num(known, nan=-1)))
        names = [str(value) for value in column.cells.named][: column.cells.n]
        return torch.from_numpy(y), tuple(names)


def _meant(column: ColumnSchema, value: Any) -> str:
    """The category that is most like an unknown one, as a question."""
    named = [] if column.cells is None else column.cells.named
    hint = did_you_mean(value, map(str, named)).strip()
    return f"; {hint}" if hint else ""


def _ends(column: ColumnSchema) -> tuple[Any, Any]:
    """The least and the greatest value of a column of numbers or dates, as printed."""
    assert isinstance(column.cells, NumberCells)
    low, high = column.cells.range
    if column.type == "date":
        ends = (str(np.datetime64(round(end), "us")).replace("T00:00:00.000000", "") for end in (low, high))
        return next(ends), next(ends)
    return f"{low:.12g}", f"{high:.12g}"


def _column(column: Column, kind: str | None, table: Table) -> ColumnSchema:
    kind = kind or infer_kind(column)
    missing = bool(column.missing.any())
    about = ColumnSchema(
        column.name, kind, column.dtype, column.type, missing and kind not in ("constant", "identifier"),
        None, None, column.categories, column.ordered, float(column.missing.mean()),
    )  # fmt: skip
    if kind == "constant":
        values = {str(value): value for value in column.known}
        if len(values) > 1 or (values and missing):
            raise ConfigError(
                f"{option_name('columns')}: {column.name!r} is no constant, it has {len(values) + missing} "
                f"values"
            )
        constant = next(iter(values.values()), None)
        plain = constant.item() if isinstance(constant, np.generic) and column.type != "date" else constant
        return ColumnSchema(**{**vars(about), "constant": str(plain) if column.type == "date" else plain})
    cells = None if kind == "identifier" or not len(column.known) else cells_of(column, kind, table)
    return ColumnSchema(**{**vars(about), "cells": cells})


def _decoded(column: ColumnSchema, x: Array) -> Column:
    absent = np.floor(x) >= (column.cells.n if column.cells else 0)
    if column.cells is None:
        return _typed(column, np.zeros(len(x)), absent)
    values = column.cells.decode(np.where(absent, 0.5, x))
    return _typed(column, values, absent)


def _typed(column: ColumnSchema, values: Array, absent: Sequence[bool] | Array) -> Column:
    fill = {"float": np.float64, "integer": np.int64, "boolean": np.bool_}
    missing = np.asarray(absent, dtype=bool)
    if column.type == "date":
        values = np.where(missing, 0, values) if values.dtype == object else values
        array = (
            np.array(values, dtype="datetime64[us]")
            if values.dtype == object
            else values.astype(np.int64).astype("datetime64[us]")
        )
    elif column.type in fill:
        array = np.where(missing, 0, values).astype(fill[column.type])
    else:
        array = values.astype(object)
    return Column(column.name, array, missing, column.dtype, column.categories, column.ordered)


__all__ = ["IMPUTED", "ColumnSchema", "Schema"]
