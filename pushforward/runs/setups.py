"""Models that a run is made of: their first weights from the seed, or from what a stored run says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushforward.data.spec import DataSpec
from pushforward.errors import CheckpointError, ConfigError, nearest
from pushforward.limits import BoundedNetworks
from pushforward.models import Model
from pushforward.reading import MIB
from pushforward.recipes import RECIPES, Setup
from pushforward.recipes.build import setup_of_model
from pushforward.rng import Noise
from pushforward.torch_state import torch_seeded
from pushforward.training import Training
from pushforward.wording import option_name


def seeded(seed: int, build: Callable[[], Setup], bounded: BoundedNetworks) -> Setup:
    """A setup whose first weights are a function of the seed."""
    with torch_seeded(Noise(seed, "weights").integer()), bounded:
        return build()


@dataclass(frozen=True)
class ModelSource:
    """Where the model of a new run comes from: a recipe and its options, or the user.

    Attributes:
        recipe: The name of a recipe, or a model of the user's own.
        preset: The settings of options that are not given.
        options: Options of the recipe, and parts of the user's own, such as an encoder.
        training: How a model of the user's own is trained.

    Raises:
        ConfigError: If there is no such recipe or option, or a model of the user's own is given options.
    """

    recipe: str | Model
    preset: str
    options: Mapping[str, Any]
    training: Training | None = None

    def __post_init__(self) -> None:
        if isinstance(self.recipe, Model):
            if self.options:
                raise ConfigError(f"a model of your own has no options, got {', '.join(self.options)}")
            return
        if not isinstance(self.recipe, str):
            raise ConfigError(f"recipe must be a name or a Model, got {type(self.recipe).__name__}")
        if self.recipe not in RECIPES:
            raise ConfigError(f"unknown recipe {self.recipe!r}: {nearest(self.recipe, RECIPES)}")
        if self.training is not None:
            raise ConfigError(
                f"training is for models of your own; {self.recipe} has options such as "
                f"{option_name('batch_size')} and {option_name('lr')}"
            )
        RECIPES[self.recipe].split(self.options)

    @property
    def name(self) -> str:
        """The name of the recipe, or of the class of the model."""
        return self.recipe if isinstance(self.recipe, str) else type(self.recipe).__name__

    @property
    def own(self) -> dict[str, Any]:
        """The parts of the user's own, by the names under which a stored run needs them again."""
        if isinstance(self.recipe, str):
            return {**RECIPES[self.recipe].split(self.options)[1].named}
        return {"model": self.recipe} | ({} if self.training is None else {"training": self.training})

    def setup(self, spec: DataSpec, seed: int) -> Setup:
        """The model for data, with first weights from the seed, and how it is trained.

        Raises:
            ConfigError: If an option is not allowed, or the networks do not fit into memory.
        """
        if isinstance(self.recipe, Model):
            return setup_of_model(self.recipe, spec, self.training)
        smaller = (
            f"lower {option_name('latent_dim')}, or take a smaller network or {option_name('image_size')}"
        )
        recipe, bounded = RECIPES[self.recipe], BoundedNetworks(smaller)
        return seeded(seed, lambda: recipe(spec, self.preset, **self.options), bounded)

    def as_json(self, setup: Setup) -> dict[str, Any]:
        """What a configuration says of it, next to the setup that was made from it."""
        own, resolved = self.own, setup.resolved
        given = [name for name, value in self.options.items() if value is not None and name not in own]
        return {
            "recipe": self.name,
            "preset": self.preset if isinstance(self.recipe, str) else None,
            "arguments": {name: resolved[name] for name in sorted(given)},
            "own": [*own],
            "resolved": {name: value for name, value in resolved.items() if name not in own},
            "description": setup.description,
        }


def stored_setup(
    folder: Path,
    config: dict[str, Any],
    spec: DataSpec,
    own: Mapping[str, Any],
    to_train: bool = True,
    weights: int = 0,
) -> Setup:
    """The setup of a stored run, from its resolved settings and the parts of the user's own.

    Arguments:
        folder: The run's folder.
        config: Its configuration.
        spec: The description of its data.
        own: The parts of the user's own.
        to_train: Whether it goes on training.
        weights: The bytes of its weights, if they are known: networks that are far larger are not built.

    Raises:
        ConfigError: If a part is missing or not known, or training differs from that of the run.
    """
    needed = [name for name in config["own"] if to_train or name != "training"]
    missing = [f"{name}=..." for name in needed if own.get(name) is None]
    if missing:
        raise ConfigError(
            f"{folder} was trained with parts of your own; pass them again, in Python: {', '.join(missing)}"
        )
    unknown = [name for name in own if name not in config["own"]]
    if unknown:
        raise ConfigError(
            f"{folder} was trained without parts of your own of these names, and keeps the options that it "
            f"began with, got {', '.join(unknown)}"
        )
    if "model" not in config["own"]:
        recipe = RECIPES[config["recipe"]]
        most = 2 * weights + 64 * MIB if weights else None  # what is tried on two rows is counted as well
        wrong = f"{folder} has options of other networks than those of its weights"
        bounded = BoundedNetworks(wrong, most, CheckpointError)
        return seeded(config["seed"], lambda: recipe.rebuild(spec, config["resolved"], own), bounded)
    if not isinstance(own["model"], Model):
        raise ConfigError(f"model must be a Model, got {type(own['model']).__name__}")
    setup = setup_of_model(own["model"], spec, own.get("training"))
    for name, value in setup.resolved.items():
        if to_train and config["resolved"][name] != value:
            raise ConfigError(f"{folder} began with {name} {config['resolved'][name]}, got {value}")
    return setup


__all__ = ["ModelSource", "seeded", "stored_setup"]
