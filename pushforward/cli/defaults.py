"""The defaults that the help of a recipe shows: those of its preset "small", where data do not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pushforward.data.spec import DataSpec
    from pushforward.recipes import Recipe

BY_DATA = "set by the preset and the data"
# Data that differ in all that presets look at: modality, shape, range, number of rows, classes and variance.
KINDS: tuple[tuple[str, tuple[int, ...], bool, int, int, float], ...] = (
    ("image", (1, 8, 8), True, 10, 1000, 5.0),
    ("image", (1, 28, 28), True, 10, 60_000, 53.0),
    ("image", (3, 64, 64), True, 0, 160_000, 700.0),
    ("vector", (2,), False, 0, 500, 3.0),
    ("vector", (30,), True, 4, 60_000, 20.0),
    ("text", (16,), False, 2, 3000, 30.0),
    ("text", (24,), False, 2, 40_000, 60.0),
    ("table", (5,), False, 0, 1000, 8.0),
    ("table", (10,), False, 0, 40_000, 20.0),
)


def shown_defaults(recipe: Recipe[Any], modality: str | None) -> dict[str, str]:
    """The default of every option that a preset sets, and of the budget, as the command line writes it.

    A default is a function of the data. It is shown if it is the same for all kinds of data; otherwise it
    is :data:`BY_DATA`. Options whose default is that they are not used have none.

    Arguments:
        recipe: The recipe.
        modality: The modality of the data, if it is known: kinds of other data do not count.

    Example:
        >>> from pushforward.recipes import RECIPES
        >>> found = shown_defaults(RECIPES["wae-mmd"], "image")
        >>> found["kernel"], found["conditional"], found["weight"]
        ('imq', '--no-conditional', 'set by the preset and the data')
    """
    specs = [spec for spec in map(_spec, KINDS) if modality in (None, spec.modality)]
    presets = [recipe.settings(**recipe.presets["small"](spec)) for spec in specs]
    budgets = {settings.steps(spec.n_train) for settings, spec in zip(presets, specs, strict=True)}
    found = {"steps": f"about {budgets.pop()}" if len(budgets) == 1 else BY_DATA}
    for option in recipe.options:
        if option.python_only:
            continue
        values = {getattr(settings, option.name) for settings in presets}
        if len(values) > 1:
            found[option.name] = BY_DATA
        elif (value := values.pop()) is not None:
            found[option.name] = written(option.name, value)
    return found


def written(name: str, value: Any) -> str:
    """A value as it is written on the command line.

    >>> written("lr", 0.001), written("prior_std", 1.0), written("overwrite", False)
    ('0.001', '1', '--no-overwrite')
    """
    if isinstance(value, bool):
        return f"--{'' if value else 'no-'}{name.replace('_', '-')}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _spec(kind: tuple[str, tuple[int, ...], bool, int, int, float]) -> DataSpec:
    from pushforward.data.spec import DataSpec

    modality, shape, unit, n_classes, rows, variance = kind
    classes = tuple(str(number) for number in range(n_classes))
    return DataSpec("", shape, modality, unit, classes, rows, rows // 6, variance)


__all__ = ["BY_DATA", "shown_defaults", "written"]
