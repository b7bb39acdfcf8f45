"""All values that are missing or not finite are counted, by row and column, and not only the first."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import pushforward as pf
from pushforward.data import mapped
from pushforward.errors import NonfiniteError

X = np.random.default_rng(0).normal(size=(30, 4))
X[3, 1] = X[7, 1] = np.nan
X[7, 2] = np.inf


def names(found):
    return {one.words: one.names for one in found.oddities}


DOORS = {
    "array": lambda folder: X,
    "float32": lambda folder: X.astype(np.float32),
    "npy": lambda folder: np.save(folder / "x.npy", X) or folder / "x.npy",
    "sparse": lambda folder: sparse.csr_matrix(X),
    "masked": lambda folder: np.ma.masked_invalid(X),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("lazy", [False, True])
def test_check_counts_them_by_row_and_column(door, lazy, tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "SHARE", 0.0 if lazy else 0.2)
    monkeypatch.setattr(mapped, "PART", 100)
    found = pf.check(DOORS[door](tmp_path), progress=False)
    assert not found.usable
    [rows, columns] = found.oddities
    assert rows.words == "2 rows with missing or infinite values"
    assert [name.rpartition(": ")[2] for name in rows.names] == ["x row 3", "x row 7"]
    assert columns.names == ("column 1: 2", "column 2: 1")
    assert {one.kind for one in found.oddities} == {"missing"}
    with pytest.raises(NonfiniteError, match="expected"):
        pf.open_dataset(DOORS[door](tmp_path))


def test_held_out_rows_count_too():
    found = pf.check({"x_train": X, "x_test": X[2:9]}, progress=False)
    assert len(found.oddities[0].names) == 4
    assert found.oddities[1].names == ("column 1: 4", "column 2: 2")


def test_of_a_table_they_are_kept_or_named(tmp_path):
    frame = pd.DataFrame({"a": X[:, 1], "b": np.arange(30) % 5, "c": ["x", None, "y"] * 10})
    found = pf.check(frame, progress=False)
    assert found.usable
    [missing] = [one for one in found.oddities if one.kind == "missing"]
    assert missing.names == ("a: 2", "c: 10")
    assert "kept: missing is a value of its own" in str(missing)
    found = pf.check(frame.assign(a=X[:, 2]), progress=False)
    assert not found.usable
    assert found.oddities[1].names == ("a: 1",)
