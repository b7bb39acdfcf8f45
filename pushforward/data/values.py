"""The scale of the values of an array: bytes, numbers in [0, 1], or any real numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError

Array = NDArray[Any]

BRIGHT = 128  # images whose largest value lies between this and 255 are scaled like bytes


class Values(NamedTuple):
    """Parts of a data set, uint8 or float32; whether they lie in [0, 1]; and notes on their conversion."""

    parts: list[Tensor]
    in_unit_interval: bool
    notes: list[str]


def on_one_scale(parts: dict[str, Array], images: bool) -> Values:
    """Converts the parts of a data set (all rows, or train and test) to one scale.

    Bytes stay bytes and booleans become 0 and 1. Images that go up to 255 are divided by it. All
    other values are kept, and count as [0, 1] if they lie in it and as real numbers if not. All parts are
    treated alike.

    Arguments:
        parts: Arrays of numbers, none empty, all of one type; the keys name them in messages.
        images: Whether the rows are images.

    Raises:
        DataError: If a value is not finite, or too large for 32 bits.

    >>> on_one_scale({"x": np.array([[0, 255], [7, 3]], dtype=np.uint8)}, images=False).parts[0].dtype
    torch.uint8
    >>> on_one_scale({"x": np.array([[0.0, 255.0], [7.0, 3.0]])}, images=False).in_unit_interval
    False
    """
    kind = next(iter(parts.values())).dtype
    rule = {np.dtype(bool): _from_booleans, np.dtype(np.uint8): _from_bytes}.get(kind, _from_numbers)
    return rule(parts, images)


def _from_booleans(parts: dict[str, Array], images: bool) -> Values:
    return Values([_tensor(x, np.uint8).mul_(255) for x in parts.values()], True, [])


def _from_bytes(parts: dict[str, Array], images: bool) -> Values:
    highest = max(int(x.max()) for x in parts.values())
    tensors = [_tensor(x, np.uint8) for x in parts.values()]
    if highest <= 1:
        # Masks are often stored as bytes 0 and 1; divided by 255 they would all be black.
        return Values([x.mul_(255) for x in tensors], True, ["bytes that are only 0 and 1: read as 0 and 1"])
    notes = [] if images else ["bytes: divided by 255; pass floats to keep the numbers as they are"]
    if highest < BRIGHT:
        notes.append(f"the largest byte is {highest}, where 255 stands for 1: all values are small")
    return Values(tensors, True, notes)


def _from_numbers(parts: dict[str, Array], images: bool) -> Values:
    whole = all(x.dtype.kind in "iu" for x in parts.values())
    tensors = [_finite(x, what) for what, x in parts.items()]
    lowest = min(float(x.min()) for x in tensors)
    highest = max(float(x.max()) for x in tensors)
    if lowest >= 0 and highest <= 1:
        return Values(tensors, True, [])
    if images and lowest >= 0 and BRIGHT <= highest <= 255:
        tensors = [x.to(torch.uint8) if whole else x.div_(255) for x in tensors]
        return Values(tensors, True, [f"values up to {highest:g}: divided by 255"])
    span = f"images with values from {lowest:g} to {highest:g}: read as real numbers, not as [0, 1] or bytes"
    return Values(tensors, False, [span] if images else [])


def _tensor(x: Array, dtype: type[np.generic]) -> Tensor:
    # Always a copy: the data of a run must not change with the caller's array.
    with np.errstate(over="ignore"):
        return torch.from_numpy(x.astype(dtype, order="C", copy=True))


def _finite(x: Array, what: str) -> Tensor:
    numbers = _tensor(x, np.float32)
    bad = (~torch.isfinite(numbers)).flatten(1).any(1)
    if bad.any():
        first = int(bad.int().argmax())
        row = x[first].reshape(-1)
        value = row[~np.isfinite(row.astype(np.float64))]
        found = str(value[0]) if len(value) else "a number too large for 32 bits"
        count = f"{int(bad.sum())} of {len(x)} rows"
        raise DataError(f"{what}: expected finite numbers, found {found} in row {first} ({count} are bad)")
    return numbers
