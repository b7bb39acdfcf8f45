"""Tables from and to frames: pandas, polars, Arrow, and dicts of columns. The libraries are imported only
when used.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.errors import ConfigError, DataError, reason
from pushforward.tables.table import Column, Table, check_names, checked, typed


def is_frame(source: object) -> bool:
    """Whether a source is a frame of pandas or polars, or an Arrow table."""
    kind = type(source)
    return (kind.__module__.split(".")[0], kind.__name__) in {
        ("pandas", "DataFrame"), ("polars", "DataFrame"), ("polars", "LazyFrame"), ("pyarrow", "Table")
    }  # fmt: skip


def table_of(source: Any, name: str = "the table") -> Table:
    """The table in a frame, an Arrow table, or a dict of columns.

    Raises:
        DataError: If it is none, or a column holds what no column can hold.

    >>> table_of({"a": [1, None]}).columns["a"].missing
    array([False,  True])
    """
    if isinstance(source, Table):
        return source
    kind = type(source).__module__.split(".")[0]
    if isinstance(source, Mapping):
        return _of_dict(source, name)
    if not is_frame(source):
        raise DataError(f"expected a frame or a dict of columns, found {type(source).__name__}")
    if kind == "pandas":
        return _of_pandas(source, name)
    if kind == "polars":
        return _of_polars(source.collect() if type(source).__name__ == "LazyFrame" else source, name)
    return _of_arrow(source, name)


def read_arrow(path: Path, more: Sequence[Path] = ()) -> Table:
    """The table in a Parquet, Arrow or Feather file.

    Arguments:
        path: The file.
        more: Files of its kind with more rows of the same table.

    Raises:
        ConfigError: If pyarrow is not installed.
        DataError: If a file cannot be read.
    """
    try:
        import pyarrow
        from pyarrow import feather, parquet
    except ImportError as error:
        raise ConfigError(f"{path} needs the pyarrow library: pip install 'pushforward[tables]'") from error
    try:
        read = parquet.read_table if path.suffix.lower() == ".parquet" else feather.read_table
        found = pyarrow.concat_tables([read(one) for one in (path, *more)])
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {reason(error)}") from error
    return _of_arrow(found, str(path))


def _of_dict(source: Mapping[Any, Any], name: str) -> Table:
    names = check_names(list(source), name)
    sizes = {column: len(source[column]) for column in names}
    if len(set(sizes.values())) > 1:
        raise DataError(
            f"{name}: expected columns of equal length, found "
            f"{', '.join(f'{k!r} of {v}' for k, v in sizes.items())}"
        )
    table = Table({}, "numpy", name)
    return Table({column: _values(column, source[column], table) for column in names}, "numpy", name)


def _values(name: str, values: Any, table: Table) -> Column:
    array = np.ma.getdata(values) if isinstance(values, np.ma.MaskedArray) else values
    array = np.asarray(array, dtype=object) if isinstance(array, (list, tuple)) else np.asarray(array)
    if array.ndim != 1:
        raise DataError(
            f"{table.source}: column {name!r}: expected one value a row, found shape {array.shape}"
        )
    missing = (
        np.ma.getmaskarray(values)
        if isinstance(values, np.ma.MaskedArray)
        else np.zeros(len(array), dtype=bool)
    )
    return _typed_array(name, array, missing, str(array.dtype), table)


def _typed_array(name: str, array: np.ndarray, missing: np.ndarray, dtype: str, table: Table) -> Column:
    if array.dtype.kind in "iu":
        big = array.dtype == np.uint64 and (array > 2**63 - 1).any()
        return checked(Column(name, array.astype(np.float64 if big else np.int64), missing, dtype), table)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return checked(Column(name, array.astype(np.float64), missing, dtype), table)
    if array.dtype.kind == "b":
        return Column(name, array, missing, dtype)
    if array.dtype.kind == "M":
        return checked(Column(name, array.astype("datetime64[us]"), missing, dtype), table)
    if array.dtype.kind in "mcV":
        raise DataError(
            f"{table.source}: column {name!r}: expected numbers, truth values, dates or "
            f"text, found {array.dtype}"
        )
    objects = array.astype(object)
    absent = missing | np.array([_is_missing(value) for value in objects], dtype=bool)
    return typed(name, objects.tolist(), absent, "object" if array.dtype.kind in "OUST" else dtype, table)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return bool(isinstance(value, (float, np.floating)) and np.isnan(value))


def _of_pandas(frame: Any, name: str) -> Table:
    names = check_names(list(frame.columns), name)
    table = Table({}, "pandas", name)
    columns = {}
    for column in names:
        series = frame[column]
        dtype, missing = str(series.dtype), series.isna().to_numpy()
        if dtype == "category":
            categories = [_item(value) for value in series.cat.categories]
            found = typed(
                column,
                [
                    None if absent else value
                    for value, absent in zip(series.astype(object).tolist(), missing, strict=True)
                ],
                missing,
                dtype,
                table,
            )
            if found.type == "text" or all(isinstance(one, (int, float, bool)) for one in categories):
                values = found.values
                columns[column] = Column(
                    column,
                    np.array(values.tolist(), dtype=object),
                    found.missing,
                    dtype,
                    tuple(categories),
                    bool(series.cat.ordered),
                )
                continue
            raise DataError(
                f"{name}: column {column!r}: expected categories as text or numbers, found {found.type} ones"
            )
        if getattr(series.dtype, "tz", None) is not None:
            raise DataError(
                f"{name}: column {column!r}: expected dates without a time zone, found "
                f"{dtype}; convert with .dt.tz_localize(None)"
            )
        if hasattr(series.dtype, "na_value") and dtype not in ("str", "object") and missing.any():
            fill = False if dtype == "boolean" else 0
            series = series.fillna(fill) if dtype[0] in "IUFb" else series.astype(object)
        plain = {"I": "int64", "U": "int64", "F": "float64"}.get(dtype[0])
        array = (
            series.to_numpy(dtype=plain)
            if plain
            else series.to_numpy(dtype=bool)
            if dtype == "boolean"
            else series.to_numpy()
        )
        columns[column] = _typed_array(column, array, missing, dtype, table)
    return Table(
        {column: _named(found, str(frame[column].dtype)) for column, found in columns.items()}, "pandas", name
    )


def _named(column: Column, dtype: str) -> Column:
    return Column(column.name, column.values, column.missing, dtype, column.categories, column.ordered)


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _of_polars(frame: Any, name: str) -> Table:
    import polars

    names = check_names(list(frame.columns), name)
    table = Table({}, "polars", name)
    columns = {}
    for column in names:
        series = frame[column]
        missing = series.is_null().to_numpy()
        kind = series.dtype
        if kind in (polars.String, polars.Categorical) or isinstance(kind, polars.Enum):
            values = np.array(series.cast(polars.String).to_list(), dtype=object)
            categories = tuple(kind.categories.to_list()) if isinstance(kind, polars.Enum) else None
            found = typed(column, values.tolist(), missing, str(kind), table)
            columns[column] = Column(
                column, found.values, found.missing, "Enum" if categories else str(kind), categories, False
            )
            continue
        if kind == polars.Boolean:
            array = series.fill_null(False).to_numpy()
        elif kind.is_numeric():
            array = series.fill_null(0).to_numpy()
        elif kind == polars.Date or isinstance(kind, polars.Datetime):
            array = (
                series.dt.replace_time_zone(None).to_numpy()
                if isinstance(kind, polars.Datetime)
                else series.to_numpy()
            )
        else:
            raise DataError(
                f"{name}: column {column!r}: expected numbers, truth values, dates or text, found {kind}"
            )
        columns[column] = _named(_typed_array(column, array, missing, str(kind), table), str(kind))
    return Table(columns, "polars", name)


def _of_arrow(found: Any, name: str) -> Table:
    import pyarrow
    from pyarrow import types

    names = check_names(found.column_names, name)
    table = Table({}, "pandas", name)
    columns = {}
    for place, column in enumerate(names):
        values = found.column(place).combine_chunks()
        missing = np.asarray(values.is_null().to_numpy(zero_copy_only=False), dtype=bool)
        kind, categories, ordered = values.type, None, False
        if types.is_dictionary(kind):
            words = values.dictionary.to_pylist() if isinstance(values, pyarrow.DictionaryArray) else []
            categories, ordered = tuple(words), bool(kind.ordered)
            values = values.cast(kind.value_type)
        if types.is_decimal(kind):
            values = values.cast(pyarrow.float64())
        if types.is_integer(values.type) and missing.any():
            values = values.fill_null(0)
        if types.is_boolean(values.type):
            values = values.fill_null(False)
        if types.is_integer(values.type) or types.is_floating(values.type) or types.is_boolean(values.type):
            array = values.to_numpy(zero_copy_only=False)
            dtype = (
                str(array.dtype)
                if not missing.any() or array.dtype.kind == "f"
                else "boolean"
                if array.dtype == bool
                else str(array.dtype).replace("i", "I", 1).replace("u", "U", 1)
            )
        elif types.is_timestamp(values.type) or types.is_date(values.type):
            array = values.cast(pyarrow.timestamp("us")).to_numpy(zero_copy_only=False)
            dtype = f"datetime64[{values.type.unit if types.is_timestamp(values.type) else 'us'}]"
        elif types.is_string(values.type) or types.is_large_string(values.type) or types.is_null(values.type):
            array, dtype = np.array(values.to_pylist(), dtype=object), "str"
        else:
            raise DataError(
                f"{name}: column {column!r}: expected numbers, truth values, dates or "
                f"text, found {values.type}"
            )
        one = _named(_typed_array(column, array, missing, dtype, table), "category" if categories else dtype)
        if categories and one.type != "text":
            one = Column(column, np.array(one.values.tolist(), dtype=object), one.missing, "category")
        columns[column] = Column(column, one.values, one.missing, one.dtype, categories, ordered)
    return Table(columns, "pandas", name)


# ------------------------------------------------------------------------------------------- to frames


def frame_of(table: Table) -> Any:
    """A table as a frame of its library; without that library, or with none, a dict of numpy arrays.

    In arrays what is missing is NaN, NaT or None.
    """
    if table.library == "polars" and _there("polars"):
        return _to_polars(table)
    if table.library == "pandas" and _there("pandas"):
        return _to_pandas(table)
    return {name: _plain_array(column) for name, column in table.columns.items()}


def parquet_bytes(table: Table) -> bytes:
    """The table as the content of a Parquet file.

    Raises:
        ConfigError: If neither pandas with pyarrow nor polars is installed.
    """
    frame, buffer = frame_of(table), io.BytesIO()
    try:
        if hasattr(frame, "to_parquet"):
            frame.to_parquet(buffer)
        elif hasattr(frame, "write_parquet"):
            frame.write_parquet(buffer)
        else:
            raise ImportError("pandas")
    except ImportError as error:
        raise ConfigError("Parquet needs pandas and pyarrow: pip install 'pushforward[tables]'") from error
    return buffer.getvalue()


def _there(library: str) -> bool:
    if library in sys.modules:
        return True
    try:
        __import__(library)
    except ImportError:
        return False
    return True


def _plain_array(column: Column) -> np.ndarray:
    if not column.missing.any():
        return column.values
    if column.type in ("float", "integer"):
        return np.where(column.missing, np.nan, column.values.astype(np.float64))
    if column.type == "date":
        return np.where(column.missing, np.datetime64("NaT", "us"), column.values)
    return _objects(column)


def _objects(column: Column) -> np.ndarray:
    values = column.values.astype(object)
    values[column.missing] = None
    return values


def _to_pandas(table: Table) -> Any:
    import pandas

    columns = {}
    for name, column in table.columns.items():
        dtype: Any = column.dtype
        if dtype == "category":
            dtype = pandas.CategoricalDtype(
                list(column.categories or sorted(set(column.known.tolist()))), column.ordered
            )
        if dtype[0] in "IUF" if isinstance(dtype, str) else False:
            masked = pandas.array(column.values, dtype=dtype)
            masked[column.missing] = pandas.NA
            columns[name] = pandas.Series(masked)
        elif isinstance(dtype, str) and column.type in ("float", "integer", "date") and dtype != "object":
            array = _plain_array(column)
            columns[name] = pandas.Series(
                array if column.missing.any() and dtype[0] in "iu" else array.astype(dtype)
            )
        elif dtype == "bool" and not column.missing.any():
            columns[name] = pandas.Series(column.values)
        else:
            columns[name] = pandas.Series(
                list(_objects(column)), dtype="object" if dtype == "bool" else dtype
            )
    return pandas.DataFrame(columns)


def _to_polars(table: Table) -> Any:
    import polars

    columns = []
    for name, column in table.columns.items():
        values: Sequence[Any] = _objects(column).tolist()
        kind: Any
        if column.dtype == "Enum":
            kind = polars.Enum(list(column.categories or ()))
        elif column.type == "date":
            dates = polars.Series(name, _plain_array(column)).cast(polars.Datetime("us"))
            columns.append(dates.cast(polars.Date) if column.dtype == "Date" else dates)
            continue
        else:
            kind = getattr(polars, column.dtype.split("(")[0], None)
        columns.append(polars.Series(name, values, dtype=kind, strict=False))
    return polars.DataFrame(columns)


__all__ = ["frame_of", "is_frame", "parquet_bytes", "read_arrow", "table_of"]
