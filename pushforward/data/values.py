"""The values of an array: bytes, integers of some depth, numbers in [0, 1], or any real numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.scaling import FAR, Scaling, Standardized, UnitInterval, Unscaled
from pushforward.errors import DataError, NonfiniteError, reason
from pushforward.wording import option_name, plural

Array = NDArray[Any]

BRIGHT = 128  # images whose largest value lies between this and 255 are scaled like bytes
DEPTHS = (8, 10, 12, 14, 16)  # bits of the integers of an image
FULL = 0.5  # what the largest value of a column of grey values reaches
NUMBERS: dict[torch.dtype, type[np.generic]] = {torch.float32: np.float32, torch.float64: np.float64}
LARGEST = 1e18  # whose square is a finite float32
FOUND = {
    "O": "Python objects",
    "U": "text",
    "S": "text",
    "c": "complex numbers",
    "M": "dates",
    "V": "records",
}


class Values(NamedTuple):
    """Parts of a data set, how they become what a model sees, notes on both, and how more rows are read."""

    parts: list[Tensor]
    scaling: Scaling
    notes: list[str]
    read: Callable[[Array], Tensor]


def as_array(value: object, what: str, copy: bool = True) -> Array:
    """An array in the machine's own byte order, of an array, tensor or list.

    Arguments:
        value: The array, tensor or list.
        what: What it is, for messages.
        copy: Whether it may be copied into the machine's own byte order; else it keeps its own.

    Raises:
        DataError: If it is none, or values of it are masked.

    >>> as_array(np.ma.masked_equal([1.0, -9999.0], -9999.0), "x")
    Traceback (most recent call last):
    pushforward.errors.NonfiniteError: x: expected a value everywhere, found 1 masked; fill them or leave
    the rows out
    """
    if isinstance(value, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(value)
        if masked.any():
            bad = masked.reshape(len(masked), -1)
            counts = bad.sum(0)
            raise NonfiniteError(
                f"{what}: expected a value everywhere, found {masked.sum()} masked; fill them or leave the "
                "rows out",
                [f"{what} row {row}" for row in np.flatnonzero(bad.any(axis=1)).tolist()],
                {f"column {at}": int(counts[at]) for at in counts.nonzero()[0].tolist()},
            )
        value = value.data
    try:
        if isinstance(value, Tensor):
            value = value.detach().cpu()
            small = value.dtype in (torch.bfloat16, torch.float16)
            value = value.float() if small else value  # numpy knows no bfloat16
        array = np.asarray(value)
        return array.astype(array.dtype.newbyteorder("="), copy=False) if copy else array
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{what}: expected an array, found {type(value).__name__}: {reason(error)}") from None


def as_numbers(value: object, what: str, copy: bool = True) -> Array:
    """The same, of numbers.

    Raises:
        DataError: If it holds anything else.
    """
    x = as_array(value, what, copy)
    if x.dtype.kind not in "buif":
        found = FOUND.get(x.dtype.kind, str(x.dtype)) if x.ndim else type(x.item()).__name__
        raise DataError(f"{what}: expected numbers, found {found}")
    return x


def as_tensor(value: object, what: str) -> Tensor:
    """Rows that a user passes, as a tensor whose kind of numbers (integers or not) is that of the value.

    Raises:
        DataError: If they are no numbers.

    >>> as_tensor(np.array([[4095]], dtype=np.uint16), "rows").dtype
    torch.int64
    """
    if isinstance(value, Tensor) and value.dtype in (torch.bool, torch.uint8, torch.int64, torch.float32):
        return value
    x = as_numbers(value, what)
    if x.dtype in (np.dtype(bool), np.dtype(np.uint8)):
        return _tensor(x, x.dtype.type)
    return _tensor(x, np.int64 if x.dtype.kind in "iu" else np.float64)


def on_one_scale(
    parts: dict[str, Array], images: bool, standardize: bool = True, known: Scaling | None = None
) -> Values:
    """Decides how the values of a data set (all rows, or train and test) become those that a model sees.

    =====================================================  ==================================
    values                                                  a model sees
    =====================================================  ==================================
    booleans; bytes that are only 0 and 1                   0 and 1
    bytes                                                   divided by 255
    floats in [0, 1], unless most columns stay below 0.5    the same
    images whose largest value is from 128 to 255           divided by 255
    images of 16-bit integers                               divided by 2^b - 1, for their depth b
    all other numbers                                       standardised
    =====================================================  ==================================

    Vectors are standardised by column, images as a whole. All parts are treated alike.

    Arguments:
        parts: Arrays of numbers, none empty, all of one type, training rows first; the keys name them in
            messages.
        images: Whether the rows are images.
        standardize: Whether real numbers are standardised; if not they stay as they are.
        known: The scaling of the same rows when they were read before, which all of them may have decided
            where these are some.

    Raises:
        DataError: If a value is not finite, or too large.

    >>> on_one_scale({"x": np.array([[0, 255], [7, 3]], dtype=np.uint8)}, images=False).scaling
    UnitInterval(integers=255, floats=1)
    >>> on_one_scale({"x": np.array([[0.0, 255.0], [8.0, 5.0]])}, images=False).scaling
    Standardized(centres=(4.0, 130.0), scales=(4.0, 125.0))
    """
    kind = next(iter(parts.values())).dtype
    if kind in (np.dtype(bool), np.dtype(np.uint8)):
        return _from_bytes(parts, images)
    if images and kind == np.dtype(np.uint16) and max(int(x.max()) for x in parts.values()) > 255:
        return from_depth(list(parts.values()))
    return _from_numbers(parts, images, standardize, known)


def from_depth(parts: list[Array]) -> Values:
    """Images of integers of more than 8 bits, divided by the largest integer of their depth.

    The depth is the least of 8, 10, 12, 14 and 16 bits that holds every value: a 12-bit camera writes 16-bit
    files.

    >>> from_depth([np.array([[0, 3000]], dtype=np.uint16)]).scaling
    UnitInterval(integers=4095, floats=1)
    """
    highest = max(int(x.max()) for x in parts)
    bits = next(bits for bits in DEPTHS if highest < 2**bits)
    whole = 2**bits - 1
    notes = [f"values up to {highest}: divided by {whole} ({bits} bits)"]

    def read(x: Array) -> Tensor:
        return _tensor(x, np.float32).div_(whole)

    return Values([read(x) for x in parts], UnitInterval(whole), notes, read)


def _from_bytes(parts: dict[str, Array], images: bool) -> Values:
    highest = max(int(x.max()) for x in parts.values())
    read = _reading(np.uint8)
    tensors = [read(x) for x in parts.values()]
    if highest <= 1:
        # Masks are often stored as bytes 0 and 1; divided by 255 they would all be black.
        boolean = all(x.dtype == bool for x in parts.values())
        notes = [] if boolean else ["bytes that are only 0 and 1: read as 0 and 1"]
        return Values(tensors, UnitInterval(integers=1), notes, read)
    notes = [] if images else ["bytes: divided by 255; pass floats to have every column standardised"]
    if highest < BRIGHT:
        notes.append(f"the largest byte is {highest}, where 255 stands for 1: all values are small")
    return Values(tensors, UnitInterval(), notes, read)


def _from_numbers(parts: dict[str, Array], images: bool, standardize: bool, known: Scaling | None) -> Values:
    whole = all(x.dtype.kind in "iu" for x in parts.values())
    tensors = _finite(parts)
    lowest = min(float(x.min()) for x in tensors)
    highest = max(float(x.max()) for x in tensors)
    inside = lowest >= 0 and highest <= 1
    if inside and (images or not standardize or _are_grey_values(tensors[0], known)):
        binary = all(bool(((x == 0) | (x == 1)).all()) for x in tensors)
        notes = [] if images or binary else ["values in [0, 1]: kept as they are"]
        return _as_floats(tensors, UnitInterval(1 if binary else None), notes)
    if images and lowest >= 0 and BRIGHT <= highest <= 255:
        notes = [f"values up to {highest:g}: divided by 255"]
        if whole:
            return Values([x.to(torch.uint8) for x in tensors], UnitInterval(), notes, _reading(np.uint8))
        return _as_floats(tensors, UnitInterval(None, floats=255), notes)
    notes = []
    if images:
        span = f"images with values from {lowest:g} to {highest:g}"
        notes.append(f"{span}: read as real numbers, not as [0, 1] or bytes")
    if not standardize:
        for x, what in zip(tensors, parts, strict=True):
            check_square(x, what)
        if any(_merges(x) for x in tensors):
            notes.append("32 bits do not tell all values of a column apart: its offset is too large")
        return _as_floats(tensors, Unscaled(), notes)
    columns = 1 if images else tensors[0][0].numel()
    if isinstance(known, Standardized) and len(known.centres) == columns:
        scaling = known
    else:
        scaling = Standardized.of(tensors[0], columns=not images)
    for x, what in zip(tensors, parts, strict=True):
        check_scaled(x, scaling, what)
    what = "all values are" if images else "every column is"
    notes.append(f"real numbers: {what} centred and scaled for the model; samples are in the data's values")
    return Values(tensors, scaling, notes, _reading(NUMBERS[tensors[0].dtype]))


def _as_floats(tensors: list[Tensor], scaling: Scaling, notes: list[str]) -> Values:
    return Values([x.float() for x in tensors], scaling, notes, _reading(np.float32))


def _reading(kind: type[np.generic]) -> Callable[[Array], Tensor]:
    """Reads rows as tensors of a type."""
    return lambda x: _tensor(x, kind)


def _are_grey_values(x: Tensor, known: Scaling | None) -> bool:
    """Whether vectors in [0, 1] are grey values, and not small numbers that need scales of their own."""
    if known is not None:
        return isinstance(known, UnitInterval)
    columns = x.flatten(1)
    highest, lowest = columns.amax(0), columns.amin(0)
    varies = highest > lowest
    return not varies.any() or bool((highest[varies] >= FULL).double().mean() >= 0.5)


def _merges(x: Tensor) -> bool:
    """Whether rounding to float32 moves values by more than a thousandth of their column's deviation."""
    x = x.flatten(1)
    moved = (x.float().double() - x).abs().amax(0)
    return bool((moved > 1e-3 * x.double().std(0, correction=0)).any())


def check_square(x: Tensor, what: str, start: int = 0) -> None:
    """Refuses rows (N, \\*) with numbers whose squares are no finite float32.

    Arguments:
        x: The rows.
        what: What they are, for messages.
        start: The number of the first of them.

    Raises:
        DataError: With the first of the numbers.
    """
    _check_size(x, x.abs() > LARGEST, what, start, "too large to be squared in 32 bits")


def check_scaled(x: Tensor, scaling: Standardized, what: str, start: int = 0) -> None:
    """The same of numbers that are far from the centre of their column."""
    far = f"more than {FAR:g} deviations from the centre of its column; check it, or pass "
    bad = scaling.apply(x).abs() > FAR
    _check_size(x, bad, what, start, far + option_name("standardize", False))


def _check_size(x: Tensor, bad: Tensor, what: str, start: int, why: str) -> None:
    if bad.any():
        row, column = bad.flatten(1).nonzero()[0].tolist()
        found = x.flatten(1)[row, column].item()
        raise DataError(f"{what}: found {found:g} in row {start + row}, column {column}, which is {why}")


def _tensor(x: Array, dtype: type[np.generic]) -> Tensor:
    # Always a copy: the data of a run must not change with the caller's array.
    with np.errstate(over="ignore"):
        return torch.from_numpy(x.astype(dtype, order="C", copy=True))


class Nonfinite:
    """Collects where values are missing or not finite, over parts of data."""

    def __init__(self) -> None:
        self._rows: list[str] = []
        self._columns: Counter[str] = Counter()
        self._first = ""
        self._total = 0

    def add(self, bad: Array, what: str, start: int, found: Callable[[int, int], str]) -> None:
        """Notes a part of the rows.

        Arguments:
            bad: Which values (n, D) are bad.
            what: What the rows are called.
            start: The number of the first of them.
            found: The value in a row and a column, in words.
        """
        rows = np.flatnonzero(bad.any(axis=1))
        self._total += len(bad)
        if not len(rows):
            return
        if not self._rows:
            row, column = int(rows[0]), int(bad[rows[0]].argmax())
            self._first = f"{what}: expected finite numbers, found {found(row, column)} in row {start + row}"
        self._rows += [f"{what} row {start + row}" for row in rows.tolist()]
        counts = bad.sum(0)
        self._columns.update({f"column {at}": int(counts[at]) for at in counts.nonzero()[0].tolist()})

    def check(self) -> None:
        """Refuses the rows if there were any.

        Raises:
            NonfiniteError: With all their rows and columns.
        """
        if self._rows:
            words = (
                f"{self._first} ({len(self._rows)} of {self._total} rows {plural(len(self._rows), 'is')} bad)"
            )
            raise NonfiniteError(words, self._rows, self._columns)


def _finite(parts: dict[str, Array]) -> list[Tensor]:
    # Float32 would round away what differs between integers, or numbers of float64, of a large offset.
    found, tensors = Nonfinite(), []
    for what, x in parts.items():
        numbers = _tensor(x, np.float32 if x.dtype in (np.float16, np.float32) else np.float64)
        bad = (~torch.isfinite(numbers.float())).flatten(1).numpy()
        found.add(bad, what, 0, partial(_bad_value, x))
        tensors.append(numbers)
    found.check()
    return tensors


def _bad_value(x: Array, row: int, column: int) -> str:
    value = x[row].reshape(-1)[column]
    return "a number too large for 32 bits" if np.isfinite(np.float64(value)) else str(value)
