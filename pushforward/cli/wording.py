"""Messages in the words of the command line: ``latent_dim`` of Python is ``--latent-dim`` there.

Messages and advice are written once, in the words of Python. Options are recognised by how they stand in a
sentence: as an argument (``conditional=True``), with a value (``sampler 'gmm'``), by an underscore
(``latent_dim``), as the subject of a rule (``weight must be ...``) or the object of advice (``lower n``).
Other words of the same spelling stay as they are, and so does what is said of a call "in Python".
"""

from __future__ import annotations

import inspect
import re
from functools import cache

from cyclopts import App

from pushforward.cli.application import app
from pushforward.cli.commands.train import OF_MACHINE, OF_TRAINING

IN_PYTHON = "in Python"
VALUE = r"'[^']*'|\.\.\.|[\w.+-]*\w"
RULES = "must|is for|is available|cannot|needs|expected"
ADVICE = "(?:lower|raise|divide|multiply)(?: the)?|give|choose another|(?:the )?option"


def in_options(text: str) -> str:
    """A message with its options as they are written on the command line.

    >>> in_options("latent_dim must be at least 1, got 0")
    '--latent-dim must be at least 1, got 0'
    >>> in_options("lower n, or train it with conditional=True and weight='auto'")
    'lower --n, or train it with --conditional and --weight auto'
    >>> in_options("the label of a row, in Python: run.encode(x, seed=1)")
    'the label of a row, in Python: run.encode(x, seed=1)'
    """
    said, marker, rest = text.partition(IN_PYTHON)
    return _pattern().sub(_replaced, said) + marker + rest


@cache
def option_names() -> frozenset[str]:
    """The names, in Python, of all options of all commands."""
    from pushforward.recipes import RECIPES

    of_recipes = {one.name for recipe in RECIPES.values() for one in recipe.options if not one.python_only}
    functions = [one.default_command for one in app.subapps if isinstance(one, App)]
    of_commands = {
        parameter.name
        for function in functions
        if function is not None and function.__module__.startswith("pushforward.")
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    return frozenset({*of_recipes, *of_commands, *OF_TRAINING, *OF_MACHINE})


@cache
def _pattern() -> re.Pattern[str]:
    names = sorted(option_names(), key=len, reverse=True)
    any_name = "|".join(names)
    several = "|".join(name for name in names if "_" in name)
    # Parts of paths, of quoted words and of cases such as wae-mmd:weight=auto,latent_dim=4 are no options.
    begins, ends = r"(?<![\w/\\.:,='\"-])", r"(?![\w/\\'\"-]|\.\w)"
    return re.compile(
        rf"{begins}(?P<argument>{any_name})=(?P<value>(?:{VALUE})(?: or '[^']*')*)"
        rf"|(?<!unknown ){begins}(?P<quoting>{any_name}) (?P<quoted>'[^']*'(?: or '[^']*')*)"
        rf"|{begins}(?P<whole>{several}){ends}"
        rf"|(?P<before>^|[:;,] |\b(?:or|and) )(?P<subject>{any_name})(?= (?:{RULES})\b)"
        rf"|(?P<advice>\b(?:{ADVICE}) )(?P<object>{any_name}){ends}"
    )


def _replaced(found: re.Match[str]) -> str:
    if name := found["argument"] or found["quoting"]:
        value = (found["value"] or found["quoted"]).replace("'", "")
        if value == "False":
            return _option(f"no_{name}")
        return _option(name) if value in ("True", "...") else f"{_option(name)} {value}"
    if found["subject"]:
        return found["before"] + _option(found["subject"])
    if found["object"]:
        return re.sub(r" the $|(the )?option $", " ", found["advice"]).lstrip() + _option(found["object"])
    return _option(found["whole"])


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


__all__ = ["in_options", "option_names"]
