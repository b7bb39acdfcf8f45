"""Labels of any type as numbers of classes: whole numbers and names, in arrays of numpy, pandas or polars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.split import UNKNOWN
from pushforward.data.values import FOUND, Array, as_array
from pushforward.errors import DataError, plain

LABELS = ("y_train", "y", "labels")
MANY_CLASSES = 100  # above which labels that most rows have alone are taken for numbers of rows

Classes = tuple[str, ...] | None


def class_labels(named: Mapping[str, Any], rows: list[int], name: str) -> tuple[list[Tensor | None], Classes]:
    """The labels of each part of the data as numbers of classes, -1 where unknown, and the names of these.

    Classes are the values that occur, in their order; those named 0, 1, ... have no names.

    Arguments:
        named: Arrays by name; labels are ``y_train``, ``y`` or ``labels``, of held-out rows ``y_test``.
        rows: Number of rows of each part.
        name: What the data are, for messages.

    Raises:
        DataError: If labels are not one for each row, or neither whole numbers nor names.

    >>> class_labels({"y": ["cat", None, "dog"]}, [3], "pets")
    ([tensor([ 0, -1,  1])], ('cat', 'dog'))
    """
    first = next((key for key in LABELS if key in named), None)
    keys = [key for key in (first, "y_test") if key is not None and key in named]
    if not keys:
        return [None for _ in rows], None
    if first is None or len(keys) != len(rows):
        expected = "y for x and y_test for x_test" if len(rows) == 2 else "y alone, since there is no x_test"
        raise DataError(f"{name}: expected labels {expected}, found {', '.join(keys)}")
    parts = [_column(named[key], f"{name}: {key}", n) for key, n in zip(keys, rows, strict=True)]
    if any(part.dtype == object for part in parts):
        return _from_names([part.astype(object) for part in parts], f"{name}: {keys[0]}")
    numbers = [_whole_numbers(part, f"{name}: {key}") for key, part in zip(keys, parts, strict=True)]
    return _from_numbers(numbers, f"{name}: {keys[0]}")


def label_array(value: Any) -> Any:
    """Labels as an array of numpy that holds Python's own values, if they are no numbers.

    Strings of numpy's StringDType, bytes, and columns of pandas and polars become objects: ``str``, or None
    where there is none. Anything else stays as it is.

    >>> label_array(np.array([b"cat"])).tolist(), label_array(np.array(["cat"], np.dtypes.StringDType()))
    (['cat'], array(['cat'], dtype=object))
    """
    if isinstance(value, np.ma.MaskedArray):
        mask, value = np.ma.getmaskarray(value), value.data.astype(object)
        value[mask] = None
    found = np.asarray(value) if hasattr(value, "__array__") and not isinstance(value, Tensor) else value
    kind = getattr(getattr(found, "dtype", None), "kind", None)
    if kind in ("T", "S", "O"):
        return np.array([_own(one) for one in found.astype(object).ravel()], object).reshape(found.shape)
    return found


def _own(value: Any) -> Any:
    """A label as Python's own value; None if it is missing."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, str):
        return str(value)
    missing = value is None or type(value).__name__ in ("NAType", "NaTType")
    return None if missing or value != value else plain(value)


def _column(value: Any, what: str, rows: int) -> Array:
    """Labels (N,) as numbers, or as objects of which each is a name or None."""
    if isinstance(value, (list, tuple)) and any(label is None for label in value):
        value = np.array(value, object)
    y = as_array(label_array(value), what)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.shape != (rows,):
        hint = "; for one-hot rows give y.argmax(1)" if y.ndim == 2 and len(y) == rows else ""
        raise DataError(f"{what}: expected {rows} labels, one a row, found shape {y.shape}{hint}")
    if y.dtype.kind == "U":
        return np.array([label or None for label in y.tolist()], object)
    if y.dtype == object:
        kinds = {type(label) for label in y.tolist() if label is not None}
        if kinds and kinds <= {int, float, bool}:
            return np.array([UNKNOWN if label is None else label for label in y.tolist()])
        if kinds - {str}:
            found = FOUND["O"] if str not in kinds else "names and others"
            raise DataError(f"{what}: expected labels as whole numbers or names, found {found}")
        return np.array([label or None for label in y.tolist()], object)
    if y.dtype.kind == "f" and np.isnan(y).any() and not np.isnan(y).all():
        return np.where(np.isnan(y), UNKNOWN, y)
    return y


def _from_names(parts: list[Array], what: str) -> tuple[list[Tensor | None], Classes]:
    found = {label for part in parts for label in part.tolist() if label is not None}
    numbers = {label for label in found if not isinstance(label, str)} - {UNKNOWN}
    if numbers:
        raise DataError(f"{what}: expected labels as whole numbers or names, found both in x and x_test")
    names = sorted(found - {UNKNOWN})
    places: dict[Any, int] = {name: place for place, name in enumerate(names)}
    numbered = [[places.get(label, UNKNOWN) for label in part.tolist()] for part in parts]
    return [torch.tensor(part, dtype=torch.int64) for part in numbered], tuple(names)


def _from_numbers(labels: list[NDArray[np.int64]], what: str) -> tuple[list[Tensor | None], Classes]:
    every = np.concatenate(labels)
    values = np.unique(every[every != UNKNOWN])
    if len(values) > max(MANY_CLASSES, len(every) / 2):
        raise DataError(
            f"{what}: expected classes of several rows, found {len(values)} values in {len(every)} rows; "
            "leave out y if these are numbers of rows or measurements"
        )
    numbered = [np.where(y == UNKNOWN, UNKNOWN, np.searchsorted(values, y)) for y in labels]
    names = None if np.array_equal(values, np.arange(len(values))) else tuple(map(str, values.tolist()))
    return [torch.from_numpy(part.astype(np.int64)) for part in numbered], names


def _whole_numbers(y: Array, what: str) -> NDArray[np.int64]:
    if y.dtype.kind not in "buif":
        raise DataError(f"{what}: expected labels as whole numbers or names, found {FOUND.get(y.dtype.kind)}")
    wrong = ~((y >= UNKNOWN) & (y == np.floor(y)) & (y < 2**62))
    if wrong.any():
        found = y[wrong][0].item()
        raise DataError(f"{what}: expected whole numbers from 0 on, or -1 for unknown, found {found}")
    return y.astype(np.int64)


__all__ = ["LABELS", "class_labels", "label_array"]
