"""One function for every run worth naming."""

from __future__ import annotations

from collections.abc import Callable

from pushforward.recipes.autoencoders import ae, vae, wae_gan, wae_mmd
from pushforward.recipes.parts import Recipe

RECIPES: dict[str, Callable[..., Recipe]] = {
    "wae-mmd": wae_mmd,
    "wae-gan": wae_gan,
    "vae": vae,
    "ae": ae,
}

__all__ = ["RECIPES", "Recipe", "ae", "vae", "wae_gan", "wae_mmd"]
