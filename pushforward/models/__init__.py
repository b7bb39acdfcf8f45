"""Models: networks, a formula, and the discrepancies that it compares two samples by."""

from pushforward.models.adversarial import (
    AAE,
    ClusterHeads,
    LabelRegularisedAAE,
    ReductionAAE,
    SemiSupervisedAAE,
)
from pushforward.models.autoencoder import VAE, WAE, AutoEncoder
from pushforward.models.base import Comparison, Model, Player, Terms
from pushforward.models.gan import GAN, CodePosterior, InfoGAN
from pushforward.models.learnt_prior import ARAE, LearntPriorAE
from pushforward.models.transfer import TransferAE, decode_as, transfer
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
    "Comparison",
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
    "decode_as",
    "transfer",
]
