"""Models that a run is made of: their first weights from the seed, or from what a stored run says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from pushforward.wording import option_name


def seeded(seed: int, build: Callable[[], Setup], bounded: BoundedNetworks) -> Setup:
    """A setup whose first weights are a function of the seed."""
    with torch_seeded(Noise(seed, "weights").integer()), bounded:
        return build()


def check_names(recipe: str, arguments: Mapping[str, Any]) -> None:
    """Checks the name of a recipe, and those of its options.

    Raises:
        ConfigError: If one is not known.
    """
    if recipe not in RECIPES:
        raise ConfigError(f"unknown recipe {recipe!r}: {nearest(recipe, RECIPES)}")
    RECIPES[recipe].split(arguments)


def new_setup(recipe: str, spec: DataSpec, preset: str, seed: int, arguments: Mapping[str, Any]) -> Setup:
    """The setup of a recipe on data, with first weights from the seed.

    Raises:
        ConfigError: If an option is not allowed, or the networks do not fit into memory.
    """
    bounded = BoundedNetworks(
        f"lower {option_name('latent_dim')}, or take a smaller network or {option_name('image_size')}"
    )
    return seeded(seed, lambda: RECIPES[recipe](spec, preset, **arguments), bounded)


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


__all__ = ["check_names", "new_setup", "seeded", "stored_setup"]
