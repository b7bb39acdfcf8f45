"""Tables in files of comma-separated values: what separates them and what a column holds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from pushforward.errors import DataError, reason
from pushforward.reading import MOST_TEXT, open_file, read_up_to, size_in_words
from pushforward.tables.table import MISSING_WORDS, Column, Table, check_names, checked
from pushforward.wording import option_name

SEPARATORS = (",", ";", "\t", "|")
MOST_CHARACTERS = 1_000_000  # of one value
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.IGNORECASE)
INTEGER = re.compile(r"[+-]?\d+")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?")
TRUTH = {"true": True, "false": False}
NEARLY_ALL = 0.9  # of a column's values are numbers: the others are taken for mistakes


def read_csv(path: Path, kinds: Mapping[str, str] | None = None, more: Sequence[Path] = ()) -> Table:
    """The table in a file of comma-, semicolon-, tab- or bar-separated values, with a header.

    Values are numbers, truth values (true, false), dates (2024-01-31, also with a time) or text; numbers that
    begin with a needless 0 are text, as are those of columns that ``kinds`` calls categorical. Empty values
    and NA, N/A, NaN, nan, null, NULL, None and <NA> are missing.

    Arguments:
        path: The file.
        kinds: The kinds of columns that the user gave.
        more: Files with more rows of the same table.

    Raises:
        DataError: If it cannot be read or is no such table; the message names line and column.
    """
    names, rows, lines = _rows(path)
    for other in more:
        found, its_rows, its_lines = _rows(other)
        if found != names:
            raise DataError(f"{other}: expected the columns of {path}, found {', '.join(found)}")
        rows, lines = rows + its_rows, lines + its_lines
    table = Table({}, "pandas", str(path), 2, "line", lines)
    texts = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    as_text = {
        name for name, kind in (kinds or {}).items() if kind in ("categorical", "identifier", "ordinal")
    }
    columns = {name: parsed(name, column, table, name in as_text) for name, column in texts.items()}
    for name, column in columns.items():
        if name not in as_text:
            _check_no_mistake(column, table)
    return Table(columns, "pandas", str(path), 2, "line", lines)


def _check_no_mistake(column: Column, table: Table) -> None:
    """Refuses a column of text that nearly always is a number."""
    if column.type != "text":
        return
    numbers = [NUMBER.fullmatch(value) is not None for value in column.known.tolist()]
    if len(numbers) >= 20 and NEARLY_ALL * len(numbers) <= sum(numbers) < len(numbers):
        row = int(np.flatnonzero(~column.missing)[numbers.index(False)])
        raise DataError(
            f"{table.place(row, column.name)}: expected a number as in the other rows, found "
            f"{column.values[row]!r:.60}; if the column is text, call it categorical with "
            f"{option_name('columns')}"
        )


def _rows(path: Path) -> tuple[tuple[str, ...], list[list[str]], list[int]]:
    """Names of columns, rows, and the line of each row."""
    try:
        with open_file(path, MOST_TEXT) as file:
            raw = read_up_to(file, MOST_TEXT)
        if len(raw) > MOST_TEXT:
            raise OSError(f"expected at most {size_in_words(MOST_TEXT)}, found more")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error)}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(10) + 1
        raise DataError(
            f"{path}: expected UTF-8, found byte 0x{raw[error.start]:02x} in line {line}"
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{path}: expected text, found a NUL in line {line}: is this a table?")
    separator = _separator(text)
    csv.field_size_limit(MOST_CHARACTERS)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True
    )
    header: list[str] | None = None
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for row in reader:
            is_value = header is not None and len(header) == 1 and len(row) == 1  # in quotes, of one column
            if not any(value.strip() for value in row) and len(row) <= 1 and not is_value:
                continue  # an empty line
            if header is None:
                header = row
            elif len(row) != len(header):
                raise DataError(
                    f"{path}: expected {len(header)} values as in the header, found "
                    f"{len(row)} in line {reader.line_num}"
                )
            else:
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num} cannot be read: {error}") from None
    if header is None:
        raise DataError(f"{path}: expected a table with a header, found an empty file")
    header = [name.strip() or f"Unnamed: {place}" for place, name in enumerate(header)]
    if all(NUMBER.fullmatch(name) for name in header):
        raise DataError(f"{path}: expected names of columns in line 1, found numbers; add a header")
    return check_names(header, str(path)), rows, lines


def _separator(text: str) -> str:
    """What separates values: what comes most often in the header, outside of quotes."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    plain = re.sub(r'"[^"]*"', "", first)
    return max(SEPARATORS, key=plain.count)


def parsed(name: str, texts: Sequence[str], table: Table, as_text: bool = False) -> Column:
    """A column of texts as numbers, truth values or dates, if all are such; else as text.

    Raises:
        DataError: If a number is not finite.
    """
    stripped = [value.strip() for value in texts]
    missing = np.array([value in MISSING_WORDS for value in stripped], dtype=bool)
    known = [value for value, absent in zip(stripped, missing.tolist(), strict=True) if not absent]
    if as_text or not known:
        return Column(name, np.array(stripped, dtype=object), missing, "str")
    if all(value.lower() in TRUTH for value in known):
        values = np.array([TRUTH.get(value.lower(), False) for value in stripped], dtype=bool)
        return Column(name, values, missing, "bool" if not missing.any() else "boolean")
    numbers = [NUMBER.fullmatch(value) is not None for value in known]
    if all(numbers) and not any(_padded(value) for value in known):
        whole = all(INTEGER.fullmatch(value) for value in known)
        try:
            filled = [
                "0" if absent else value for value, absent in zip(stripped, missing.tolist(), strict=True)
            ]
            array = np.array(filled).astype(np.int64 if whole else np.float64)
        except OverflowError:
            whole, array = False, np.array([float(value) for value in filled])
        dtype = "float64" if not whole else "Int64" if missing.any() else "int64"
        return checked(Column(name, array, missing, dtype), table)
    if all(DATE.fullmatch(value) for value in known):
        return _dates(name, stripped, missing, table)
    return Column(name, np.array(stripped, dtype=object), missing, "str")


def _padded(value: str) -> bool:
    digits = value.lstrip("+-")
    return len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()


def _dates(name: str, texts: Sequence[str], missing: np.ndarray, table: Table) -> Column:
    values = np.zeros(len(texts), dtype="datetime64[us]")
    for row, value in enumerate(texts):
        if not missing[row]:
            try:
                values[row] = np.datetime64(value.replace(" ", "T"), "us")
            except ValueError:
                raise DataError(f"{table.place(row, name)}: expected a date, found {value!r}") from None
    return Column(name, values, missing, "datetime64[us]")


# ----------------------------------------------------------------------------------------- to text


def table_cells(table: Table) -> list[list[str]]:
    """The names of the columns and below them the values of every row as text; what is missing is empty."""
    columns = [_written(column) for column in table.columns.values()]
    return [list(table.columns), *map(list, zip(*columns, strict=True))]


def table_lines(table: Table) -> list[str]:
    """The same in lines, columns below each other."""
    cells = table_cells(table)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(f"{value:>{width}}" for value, width in zip(row, widths, strict=True)) for row in cells]


def csv_text(table: Table) -> str:
    """The table as comma-separated values with a header, which :func:`read_csv` reads."""
    return csv_lines(table_cells(table))


def csv_lines(cells: Sequence[Sequence[str]]) -> str:
    """Rows of texts as lines of comma-separated values, in quotes where they have to be.

    >>> csv_lines([["a", "b,c"], ["1", "2"]])
    'a,"b,c"\\n1,2\\n'
    """
    buffer = io.StringIO()
    # the writer does not quote carriage returns by itself
    is_plain = not any("\r" in value for row in cells for value in row)
    quoting: Literal[0, 1] = csv.QUOTE_MINIMAL if is_plain else csv.QUOTE_ALL
    csv.writer(buffer, lineterminator="\n", quoting=quoting).writerows(cells)
    return buffer.getvalue()


def _written(column: Column) -> list[str]:
    values = column.values
    if column.type == "date":
        whole = (values == values.astype("datetime64[D]")).all()
        values = values.astype("datetime64[D]" if whole else "datetime64[s]").astype(str)
    elif column.type == "float":
        kept = np.float32 if column.dtype.lower() == "float32" else np.float64
        values = np.array(
            [str(value) for value in values.astype(kept).tolist()]
            if kept is np.float64
            else values.astype(kept).astype(str)
        )
    return [
        "" if absent else str(value)
        for value, absent in zip(values.tolist(), column.missing.tolist(), strict=True)
    ]


__all__ = ["csv_lines", "csv_text", "parsed", "read_csv", "table_cells", "table_lines"]
