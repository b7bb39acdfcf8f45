"""Tables in files: which reader reads a file, and the content of a file that is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pushforward.errors import ConfigError, DataError
from pushforward.tables.csv import csv_text, read_csv
from pushforward.tables.frames import parquet_bytes, read_arrow
from pushforward.tables.table import Table
from pushforward.wording import option_name

CSV, ARROW = (".csv", ".tsv"), (".parquet", ".arrow", ".feather")
WRITTEN = (".csv", ".parquet")


def read_table(path: Path, kinds: Mapping[str, str] | None = None) -> Table:
    """The table in a file.

    Arguments:
        path: The file.
        kinds: The kinds of columns that are known: see :func:`~pushforward.tables.csv.read_csv`.

    Raises:
        DataError: If it cannot be read, or its ending is that of no table.

    >>> read_table(Path("rows.txt"))
    Traceback (most recent call last):
    pushforward.errors.DataError: expected a table (.csv, .tsv, .parquet, .arrow, .feather), found rows.txt
    """
    suffix = path.suffix.lower()
    if suffix in CSV:
        return read_csv(path, kinds)
    if suffix in ARROW:
        return read_arrow(path)
    raise DataError(f"expected a table ({', '.join(CSV + ARROW)}), found {path}")


def check_written(path: Path, *more: str) -> None:
    """Checks that a table can be written to a path.

    Raises:
        ConfigError: If it ends neither in .csv nor in .parquet, nor in ``more``.
    """
    endings = sorted((*WRITTEN, *more))
    if path.suffix not in endings:
        raise ConfigError(
            f"{option_name('out')} must end in {', '.join(endings[:-1])} or {endings[-1]}, got {path}"
        )


def table_bytes(table: Table, path: Path) -> bytes:
    """The content of a file of that name."""
    return parquet_bytes(table) if path.suffix == ".parquet" else csv_text(table).encode()


__all__ = ["ARROW", "CSV", "check_written", "read_table", "table_bytes"]
