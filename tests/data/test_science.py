"""Sparse matrices, single cells in .h5ad, and MATLAB's files."""

import numpy as np
import pytest
import torch
from scipy import io, sparse

import pushforward as pf
from pushforward.data import mapped, open_dataset
from pushforward.data.rows import SelectedRows
from pushforward.errors import ConfigError

RNG = np.random.default_rng(0)
COUNTS = (RNG.poisson(0.3, (40, 12)) * RNG.integers(1, 9, (40, 12))).astype(np.float32)
TYPES = np.array(["T", "B", "NK", "T"] * 10)


def same(data, array):
    other = open_dataset(array)
    assert data.scaling == other.scaling
    assert torch.equal(data.train.tensor(), other.train.tensor())
    assert torch.equal(data.test.tensor(), other.test.tensor())
    return True


# Sparse matrices


@pytest.mark.parametrize(
    "make", [sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array, sparse.csr_array, sparse.lil_matrix]
)
def test_sparse_matrices(make):
    assert same(open_dataset(make(COUNTS)), COUNTS)
    data = open_dataset((make(COUNTS), TYPES))
    assert data.labels == ("B", "NK", "T")
    assert open_dataset({"x_train": make(COUNTS), "x_test": make(COUNTS[:9])}).test.x.shape == (9, 12)


def test_sparse_matrices_are_dense_a_batch_at_a_time(monkeypatch):
    inside = open_dataset(sparse.csr_matrix(COUNTS))
    monkeypatch.setattr(mapped, "SHARE", 0.0)
    data = open_dataset(sparse.csr_matrix(COUNTS))
    assert isinstance(data.train.x, SelectedRows)
    assert data.fingerprint == inside.fingerprint


def test_bad_sparse_matrices(refused):
    bad = sparse.csr_matrix(COUNTS)
    bad.data[3] = np.inf
    with refused("expected finite numbers, found inf"):
        open_dataset(bad)


# Single cells


def write_h5ad(path, kind="csr", labels="categories", name="cell_type"):
    """What anndata writes of a matrix and one column of obs."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        if kind == "dense":
            file["X"] = COUNTS
        else:
            matrix = sparse.csr_matrix(COUNTS) if kind == "csr" else sparse.csc_matrix(COUNTS)
            group = file.create_group("X")
            group.attrs["encoding-type"] = f"{kind}_matrix"
            group.attrs["shape"] = matrix.shape
            for part in ("data", "indices", "indptr"):
                group[part] = getattr(matrix, part)
        obs = file.create_group("obs")
        obs["_index"] = [f"cell{number}" for number in range(len(COUNTS))]
        if labels == "categories":
            column = obs.create_group(name)
            categories, codes = np.unique(TYPES, return_inverse=True)
            codes = codes.astype(np.int8)
            codes[0] = -1
            column["codes"], column["categories"] = codes, categories.tolist()
        elif labels == "strings":
            obs[name] = TYPES.tolist()
        elif labels == "numbers":
            obs[name] = np.arange(len(COUNTS)) % 3
    return path


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("lazy", [False, True])
def test_h5ad(kind, lazy, tmp_path, monkeypatch):
    path = write_h5ad(tmp_path / "cells.h5ad", kind)
    monkeypatch.setattr(mapped, "SHARE", 0.0 if lazy else 0.2)
    data = open_dataset(path)
    assert isinstance(data.train.x, SelectedRows) == lazy
    assert same(data, COUNTS)
    assert data.labels == ("B", "NK", "T")
    y = torch.cat([data.train.y, data.test.y])
    assert y.bincount().tolist() == [10, 10, 19] if (y >= 0).all() else (y == -1).sum() == 1
    assert "labels: cell_type of obs" in data.notes


@pytest.mark.parametrize(("labels", "names"), [("strings", ("B", "NK", "T")), ("numbers", ("0", "1", "2"))])
def test_other_columns_of_obs(labels, names, tmp_path):
    assert open_dataset(write_h5ad(tmp_path / "a.h5ad", labels=labels)).labels == names
    other = open_dataset(write_h5ad(tmp_path / "b.h5ad", labels=labels, name="batch"))
    assert other.labels == ()
    assert any("none is a label: batch" in note for note in other.notes)


def test_bad_h5ad(tmp_path, refused):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5ad"
    path.write_bytes(b"no HDF5")
    with refused(path, "expected an .h5ad file (HDF5)"):
        open_dataset(path)
    with h5py.File(path, "w") as file:
        file["Y"] = COUNTS
    with refused(path, "expected a matrix X, found Y"):
        open_dataset(path)
    write_h5ad(path)
    with h5py.File(path, "a") as file:
        del file["X/indices"]
    with refused(path, "cannot be read"):
        open_dataset(path)
    write_h5ad(path)
    with h5py.File(path, "a") as file:
        file["X"].attrs["encoding-type"] = "coo_matrix"
    with refused("expected X dense, csr or csc, found coo_matrix"):
        open_dataset(path)


def test_h5py_is_not_needed_for_other_data(tmp_path, monkeypatch):
    import sys

    path = write_h5ad(tmp_path / "a.h5ad")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(pf.errors.ConfigError, match=r"install h5py: pip install 'pushforward\[h5\]'"):
        open_dataset(path)


# MATLAB


def test_svhn(tmp_path):
    x = RNG.integers(0, 256, (32, 32, 3, 20), dtype=np.uint8)
    y = (np.arange(20) % 10 + 1)[:, None].astype(np.uint8)
    io.savemat(tmp_path / "train_32x32.mat", {"X": x, "y": y})
    alone = open_dataset(tmp_path / "train_32x32.mat")
    assert alone.shape == (3, 32, 32)
    assert alone.labels == tuple("0123456789")
    io.savemat(tmp_path / "test_32x32.mat", {"X": x[..., :10], "y": y[:10]})
    data = open_dataset(tmp_path / "train_32x32.mat")
    assert torch.equal(data.train.x, torch.from_numpy(x.transpose(3, 2, 0, 1).copy()))
    assert data.train.y.tolist() == [*range(1, 10), 0] * 2
    assert data.test.y.tolist() == [*range(1, 10), 0]
    assert "held out: test_32x32.mat" in data.notes


def test_other_mat_files(tmp_path, refused):
    path = tmp_path / "a.mat"
    io.savemat(path, {"points": COUNTS})
    assert same(open_dataset(path), COUNTS)
    io.savemat(path, {"a": COUNTS, "b": COUNTS})
    with refused(path, "expected the data as X, found a, b"):
        open_dataset(path)
    path.write_bytes(b"nothing")
    with refused(path, "expected a .mat file"):
        open_dataset(path)


def test_any_column_of_obs_is_the_label_or_the_group_if_it_is_named(tmp_path):
    path = write_h5ad(tmp_path / "b.h5ad", labels="strings", name="batch")
    assert open_dataset(path, target="batch").labels == ("B", "NK", "T")
    assert any("--target" in n or "target=..." in n for n in open_dataset(path).notes)
    data = open_dataset(path, group="batch")
    assert "of 1 of 3 groups" in " ".join(data.notes)
    assert data.labels == ()
    with pytest.raises(ConfigError, match="target must be a column of obs, there is no column 'bach' of obs"):
        open_dataset(path, target="bach")
    with pytest.raises(ConfigError, match="target is for tables"):
        open_dataset(COUNTS, target="batch")
    run = pf.train("ae", path, target="batch", out=tmp_path / "run", steps=2, latent_dim=2, progress=False)
    assert pf.load(run.path).data.labels == ("B", "NK", "T")
