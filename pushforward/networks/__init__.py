"""Shapes in, shapes out. No science."""

from pushforward.networks.blocks import NormFirst
from pushforward.networks.dcgan import conv_decoder, conv_encoder, official_init
from pushforward.networks.mixing import Mixing, Squares
from pushforward.networks.mlp import mlp
from pushforward.networks.noise import GaussianNoise

__all__ = [
    "GaussianNoise",
    "Mixing",
    "NormFirst",
    "Squares",
    "conv_decoder",
    "conv_encoder",
    "mlp",
    "official_init",
]
