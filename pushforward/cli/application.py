"""The application that commands are registered with."""

from __future__ import annotations

import inspect
import re

from cyclopts import App

from pushforward._version import __version__

app = App(
    name="pushforward",
    help_format="plaintext",  # other formats drop what they take for tags, such as <name>
    help="Train and evaluate Wasserstein, adversarial and variational auto-encoders, GANs and "
    "moment-matching networks.",
    version=__version__,
    version_flags="--version",
)


def join_help(app: App) -> None:
    """Makes one line of each argument's description, so that the help breaks it where its column ends."""
    for command in app.subapps:
        function = command.default_command if isinstance(command, App) else None
        if inspect.isfunction(function) and function.__doc__:
            function.__doc__ = re.sub(r"\n {8,}(?=\S)", " ", inspect.cleandoc(function.__doc__))


__all__ = ["app", "join_help"]
