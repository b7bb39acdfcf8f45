"""Shapes in, shapes out. No science."""

from pushforward.networks.blocks import Concatenated, Gate, NormFirst
from pushforward.networks.dcgan import conv_decoder, conv_encoder, official_init
from pushforward.networks.mixing import Mixing, Squares
from pushforward.networks.mlp import mlp
from pushforward.networks.noise import GaussianNoise
from pushforward.networks.once import once
from pushforward.networks.resnet import resnet_critic, resnet_generator

__all__ = [
    "Concatenated",
    "Gate",
    "GaussianNoise",
    "Mixing",
    "NormFirst",
    "Squares",
    "conv_decoder",
    "conv_encoder",
    "mlp",
    "official_init",
    "once",
    "resnet_critic",
    "resnet_generator",
]
