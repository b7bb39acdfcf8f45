"""Memory is asked for before it is allocated: what cannot fit is refused, with its size and what to lower."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from pushforward.errors import ConfigError, PushforwardError
from pushforward.reading import GIB, size_in_words

UNKNOWN = 64 * GIB  # taken to be free where the system does not say
SHARE = 0.9  # of the free memory that may be asked for at once
MAKERS = ("empty", "zeros", "ones", "rand", "randn", "full")  # what allocates the weights of networks


def free_memory() -> int:
    """The bytes of memory that a process may still take, as far as the system says.

    >>> free_memory() > 0
    True
    """
    found = [UNKNOWN]
    with suppress(OSError, ValueError), Path("/proc/meminfo").open(encoding="ascii") as lines:
        found = [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")] or found
    with suppress(OSError, ValueError):  # the limit of a container
        group = Path("/sys/fs/cgroup")
        limit, used = (int(_first(group / name)) for name in ("memory.max", "memory.current"))
        found.append(max(limit - used, 0))
    with suppress(ImportError, OSError, ValueError):  # ulimit -v
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            pages = int(_first(Path("/proc/self/statm")).split()[0])
            found.append(max(limit - pages * os.sysconf("SC_PAGE_SIZE"), 0))
    return min(found)


def _first(path: Path) -> str:
    with path.open(encoding="ascii") as file:
        return file.readline().strip()


def check_memory(
    what: str, needed: int, advice: str, error: type[PushforwardError] = ConfigError, most: int | None = None
) -> None:
    """Refuses what does not fit into memory.

    Arguments:
        what: What is to be allocated.
        needed: Its bytes.
        advice: What to do about it.
        error: The type of the error.
        most: A limit; by default most of the memory that is free.

    Raises:
        PushforwardError: If it does not fit, of the given type.

    >>> check_memory("10 samples", 8 * 2**30, "lower n", most=2**30)
    Traceback (most recent call last):
    pushforward.errors.ConfigError: 10 samples need 8 GiB, there is room for 1 GiB; lower n
    """
    if needed < GIB and most is None:
        return  # never worth a question to the system
    room = int(SHARE * free_memory()) if most is None else most
    if needed > room:
        raise error(f"{what} need {size_in_words(needed)}, there is room for {size_in_words(room)}; {advice}")


class BoundedNetworks(TorchFunctionMode):
    """Inside, weights of networks are not allocated beyond what fits into memory.

    Arguments:
        advice: What to do if they do not fit.
        most: A limit in bytes; by default most of the memory that is free.
        error: The type of the error.
    """

    def __init__(
        self, advice: str, most: int | None = None, error: type[PushforwardError] = ConfigError
    ) -> None:
        super().__init__()
        self.advice, self.most, self.error = advice, most, error
        self.made = 0

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Checks the size of a new tensor, then makes it."""
        if getattr(function, "__name__", "") in MAKERS:
            size = args[0] if args and isinstance(args[0], (tuple, list)) else args
            count = 4
            for length in size:
                count *= length if isinstance(length, int) else 1
            self.made += count
            check_memory("the weights of the networks", self.made, self.advice, self.error, self.most)
        return function(*args, **(kwargs or {}))


def tensor_bytes(tensors: Mapping[str, torch.Tensor]) -> int:
    """The bytes of some tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


__all__ = ["BoundedNetworks", "check_memory", "free_memory", "tensor_bytes"]
