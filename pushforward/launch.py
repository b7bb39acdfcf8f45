"""What ``torchrun`` or a scheduler says of the processes that it has started, in the environment."""

from __future__ import annotations

import os

from pushforward.errors import ConfigError


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


def _number(name: str, default: str, least: int) -> int:
    words = os.environ.get(name, default)
    if not words.isdecimal() or int(words) < least:
        raise ConfigError(f"the variable {name} must be a whole number of at least {least}, got {words!r}")
    return int(words)


__all__ = ["launched_local_rank", "launched_rank", "launched_size"]
