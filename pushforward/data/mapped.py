"""Arrays that are mapped from a file, since they would fill the memory: what their values mean."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.rows import PART, Forgetting, ReadRows, Rows, mapped, row_bytes
from pushforward.data.scaling import Scaling, Standardized
from pushforward.data.values import Array, Nonfinite, Values, check_scaled, check_square, on_one_scale
from pushforward.errors import DataError
from pushforward.limits import free_memory
from pushforward.reading import MIB
from pushforward.rng import Noise

SHARE = 0.2  # of the free memory, beyond which a file is mapped: reading it takes several times its bytes
SAMPLE = 128 * MIB  # bytes of the rows from which columns are scaled; with more, some at random tell it
FEW = 100  # of these rows, at least


class LazyArray:
    """Rows that a function reads, in the place of an array: of items, of sparse matrices, of files.

    Arguments:
        shape: (N, \\*).
        dtype: The type of the values.
        read: Returns the rows (n, \\*) of the numbers (n,) that it is given.

    >>> squares = LazyArray((100, 1), np.dtype(np.int64), lambda index: index[:, None] ** 2)
    >>> squares[np.array([3, 9])].tolist(), np.asarray(squares).sum()
    ([[9], [81]], np.int64(328350))
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], read: Callable[[NDArray[np.int64]], Array]
    ) -> None:
        self.shape, self.dtype, self._read = shape, dtype, read
        self.ndim, self.size = len(shape), math.prod(shape)
        self.nbytes = self.size * dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: NDArray[np.int64] | slice, /) -> Array:
        numbers = np.arange(*index.indices(len(self))) if isinstance(index, slice) else index
        return self._read(numbers)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        out = np.empty(self.shape, self.dtype)
        for start, part in _parts(self):
            out[start : start + len(part)] = part
        return out if dtype is None else out.astype(dtype)


class _RawFile:
    """An open file, of which any part can be read by any thread; it is closed when nothing refers to it."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._file)
        if hasattr(os, "posix_fadvise"):  # else the system reads what lies around each row as well
            os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_RANDOM)

    def read(self, into: memoryview, start: int) -> None:
        """Fills a buffer with what begins at a place in the file."""
        done = 0
        while done < len(into):
            count = self._read(into[done:], start + done)
            if not count:
                raise DataError(f"{self._path}: expected {start + len(into)} bytes or more, found fewer")
            done += count

    def _read(self, into: memoryview, start: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file, [into], start)
        with self._lock:  # the place in the file is one for all threads
            os.lseek(self._file, start, os.SEEK_SET)
            part = os.read(self._file, len(into))
        into[: len(part)] = part
        return len(part)


def raw_rows(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int = 0) -> LazyArray:
    """Rows that lie one after another in a file, each read when it is needed.

    They are read and not mapped, since the pages of a mapped file count as memory of the process, and the
    system maps far more of them than a row has.

    Arguments:
        path: The file.
        dtype: The type of the values.
        shape: (N, \\*).
        offset: Where the first row begins.
    """
    width = math.prod(shape[1:]) * dtype.itemsize
    file = _RawFile(path)

    def read(index: NDArray[np.int64]) -> Array:
        out = np.empty((len(index), *shape[1:]), dtype)
        if not out.nbytes:
            return out
        view = memoryview(out.reshape(-1).view(np.uint8).data)
        # Runs of rows that follow one another are read at once.
        starts = np.flatnonzero(np.diff(index, prepend=index[0] - 2) != 1)
        for start, stop in zip(starts, [*starts[1:], len(index)], strict=True):
            file.read(view[start * width : stop * width], offset + int(index[start]) * width)
        return out

    return LazyArray(shape, dtype, read)


Readable = Array | LazyArray  # what has a shape, a type, and rows by their numbers


def fills_memory(count: int) -> bool:
    """Whether so many bytes are too many to be read into memory."""
    return count > SHARE * free_memory()


def in_parts(count: int) -> bool:
    """Whether so many bytes are read part by part, whether or not their rows are kept in memory then.

    What columns are scaled by depends on the number of bytes alone, not on the memory that is free: where
    there are fewer, the rows from which they are scaled are all rows.
    """
    return count > SAMPLE or fills_memory(count)


def is_mapped(value: Any, later: bool) -> bool:
    """Whether a value is an array that need not be in memory, and is too large for it or not wanted there."""
    return isinstance(value, (np.memmap, LazyArray)) and (later or fills_memory(value.nbytes))


def map_rows(
    arrays: Mapping[str, Readable],
    images: bool,
    standardize: bool,
    arrange: Callable[[Array], Array],
    progress: Callable[[int, int], None] | None = None,
    known: Scaling | None = None,
) -> tuple[list[Rows], Values]:
    """Rows of mapped arrays, and what their values mean: see :func:`~pushforward.data.values.on_one_scale`.

    Every row is looked at, but columns are scaled by some at random.

    Arguments:
        arrays: Arrays of numbers, training rows first; the keys name them in messages.
        images: Whether the rows are images.
        standardize: Whether real numbers are standardised.
        arrange: Puts the axes of some rows in order.
        progress: Called with (done, total) rows while they are looked at.
        known: The scaling of the rows when they were read before: then no columns need to be scaled.

    Raises:
        DataError: If a value is not finite, or too large.
    """

    def native(x: Array) -> Array:
        return arrange(x.astype(x.dtype.newbyteorder("="), copy=False))

    kinds = {array.dtype for array in arrays.values()}
    learn = standardize and known is None and not kinds <= {np.dtype(bool), np.dtype(np.uint8)}
    telling = {
        what: array[_telling(array, what, standardize, learn, progress)] for what, array in arrays.items()
    }
    values = on_one_scale({what: native(x) for what, x in telling.items()}, images, standardize, known)
    found: list[Rows] = [_rows(array, lambda x: values.read(native(x))) for array in arrays.values()]
    if isinstance(values.scaling, Standardized):
        for rows, what in zip(found, arrays, strict=True):
            step = max(PART // max(row_bytes(rows), 1), 1)
            for start in range(0, len(rows), step):
                check_scaled(rows[slice(start, start + step)], values.scaling, what, start)
        if learn:
            count = len(next(iter(telling.values())))
            values.notes.append(f"centres and scales are those of {count} rows at random")
    return found, values


def _rows(array: Readable, read: Callable[[Array], Tensor]) -> Rows:
    if isinstance(array, LazyArray):
        return ReadRows(len(array), lambda index: read(array[index]))
    return mapped(array, read)


def _telling(
    array: Readable, what: str, standardize: bool, learn: bool, progress: Callable[[int, int], None] | None
) -> Array:
    """The numbers of rows that tell what values mean: some at random, and those with the extreme values.

    Where no scale is learnt the extreme values tell it; of the other rows a few are enough, for notes.
    """
    lowest, highest = (np.inf, 0), (-np.inf, 0)
    between: list[int] = []
    found = Nonfinite()
    for start, part in _parts(array):
        flat = part.reshape(len(part), -1)
        if flat.dtype.kind == "f":
            found.add(~np.isfinite(flat.astype(np.float32)), what, start, partial(_shown, flat))
        low, high = flat.min(1), flat.max(1)
        lowest = min(lowest, (float(low.min()), start + int(low.argmin())))
        highest = max(highest, (float(high.max()), start + int(high.argmax())))
        if not between:
            between = [start + int(row) for row in ((flat != 0) & (flat != 1)).any(1).nonzero()[0][:1]]
        if progress:
            progress(start + len(part), len(array))
    found.check()
    if not standardize:
        for _, row in (lowest, highest):
            check_square(torch.from_numpy(array[np.array([row])].astype(np.float64)), what, row)
    if learn:
        size = max(array.nbytes // max(len(array), 1), 1)
        some = Noise("mapped").permutation(len(array))[: max(SAMPLE // size, FEW)].numpy()
    else:
        some = np.linspace(0, len(array) - 1, FEW, dtype=np.int64)
    return np.unique(np.concatenate([some, [lowest[1], highest[1], *between]]).astype(np.int64))


def _shown(x: Array, row: int, column: int) -> str:
    return str(x[row, column])


def _parts(array: Readable) -> Iterator[tuple[int, Array]]:
    step = max(PART * len(array) // max(array.nbytes, 1), 1)
    forget = Forgetting(array, 4 * PART) if isinstance(array, np.ndarray) else None
    for start in range(0, len(array), step):
        part = array[start : start + step]
        yield start, part
        if forget:
            forget(part.nbytes)


__all__ = ["LazyArray", "Readable", "fills_memory", "in_parts", "is_mapped", "map_rows", "raw_rows"]
