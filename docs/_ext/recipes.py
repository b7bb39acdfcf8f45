"""Directives that write down what a recipe declares: `{recipe} vae` and `{recipe-options} vae`."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import pushforward
from pushforward.recipes import RECIPES

DESCRIBED = json.loads(
    (Path(pushforward.__file__).parent / "cli" / "recipes.json").read_text(encoding="utf-8")
)


def as_markdown(docstring: str) -> list[str]:
    """A docstring in Markdown: its formulas, its roles and its references."""
    text = inspect.cleandoc(docstring).partition("\n\nExample:")[0]
    text, _, references = text.partition("\n\nReferences:\n")
    text = re.sub(r":(class|func|attr|meth):`", r"{py:\1}`", text)
    text = re.sub(r":math:`(.*?)`", r"$\1$", text)
    text = re.sub(r"\.\. math:: ((?:.+\n?)+)", lambda found: f"$$\n{found[1].strip()}\n$$\n", text)
    lines = text.splitlines()
    if references:
        entries = re.sub(r"\n +(?!\| |https?:)", " ", inspect.cleandoc(references))
        joined = re.sub(r"\n\|? *(https?:\S+)", r", <\1>", entries)
        joined = re.sub(r"(?<!<)(https?:[^\s>]+)", r"<\1>", joined)
        lines += [
            "",
            "**Source.** " + "; ".join(re.sub(r"^\| ", "", one) for one in joined.splitlines()) + ".",
        ]
    return lines


class RecipeDirective(SphinxDirective):
    """The documentation of a recipe: what it is, its formula and its source."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The lines, parsed as Markdown."""
        return self.parse_text_to_nodes(
            "\n".join(as_markdown(RECIPES[self.arguments[0]].build.__doc__ or ""))
        )


class OptionsDirective(SphinxDirective):
    """The presets and the options of a recipe, each with its default."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """A table, parsed as Markdown."""
        described = DESCRIBED["recipes"][self.arguments[0]]
        usual, by_kind = described["defaults"], described["defaults_of"]
        lines = [
            "Presets: " + ", ".join(f"`{name}`" for name in described["presets"]) + ".",
            "",
            "| option | default | |",
            "|---|---|---|",
        ]
        for one in described["options"]:
            values = {kind: known.get(one["name"]) for kind, known in by_kind.items() if one["name"] in known}
            shown = f"`{usual[one['name']]}`" if one["name"] in usual else ""
            if values:
                shown = ", ".join(f"`{value}` ({kind})" for kind, value in values.items())
            lines.append(f"| `{one['name']}` | {shown} | {one['help'].replace('|', chr(92) + '|')} |")
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Any) -> dict[str, bool]:
    """Registers the directives."""
    app.add_directive("recipe", RecipeDirective)
    app.add_directive("recipe-options", OptionsDirective)
    return {"parallel_read_safe": True}
