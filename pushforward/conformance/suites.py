"""The two suites: :func:`check_model` and :func:`check_recipe`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pushforward.conformance.model_checks import MODEL_CHECKS
from pushforward.conformance.recipe_checks import RECIPE_CHECKS, RecipeSubject
from pushforward.conformance.subject import Subject, few_rows, rows_for
from pushforward.data import open_dataset
from pushforward.data.dataset import Dataset
from pushforward.errors import ConfigError, ConformanceError, DataError, nearest, reason
from pushforward.models.base import Model
from pushforward.recipes import RECIPES, Recipe
from pushforward.recipes.build import setup_of_model
from pushforward.torch_state import plain_torch, torch_seeded
from pushforward.training import Training

S = TypeVar("S")
USUAL_DATA = ("digits", "phrases")  # images, and text in two styles: of the first that a recipe accepts


@plain_torch()
def check_model(model: Model, data: Any = None, training: Training | None = None) -> tuple[str, ...]:
    """Checks that a model keeps the promises that training, storing and sampling rely on.

    Its parameters are shared out to players, losses are finite scalars in float32 and float64, a run is a
    function of its seed, a resumed run is the same run bit for bit, evaluation changes nothing, rows are
    independent of their neighbours, and no global random numbers are used. The model itself is not changed:
    every check works on a copy.

    Arguments:
        model: The model.
        data: What it is for, as in :func:`pushforward.open_dataset`; of large data a few rows are used. By
            default random rows of the shape that the decoder makes.
        training: How it is trained; by default every player by Adam.

    Returns:
        The names of the checks, all of which it has passed.

    Raises:
        ConformanceError: If it breaks a promise; the message names the check, what was expected and what was
            found.

    Example:
        >>> from torch import nn
        >>> from pushforward import NormalPrior, DeterministicEncoder, WAE, MMD, IMQ
        >>> prior = NormalPrior(2)
        >>> model = WAE(prior, nn.Linear(2, 5), DeterministicEncoder(nn.Linear(5, 2)), MMD(IMQ(4.0)))
        >>> len(check_model(model))
        14
        >>> from pushforward import AutoEncoder
        >>> check_model(AutoEncoder(prior, nn.Linear(2, 5), DeterministicEncoder(nn.BatchNorm1d(2))))
        Traceback (most recent call last):
            ...
        pushforward.errors.ConformanceError: AutoEncoder cannot be checked: the encoder fails on rows ...
    """
    name = type(model).__name__
    if not isinstance(model, Model):
        raise ConfigError(f"model must be a Model, got {name}")
    dataset = few_rows(open_dataset(data)) if data is not None else None
    with torch_seeded(0):
        try:
            rows = dataset or rows_for(model)
            setup = setup_of_model(model, rows.spec, training)
        except Exception as error:
            raise ConformanceError(f"{name} cannot be checked: {reason(error)}") from error
        return passed(name, MODEL_CHECKS, Subject(model, rows, setup.training))


@plain_torch()
def check_recipe(name: str, data: Any = None, **arguments: Any) -> tuple[str, ...]:
    """Checks that a recipe keeps its promises, and that the model it builds keeps those of a model.

    Every option has a help text, what is unknown is refused by name, settings survive their way through
    ``config.json``, and building is a function of the seed; then :func:`check_model`.

    Arguments:
        name: The name of the recipe.
        data: The data that the model is built for, as in :func:`pushforward.open_dataset`; of large data a
            few rows are used. By default digits, or phrases if the recipe is for text.
        arguments: Options of the recipe.

    Returns:
        The names of the checks, all of which it has passed.

    Raises:
        ConfigError: If there is no such recipe or option.
        ConformanceError: If it breaks a promise; the message names the check, what was expected and what was
            found.

    Example:
        >>> check_recipe("ae", latent_dim=2)[:2]
        ('every_option_has_a_help_text', 'the_description_is_one_line')
    """
    if name not in RECIPES:
        raise ConfigError(f"unknown recipe {name!r}: {nearest(name, RECIPES)}")
    recipe = RECIPES[name]
    recipe.split(arguments)
    with torch_seeded(0):
        rows = few_rows(open_dataset(data)) if data is not None else usual_data(recipe, arguments)
        subject = RecipeSubject(recipe, rows.spec, arguments)
        names = passed(name, RECIPE_CHECKS, subject)
        setup = subject.build()
        return names + passed(name, MODEL_CHECKS, Subject(setup.model, rows, setup.training))


def usual_data(recipe: Recipe[Any], arguments: dict[str, Any]) -> Dataset:
    """The first of the usual data sets for which a recipe builds a model.

    Raises:
        ConformanceError: If it builds one for none of them.
    """
    faults = []
    for source in USUAL_DATA:
        rows = few_rows(open_dataset(source))
        try:
            recipe(rows.spec, **arguments)
        except (ConfigError, DataError) as error:
            faults.append(f"{source}: {reason(error)}")
        else:
            return rows
    raise ConformanceError(f"{recipe.name} builds no model; pass data=: {'; '.join(faults)}")


def passed(name: str, checks: Sequence[Callable[[S], None]], subject: S) -> tuple[str, ...]:
    """Runs checks; returns their names.

    Raises:
        ConformanceError: If a promise is broken, or anything raises an error.
    """
    for check in checks:
        try:
            with torch_seeded(0):
                check(subject)
        except Exception as error:  # a part of the user's own may raise anything
            what = "" if isinstance(error, ConformanceError) else f"{type(error).__name__}: "
            raise ConformanceError(f"{name} fails {check.__name__}: {what}{reason(error)}") from error
    return tuple(check.__name__ for check in checks)


__all__ = ["check_model", "check_recipe"]
