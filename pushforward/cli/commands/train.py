"""``pushforward train``: a command for every recipe."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from cyclopts import App, Group, Parameter

from pushforward.cli.application import app
from pushforward.cli.options import JsonFlag
from pushforward.cli.output import finish

if TYPE_CHECKING:
    from pushforward.runs.run import Run

train_app = App(
    name="train", help="Train a recipe on data; the same command again continues a run that was stopped."
)
app.command(train_app)

OF_PYTHON_ONLY = {"encoder", "decoder", "critic"}  # modules: a command line cannot name them
OF_TRAINING = ("out", "seed", "steps", "epochs", "minutes")
OF_MACHINE = ("data_dir", "image_size", "max_length", "device", "threads", "overwrite")


def summary(function: Callable[..., Any]) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(function) or "").splitlines()[0]


def helps(function: Callable[..., Any]) -> dict[str, str]:
    """What a docstring says of each argument."""
    from docstring_parser import parse

    described = parse(inspect.getdoc(function) or "").params
    return {argument.arg_name: argument.description or "" for argument in described}


def trainer(name: str, recipe: Callable[..., Any], verb: Callable[..., Run]) -> Callable[..., None]:
    """A command whose options are the arguments of a recipe and those of training."""

    def command(data: str, **options: Any) -> None:
        as_json = options.pop("json", False)
        given = {key: value for key, value in options.items() if value is not None}
        finish(verb(name, data, **given), as_json)

    parameters = [inspect.Parameter("data", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    annotations: dict[str, Any] = {"data": Annotated[str, Parameter(help=helps(verb)["data"])]}
    of_model = [key for key in inspect.signature(recipe).parameters if key not in {"data", *OF_PYTHON_ONLY}]
    sources = (
        (recipe, of_model, "Model"),
        (verb, OF_TRAINING, "Run"),
        (verb, OF_MACHINE, "Data and machine"),
    )
    for function, names, group in sources:
        words, hints = helps(function), get_type_hints(function)
        for key in names:
            default = inspect.signature(function).parameters[key].default
            hint = {"out": Path | None, "data_dir": Path | None, "image_size": int | None}.get(
                key, hints[key]
            )
            parameters.append(inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default))
            annotations[key] = Annotated[hint, Parameter(help=words.get(key), group=Group(group))]
    parameters.append(inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False))
    annotations["json"] = JsonFlag
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = annotations
    command.__doc__ = summary(recipe)
    return command


def register_recipes(words: Sequence[str]) -> None:
    """Adds a command for every recipe. It imports torch, so it is called only for ``train``."""
    from pushforward.recipes import RECIPES
    from pushforward.runs.api import train as function

    for name, recipe in RECIPES.items():
        if name not in train_app:
            train_app.command(trainer(name, recipe, function), name=name)
