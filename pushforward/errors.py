"""The errors a user may meet: each names the thing, what was expected and what was found.

The command line prints the message alone, without a traceback, and ends with ``exit_code``
(the numbers of ``sysexits.h``, so that a scheduler can tell bad input from a full disk).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral


class PushforwardError(Exception):
    """Any failure that the library foresees."""

    exit_code = 70


class ConfigError(PushforwardError, ValueError):
    """A setting that cannot be: an unknown name, a value out of range, two that exclude each other."""

    exit_code = 78


class DataError(PushforwardError, ValueError):
    """Data that cannot be read or cannot be learnt from."""

    exit_code = 65


class OutputError(PushforwardError, OSError):
    """A run folder that cannot be written, or that holds something else."""

    exit_code = 74


class CheckpointError(PushforwardError, ValueError):
    """A checkpoint that is absent, damaged, or of another model."""

    exit_code = 74


class DivergedError(PushforwardError, ArithmeticError):
    """A loss or gradient that is no longer a finite number."""

    exit_code = 70


class InterruptedRunError(PushforwardError):
    """A run that was asked to stop; its checkpoint is saved and it can be resumed."""

    exit_code = 75


def check_int(name: str, value: object, least: int) -> int:
    """A whole number of at least ``least``.

    Raises:
        ConfigError: If it is not one.

    >>> check_int("n", 64, least=1)
    64
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ConfigError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ConfigError(f"{name} must be at least {least}, got {value}")
    return int(value)


def nearest(name: str, known: Iterable[str]) -> str:
    """A helping half-sentence for an unknown name.

    >>> nearest("wae-mdm", ["wae-mmd", "wae-gan", "vae"])
    "did you mean 'wae-mmd'? known: vae, wae-gan, wae-mmd"
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(known)}"


def reason(error: BaseException) -> str:
    """What an error of another library says, in one line.

    >>> reason(ValueError("two\\nlines")), reason(EOFError())
    ('two lines', 'EOFError')
    """
    return " ".join(str(error).split()) or type(error).__name__
