"""The promises of a recipe, beside those of the model that it builds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pushforward.conformance.model_checks import generators
from pushforward.conformance.subject import differing, expect
from pushforward.data.spec import DataSpec
from pushforward.errors import ConfigError, listed
from pushforward.recipes import Recipe, Setup
from pushforward.torch_state import torch_seeded


@dataclass(frozen=True)
class RecipeSubject:
    """A recipe under examination.

    Attributes:
        recipe: The recipe.
        spec: Describes the data.
        arguments: Options that are given.
    """

    recipe: Recipe[Any]
    spec: DataSpec
    arguments: dict[str, Any]

    def build(self, seed: int = 0) -> Setup:
        """A model with the weights of a seed."""
        with torch_seeded(seed):
            return self.recipe(self.spec, **self.arguments)


RecipeCheck = Callable[[RecipeSubject], None]


def every_option_has_a_help_text(s: RecipeSubject) -> None:
    """The summary is one sentence in one line, and every option is described by one too."""
    expect(s.recipe.summary.endswith("."), "a docstring that begins with a sentence", repr(s.recipe.summary))
    for option in s.recipe.options:
        text = option.help or ""
        holds = text.strip().endswith((".", ";")) and "\n" not in text
        expect(holds, f"the help of {option.name} to be a sentence in one line", repr(text))


def the_description_is_one_line(s: RecipeSubject) -> None:
    """A setup says in one line what is minimised."""
    description = s.build().description
    holds = bool(description.strip()) and len(description.splitlines()) == 1
    expect(holds, "a description of one line", repr(description))


def what_it_does_not_know_is_refused(s: RecipeSubject) -> None:
    """An unknown option, an unknown preset and a value of another type are errors that name them."""
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("no_such_option", {"no_such_option": 1}),
        ("no-such-preset", {"preset": "no-such-preset"}),
    ]
    wrong += [(one.name, {one.name: object()}) for one in s.recipe.options if one.modality is None]
    for name, arguments in wrong:
        try:
            s.recipe(s.spec, **{**s.arguments, **arguments})
        except ConfigError as error:
            expect(name in str(error), f"an error that names {name}", repr(str(error)))
        else:
            expect(False, f"a ConfigError for {arguments}", "none")


def settings_survive_a_file(s: RecipeSubject) -> None:
    """The settings of every preset, and those that were resolved, are the same once read from JSON."""
    kept = {name: s.recipe.settings(**values(s.spec)) for name, values in s.recipe.presets.items()}
    resolved = s.build().settings
    for name, settings in (*kept.items(), ("the options given", resolved)):
        expect(settings is not None, "a setup with its settings", "none")
        back = s.recipe.settings.from_json(json.loads(json.dumps(settings.as_json())))
        changed = [
            option
            for option, value in settings.as_json().items()
            if getattr(back, option) != getattr(settings, option)
        ]
        expect(not changed, f"settings of {name} that survive a file", f"changes in {listed(changed, 3)}")


def building_is_repeatable(s: RecipeSubject) -> None:
    """One seed gives one model, also from stored settings, and no generator but torch's is used."""
    before = generators()
    first = s.build()
    used = [name for name, state in generators().items() if name != "torch" and state != before[name]]
    expect(not used, "no random numbers of others than torch", f"numbers of {', '.join(used)}")
    own = s.recipe.split(s.arguments)[1].named
    with torch_seeded(0):
        again = s.recipe.rebuild(s.spec, json.loads(json.dumps(first.resolved)), own)
    unequal = differing(first.model.state_dict(), again.model.state_dict())
    expect(not unequal, "the same weights from the same seed and settings", f"others in {listed(unequal, 3)}")
    expect(again.description == first.description, first.description, again.description)


RECIPE_CHECKS: tuple[RecipeCheck, ...] = (
    every_option_has_a_help_text,
    the_description_is_one_line,
    what_it_does_not_know_is_refused,
    settings_survive_a_file,
    building_is_repeatable,
)
