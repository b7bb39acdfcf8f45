"""Who meets whom, and the formula."""

from pushforward.models.adversarial import AAE, Heads, LabelRegularisedAAE, ReductionAAE, SemiSupervisedAAE
from pushforward.models.autoencoder import VAE, WAE, AutoEncoder
from pushforward.models.base import Model, Player, Terms
from pushforward.models.gan import GAN, InfoGAN, Recogniser
from pushforward.models.learnt_prior import ARAE, FollowingAE
from pushforward.models.transfer import TransferAE
from pushforward.models.variational import AVB, InfoVAE, RandomWAE
from pushforward.models.weight import AutoWeight, RisingWeight, Weight

__all__ = [
    "AAE",
    "ARAE",
    "AVB",
    "GAN",
    "VAE",
    "WAE",
    "AutoEncoder",
    "AutoWeight",
    "FollowingAE",
    "Heads",
    "InfoGAN",
    "InfoVAE",
    "LabelRegularisedAAE",
    "Model",
    "Player",
    "RandomWAE",
    "Recogniser",
    "ReductionAAE",
    "RisingWeight",
    "SemiSupervisedAAE",
    "Terms",
    "TransferAE",
    "Weight",
]
