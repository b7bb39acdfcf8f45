"""Labels of any type: the same classes, whatever holds them."""

import numpy as np
import pytest
import torch

from pushforward.data import open_dataset
from pushforward.runs.labels import label_numbers

NAMES = ["owl", "cat", "owl", "cat", "dog", "owl", "cat", "dog", "owl", "cat"]
X = np.random.default_rng(0).random((10, 4))


def series(values, **how):
    return pytest.importorskip("pandas").Series(values, **how)


def of(y):
    data = open_dataset((X, y))
    order = torch.argsort(torch.cat([data.train.x, data.test.x])[:, 0])
    return torch.cat([data.train.y, data.test.y])[order].tolist(), data.labels


FORMS = {
    "list": lambda: NAMES,
    "array": lambda: np.array(NAMES),
    "objects": lambda: np.array(NAMES, object),
    "StringDType": lambda: np.array(NAMES, np.dtypes.StringDType()),
    "bytes": lambda: np.array(NAMES).astype("S"),
    "pandas objects": lambda: series(NAMES, dtype=object),
    "pandas strings": lambda: series(NAMES, dtype="string"),
    "pandas default": lambda: series(NAMES),
    "pandas category": lambda: series(NAMES, dtype="category"),
    "polars": lambda: pytest.importorskip("polars").Series(NAMES),
    "numpy's str": lambda: [np.str_(name) for name in NAMES],
    "column": lambda: np.array(NAMES)[:, None],
}


@pytest.mark.parametrize("form", FORMS)
def test_names_of_any_type(form):
    assert of(FORMS[form]()) == of(np.array(NAMES))
    assert of(FORMS[form]())[1] == ("cat", "dog", "owl")


RUN_FORMS = ["list", "objects", "StringDType", "bytes", "pandas category", "pandas strings"]


@pytest.mark.parametrize("form", RUN_FORMS)
def test_names_of_any_type_are_labels_of_a_run(form):
    assert label_numbers(FORMS[form](), ("cat", "dog", "owl"), 3).tolist() == [2, 0, 2, 0, 1, 2, 0, 1, 2, 0]


MISSING = {
    "None": lambda: ["owl", None, *NAMES[2:]],
    "None in an array": lambda: np.array(["owl", None, *NAMES[2:]], object),
    "NaN among names": lambda: np.array(["owl", float("nan"), *NAMES[2:]], object),
    "empty": lambda: ["owl", "", *NAMES[2:]],
    "masked": lambda: np.ma.array(NAMES, mask=[0, 1] + [0] * 8),
    "StringDType": lambda: np.array(["owl", None, *NAMES[2:]], np.dtypes.StringDType(na_object=None)),
    "pandas strings": lambda: series(["owl", None, *NAMES[2:]], dtype="string"),
    "pandas category": lambda: series(["owl", None, *NAMES[2:]], dtype="category"),
    "polars": lambda: pytest.importorskip("polars").Series(["owl", None, *NAMES[2:]]),
}


@pytest.mark.parametrize("form", MISSING)
def test_missing_names_are_unknown(form):
    found, names = of(MISSING[form]())
    whole, _ = of(NAMES)
    places = np.argsort(np.argsort(X[:, 0]))
    assert found[places[1]] == -1
    assert [y for y in found if y >= 0] == [y for at, y in enumerate(whole) if at != places[1]]
    assert names == ("cat", "dog", "owl")


@pytest.mark.parametrize(
    "make",
    [
        lambda: [10, None, 20, 10, 20, 10, 20, 10, 20, 10],
        lambda: np.array([10, np.nan, 20, 10, 20, 10, 20, 10, 20, 10]),
        lambda: series([10, None, 20, 10, 20, 10, 20, 10, 20, 10], dtype="Int64"),
        lambda: np.ma.array([10, 99, 20, 10, 20, 10, 20, 10, 20, 10], mask=[0, 1] + [0] * 8),
        lambda: [10, -1, 20, 10, 20, 10, 20, 10, 20, 10],
    ],
)
def test_missing_numbers_are_unknown(make):
    found, names = of(make())
    assert names == ("10", "20")
    assert sorted(found) == [-1] + [0] * 5 + [1] * 4


def test_labels_of_two_kinds(refused):
    with refused("array: y", "found names and others"):
        open_dataset((X, np.array(["a", 1] * 5, object)))
    with refused("found both"):
        open_dataset({"x": X, "x_test": X, "y": NAMES, "y_test": range(10)})
