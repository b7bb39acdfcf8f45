"""Tables as data sets: frames, and files of comma-separated values, Parquet, Arrow and Feather."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pushforward.data.dataset import Dataset, Split
from pushforward.data.formats import OpenOptions, data_format
from pushforward.tables.csv import read_csv
from pushforward.tables.files import ARROW, CSV
from pushforward.tables.frames import is_frame, read_arrow, table_of
from pushforward.tables.schema import Schema
from pushforward.tables.table import Table
from pushforward.wording import plural

NAMED_BY = 6  # digits of the fingerprint in the name of a frame


@data_format("a .csv or .tsv file", suffixes=CSV, modality="table")
def open_csv(path: Path, options: OpenOptions) -> Dataset:
    """The table in a file with a header, see :func:`~pushforward.tables.csv.read_csv`.

    Raises:
        DataError: If it cannot be read, or has too few rows.
    """
    known = options.codec.kinds if isinstance(options.codec, Schema) else {}
    kinds = options.columns or known
    return table_dataset(read_csv(path, kinds), path.stem, str(path), options)


@data_format("a .parquet, .arrow or .feather file", suffixes=ARROW, modality="table")
def open_arrow(path: Path, options: OpenOptions) -> Dataset:
    """The table in a file of Arrow.

    Raises:
        ConfigError: If pyarrow is not installed.
        DataError: If it cannot be read, or has too few rows.
    """
    return table_dataset(read_arrow(path), path.stem, str(path), options)


@data_format("a frame of pandas or polars", accepts=is_frame, modality="table")
def open_frame(source: Any, options: OpenOptions) -> Dataset:
    """The table in a frame of pandas or polars, or an Arrow table.

    Raises:
        DataError: If a column holds what no column can hold, or there are too few rows.
    """
    data = table_dataset(table_of(source, "the frame"), "frame", None, options)
    return replace(data, name=f"{data.name}-{data.fingerprint[:NAMED_BY]}")


def table_dataset(table: Table, name: str, source: str | None, options: OpenOptions) -> Dataset:
    """The data set of a table; a tenth of the rows is held out, and the schema is that of the other ones.

    Raises:
        ConfigError: If ``columns`` or ``label`` name columns or kinds that there are not.
        DataError: If there are too few rows.
    """
    grouped = options.grouped
    own = {} if grouped is None else {grouped: "identifier"}  # a group is no property of its rows

    def values(name: str) -> np.ndarray | None:
        if name not in table.columns:
            return None
        column = table.columns[name]
        found = column.values.astype(object)
        found[column.missing] = None
        return found

    split = options.parts(len(table), values, table.source)
    numbers = torch.arange(len(table))
    train, test = numbers[split.train].numpy(), numbers[split.test].numpy()
    schema = options.codec
    notes = []
    if not isinstance(schema, Schema):
        schema = Schema.of(table.rows(train), {**own, **(options.columns or {})} or None, options.target)
        test, left_out = _known(schema, table, test)
        notes += [
            f"left out {left_out} held-out {plural(left_out, 'row')} with values that no training row has"
        ] * bool(left_out)
    else:
        test, _ = _known(schema, table, test)
    parts = [table.rows(index) for index in (train, test)]
    classes = [schema.class_of(part) for part in parts]
    splits = [
        Split(schema.encode(part), None if found is None else found[0])
        for part, found in zip(parts, classes, strict=True)
    ]
    notes += [split.note] * bool(split.note)
    names = None if classes[0] is None else classes[0][1]
    whole = options.partition is None and len(train) + len(test) == len(table)
    return Dataset(
        name, splits[0], splits[1], False, names, (*schema.lines(), *notes), source,
        codec=schema, held_out_at_random=whole,
    )  # fmt: skip


def _known(schema: Schema, table: Table, rows: np.ndarray) -> tuple[np.ndarray, int]:
    """Of some rows those that have cells, and the number of the others: a category may be held out alone."""
    kept = np.ones(len(rows), dtype=bool)
    for column in schema.modelled:
        found = table.columns.get(column.name)
        if found is None:
            continue
        part = found.rows(rows)
        kept &= column.missing | ~part.missing
        if column.cells is not None and column.kind in ("categorical", "ordinal", "boolean"):
            kept[~part.missing] &= ~np.isnan(column.cells.encode(part.known))
    return rows[kept], int((~kept).sum())


__all__ = ["open_arrow", "open_csv", "open_frame", "table_dataset"]
