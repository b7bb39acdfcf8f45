"""What the command line says about words that it does not understand."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)

if TYPE_CHECKING:
    from cyclopts.argument import Argument

MOST = 3  # options that are suggested
ALIKE = 0.7  # similarity of two spellings, from 0 to 1, of which one may be a slip
KINDS = {float: "a number", int: "a whole number", bool: "true or false", Path: "a path", str: "a word"}


def message(error: CycloptsError) -> str:
    """One line on words of the command line that do not fit, in the terms of its help.

    Arguments:
        error: The error of the parser.
    """
    options = helps(error)
    if isinstance(error, UnknownOptionError):
        where = " ".join(("pushforward", *(error.command_chain or ())))
        return unknown_option(error.token.keyword or error.token.value, options, where)
    argument = error.argument
    if isinstance(error, CoercionError) and argument is not None and error.token is not None:
        return wrong_value(shown_name(argument), argument.hint, error.token.value, options)
    if isinstance(error, MissingArgumentError) and argument is not None:
        name, where = shown_name(argument), " ".join(error.command_chain or ())
        said = within(options.get(argument.name, ""))
        if argument.tokens or error.keyword:
            return f"{where}: {name} needs a value: {said}"
        return f"{where} needs {name}: {said}"
    if isinstance(error, UnusedCliTokensError):
        return f"words that are not expected: {' '.join(error.unused_tokens or ())}"
    return " ".join(str(error).split())


def shown_name(argument: Argument) -> str:
    """The name of an argument as usage shows it: --to, or DATA where it is given by its place."""
    by_place = argument.index is not None
    return argument.name.lstrip("-").upper() if by_place else argument.name


def helps(error: CycloptsError) -> dict[str, str]:
    """The help text of every option of the command by name."""
    if error.app is None or error.app.default_command is None:
        return {}
    found = error.app.assemble_argument_collection(parse_docstring=True)
    return {
        one.name: " ".join((one.parameter.help or "").split())
        for one in found
        if one.parameter.parse is not False
    }


def within(help: str) -> str:
    """A help text as a part of a sentence.

    >>> within("Number of samples.")
    'number of samples'
    """
    return help[:1].lower() + help[1:].rstrip(".")


def unknown_option(name: str, options: Mapping[str, str], command: str) -> str:
    """The message on an option that does not exist, with those that are likely meant.

    >>> unknown_option("--latent", {"--latent-dim": "Dimensions.", "--lr": "Rate."}, "pushforward train vae")
    'unknown option --latent: did you mean --latent-dim?'
    """
    name = name.partition("=")[0]
    if meant := similar(name, options):
        return f"unknown option {name}: did you mean {' or '.join(meant)}?"
    return f"unknown option {name}: {command} --help lists those there are"


def similar(name: str, options: Mapping[str, str]) -> list[str]:
    """The options that an unknown one may stand for, at most three.

    They are those that share a word with it; otherwise the one that is spelled most like it; otherwise those
    whose help speaks of it, so that options are also found by another word for them.

    >>> options = {"--preset": "The recipe's settings.", "--critic-lr": "Learning rate of the critic."}
    >>> similar("--settings", options), similar("--lr-critic", options), similar("--pre-set", options)
    (['--preset'], ['--critic-lr'], ['--preset'])
    """
    bare = {one.lstrip("-"): one for one in options}
    name = name.lstrip("-").replace("_", "-")
    shared = [one for one in bare if set(name.split("-")) & set(one.split("-"))]
    close = difflib.get_close_matches(name, shared, n=MOST, cutoff=0.0)
    if not close:
        # A slip in one word of a name, as in --latnet, leaves the rest of the name out.
        words = {word: one for one in bare for word in (*one.split("-"), one)}
        close = [words[word] for word in difflib.get_close_matches(name, words, n=1, cutoff=ALIKE)]
    if close:
        return [bare[one] for one in close]
    stem = re.compile(rf"\b{re.escape(name.replace('-', ' ').rstrip('s'))}", re.IGNORECASE)
    return [one for one, help in options.items() if stem.search(help)][:MOST]


def wrong_value(name: str, hint: Any, value: str, options: Mapping[str, str]) -> str:
    """The message on a value that an option cannot be, with the options that speak of a choice in it.

    >>> options = {"--weight": "The factor.", "--weight-init": "First value of the weight 'auto'."}
    >>> print(wrong_value("--weight", float | Literal["auto"], "auto:5", options))
    --weight must be a number or auto, got auto:5; see also --weight-init: first value of the weight 'auto'
    """
    choices = [str(choice) for choice in choices_of(hint)]
    found = f"{name} must be {kind(hint)}, got {value}"
    for one, help in options.items():
        if one != name and any(choice in value and f"'{choice}'" in help for choice in choices):
            return f"{found}; see also {one}: {within(help)}"
    close = difflib.get_close_matches(value, choices, n=1)
    return found + (f": did you mean {close[0]}?" if close else "")


def kind(hint: Any) -> str:
    """What values of a type are, in words.

    >>> kind(float | Literal["auto"] | None), kind(Literal["u", "v"])
    ('a number or auto', 'u or v')
    """
    if hint in KINDS:
        return KINDS[hint]
    if get_origin(hint) is Literal:
        *first, last = map(str, get_args(hint))
        return f"{', '.join(first)} or {last}" if first else last
    return " or ".join(kind(part) for part in get_args(hint) if part not in (NoneType, Ellipsis))


def choices_of(hint: Any) -> tuple[Any, ...]:
    """The words that a type allows, if it lists them."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(choice for part in get_args(hint) for choice in choices_of(part))


__all__ = ["message", "similar", "unknown_option", "wrong_value"]
