"""Who meets whom, and the formula."""

from pushforward.models.autoencoder import VAE, WAE, AutoEncoder
from pushforward.models.base import Model, Player, Terms
from pushforward.models.weight import AutoWeight, Weight

__all__ = ["VAE", "WAE", "AutoEncoder", "AutoWeight", "Model", "Player", "Terms", "Weight"]
