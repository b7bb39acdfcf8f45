"""Who meets whom, and the formula."""

from pushforward.models.adversarial import (
    AAE,
    ClusterHeads,
    LabelRegularisedAAE,
    ReductionAAE,
    SemiSupervisedAAE,
)
from pushforward.models.autoencoder import VAE, WAE, AutoEncoder
from pushforward.models.base import Model, Player, Terms
from pushforward.models.gan import GAN, CodePosterior, InfoGAN
from pushforward.models.learnt_prior import ARAE, LearntPriorAE
from pushforward.models.transfer import TransferAE
from pushforward.models.variational import AVB, InfoVAE, RandomWAE
from pushforward.models.weight import AutoWeight, WarmUp, Weight

__all__ = [
    "AAE",
    "ARAE",
    "AVB",
    "GAN",
    "VAE",
    "WAE",
    "AutoEncoder",
    "AutoWeight",
    "ClusterHeads",
    "CodePosterior",
    "InfoGAN",
    "InfoVAE",
    "LabelRegularisedAAE",
    "LearntPriorAE",
    "Model",
    "Player",
    "RandomWAE",
    "ReductionAAE",
    "SemiSupervisedAAE",
    "Terms",
    "TransferAE",
    "WarmUp",
    "Weight",
]
