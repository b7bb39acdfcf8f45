"""Shapes in, shapes out. No science."""

from pushforward.networks.blocks import Beside, Gate, NormFirst
from pushforward.networks.dcgan import conv_decoder, conv_encoder, official_init
from pushforward.networks.lines import Leaning, Lines
from pushforward.networks.mixing import Mixing, Squares
from pushforward.networks.mlp import mlp
from pushforward.networks.noise import GaussianNoise
from pushforward.networks.once import once
from pushforward.networks.resnet import resnet_critic, resnet_generator
from pushforward.networks.sequence import (
    GRULineDecoder,
    GRULineEncoder,
    LineDecoder,
    LineEncoder,
    TransformerLineDecoder,
    TransformerLineEncoder,
    WriterOfEach,
)

__all__ = [
    "Beside",
    "GRULineDecoder",
    "GRULineEncoder",
    "Gate",
    "GaussianNoise",
    "Leaning",
    "LineDecoder",
    "LineEncoder",
    "Lines",
    "Mixing",
    "NormFirst",
    "Squares",
    "TransformerLineDecoder",
    "TransformerLineEncoder",
    "WriterOfEach",
    "conv_decoder",
    "conv_encoder",
    "mlp",
    "official_init",
    "once",
    "resnet_critic",
    "resnet_generator",
]
