"""Work in parts that several processes share out, after which each of them has all results.

.. code-block:: text

    part           0    1    2    3    4        of a list that does not depend on the processes
    computed by    0    1    0    1    0        of two processes
    known to all   [made of 0, made of 1, made of 2, ...]

What is made of a part depends on the part alone, and what follows is computed from all results, in the order
of the parts, by every process: its bits are those of one process.

Parts are shared out within :func:`shared_out` alone, which the evaluation of a run enters. Elsewhere, and in
a single process, :func:`map_parts` is a loop, as it is within a part.

What is computed once and kept must not be computed within a part: where there are fewer parts than processes,
some would have it and the others not. It is a :class:`together`.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any, TypeVar

import torch
from torch import Tensor

from pushforward.distributed import check_same as check_same_in_all
from pushforward.distributed import gather_bytes, rank, size
from pushforward.errors import ProcessError, PushforwardError, reason
from pushforward.process_group import joined
from pushforward.utils import Setting, lazy

S = TypeVar("S")
T = TypeVar("T")


class Work(Enum):
    """Who does the work at hand."""

    ALONE = "this process, all of it"
    SHARED = "all processes, each its parts"
    PART = "this process, while others do other parts or none"


_work = Setting(Work.ALONE)


@contextmanager
def shared_out() -> Iterator[None]:
    """Inside, the processes that ``torchrun`` has started share out the parts of :func:`map_parts`.

    All of them have to come here, and to do the same inside. It also decorates functions.

    Raises:
        ConfigError: As :func:`~pushforward.process_group.joined`.
        ProcessError: As :func:`~pushforward.process_group.joined`.
    """
    with joined(), _work.held(Work.SHARED):
        yield


class together(lazy[T]):  # noqa: N801
    """A lazy attribute that processes share out, or compare: it is first asked for outside of any part.

    Raises:
        AssertionError: If it is not, also in a single process.
    """

    def __get__(self, owner: object | None, kind: type) -> Any:
        name = self.function.__name__
        assert owner is None or _work.value is not Work.PART, (
            f"{name} is first asked for in a part, which others lack"
        )
        return super().__get__(owner, kind)


def map_parts(function: Callable[[S], T], parts: Iterable[S]) -> Iterator[T]:
    """What a function makes of each part, one after the other, in the order of the parts.

    Within :func:`shared_out` process r of W does every W-th part, and what it makes passes to the others:
    tensors, numbers, text, None, and tuples, lists and dictionaries of these. Tensors are on the CPU then.

    Raises:
        ProcessError: If another process has failed by an error that is not of this package, is lost, or maps
            something else.
        PushforwardError: What the function raised of the first part of which it raised an error, in all
            processes.

    >>> [*map_parts(lambda part: part**2, range(4))]
    [0, 1, 4, 9]
    """

    def made_of(part: S) -> T:
        with _work.held(Work.PART):
            return function(part)

    if _work.value is not Work.SHARED or size() == 1:
        yield from map(made_of, parts)
        return
    given = [*parts]
    place = f"{function.__module__}.{getattr(function, '__qualname__', '')} {len(given)}"
    for start in range(0, len(given), size()):
        yield from _round(made_of, given[start : start + size()], place)


def once(function: Callable[[], T]) -> T:
    """What a function returns that only the first process calls, within :func:`shared_out`: for all.

    Raises:
        PushforwardError: As :func:`map_parts`.
    """
    return next(map_parts(lambda _: function(), [None]))


def check_same(what: str, tensors: Mapping[str, Tensor]) -> None:
    """Checks, within :func:`shared_out`, that tensors have the same bits in all processes.

    Raises:
        ProcessError: If one has not; in every process.
    """
    if _work.value is Work.SHARED:
        check_same_in_all(what, tensors)


def _round(function: Callable[[S], T], parts: list[S], place: str) -> list[T]:
    """What a function makes of at most one part for each process, all of which are at the same place."""
    failed: Exception | None = None
    content = packed({})
    try:
        if rank() < len(parts):
            content = packed({"made": function(parts[rank()])})
    except Exception as error:  # every process has to hear of it
        failed = error
        typed = type(error).__name__ if isinstance(error, PushforwardError) else ""
        content = packed({"type": typed, "words": reason(error)})
    found = [unpacked(one) for one in gather_bytes(content, zlib.crc32(place.encode()))[: len(parts)]]
    for number, one in enumerate(found):
        if "words" in one:
            if failed is not None and (number == rank() or not one["type"]):
                raise failed
            raise _error(number, one["type"], one["words"])
    return [one["made"] for one in found]


def _error(number: int, name: str, words: str) -> PushforwardError:
    """The error of another process: of the same type, so that all do the same, if it is of this package."""
    kind = getattr(sys.modules[PushforwardError.__module__], name, None)
    if isinstance(kind, type) and issubclass(kind, PushforwardError):
        return kind(words)
    return ProcessError(f"process {number} of {size()} has failed: {words:.200}")


# ------------------------------------------------------------------------------------------ values as bytes


def packed(value: Any) -> bytes:
    """A value as bytes: its structure as JSON, behind it the numbers of its tensors.

    >>> unpacked(packed({"a": (1, None), "b": [torch.ones(2), float("inf")]}))
    {'a': (1, None), 'b': [tensor([1., 1.]), inf]}
    """
    contents: list[bytes] = []

    def described(value: Any) -> Any:
        if isinstance(value, Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            contents.append(flat.view(torch.uint8).numpy().tobytes())
            return {"tensor": [str(value.dtype).removeprefix("torch."), *value.shape]}
        if isinstance(value, dict):
            return {"dict": [[key, described(part)] for key, part in value.items()]}
        if isinstance(value, (tuple, list)):
            return {"tuple" if isinstance(value, tuple) else "list": [described(part) for part in value]}
        return value

    head = json.dumps(described(value)).encode()
    return b"".join([len(head).to_bytes(8, "little"), head, *contents])


def unpacked(content: bytes) -> Any:
    """The value of :func:`packed` bytes."""
    place = 8 + int.from_bytes(content[:8], "little")

    def value_of(described: Any) -> Any:
        nonlocal place
        if not isinstance(described, dict):
            return described
        ((kind, inner),) = described.items()
        if kind == "tensor":
            dtype, shape = getattr(torch, inner[0]), inner[1:]
            tensor = torch.empty(shape, dtype=dtype)
            end = place + tensor.numel() * tensor.element_size()
            if tensor.numel():
                read = torch.frombuffer(bytearray(content[place:end]), dtype=torch.uint8)
                tensor.view(-1).view(torch.uint8).copy_(read)
            place = end
            return tensor
        if kind == "dict":
            return {key: value_of(part) for key, part in inner}
        return (tuple if kind == "tuple" else list)(value_of(part) for part in inner)

    return value_of(json.loads(content[8:place]))


__all__ = ["check_same", "map_parts", "once", "packed", "shared_out", "together", "unpacked"]
