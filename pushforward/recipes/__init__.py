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
from pushforward.recipes.energy import began, ebgan
from pushforward.recipes.gan import dcgan, f_gan, gan, lsgan, sngan, wgan, wgan_gp
from pushforward.recipes.infogan import infogan
from pushforward.recipes.moments import gmmn, gmmn_ae, mmd_gan
from pushforward.recipes.parts import Recipe
from pushforward.recipes.text import arae, transfer_ae
from pushforward.recipes.variational import avb, beta_vae, info_vae, vae
from pushforward.recipes.wasserstein import ae, wae_gan, wae_mmd, wae_random

_ALL = (
    wae_mmd, wae_gan, wae_random,
    vae, beta_vae, info_vae, avb,
    aae, aae_label_regularised, aae_supervised, aae_semi_supervised, aae_clustering, aae_reduction,
    arae, transfer_ae,
    ae,
    gan, dcgan, lsgan, f_gan, sngan, wgan, wgan_gp, ebgan, began, infogan, mmd_gan, gmmn, gmmn_ae,
)  # fmt: skip
RECIPES: dict[str, Callable[..., Recipe]] = {recipe.__name__.replace("_", "-"): recipe for recipe in _ALL}

__all__ = ["RECIPES", "Recipe", *(recipe.__name__ for recipe in _ALL)]
