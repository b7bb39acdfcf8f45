"""One function for every run worth naming."""

from __future__ import annotations

from collections.abc import Callable

from pushforward.recipes.adversarial import (
    aae,
    aae_clustering,
    aae_label_regularised,
    aae_reduction,
    aae_semi_supervised,
    aae_supervised,
)
from pushforward.recipes.parts import Recipe
from pushforward.recipes.variational import avb, beta_vae, info_vae, vae
from pushforward.recipes.wasserstein import ae, wae_gan, wae_mmd, wae_random

_ALL = (
    wae_mmd, wae_gan, wae_random,
    vae, beta_vae, info_vae, avb,
    aae, aae_label_regularised, aae_supervised, aae_semi_supervised, aae_clustering, aae_reduction,
    ae,
)  # fmt: skip
RECIPES: dict[str, Callable[..., Recipe]] = {recipe.__name__.replace("_", "-"): recipe for recipe in _ALL}

__all__ = ["RECIPES", "Recipe", *(recipe.__name__ for recipe in _ALL)]
