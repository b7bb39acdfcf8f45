"""What ``torchrun`` or a scheduler says of the processes that it has started, in the environment."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from hashlib import sha256

from pushforward.errors import ConfigError

PRECEDENCE = 1.0  # seconds for which the others let process 0 speak first
ANSWER = timedelta(seconds=10)  # within which the store of all processes answers


def launched_size() -> int:
    """How many processes were started to work together (WORLD_SIZE); 1 if nothing says so.

    Raises:
        ConfigError: If it is no number.
    """
    return _number("WORLD_SIZE", "1", least=1)


def launched_rank() -> int:
    """The number of this one among them, from 0 (RANK).

    Raises:
        ConfigError: If it is no number.
    """
    return _number("RANK", "0", least=0) if launched_size() > 1 else 0


def launched_local_rank() -> int:
    """The number of this one among those on the same machine, from 0 (LOCAL_RANK).

    Raises:
        ConfigError: If it is no number.
    """
    return _number("LOCAL_RANK", "0", least=0) if launched_size() > 1 else 0


def launched_here() -> int:
    """How many processes were started on this machine (LOCAL_WORLD_SIZE), as far as the environment says so.

    Raises:
        ConfigError: If it is no number.
    """
    return max(_number("LOCAL_WORLD_SIZE", "1", least=1), launched_local_rank() + 1)


def program() -> str:
    """How a command is started by as many processes as this one; "..." are the options of several machines.

    >>> program()
    'pushforward'
    """
    size, here = launched_size(), launched_here()
    if size == 1:
        return "pushforward"
    return f"torchrun {f'--nproc-per-node {size}' if here == size else '...'} -m pushforward"


@contextmanager
def first_to_say(words: str) -> Iterator[bool]:
    """Whether no other process that was started with this one has said the same, such as an error of all.

    The processes ask the store by which they find each other. ``torchrun`` keeps one; without it process 0
    does, and waits at the end until all have asked, but not longer than for an answer. Where there is no
    store, or no answer, each may speak.

    Arguments:
        words: What is to be said.
    """
    try:
        rank, size = launched_rank(), launched_size()
    except ConfigError:  # which is what there is to say
        rank, size = 0, 1
    if size == 1:
        yield True
        return
    start = f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}"
    keeps = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    try:
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        if not keeps:
            _wait_for(address)
        store = TCPStore(*address, None, keeps, ANSWER, wait_for_workers=False, multi_tenant=True)
        key = f"{start}, said {sha256(words.encode()).hexdigest()}"
        limit = time.monotonic() + PRECEDENCE
        while rank > 0 and store.add(key, 0) == 0 and time.monotonic() < limit:
            time.sleep(0.02)
        said = store.add(key, 1)
    except (ImportError, KeyError, OSError, RuntimeError, ValueError):
        yield True
        return
    yield said == 1
    limit = time.monotonic() + ANSWER.total_seconds()
    with suppress(RuntimeError):  # the store is gone
        asked = store.add(f"{start}, asked", 1)
        while keeps and asked < size and time.monotonic() < limit:
            time.sleep(0.02)
            asked = store.add(f"{start}, asked", 0)


def _wait_for(address: tuple[str, int]) -> None:
    """Waits until someone answers at an address; torch would print lines of its own if nobody does.

    Raises:
        OSError: If nobody does.
    """
    limit = time.monotonic() + ANSWER.total_seconds()
    while True:
        try:
            socket.create_connection(address, ANSWER.total_seconds()).close()
            return
        except OSError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.05)


def _number(name: str, default: str, least: int) -> int:
    words = os.environ.get(name, default)
    if not words.isdecimal() or int(words) < least:
        raise ConfigError(f"the variable {name} must be a whole number of at least {least}, got {words!r}")
    return int(words)


__all__ = [
    "first_to_say", "launched_here", "launched_local_rank", "launched_rank", "launched_size", "program",
]  # fmt: skip
