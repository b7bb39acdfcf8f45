"""How long a run is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pushforward.errors import ConfigError, plain
from pushforward.options import checked
from pushforward.wording import option_name

MOST = 1e9  # epochs or minutes


@dataclass(frozen=True)
class Budget:
    """How long to train: one of steps, epochs and minutes; none means the recipe's own.

    Raises:
        ConfigError: If more than one is given, or one is out of range.
    """

    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        given = {name: plain(value) for name, value in asdict(self).items() if value is not None}
        if len(given) > 1:
            raise ConfigError(f"expected one budget, got {' and '.join(map(option_name, given))}")
        for name, value in given.items():
            if name == "steps":
                checked(name, value, int, {"ge": 1})
            else:
                checked(name, value, float, {"gt": 0, "le": MOST})
            object.__setattr__(self, name, value)

    @property
    def words(self) -> str:
        """The budget in words.

        >>> Budget(epochs=3).words, Budget().words
        ('3 epochs', "the recipe's own")
        """
        given = (f"{value:g} {name}" for name, value in asdict(self).items() if value is not None)
        return next(given, "the recipe's own")


@dataclass(frozen=True)
class Extension:
    """More training of a run: a larger budget in its place, or a budget that is added to its steps."""

    budget: Budget
    added: bool

    @classmethod
    def parse(
        cls, steps: int | str | None, epochs: float | str | None, minutes: str | None
    ) -> Extension | None:
        """The extension that is asked for: ``"+500"`` is added, ``500`` takes the place of the budget.

        Raises:
            ConfigError: If more than one is given, one is no number above 0, or minutes are not added.

        >>> Extension.parse("+500", None, None)
        Extension(budget=Budget(steps=500, epochs=None, minutes=None), added=True)
        """
        given = {"steps": steps, "epochs": epochs, "minutes": minutes}
        texts = [str(value) for value in given.values() if value is not None]
        if not texts:
            return None
        added = texts[0].startswith("+")
        if minutes is not None and not added:
            raise ConfigError(
                f"{option_name('minutes')} must be added to a run, with a plus sign, as in +{minutes}; got "
                f"{minutes}"
            )
        numbers = {name: _number(name, value) for name, value in given.items()}
        return cls(Budget(**numbers), added)


def _number(name: str, value: object) -> Any:
    """A number that may be written with a sign; whole where steps are counted."""
    if not isinstance(value, str):
        return value
    try:
        return int(value) if name == "steps" else float(value)
    except ValueError:
        kind = "a whole number" if name == "steps" else "a number"
        raise ConfigError(f"{option_name(name)} must be {kind} such as 100 or +100, got {value!r}") from None


__all__ = ["Budget", "Extension"]
