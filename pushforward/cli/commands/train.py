"""``pushforward train``: a command for every recipe, built from its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

from cyclopts import App, Group, Parameter

from pushforward.cli.application import app
from pushforward.cli.defaults import shown_defaults, written
from pushforward.cli.opening import kinds_of
from pushforward.cli.options import Columns, Evaluate, JsonFlag
from pushforward.cli.output import finish

if TYPE_CHECKING:
    from pushforward.recipes import Recipe

train_app = App(
    name="train", help="Train a recipe on data; the same command again continues a run that was stopped."
)
app.command(train_app)

OF_TRAINING = ("preset", "out", "seed", "steps", "epochs", "minutes", "on_nonfinite", "pictures")
OF_DATA = (
    "data_dir", "image_size", "max_length", "columns", "target", "standardize", "channels", "on_bad",
    "test", "group",
)  # fmt: skip
OF_MACHINE = (*OF_DATA, "device", "threads", "overwrite")
TITLES = ("Model", "Run", "Data and machine")
GROUPS = {title: Group(title, sort_key=place) for place, title in enumerate(TITLES)}
DATA_HELP = (
    "A name of the catalogue (pushforward list), a folder of images or of text files, or a .npy, .npz, "
    ".txt, .csv or .parquet file."
)
# The modalities of data that these options are shown for; None stands for data that are not known.
MODALITIES = {
    "image_size": ("image", None), "max_length": ("text",), "standardize": ("vector", None),
    "channels": ("image", None), "on_bad": ("image", None), "columns": ("table",), "target": ("table",),
}  # fmt: skip
DEFAULTS = 'Defaults are those of preset "small".'
BY_NAME = "To see those that depend on the data, name them: pushforward train {recipe} digits --help"
NOTES = {
    "text": "Options for text are shown with text data: pushforward train {recipe} lines.txt --help",
    "table": "Options for tables are shown with tables: pushforward train {recipe} rows.csv --help",
}


def register_recipes(words: Sequence[str]) -> None:
    """Adds a command for every recipe. It imports torch, so it is called only for ``train``.

    Arguments:
        words: What follows ``train`` on the command line. The help of a recipe shows the options that are for
            one modality only if the data, its second word, are of that modality.
    """
    from pushforward.recipes import RECIPES

    modality = modality_of_source(words[1]) if len(words) > 1 and not words[1].startswith("-") else None
    for place, (name, recipe) in enumerate(RECIPES.items()):
        if words and words[0] in RECIPES and name != words[0]:
            continue
        if name in train_app:
            del train_app[name]  # its help was for other data
        command = recipe_command(recipe, modality)
        train_app.command(command, name=name, group=family_group(recipe.family), sort_key=place)


@cache
def family_group(family: str) -> Group:
    """The heading of a family in the help: families are in the order of their first recipe."""
    from pushforward.recipes import RECIPES

    families = list(dict.fromkeys(recipe.family for recipe in RECIPES.values()))
    return Group(family, sort_key=families.index(family))


def modality_of_source(source: str) -> str | None:
    """The modality of data by their catalogue name or path, without reading them; None if it is not known."""
    from pushforward.data.formats import CATALOGUE, FORMATS

    if source in CATALOGUE:
        return CATALOGUE[source].modality
    path = Path(source).expanduser().absolute()
    # A file that does not exist yet is known by its suffix: the help speaks of lines.txt.
    found = (known for known in FORMATS if known.accepts(path) or path.suffix.lower() in known.suffixes)
    return next((known.modality for known in found), None)


def recipe_command(recipe: Recipe[Any], modality: str | None) -> Callable[..., None]:
    """A function whose keyword arguments are the options of a recipe and those of training.

    Arguments:
        recipe: The recipe.
        modality: The modality of the data, if it is known: options for another one are not shown in the help.
    """
    from pushforward.runs.api import train

    def command(data: str, **options: Any) -> None:
        as_json, evaluate = options.pop("json", False), options.pop("evaluate", "quick")
        given = {name: value for name, value in options.items() if value is not None}
        if "columns" in given:
            given["columns"] = kinds_of(given["columns"])
        finish(train(recipe.name, data, **given), as_json, evaluate)

    words, hints = argument_help(train), get_type_hints(train)
    hints |= {"preset": Literal[tuple(recipe.presets)], "out": Path | None, "data_dir": Path | None}
    hints |= {"image_size": int | None, "device": str, "columns": str | None, "test": str | None}
    hints |= {"group": str | None}
    words |= {"columns": get_args(Columns)[1].help}
    parameters = [inspect.Parameter("data", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    annotations: dict[str, Any] = {"data": Annotated[str, Parameter(help=DATA_HELP)]}
    hidden: set[str] = set()

    def add(name: str, hint: Any, default: Any, text: str, group: str, shown: bool, said: str | None) -> None:
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
        words = Parameter(help=text, group=GROUPS[group], show=shown, show_default=said or False)
        annotations[name] = Annotated[hint, words]

    defaults = shown_defaults(recipe, modality)
    for option in recipe.options:
        if not option.python_only:
            shown = option.modality in (None, modality)
            hidden |= set() if shown else {str(option.modality)}
            add(
                option.name,
                option.type | None,
                option.default,
                option.help,
                "Model",
                shown,
                defaults.get(option.name),
            )
    signature = inspect.signature(train)
    for group, names in (("Run", OF_TRAINING), ("Data and machine", OF_MACHINE)):
        for name in names:
            shown = modality in MODALITIES.get(name, (modality,))
            default = signature.parameters[name].default
            said = defaults.get(name) if default is None else written(name, default)
            add(name, hints[name], default, words[name], group, shown, said)
    for name, default, hint in (("evaluate", "quick", Evaluate), ("json", False, JsonFlag)):
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
        annotations[name] = hint
    annotations["evaluate"] = Annotated[Evaluate, Parameter(group=GROUPS["Run"])]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = annotations
    by_name = [] if modality else [BY_NAME.format(recipe=recipe.name)]
    others = [note.format(recipe=recipe.name) for kind, note in NOTES.items() if kind in hidden]
    notes = [recipe.summary, DEFAULTS, *by_name, *others]
    command.__doc__ = "\n\n".join(notes)
    return command


def argument_help(function: Callable[..., Any]) -> dict[str, str]:
    """The descriptions of the arguments of a function, from its docstring."""
    from docstring_parser import parse

    described = parse(inspect.getdoc(function) or "").params
    return {argument.arg_name: " ".join((argument.description or "").split()) for argument in described}
