"""AnnData's ``.h5ad`` files of single cells, read without the package anndata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.arrays import from_arrays
from pushforward.data.dataset import Dataset
from pushforward.data.formats import OpenOptions, data_format
from pushforward.data.mapped import LazyArray, is_mapped
from pushforward.data.split import UNKNOWN
from pushforward.data.values import Array
from pushforward.errors import ConfigError, DataError, listed, nearest, reason
from pushforward.reading import open_file
from pushforward.wording import Placeholder, option_name

# Columns of ``obs`` that are taken for labels, the first that exists.
LABELS = ("label", "labels", "cell_type", "celltype", "cluster", "leiden", "louvain")
NAMED = 6  # columns that a note names


@data_format("an .h5ad file of AnnData", suffixes=(".h5ad",), modality="vector", takes_target=True)
def open_h5ad(path: Path, options: OpenOptions) -> Dataset:
    """The matrix ``X`` of an AnnData file, dense, CSR or CSC; the package anndata is not needed.

    Labels are the column ``options.target`` of ``obs``; by default the first of label, labels, cell_type,
    celltype, cluster, leiden and louvain.

    Raises:
        ConfigError: If h5py is not installed.
        DataError: If the file cannot be read or holds no matrix.
    """
    try:
        import h5py
    except ImportError:
        raise ConfigError("to read .h5ad files, install h5py: pip install 'pushforward[h5]'") from None
    try:
        with open_file(path):
            pass  # a pipe is refused here
        file = h5py.File(path, "r")
    except OSError as error:
        found = f"something else: {reason(error)}"
        raise DataError(f"{path}: expected an .h5ad file (HDF5), found {found}") from None
    needed = False
    try:
        x = _matrix(file, path)
        y, notes = _obs_labels(file, path, x.shape[0], options.target)
        arrays = {"x": x} if y is None else {"x": x, "y": y}
        if options.grouped is not None and options.grouped in _columns(file):
            arrays[options.grouped] = _obs_column(file, path, x.shape[0], options.grouped)
        data = from_arrays(arrays, path.stem, str(path), options)
        needed = is_mapped(x, options.later)
        return data.noted(*notes)
    except (OSError, KeyError, TypeError, IndexError, RuntimeError) as error:  # what h5py raises on damage
        raise DataError(f"{path} cannot be read: {type(error).__name__} {reason(error)}") from None
    finally:
        if not needed:
            file.close()


def _matrix(file: Any, path: Path) -> Any:
    """``X``, as an array that is read row by row, or a sparse matrix."""
    from scipy import sparse

    if "X" not in file:
        raise DataError(f"{path}: expected a matrix X, found {', '.join(file) or 'nothing'}")
    x = file["X"]
    if hasattr(x, "shape"):
        return LazyArray(tuple(x.shape), x.dtype, lambda index: _read_sorted(x, index))
    kind = str(x.attrs.get("encoding-type", x.attrs.get("h5sparse_format", "")))
    makers = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix}
    if kind[:3] not in makers:
        raise DataError(f"{path}: expected X dense, csr or csc, found {kind or 'a group of another kind'}")
    shape = tuple(int(n) for n in x.attrs["shape" if "shape" in x.attrs else "h5sparse_shape"])
    try:
        return makers[kind[:3]]((x["data"][:], x["indices"][:], x["indptr"][:]), shape=shape)
    except ValueError as error:
        raise DataError(f"{path}: X is damaged: {reason(error)}") from None


def _read_sorted(x: Any, index: NDArray[np.int64]) -> Array:
    """Rows of a file of HDF5, which reads each once, in their order."""
    numbers, places = np.unique(index, return_inverse=True)
    if len(numbers) and numbers[-1] - numbers[0] + 1 == len(numbers):
        return np.asarray(x[int(numbers[0]) : int(numbers[-1]) + 1])[places]
    return np.asarray(x[numbers])[places]


def _columns(file: Any) -> list[str]:
    """The names of the columns of ``obs``."""
    obs = file.get("obs")
    return [name for name in obs if not name.startswith(("_", "__"))] if hasattr(obs, "keys") else []


def _obs_labels(file: Any, path: Path, rows: int, target: str | None) -> tuple[Array | None, list[str]]:
    columns = _columns(file)
    if target is not None and target not in columns:
        found = f"there is no column {target!r} of obs: {nearest(target, columns)}" if columns else "no obs"
        raise ConfigError(f"{path}: {option_name('target')} must be a column of obs, {found}")
    name = target or next((name for name in LABELS if name in columns), None)
    if name is None:
        said = f"columns of obs, of which none is a label: {listed(columns, NAMED)}"
        said += f"; {option_name('target', Placeholder('COLUMN'))} makes one of them"
        return None, [said] if columns else []
    return _obs_column(file, path, rows, name), [f"labels: {name} of obs"]


def _obs_column(file: Any, path: Path, rows: int, name: str) -> Array:
    """The values of a column of ``obs``."""
    obs = file["obs"]
    column = obs[name]
    if hasattr(column, "keys"):  # a categorical: codes, and the categories that they number
        codes, categories = column["codes"][:], _words(column["categories"][:])
    elif "__categories" in obs and name in obs["__categories"]:
        codes, categories = column[:], _words(obs["__categories"][name][:])
    else:
        values = column[:]
        if len(values) != rows:
            raise DataError(f"{path}: the column {name} of obs does not fit {rows} rows")
        return _words(values) if values.dtype.kind in "OS" else np.asarray(values)
    if len(codes) != rows or (len(codes) and int(codes.max()) >= len(categories)):
        raise DataError(f"{path}: the column {name} of obs does not fit {rows} rows")
    if (codes == UNKNOWN).any():
        return np.array([*categories, None], object)[codes]
    named: Array = categories[codes]
    return named


def _words(values: Any) -> Array:
    return np.array([value.decode() if isinstance(value, bytes) else str(value) for value in values])


__all__ = ["open_h5ad"]
