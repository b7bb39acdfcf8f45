"""``pushforward list``."""

from __future__ import annotations

from pushforward.cli.application import app
from pushforward.cli.options import JsonFlag
from pushforward.cli.output import print_json
from pushforward.console import echo


@app.command(name="list")
def list_(*, json: JsonFlag = False) -> None:
    """List the recipes by family, and the data sets of the catalogue."""
    from pushforward.data import CATALOGUE
    from pushforward.data.formats import FORMATS
    from pushforward.recipes import RECIPES

    data = {name: entry.description for name, entry in CATALOGUE.items()}
    if json:
        print_json({"recipes": {name: recipe.summary for name, recipe in RECIPES.items()}, "data": data})
        return
    families: dict[str, dict[str, str]] = {}
    modalities: dict[str, dict[str, str]] = {}
    for name, recipe in RECIPES.items():
        families.setdefault(recipe.family, {})[name] = recipe.summary
    for name, entry in CATALOGUE.items():
        modalities.setdefault(f"Data: {entry.modality}", {})[name] = entry.description
    width = max(len(name) for name in (*RECIPES, *data))
    for title, entries in (families | modalities).items():
        echo(title)
        for name, words in entries.items():
            echo(f"  {name:<{width}}  {words}")
    echo(f"data may also be {', '.join(known.description for known in FORMATS if known.of_files)}")
