"""The errors of the package: each message names the thing, what was expected and what was found.

The command line prints the message alone, without a traceback, and exits with ``exit_code``
(the numbers of ``sysexits.h``, by which a scheduler can tell bad input from a full disk).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

from pushforward.wording import option_name

# By which C++ says where in its own source an error was found.
PLACES = re.compile(r"\[[^\s\]]+:\d+\] ?")


class PushforwardError(Exception):
    """The base class of all errors that the package raises deliberately."""

    exit_code = 70


class ConfigError(PushforwardError, ValueError):
    """An invalid setting: an unknown name, a value out of range, or two settings that exclude each other."""

    exit_code = 78


class OutOfMemoryError(ConfigError, MemoryError):
    """A computation for which there is not enough memory, on the CPU or on another device."""


class DataError(PushforwardError, ValueError):
    """Data that cannot be read, or on which nothing can be trained."""

    exit_code = 65


class NonfiniteError(DataError):
    """Data with values that are missing or not finite.

    Arguments:
        words: What was found.
        rows: Every row with such a value, by its number or name.
        columns: The number of such values in each column that has any.
    """

    def __init__(
        self, words: str, rows: Sequence[str] = (), columns: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(words)
        self.rows = tuple(rows)
        self.columns = dict(columns or {})


class OutputError(PushforwardError, OSError):
    """A folder of a run that cannot be written, or that holds something else."""

    exit_code = 74


class CheckpointError(PushforwardError, ValueError):
    """A checkpoint that is missing, damaged, or of another model."""

    exit_code = 74


class DivergedError(PushforwardError, ArithmeticError):
    """A loss, a gradient, weights or samples that are not finite."""

    exit_code = 70


class ProcessError(PushforwardError, RuntimeError):
    """Processes that train together and have lost each other, or hold different numbers."""

    exit_code = 75


class InterruptedRunError(PushforwardError):
    """A run that was stopped from outside; its checkpoint is saved and it can be resumed."""

    exit_code = 75


class ConformanceError(PushforwardError, AssertionError):
    """A model or a recipe that breaks a promise on which training, storing or sampling relies."""

    exit_code = 70


def plain(value: Any) -> Any:
    """A number, text or truth value of numpy or torch as Python's own; anything else as it is.

    >>> import numpy as np
    >>> plain(np.bool_(True)), plain(np.array(2)), plain("text")
    (True, 2, 'text')
    """
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value


def check_int(name: str, value: object, least: int) -> int:
    """A whole number of at least ``least``.

    Raises:
        ConfigError: If it is not one.

    >>> check_int("n", 64, least=1)
    64
    """
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ConfigError(f"{option_name(name)} must be a whole number, got {value!r}")
    if value < least:
        raise ConfigError(f"{option_name(name)} must be at least {least}, got {value}")
    return int(value)


def nearest(name: object, known: Iterable[str]) -> str:
    """A hint for an unknown name: the most similar known name, and all of them.

    >>> nearest("wae-mdm", ["wae-mmd", "wae-gan", "vae"])
    "did you mean 'wae-mmd'? known: vae, wae-gan, wae-mmd"
    """
    known = sorted(known)
    return f"{did_you_mean(name, known)}known: {', '.join(known)}"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The most similar known name as a question with a space behind it; nothing if none is similar.

    >>> did_you_mean("Rom", ["Oslo", "Rome"]), did_you_mean("Paris", ["Oslo", "Rome"])
    ("did you mean 'Rome'? ", '')
    """
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f"did you mean {close[0]!r}? " if close else ""


def listed(names: Sequence[object], most: int) -> str:
    """The first names of a list, and how many more there are.

    >>> listed(["a", "b", "c"], 2), listed([7], 2)
    ('a, b and 1 more', '7')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def reason(error: BaseException) -> str:
    """The message of an error of another library, in one line, without the places in its source.

    >>> reason(ValueError("two\\nlines")), reason(EOFError()), reason(OSError("[/gloo/pair.cc:9] closed"))
    ('two lines', 'EOFError', 'closed')
    """
    return " ".join(PLACES.sub("", str(error)).split()) or type(error).__name__
