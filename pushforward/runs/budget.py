"""How long a run is trained."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from pushforward.errors import ConfigError, check_int, plain


@dataclass(frozen=True)
class Budget:
    """How long to train: one of steps, epochs and minutes; none means the recipe's own.

    Raises:
        ConfigError: If more than one is given, or one is not above 0.
    """

    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        given = {name: plain(value) for name, value in asdict(self).items() if value is not None}
        if len(given) > 1:
            raise ConfigError(f"expected one budget, got {' and '.join(given)}")
        if self.steps is not None:
            check_int("steps", self.steps, least=1)
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ConfigError(f"{name} must be a number, got {value!r}")
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be above 0, got {value}")
            object.__setattr__(self, name, value)


__all__ = ["Budget"]
