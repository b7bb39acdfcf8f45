"""What is given to a run as rows is in memory, in the form of its data; else it is refused by name."""

import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.errors import DataError
from pushforward.runs.run import Run

QUICK = {"steps": 1, "progress": False, "pictures": False, "latent_dim": 2}
DAYS = np.datetime64("2024-01-01") + np.arange(60) % 50


def people():
    return pd.DataFrame({"day": DAYS, "age": np.arange(60) % 7, "rich": [True, False, True] * 20})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs on vectors with labels, on a file of a table, and on text."""
    folder = tmp_path_factory.mktemp("given")
    people().to_csv(folder / "people.csv", index=False)
    x = np.random.default_rng(0).normal(size=(40, 3))
    vectors = pf.train("transfer-ae", (x, ["a", "b"] * 20), out=folder / "vectors", **QUICK)
    table = pf.train("vae", folder / "people.csv", out=folder / "table", **QUICK)
    return {
        "vector": vectors,
        "table": table,
        "text": pf.train("vae", "phrases", out=folder / "text", **QUICK),
    }


def verbs():
    """The methods of a run that take rows, with values of their other parameters."""
    others = {"b": "other.npy", "to": "a"}
    for name, method in inspect.getmembers(Run, inspect.isfunction):
        first, *rest = [*inspect.signature(method).parameters.values()][1:] or [None]
        if name[0] != "_" and first is not None and first.name in ("x", "a", "frame"):
            needed = [others[one.name] for one in rest if one.default is one.empty]
            yield pytest.param(name, needed, id=name)


CODES = ("interpolate_codes",)  # takes codes


@pytest.mark.parametrize(("verb", "others"), [one for one in verbs() if one.id not in CODES])
@pytest.mark.parametrize("given", ["x.npy", Path("x.npy"), ["x.npy"], [Path("x.npy")]], ids=repr)
def test_a_path_is_refused_with_what_reads_files(runs, verb, others, given):
    run = runs["table" if verb == "impute" else "vector"]
    said = {"impute": "a frame or a dict of columns"}.get(verb, "an array or a tensor")
    with pytest.raises(DataError, match=rf"^rows must be given as {said}, got 'x.npy'; .*run.score_file"):
        getattr(run, verb)(given, *others)


def test_the_verbs_are_found():
    assert {"encode", "reconstruct", "score_rows", "impute", "classify", "interpolate", "traverse"} <= {
        one.id for one in verbs()
    }


@pytest.mark.parametrize("kind", ["vector", "table", "text"])
def test_data_sets_are_refused_with_what_reads_them(runs, kind):
    run = runs[kind]
    for given, name in ((run.data, "Dataset"), (run.data.test, "Split"), (Path("x"), "'x'")):
        with pytest.raises(DataError, match=rf"got {name}; rows of files and data sets are read by run.enc"):
            run.encode(given)


def test_of_text_any_text_is_a_line(runs):
    assert runs["text"].encode("lines.txt").shape == (1, 2)


@pytest.mark.parametrize("given", [None, {"a": [1.0]}, iter([1.0])])
def test_what_is_no_array_is_called_what_it_is(runs, given):
    with pytest.raises(DataError, match=f"rows: expected numbers, found {type(given).__name__}"):
        runs["vector"].encode(given)


def test_a_frame_may_have_as_text_what_a_file_has(runs):
    run, rows = runs["table"], people().head(9)
    codes = run.encode(rows)
    assert torch.equal(run.encode(rows.astype(str)), codes)
    assert torch.equal(run.encode(rows.assign(day=rows["day"].dt.strftime("%Y-%m-%dT%H:%M:%S"))), codes)
    assert run.score_rows(rows.astype(str)).equals(run.score_rows(rows))
    assert run.impute(rows.astype(str)).equals(rows.astype(str))  # nothing is missing


def test_a_value_that_is_missing_as_text_is_imputed(runs):
    run, rows = runs["table"], people().head(9)
    filled = run.impute(rows.astype(str).assign(age=["NA", *["3"] * 8]), candidates=4)
    assert filled["age"].tolist()[1:] == [3] * 8
    assert filled["age"][0] in range(7)


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("day", ["2024-01-02", "02/01/2024"],
         "row 1, column 'day': expected dates as in training, found text such as '02/01/2024'; convert the "
         "column to dates, or write them as 2024-01-31"),
        ("age", [*["1"] * 30, "old"],
         "row 30, column 'age': expected integers as in training, found text such as 'old'"),
        ("rich", [DAYS[0]] * 2, "expected truth values as in training, found dates such as .*; convert"),
    ],
)  # fmt: skip
def test_other_text_is_refused_by_its_row(runs, column, values, said):
    rows = pd.concat([people()] * 2, ignore_index=True).head(len(values)).astype({column: object})
    with pytest.raises(DataError, match=said):
        runs["table"].encode(rows.assign(**{column: values}))
