"""Shapes in, shapes out. No science."""

from pushforward.networks.dcgan import conv_decoder, conv_encoder, official_init
from pushforward.networks.mlp import mlp

__all__ = ["conv_decoder", "conv_encoder", "mlp", "official_init"]
