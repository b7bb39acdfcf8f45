"""What ``torchrun`` or a scheduler says of the processes that it has started, in the environment."""

from __future__ import annotations

import os
from datetime import timedelta
from hashlib import sha256

from pushforward.errors import ConfigError

ANSWER = timedelta(seconds=10)  # within which the store of torchrun answers


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


def first_to_say(words: str) -> bool:
    """Whether no other process that ``torchrun`` has started has said the same, such as an error of all.

    The processes ask the store that torchrun keeps; where there is none, or no answer, each may speak.

    Arguments:
        words: What is to be said.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return True
    from torch.distributed.rendezvous import rendezvous

    key = f"said {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)} {sha256(words.encode()).hexdigest()}"
    try:
        store = next(rendezvous("env://", launched_rank(), launched_size(), timeout=ANSWER))[0]
        return int(store.add(key, 1)) == 1
    except (ConfigError, RuntimeError, ValueError):
        return True


def _number(name: str, default: str, least: int) -> int:
    words = os.environ.get(name, default)
    if not words.isdecimal() or int(words) < least:
        raise ConfigError(f"the variable {name} must be a whole number of at least {least}, got {words!r}")
    return int(words)


__all__ = ["first_to_say", "launched_here", "launched_local_rank", "launched_rank", "launched_size"]
