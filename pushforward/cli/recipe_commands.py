"""Commands that have a command for every recipe, built from what is described of its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from pushforward.cli.application import app
from pushforward.cli.defaults import written
from pushforward.cli.described import RecipeHelp, options_of_train, recipes
from pushforward.cli.opening import kinds_of

OF_DATA = (
    "data_dir", "image_size", "max_length", "columns", "target", "standardize", "channels", "on_bad",
    "test", "group",
)  # fmt: skip
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
BY_NAME = "To see those that depend on the data, name them: pushforward {verb} {recipe} digits --help"
NOTES = {
    "text": "Options for text are shown with text data: pushforward {verb} {recipe} lines.txt --help",
    "table": "Options for tables are shown with tables: pushforward {verb} {recipe} rows.csv --help",
}


@dataclass(frozen=True)
class Verb:
    """What is done with a recipe and data: a command with a command for every recipe below it.

    Attributes:
        app: The command.
        call: Called with the name of the recipe, the data and all options that are given.
        run: Options of :func:`pushforward.train` in the group "Run".
        machine: Those in the group "Data and machine", beside how data are read.
        own: Options that only this verb has: for each name its type, its default and how it is described.
    """

    app: App
    call: Callable[..., None]
    run: Sequence[str]
    machine: Sequence[str]
    own: Mapping[str, tuple[Any, Any, Parameter]]


VERBS: dict[str, Verb] = {}


def add_verb(name: str, words: str, **parts: Any) -> None:
    """Adds a command that has a command for every recipe.

    Arguments:
        name: Its name.
        words: Its help.
        parts: The other attributes of :class:`Verb`.
    """
    VERBS[name] = Verb(App(name=name, help=words), **parts)
    app.command(VERBS[name].app)


def prepare(tokens: Sequence[str]) -> None:
    """Adds the commands for recipes that the words of a command line may name."""
    if tokens and tokens[0] in VERBS:
        register_recipes(VERBS[tokens[0]], tokens[1:])


def register_recipes(verb: Verb, words: Sequence[str]) -> None:
    """Adds a command for every recipe.

    Arguments:
        verb: What is done.
        words: What follows it on the command line. The help of a recipe shows the options that are for one
            modality only if the data, its second word, are of that modality.
    """
    known = recipes()
    modality = modality_of_source(words[1]) if len(words) > 1 and not words[1].startswith("-") else None
    for place, (name, recipe) in enumerate(known.items()):
        if words and words[0] in known and name != words[0]:
            continue
        if name in verb.app:
            del verb.app[name]  # its help was for other data
        command = recipe_command(verb, recipe, modality)
        verb.app.command(command, name=name, group=family_group(recipe.family), sort_key=place)


@cache
def family_group(family: str) -> Group:
    """The heading of a family in the help: families are in the order of their first recipe."""
    families = list(dict.fromkeys(recipe.family for recipe in recipes().values()))
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


def recipe_command(verb: Verb, recipe: RecipeHelp, modality: str | None) -> Callable[..., None]:
    """A function whose keyword arguments are the options of a recipe and those of what is done.

    Arguments:
        verb: What is done.
        recipe: The recipe.
        modality: The modality of the data, if it is known: options for another one are not shown in the help.
    """

    def command(data: str, **options: Any) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        if "columns" in given:
            given["columns"] = kinds_of(given["columns"])
        verb.call(recipe.name, data, **given)

    parameters = [inspect.Parameter("data", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    annotations: dict[str, Any] = {"data": Annotated[str, Parameter(help=DATA_HELP)]}

    def add(name: str, hint: Any, default: Any, words: Parameter) -> None:
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
        annotations[name] = Annotated[hint, words]

    defaults = recipe.defaults[modality]
    hidden: set[str] = set()
    for option in recipe.options:
        shown = option.modality in (None, modality)
        hidden |= set() if shown else {str(option.modality)}
        said = defaults.get(option.name, False)
        words = Parameter(help=option.help, group=GROUPS["Model"], show=shown, show_default=said)
        add(option.name, option.type | None, option.default, words)
    shared = options_of_train()
    shared = shared | {"preset": replace(shared["preset"], type=Literal[recipe.presets])}
    for group, names in (("Run", verb.run), ("Data and machine", (*OF_DATA, *verb.machine))):
        for name in names:
            option = shared[name]
            shown = modality in MODALITIES.get(name, (modality,))
            said = defaults.get(name, False) if option.default is None else written(name, option.default)
            words = Parameter(help=option.help, group=GROUPS[group], show=shown, show_default=said)
            add(name, option.type, option.default, words)
    for name, (hint, default, words) in verb.own.items():
        add(name, hint, default, words)
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = annotations
    here = {"recipe": recipe.name, "verb": verb.app.name[0]}
    by_name = [] if modality else [BY_NAME.format(**here)]
    others = [note.format(**here) for kind, note in NOTES.items() if kind in hidden]
    command.__doc__ = "\n\n".join([recipe.summary, DEFAULTS, *by_name, *others])
    return command
