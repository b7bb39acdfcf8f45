"""The command line: the functions of Python under the same names, with the same options."""

from pushforward.cli.application import app
from pushforward.cli.entry import main

__all__ = ["app", "main"]
