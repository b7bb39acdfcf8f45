"""Rows that are read by their numbers, from memory or from where they lie on the disk.

Order, resume and noise are functions of the numbers of rows, so that nothing that trains or evaluates needs
to know which of the two it is. Every tensor is :class:`Rows`; so is whatever has its length, shape, type and
``rows[index]``.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError
from pushforward.limits import check_memory
from pushforward.reading import MIB

PART = 4 * MIB  # bytes that are read at once where all rows are passed over
TOUCHED = 256 * MIB  # pages of a mapped file that a process keeps, about
AROUND = MIB  # what the system maps around a row that is read, at most


class Rows(Protocol):
    """Rows (N, \\*) that are read by their numbers.

    >>> def first(rows: Rows) -> Tensor:
    ...     return rows[slice(0, 1)]
    >>> first(torch.eye(2))
    tensor([[1., 0.]])
    """

    @property
    def shape(self) -> Sequence[int]:
        """(N, \\*)."""

    @property
    def dtype(self) -> torch.dtype:
        """The type of the values."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor | slice, /) -> Tensor: ...


class ReadRows:
    """Rows that a function reads.

    Arguments:
        count: Number of rows.
        read: Returns the rows (n, \\*) of the numbers (n,) that it is given, or of a slice.
    """

    def __init__(self, count: int, read: Callable[[NDArray[np.int64] | slice], Tensor]) -> None:
        self._count, self._read = count, read
        example = read(slice(0, 1))
        self._row, self._dtype = tuple(example.shape[1:]), example.dtype

    def __len__(self) -> int:
        return self._count

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, \\*)."""
        return (self._count, *self._row)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the values."""
        return self._dtype

    def __getitem__(self, index: Tensor | slice, /) -> Tensor:
        return self._read(index if isinstance(index, slice) else index.numpy())


def read_by(make: Callable[[Tensor, Sequence[int]], Tensor], rows: Rows) -> Rows:
    """What a function makes of rows and their numbers when they are read.

    >>> read_by(lambda rows, numbers: 2 * rows, torch.tensor([[5], [6]]))[slice(1, 2)]
    tensor([[12]])
    """

    def numbered(index: NDArray[np.int64] | slice) -> Tensor:
        if isinstance(index, slice):
            return make(rows[index], range(len(rows))[index])
        return make(rows[torch.from_numpy(index)], index.tolist())

    return ReadRows(len(rows), numbered)


class JoinedRows:
    """Rows of one source, and after them those of another.

    >>> rows = JoinedRows(torch.tensor([[5], [6]]), torch.tensor([[7]]))
    >>> rows[torch.tensor([2, 0])].tolist(), rows[slice(1, 3)].tolist()
    ([[7], [5]], [[6], [7]])
    """

    def __init__(self, first: Rows, second: Rows) -> None:
        self._first, self._second = first, second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, \\*)."""
        return (len(self), *self._first.shape[1:])

    @property
    def dtype(self) -> torch.dtype:
        """The type of the values."""
        return self._first.dtype

    def __getitem__(self, index: Tensor | slice, /) -> Tensor:
        numbers = torch.arange(*index.indices(len(self))) if isinstance(index, slice) else index.long()
        out = torch.empty((len(numbers), *self.shape[1:]), dtype=self.dtype)
        ours = numbers < len(self._first)
        out[ours] = self._first[numbers[ours]]
        out[~ours] = self._second[numbers[~ours] - len(self._first)]
        return out


class SelectedRows:
    """Some of other rows, in an order of their own; none is read before it is asked for.

    Arguments:
        rows: The other rows.
        index: The numbers of these; a range of them takes no memory.

    >>> rows = SelectedRows(torch.tensor([[5], [6], [7]]), torch.tensor([2, 0]))
    >>> rows[torch.tensor([1])], rows.shape
    (tensor([[5]]), (2, 1))
    >>> SelectedRows(torch.tensor([[5], [6], [7]]), range(1, 3))[torch.tensor([1, 0])].tolist()
    [[7], [6]]
    """

    def __init__(self, rows: Rows, index: Tensor | range) -> None:
        self._rows, self._index = rows, index

    def __len__(self) -> int:
        return len(self._index)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, \\*)."""
        return (len(self._index), *self._rows.shape[1:])

    @property
    def dtype(self) -> torch.dtype:
        """The type of the values."""
        return self._rows.dtype

    def __getitem__(self, index: Tensor | slice, /) -> Tensor:
        return self._rows[_chosen(self._index, index)]


def _chosen(numbers: Tensor | range, index: Tensor | slice) -> Tensor | slice:
    """The numbers at ``index``."""
    if isinstance(numbers, Tensor):
        return numbers[index].long()
    if isinstance(index, Tensor):
        return numbers.start + numbers.step * index
    found = numbers[index]
    return slice(found.start, found.stop, found.step)


def mapped(array: NDArray[Any], read: Callable[[NDArray[Any]], Tensor]) -> ReadRows:
    """Rows of an array that is mapped from a file, of which only the last that were read are in memory.

    Arguments:
        array: The array (N, \\*).
        read: Makes a tensor of some of its rows, which must be a copy.
    """
    forget = Forgetting(array)

    def rows(index: NDArray[np.int64] | slice) -> Tensor:
        found = array[index]
        made = read(found)
        forget(len(found) * (found[:1].nbytes if isinstance(index, slice) else max(found[:1].nbytes, AROUND)))
        return made

    return ReadRows(len(array), rows)


class Forgetting:
    """Lets the system take back the pages of a mapped array, each time so many bytes of it were read.

    Arguments:
        array: The array.
        most: The bytes.
    """

    def __init__(self, array: NDArray[Any], most: int | None = None) -> None:
        self._most = TOUCHED if most is None else most
        base: Any = array
        # A private copy of pages that were changed would be lost.
        readable = not array.flags.writeable
        while isinstance(base, np.ndarray):
            base = base.base
        self._map = base if readable and isinstance(base, mmap.mmap) else None
        self._touched = 0

    def __call__(self, count: int) -> None:
        """Notes that so many bytes were read."""
        self._touched += count
        if self._touched >= self._most and self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
            self._touched = 0


def select(rows: Rows, index: Tensor | slice) -> Rows:
    """The rows at ``index``: of a tensor a copy or, of a slice, a view; of others as they will be read."""
    if isinstance(rows, Tensor):
        return rows[index]
    return SelectedRows(rows, range(len(rows))[index] if isinstance(index, slice) else index)


def take(rows: Rows, index: Tensor | slice) -> Tensor:
    """The rows at ``index``, in memory."""
    if isinstance(rows, Tensor) and isinstance(index, Tensor):
        return rows.index_select(0, index)  # faster than rows[index]
    return rows[index]


def row_bytes(rows: Rows) -> int:
    """The bytes of one row."""
    return int(np.prod(rows.shape[1:], dtype=np.int64)) * rows.dtype.itemsize


def parts(rows: Rows) -> Iterator[Tensor]:
    """All rows in their order, in parts of some megabytes; of a tensor at once.

    >>> [len(part) for part in parts(torch.eye(3))]
    [3]
    """
    if isinstance(rows, Tensor):
        yield rows
        return
    step = max(PART // max(row_bytes(rows), 1), 1)
    for start in range(0, len(rows), step):
        yield rows[slice(start, start + step)]


def whole(rows: Rows, what: str) -> Tensor:
    """All rows as a tensor in memory.

    Raises:
        DataError: If they do not fit.
    """
    if isinstance(rows, Tensor):
        return rows
    check_memory(what, len(rows) * row_bytes(rows), "take fewer rows, or smaller ones", DataError)
    out = torch.empty(tuple(rows.shape), dtype=rows.dtype)
    start = 0
    for part in parts(rows):
        out[start : start + len(part)] = part
        start += len(part)
    return out


__all__ = ["Forgetting", "JoinedRows", "ReadRows", "Rows", "SelectedRows", "mapped", "parts", "read_by",
           "row_bytes", "select", "take", "whole"]  # fmt: skip
