"""Cases of a comparison: a recipe with arguments of its own, written as one word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pushforward.errors import ConfigError, nearest
from pushforward.recipes import RECIPES


@dataclass(frozen=True)
class Case:
    """A recipe with arguments of its own, as in ``wae-mmd`` or ``wae-mmd:weight=auto,latent_dim=16``."""

    recipe: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Case:
        """A case from its text.

        Raises:
            ConfigError: If what follows the colon is not a list of name=value.

        >>> Case.parse("wae-mmd:weight=auto,latent_dim=16")
        Case(recipe='wae-mmd', arguments={'weight': 'auto', 'latent_dim': 16})
        """
        recipe, _, rest = text.partition(":")
        arguments = {}
        for part in rest.split(",") if rest else []:
            name, equals, value = part.partition("=")
            if not (name and equals and value):
                raise ConfigError(f"{text!r}: expected recipe:name=value,name=value, found {part!r}")
            arguments[name.strip().replace("-", "_")] = _value(value.strip())
        return cls(recipe, arguments)

    def check(self) -> None:
        """Checks the recipe and the names of its options; seeds, budgets and data are the same for all cases.

        Raises:
            ConfigError: If the recipe or one of its options is unknown.
        """
        if self.recipe not in RECIPES:
            hint = nearest(self.recipe, RECIPES)
            raise ConfigError(f"{self.recipe!r} is neither a recipe nor the folder of a run: {hint}")
        known = ["preset", *(option.name for option in RECIPES[self.recipe].options)]
        for name in self.arguments:
            if name not in known:
                raise ConfigError(f"{self.recipe} has no option {name!r}: {nearest(name, known)}")

    def __str__(self) -> str:
        rest = ",".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.recipe}:{rest}" if rest else self.recipe


def _value(text: str) -> Any:
    """A number, a truth value or a word."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(text.lower(), text)


__all__ = ["Case"]
