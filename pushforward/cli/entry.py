"""Runs a command, and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from io import StringIO

from cyclopts import CycloptsError

from pushforward.cli.application import app, join_help
from pushforward.cli.messages import message
from pushforward.cli.recipe_commands import prepare
from pushforward.console import echo, lenient
from pushforward.errors import ConfigError, PushforwardError
from pushforward.interrupts import StopRequested, resumable, stop_on_signals
from pushforward.launch import first_to_say, launched_rank, launched_size
from pushforward.utils import import_submodules
from pushforward.wording import on_command_line, spelling

import_submodules("pushforward.cli.commands")
join_help(app)

# What several processes that torchrun has started do together.
SHARED = ("train", "resume", "evaluate", "doctor", "report", "sample", "encode", "plan")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; an error of the user ends in one line on standard error and a non-zero exit code.

    Arguments:
        arguments: The words of the command line, those of the process by default.
    """
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with (
            stop_on_signals(), one_line_warnings(), resuming(tokens), lenient(), spelling(on_command_line),
            one_speaker(),
        ):  # fmt: skip
            check_shared(tokens)
            prepare(tokens)
            app(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        fail(message(error), 2)
    except PushforwardError as error:
        fail(str(error), error.exit_code)
    except OSError as error:  # such as a full disk
        fail(" ".join(str(error).split()), 74)
    except StopRequested as stop:
        # Files are written whole or not at all: there is nothing to go on with, and nothing to clear away.
        words = "before its output was written; the same command begins again"
        fail(f"stopped by {stop} {words}", 128 + stop.number)


def check_shared(tokens: Sequence[str]) -> None:
    """Checks that a command is one that several processes can do together, if there are several.

    Raises:
        ConfigError: If it is not: each process would do all of it, and write the same files.
    """
    if tokens and not tokens[0].startswith("-") and tokens[0] not in SHARED and launched_size() > 1:
        raise ConfigError(
            f"{tokens[0]} is done by one process, got {launched_size()} (WORLD_SIZE): start it without "
            f"torchrun; with it: {', '.join(SHARED)}"
        )


def resuming(tokens: Sequence[str]) -> AbstractContextManager[None]:
    """Tells how to go on with a command that trains if it is stopped where nothing else tells it."""
    if tokens[:1] in (["train"], ["resume"], ["compare"]):
        return resumable(lambda: "before it began; the same command begins again")
    return nullcontext()


@contextmanager
def one_speaker() -> Iterator[None]:
    """Inside, the first of several processes alone prints on standard output, such as a help or a result."""
    with redirect_stdout(StringIO()) if launched_rank() > 0 else nullcontext():
        yield


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Shows warnings as a line of their message alone."""

    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def fail(message: str, code: int) -> None:
    """Prints one line on standard error and exits with a code; what several processes say, one prints."""
    with first_to_say(message) as first:
        if first:
            echo(f"error: {message}".replace("\n", "\\n"), err=True)
    raise SystemExit(code)


__all__ = ["fail", "main"]
