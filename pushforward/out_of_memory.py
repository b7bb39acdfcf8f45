"""What becomes of a computation for which there is not enough memory, on the CPU, on CUDA and on MPS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

from pushforward.errors import OutOfMemoryError, PushforwardError
from pushforward.wording import option_name

T = TypeVar("T")
# What PyTorch says that raises a plain RuntimeError.
SAID = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "MPS backend out of memory",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def ran_out(error: BaseException) -> bool:
    """Whether an error of Python, numpy or PyTorch says that there was not enough memory.

    >>> ran_out(MemoryError()), ran_out(RuntimeError("shapes differ"))
    (True, False)
    """
    if isinstance(error, PushforwardError):
        return False
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in SAID)


@contextmanager
def memory_errors(
    rows: int, shape: Sequence[int], device: torch.device | str, lower: Sequence[str]
) -> Iterator[None]:
    """Turns the error that memory ran out into one that says what was computed, and what to lower.

    Arguments:
        rows: Rows that are computed at once.
        shape: The shape of a row.
        device: The device.
        lower: Names of the options that save memory.

    Raises:
        OutOfMemoryError: If memory ran out.

    >>> with memory_errors(100, (8,), "cpu", ["batch_size"]):
    ...     raise MemoryError
    Traceback (most recent call last):
    pushforward.errors.OutOfMemoryError: the memory of cpu ran out with up to 100 rows of shape (8,) ...
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        kind = torch.device(device).type
        elsewhere = "" if kind == "cpu" else f", or compute with {option_name('device', 'cpu')}"
        asked = re.search(r"[Tt]ried to allocate (\d[\d.]* ?\w+)", str(error))
        size = f"; {asked[1]} were to be allocated" if asked else ""
        raise OutOfMemoryError(
            f"the memory of {device} ran out with up to {rows:,} rows of shape {tuple(shape)} at once{size}; "
            f"lower {' or '.join(map(option_name, lower))}{elsewhere}"
        ) from error


def halving(make: Callable[[int, int], T], start: int, stop: int) -> Iterator[T]:
    """What a function makes of rows from one number to another; where memory runs out, of each half of them.

    Arguments:
        make: Makes something of the rows from the first number up to the second.
        start: The first row.
        stop: The row behind the last one.

    >>> def at_most_two(start, stop):
    ...     if stop - start > 2:
    ...         raise MemoryError
    ...     return range(start, stop)
    >>> [*halving(at_most_two, 0, 5)]
    [range(0, 2), range(2, 3), range(3, 5)]
    """
    try:
        made = make(start, stop)
    except (RuntimeError, MemoryError) as error:
        if stop - start <= 1 or not ran_out(error):
            raise
    else:
        yield made
        return
    # Here the error is forgotten, and with it the tensors of the frames that it went through.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = (start + stop) // 2
    yield from halving(make, start, middle)
    yield from halving(make, middle, stop)


__all__ = ["halving", "memory_errors", "ran_out"]
