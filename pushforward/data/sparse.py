"""Sparse matrices of scipy, whose rows are made dense as they are needed."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from pushforward.data.mapped import LazyArray


def is_sparse(value: object) -> bool:
    """Whether a value is a sparse matrix or array of scipy."""
    if "scipy.sparse" not in sys.modules:
        return False
    from scipy import sparse

    return bool(sparse.issparse(value))


def dense_rows(value: Any) -> Any:
    """A sparse matrix as an array that is read row by row; anything else as it is.

    >>> from scipy import sparse
    >>> dense_rows(sparse.eye(3, format="coo"))[slice(1, 3)].tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if not is_sparse(value) or value.ndim != 2:
        return value
    rows = value.tocsr()
    return LazyArray(rows.shape, np.dtype(rows.dtype), lambda index: rows[index].toarray())


__all__ = ["dense_rows", "is_sparse"]
