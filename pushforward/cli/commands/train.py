"""``pushforward train``: a command for every recipe."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from cyclopts import App, Group, Parameter

from pushforward.cli.application import app
from pushforward.cli.options import JsonFlag
from pushforward.cli.output import finish

if TYPE_CHECKING:
    from pushforward.recipes import Recipe
    from pushforward.runs.run import Run

train_app = App(
    name="train", help="Train a recipe on data; the same command again continues a run that was stopped."
)
app.command(train_app)

OF_TRAINING = ("preset", "out", "seed", "steps", "epochs", "minutes")
OF_MACHINE = ("data_dir", "image_size", "max_length", "device", "threads", "overwrite")


def helps(function: Callable[..., Any]) -> dict[str, str]:
    """What a docstring says of each argument."""
    from docstring_parser import parse

    described = parse(inspect.getdoc(function) or "").params
    return {argument.arg_name: argument.description or "" for argument in described}


def trainer(recipe: Recipe[Any], function: Callable[..., Run]) -> Callable[..., None]:
    """A command whose options are those of a recipe and of training."""

    def command(data: str, **options: Any) -> None:
        as_json = options.pop("json", False)
        given = {key: value for key, value in options.items() if value is not None}
        finish(function(recipe.name, data, **given), as_json)

    words, hints = helps(function), get_type_hints(function)
    hints |= {"out": Path | None, "data_dir": Path | None, "image_size": int | None}
    hints["preset"] = Literal[tuple(recipe.presets)]
    parameters = [inspect.Parameter("data", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    annotations: dict[str, Any] = {"data": Annotated[str, Parameter(help=words["data"])]}

    def add(name: str, hint: Any, default: Any, text: str, group: str) -> None:
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
        annotations[name] = Annotated[hint, Parameter(help=text, group=Group(group))]

    for option in recipe.options:
        if not option.python_only:
            add(option.name, option.type | None, option.default, option.help, "Model")
    signature = inspect.signature(function)
    for group, names in (("Run", OF_TRAINING), ("Data and machine", OF_MACHINE)):
        for name in names:
            add(name, hints[name], signature.parameters[name].default, words[name], group)
    parameters.append(inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False))
    annotations["json"] = JsonFlag
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = annotations
    command.__doc__ = recipe.summary
    return command


def register_recipes(words: Sequence[str]) -> None:
    """Adds a command for every recipe. It imports torch, so it is called only for ``train``."""
    from pushforward.recipes import RECIPES
    from pushforward.runs.api import train as function

    for name, recipe in RECIPES.items():
        if name not in train_app:
            train_app.command(trainer(recipe, function), name=name)
