"""Tables: what a column is, values to cells and back, and files and frames of any kind."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

import pushforward as pf
from pushforward.data import open_dataset
from pushforward.data.spec import DataSpec
from pushforward.errors import ConfigError, DataError
from pushforward.tables.cells import CategoryCells, NumberCells
from pushforward.tables.frames import frame_of, table_of
from pushforward.tables.schema import Schema

N = 300
KINDS = {
    "age": "integer", "pay": "numeric", "ratio": "numeric", "town": "categorical", "member": "boolean",
    "size": "ordinal", "born": "date", "seen": "date", "score": "integer", "row": "identifier",
    "unit": "constant", "answer": "boolean",
}  # fmt: skip


def frame():
    """Every type and pattern of missing values that a frame of pandas has."""
    draw = np.random.default_rng(0)
    days = pd.to_timedelta(draw.integers(0, 999, N), "D")
    people = pd.DataFrame({
        "age": draw.integers(17, 90, N),
        "pay": np.round(np.exp(draw.normal(8, 1, N)), 2),
        "ratio": draw.integers(1, 6, N).astype("float32") / 8,
        "town": draw.choice(["Rome", "Oslo", "Paris"], N),
        "member": draw.random(N) < 0.5,
        "size": pd.Categorical(draw.choice(["S", "L"], N), ["S", "M", "L"], ordered=True),
        "born": pd.Timestamp("1980-01-01") + days,
        "seen": pd.Timestamp("2020-01-01 10:00") + pd.to_timedelta(draw.integers(0, 40, N), "s"),
        "score": pd.array(draw.integers(0, 5, N), dtype="Int64"),
        "row": np.arange(N),
        "unit": 1.5,
        "answer": pd.Series([None if u < 0.2 else bool(u < 0.6) for u in draw.random(N)], dtype="object"),
    })  # fmt: skip
    people.loc[3:9, "pay"] = np.nan
    people.loc[5:6, "score"] = pd.NA
    people.loc[7, "town"] = None
    people.loc[8, "seen"] = pd.NaT
    return people


def there_and_back(source):
    table = table_of(source)
    schema = Schema.of(table)
    return schema, frame_of(schema.decode(schema.encode(table)))


def same(one, other):
    return ((one == other) | (one.isna() & other.isna())).fillna(False)


def test_every_type_of_pandas_comes_back():
    people = frame()
    schema, back = there_and_back(people)
    assert {column.name: column.kind for column in schema.columns} == KINDS
    assert back.dtypes.to_dict() == people.dtypes.to_dict()
    assert list(back["size"].cat.categories) == ["S", "M", "L"]
    for name in people.columns.drop(["row", "pay", "age", "born"]):  # of few values, each a cell of its own
        assert same(people[name], back[name]).all(), name
    assert back["row"].tolist() == list(range(1, N + 1))


@pytest.mark.parametrize(("name", "unit"), [("age", 1.01), ("pay", None), ("born", np.timedelta64(2, "D"))])
def test_a_number_in_an_interval_comes_back_but_for_rounding(name, unit):
    """Exactly where an interval has few values, else to a fraction of it; rounded as the column is."""
    people = frame()
    _, back = there_and_back(people)
    gap = (people[name] - back[name]).dropna().abs()
    assert back[name].isna().equals(people[name].isna())
    if unit is None:
        assert (gap / people[name].dropna()).max() < 0.02
        assert np.allclose(back[name].dropna().round(2), back[name].dropna())
    else:
        assert gap.max() <= unit
    assert back[name].min() >= people[name].min()
    assert back[name].max() <= people[name].max()


def test_every_type_of_polars_comes_back():
    people = pl.DataFrame({
        "a": [1, 2, None, 4], "b": [0.5, None, 1.5, 0.5], "c": ["x", "y", None, "x"],
        "d": [True, None, False, True],
        "e": pl.Series([1, 2, 3, 1], dtype=pl.Int8),
        "f": pl.Series(["lo", "hi", "lo", "lo"], dtype=pl.Enum(["lo", "hi"])),
        "g": pl.Series(["2020-01-01", "2021-01-01", None, "2020-01-01"]).str.to_date(),
        "h": pl.Series(["p", "q", "p", "p"], dtype=pl.Categorical),
        "i": pl.Series([1, 2, 3, 4], dtype=pl.Float32),
    })  # fmt: skip
    _, back = there_and_back(people)
    assert back.schema == people.schema
    assert back.equals(people)


def test_columns_without_a_library_come_back_as_arrays():
    _, back = there_and_back({"a": [1, 2, 2], "b": ["x", None, "y"], "c": [0.5, np.nan, 1.0]})
    assert back["a"].tolist() == [1, 2, 2]
    assert back["b"].tolist() == ["x", None, "y"]
    assert np.isnan(back["c"][1])


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".csv", ".tsv"])
def test_files_are_read_as_frames_are(tmp_path, suffix):
    people, path = frame(), tmp_path / f"people{suffix}"
    if suffix == ".parquet":
        people.to_parquet(path)
    elif suffix == ".feather":
        people.to_feather(path)
    else:
        people.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    data = open_dataset(path)
    written = suffix in (".csv", ".tsv")
    kinds = KINDS | ({"size": "categorical"} if written else {})  # text says nothing of an order
    assert {column.name: column.kind for column in data.codec.columns} == kinds
    assert (data.modality, data.shape, len(data.train), len(data.test)) == ("table", (10,), 270, 30)
    back = frame_of(data.codec.decode(data.train.x))
    types = people.dtypes.to_dict() | {"answer": back["answer"].dtype}
    if written:
        types |= {"size": people["town"].dtype, "ratio": np.dtype("float64")}
        types |= dict.fromkeys(("born", "seen"), np.dtype("datetime64[us]"))  # whatever pandas' own unit is
    assert back.dtypes.to_dict() == types


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_dates_of_a_file_keep_their_unit(tmp_path, unit):
    """As they do in a frame, which older releases of pandas hold in nanoseconds and newer ones do not."""
    days = pd.Series(pd.date_range("2020-01-01", periods=40).astype(f"datetime64[{unit}]"))
    people = pd.DataFrame({"born": days, "age": np.arange(40) % 7})
    people.to_feather(tmp_path / "people.feather")
    for source in (people, tmp_path / "people.feather"):
        data = open_dataset(source)
        assert frame_of(data.codec.decode(data.train.x))["born"].dtype == days.dtype


def test_the_schema_is_printed_and_kept():
    data = open_dataset(frame(), target="town")
    assert data.notes[0].startswith("age: integer, from 17 to 89")
    assert "row: identifier; not modelled, numbered anew" in data.notes
    assert "unit: constant, 1.5; not modelled" in data.notes
    assert Schema(data.codec.text) == data.codec
    assert data.classes == ("Oslo", "Paris", "Rome")
    assert set(data.train.y.tolist()) <= {-1, 0, 1, 2}
    assert DataSpec.from_json(data.spec.as_json(), data.codec) == data.spec
    assert data.spec.network_shape == data.codec.sizes
    again = open_dataset(frame(), codec=data.codec)
    assert torch.equal(again.train.x, data.train.x)


def test_the_order_of_the_columns_of_a_frame_does_not_matter_later():
    data = open_dataset(frame())
    turned = frame()[list(reversed(KINDS))].drop(columns=["row", "unit"])
    assert torch.equal(data.codec.encode(table_of(turned)), data.codec.encode(table_of(frame())))


def test_kinds_can_be_given():
    people = pd.DataFrame({"zip": [1000, 1000, 2000, 3000] * 5, "grade": [1, 2, 3, 2] * 5, "n": range(20)})
    schema = Schema.of(table_of(people), {"zip": "categorical", "grade": "ordinal", "n": "integer"})
    assert [column.kind for column in schema.columns] == ["categorical", "ordinal", "integer"]
    assert frame_of(schema.decode(schema.encode(table_of(people)))).equals(people)


@pytest.mark.parametrize(
    ("kinds", "label", "message"),
    [
        ({"zap": "integer"}, None, "columns: there is no column 'zap': did you mean 'zip'"),
        ({"zip": "number"}, None, "columns: there is no kind 'number'"),
        ({}, "zap", "target: there is no column 'zap'"),
        ({"town": "integer"}, None, "columns: 'town' cannot be integer, its values are text"),
        ({"zip": "boolean"}, None, "columns: 'zip' cannot be boolean, it has 3 values"),
        ({"zip": "constant"}, None, "columns: 'zip' is no constant, it has 3 values"),
    ],
)
def test_kinds_that_cannot_be_are_refused(kinds, label, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        Schema.of(table_of({"zip": [1, 2, 3, 1], "town": ["a", "b", "a", "b"]}), kinds, label)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "expected 2 values as in the header, found 1 in line 3"),
        ("a,a\n1,2\n", "expected different names of columns, found 'a' twice"),
        ("a,b\n1,1e400\n2,3\n", "line 2, column 'b': expected a finite number, found inf"),
        ("a,b\n1,-inf\n2,3\n", "line 2, column 'b': expected a finite number, found -inf"),
        ("", "expected a table with a header, found an empty file"),
        ("a,b\n", "expected at least 4 rows, found 0"),
        ("1,2\n3,4\n", "expected names of columns in line 1, found numbers; add a header"),
        ('a,b\n1,"2\n', "line 2 cannot be read"),
        ("a\n" + "1\n" * 30 + "x\n",
         "line 32, column 'a': expected a number as in the other rows, found 'x'"),
        ("a,b\n1,2024-02-31\n2,2024-01-01\n", "line 2, column 'b': expected a date, found '2024-02-31'"),
        ("a\0,b\n1,2\n", "found a NUL in line 1"),
        ("k,c\n" + "1,x\n" * 9, "expected a column that varies, found constants and identifiers only"),
        ("a\n99999999999999999\n1\n1\n1\n", "line 2, column 'a': expected integers up to 2^53"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_refused_by_line_and_column(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=re.escape(message)):
        open_dataset(path)


def test_bytes_that_are_no_text_are_named(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_bytes(b"a,b\n1,\xff\n")
    with pytest.raises(DataError, match="expected UTF-8, found byte 0xff in line 2"):
        open_dataset(path)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_marks_of_order_quotes_and_separators_are_understood(tmp_path, separator):
    rows = [["name", "n"], *([f'"a{separator} b"', str(n)] for n in (1, 2, 3, 1) for _ in range(2))]
    path = tmp_path / "odd.csv"
    path.write_bytes(
        b"\xef\xbb\xbf" + "\r\n".join(separator.join(row) for row in rows).encode() + b"\r\n\r\n"
    )
    data = open_dataset(path)
    assert data.codec.lines() == [
        f"name: constant, {f'a{separator} b'!r}; not modelled",
        "n: integer, from 1 to 3, 3 cells",
    ]


def test_numbers_with_a_needless_zero_are_text(tmp_path):
    path = tmp_path / "zip.csv"
    path.write_text("zip,n\n" + "01234,1\n20001,2\n" * 5)
    assert open_dataset(path).codec.lines()[0] == "zip: categorical, 2 values: 01234, 20001"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1, 2]}, "expected a column 'b', found a"),
        ({"a": [1, 2], "b": ["x", "z"]}, "row 1, column 'b': expected a value of the training rows"),
        ({"a": [1, None], "b": ["x", "y"]},
         "row 1, column 'a': expected a value as in all training rows, found none"),
        ({"a": ["u", "v"], "b": ["x", "y"]},
         "row 0, column 'a': expected integers as in training, found text"),
        ({"a": [1.5, 2], "b": ["x", "y"]}, "row 0, column 'a': expected an integer, found 1.5"),
        ({"a": [1, 2], "b": [["x"], "y"]},
         "row 0, column 'b': expected numbers, truth values, dates or text"),
        ({"a": [1, 2], "b": ["x"]}, "expected columns of equal length, found 'a' of 2, 'b' of 1"),
        ({"a": [1, float("inf")], "b": ["x", "y"]}, "row 1, column 'a': expected a finite number, found inf"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_the_schema_are_refused_by_row_and_column(columns, message):
    schema = Schema.of(table_of({"a": [1, 2, 3, 4], "b": ["x", "y", "x", "y"]}))
    with pytest.raises(DataError, match=re.escape(message)):
        schema.encode(table_of(columns))


def test_columns_of_a_frame_that_are_no_columns_are_refused():
    with pytest.raises(DataError, match="expected numbers, truth values, dates or text"):
        open_dataset(pd.DataFrame({"a": [1j, 2j, 3j, 4j]}))
    with pytest.raises(DataError, match="expected names of columns as text, found 0"):
        open_dataset(pd.DataFrame(np.zeros((5, 2))))
    with pytest.raises(DataError, match="expected dates without a time zone"):
        open_dataset(pd.DataFrame({"a": pd.date_range("2020", periods=5, tz="UTC")}))
    with pytest.raises(ConfigError, match="columns is for tables, digits is image data"):
        pf.open_dataset("digits", columns={"a": "integer"})


EMPTY = '{"columns": [], "library": "pandas", "label": null}'


@pytest.mark.parametrize("text", ["", "{}", "[]", EMPTY, '{"columns": 3}'])
def test_a_damaged_schema_is_refused(text):
    with pytest.raises(DataError, match=r"the schema cannot be read|expected a column that varies"):
        Schema(text)


def test_uniform_positions_give_the_column_back():
    """With the cells' own frequencies, values are distributed as in the column, heavy tails included."""
    draw = np.random.default_rng(1)
    values = np.concatenate([np.zeros(2000), draw.standard_cauchy(6000)])
    cells = NumberCells.of(values)
    assert cells.n <= 128
    cell = np.floor(cells.encode(values))
    made = np.sort(cells.decode(cell + draw.uniform(0.001, 0.999, len(cell))))
    levels = np.searchsorted(np.sort(values), made, "right") / len(values)
    levels_before = np.searchsorted(np.sort(values), made, "left") / len(values)
    own = (np.arange(len(made)) + 0.5) / len(made)
    assert np.maximum(levels_before - own, own - levels).max() < 0.01
    assert (made == 0).mean() == 0.25


def test_rare_categories_share_a_cell_and_come_back():
    values = [f"c{n}" for n in range(400) for _ in range(2)] + ["often"] * 50
    cells = CategoryCells.of(values)
    assert cells.n == 257
    given = np.array(values, dtype=object)
    assert (cells.decode(cells.encode(given)) == given).all()


def test_a_category_that_is_held_out_alone_is_left_out(tmp_path):
    path = tmp_path / "alone.csv"
    path.write_text("a,b\n" + "".join(f"{n % 7},{'x' if n % 2 else 'y'}\n" for n in range(40)))
    test = open_dataset(path).test
    held_out = pd.read_csv(path)
    first = pf.data.dataset.hold_out(40)[1][0].item()
    held_out.loc[first, "b"] = "once"
    data = open_dataset(held_out)
    assert len(data.test) == len(test) - 1
    assert "left out 1 held-out row with values that no training row has" in data.notes
