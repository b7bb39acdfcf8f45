"""Tables of any kind of columns: a round trip is exact, or there is one typed error."""

import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushforward.errors import DataError, PushforwardError
from pushforward.tables.csv import csv_text
from pushforward.tables.files import read_table
from pushforward.tables.frames import frame_of, table_of
from pushforward.tables.schema import Schema

SOME = settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
ZONES = (dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=30)))
VALUES = {
    "small integers": st.integers(-3, 3),
    "integers": st.integers(-(2**53), 2**53),
    "huge integers": st.integers(-(2**70), 2**70),
    "floats": st.floats(allow_nan=True, allow_infinity=False),
    "any floats": st.floats(),
    "truth": st.booleans(),
    "words": st.sampled_from(["a", "", " ", "NA", "1", "01", "true", "2024-01-01", 'q"q', "x,y", "l\nl"]),
    "text": st.text(max_size=6),
    "dates": st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)),
    "dates with a zone": st.datetimes(dt.datetime(1900, 1, 1), timezones=st.sampled_from(ZONES)),
    "bytes": st.binary(max_size=2),
}
MIXED = st.one_of(*VALUES.values(), st.none())


@st.composite
def frames(draw, library):
    """A frame of one to thirty rows, and of one to four columns, some of them with missing values."""
    n = draw(st.integers(1, 30))
    columns = {}
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from([*VALUES, "mixed", "missing", "constant"]))
        if kind == "missing":
            values = [None] * n
        elif kind == "constant":
            values = [draw(MIXED)] * n
        else:
            one = MIXED if kind == "mixed" else VALUES[kind]
            one = st.one_of(st.none(), one) if draw(st.booleans()) else one
            values = draw(st.lists(one, min_size=n, max_size=n))
        columns[f"c{number}"] = values
    return columns if library == "dict" else pd.DataFrame(columns)


def same(made, given):
    """Whether two columns agree where there is a value, and where there is none."""
    if made.type != given.type or not (made.missing == given.missing).all():
        return False
    q, p = made.known, given.known
    if given.type == "float":
        return np.allclose(q, p, rtol=1e-6, atol=1e-12)
    return list(q) == list(p)


@pytest.mark.parametrize("library", ["dict", "pandas"])
@given(data=st.data())
@SOME
def test_a_table_comes_back_from_cells_or_an_error_says_why_not(library, data):
    frame = data.draw(frames(library))
    try:
        table = table_of(frame)
        schema = Schema.of(table)
    except PushforwardError:
        return
    x = schema.encode(table)
    assert ((x >= 0) & (x < torch.tensor(schema.sizes))).all()
    made = Schema(schema.text).decode(x)
    for column in schema.columns:
        if column.kind != "identifier":
            assert same(made.columns[column.name], table.columns[column.name]), column
    frame_of(made)


@given(data=st.data())
@SOME
def test_a_table_that_is_written_has_as_many_rows_and_columns_when_it_is_read(data, tmp_path_factory):
    try:
        table = table_of(data.draw(frames("dict")))
    except PushforwardError:
        return
    path = tmp_path_factory.mktemp("fuzz") / "table.csv"
    path.write_text(csv_text(table), newline="")
    try:
        again = read_table(path)
    except DataError:
        return
    assert len(again) == len(table)
    assert list(again.columns) == list(table.columns)


@pytest.mark.parametrize("values", [
    [1.5, 1.797693134862316e307], [None], ["a\rb"], [5e-324, 1.0], [2**53, -(2**53)], [-0.0, 0.5],
])  # fmt: skip
def test_a_rare_table_comes_back_from_a_file_and_from_cells(values, tmp_path):
    table = table_of({"c": values, "n": [1, 2][: len(values)]})
    path = tmp_path / "table.csv"
    path.write_text(csv_text(table), newline="")
    assert same(read_table(path).columns["c"], table.columns["c"]) or values == [None]
    one = tmp_path / "one.csv"
    one.write_text(csv_text(table_of({"c": values})), newline="")
    assert len(read_table(one)) == len(values)
    if len(values) > 1:
        schema = Schema.of(table)
        assert same(schema.decode(schema.encode(table)).columns["c"], table.columns["c"])


def test_dates_with_a_time_zone_and_mixed_values_are_named():
    zoned = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    for frame in ({"day": [zoned, zoned]}, pd.DataFrame({"day": [zoned, zoned]})):
        with pytest.raises(DataError, match="column 'day': expected dates without a time zone"):
            table_of(frame)
    with pytest.raises(DataError, match=r"row 2, column 'c': expected numbers.*all of one type, found 'x'"):
        table_of({"c": [1, 2, "x"]})
    with pytest.raises(
        DataError, match=r"row 1, column 'c': expected integers up to 2\^53, found 1180591620717411303424"
    ):
        table_of({"c": [1, 2**70]})


def test_ten_thousand_categories_have_a_cell_each_or_share_one():
    names = [f"name {number}" for number in range(10_000)]
    table = table_of({"name": names * 2, "n": list(range(100)) * 200})
    schema = Schema.of(table)
    assert schema.sizes == (257, 100)
    made = schema.decode(schema.encode(table))
    assert (made.columns["name"].values == table.columns["name"].values).mean() > 0.999
    assert math.prod(made.columns["n"].values.shape) == 20_000
