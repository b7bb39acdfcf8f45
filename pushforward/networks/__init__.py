"""Networks: functions from input and output shapes to modules, and the layers that they use."""

from pushforward.networks.blocks import BatchNormColumns, Concatenated, GatedTanh
from pushforward.networks.dcgan import conv_decoder, conv_encoder, official_init
from pushforward.networks.mixing import MixingHead, WithSquares
from pushforward.networks.mlp import mlp
from pushforward.networks.noise import GaussianNoise
from pushforward.networks.once import once
from pushforward.networks.precision import InFloat32
from pushforward.networks.resnet import resnet_critic, resnet_generator

__all__ = [
    "BatchNormColumns",
    "Concatenated",
    "GatedTanh",
    "GaussianNoise",
    "InFloat32",
    "MixingHead",
    "WithSquares",
    "conv_decoder",
    "conv_encoder",
    "mlp",
    "official_init",
    "once",
    "resnet_critic",
    "resnet_generator",
]
