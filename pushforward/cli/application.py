"""The application that commands are registered with."""

from __future__ import annotations

import inspect
import re
from typing import Any

from cyclopts import App, Parameter, convert

from pushforward._version import __version__


def value_of(kind: Any, words: Any) -> Any:
    """The value that words of the command line stand for; a whole number is never rounded from another.

    Arguments:
        kind: The type of the value.
        words: The words.

    Raises:
        ValueError: If they stand for no value of that type.

    >>> value_of(int, ["16"]), value_of(list[int], ["0", "1"]), value_of(float, ["1.5"])
    (16, [0, 1], 1.5)
    """
    return convert(kind, words, converter=_value)


def _value(kind: Any, word: str) -> Any:
    # By itself cyclopts takes 1.5 for 2 where a whole number is expected.
    return int(word) if kind is int else convert(kind, [word])


app = App(
    name="pushforward",
    help_format="plaintext",  # other formats drop what they take for tags, such as <name>
    help="Train and evaluate Wasserstein, adversarial and variational auto-encoders, GANs and "
    "moment-matching networks.",
    version=__version__,
    version_flags="--version",
    default_parameter=Parameter(converter=value_of),
)


def join_help(app: App) -> None:
    """Makes one line of each argument's description, so that the help breaks it where its column ends."""
    for command in app.subapps:
        function = command.default_command if isinstance(command, App) else None
        if inspect.isfunction(function) and function.__doc__:
            function.__doc__ = re.sub(r"\n {8,}(?=\S)", " ", inspect.cleandoc(function.__doc__))


__all__ = ["app", "join_help", "value_of"]
