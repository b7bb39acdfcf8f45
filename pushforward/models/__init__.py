"""Who meets whom, and the formula."""

from pushforward.models.adversarial import AAE, Heads, LabelRegularisedAAE, ReductionAAE, SemiSupervisedAAE
from pushforward.models.autoencoder import VAE, WAE, AutoEncoder
from pushforward.models.base import Model, Player, Terms
from pushforward.models.variational import AVB, InfoVAE, RandomWAE
from pushforward.models.weight import AutoWeight, Weight

__all__ = [
    "AAE",
    "AVB",
    "VAE",
    "WAE",
    "AutoEncoder",
    "AutoWeight",
    "Heads",
    "InfoVAE",
    "LabelRegularisedAAE",
    "Model",
    "Player",
    "RandomWAE",
    "ReductionAAE",
    "SemiSupervisedAAE",
    "Terms",
    "Weight",
]
