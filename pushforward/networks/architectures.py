"""Architectures by name: pairs of an encoder and a decoder, or of a generator and a critic, for rows of any
shape.

Networks of text enter theirs in :mod:`pushforward.text.networks`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from torch import nn

from pushforward.errors import ConfigError, nearest
from pushforward.networks.dcgan import conv_decoder, conv_encoder, halvings
from pushforward.networks.mlp import mlp

Shape = tuple[int, ...]
ANY_NUMBERS = ("image", "vector")
leaky = partial(nn.LeakyReLU, 0.2)


@dataclass(frozen=True)
class EncoderDecoder:
    """How an encoder and a decoder of one architecture are made.

    Attributes:
        encoder: From the shape of a row and the number of outputs; the shape of a line is (tokens,
            vocabulary), that of a row of a table the number of cells of each column.
        decoder: From the number of inputs and the shape of a row. Both take ``dropout`` if rows are
            text or of a table: the share of tokens or columns that are hidden in training.
        modalities: The modalities of rows that it is for.
    """

    encoder: Callable[..., nn.Module]
    decoder: Callable[..., nn.Module]
    modalities: tuple[str, ...] = ("image",)


@dataclass(frozen=True)
class GeneratorCritic:
    """How a generator and a critic of one architecture are made.

    Attributes:
        generator: From the number of inputs, the shape of a row, and the normalisation; "mlp" goes without.
        critic: From the shape of a row, the number of outputs, and the normalisation. Its last layer is
            linear; what comes before are features.
        modalities: The modalities of rows that it is for.
    """

    generator: Callable[[int, Shape, str | None], nn.Sequential]
    critic: Callable[[Shape, int, str | None], nn.Sequential]
    modalities: tuple[str, ...] = ("image",)


def _widths(shape: Shape) -> list[int]:
    """Hidden units of a small fully connected network: enough for 28x28 digits, fewer for smaller rows."""
    return [512, 512] if math.prod(shape) >= 256 else [256, 256]


def _stages(shape: Shape) -> list[int]:
    """Channels of a small convolutional network: enough halvings to end at 8 pixels or fewer."""
    return [min(16 * 2**i, 128) for i in range(max(halvings(max(shape[1:]), 8), 2))]


def _mlp(encoder: list[int], decoder: list[int], activation: Callable[[], nn.Module]) -> EncoderDecoder:
    """Fully connected networks without BatchNorm; the activation is the decoder's."""
    return EncoderDecoder(
        lambda s, n: mlp(s, n, encoder, norm=None),
        lambda n, s: mlp(n, s, decoder, norm=None, activation=activation),
        ANY_NUMBERS,
    )


def _strided(channels: list[int], kernel: int, last: int) -> EncoderDecoder:
    """Strided convolutions in the manner of DCGAN; the decoder has ``last`` layers of these channels."""
    return EncoderDecoder(
        lambda s, n: conv_encoder(s, n, channels, kernel),
        lambda n, s: conv_decoder(n, s, channels[::-1][:last], kernel),
    )


NETWORKS: dict[str, EncoderDecoder] = {
    "mlp": EncoderDecoder(
        lambda s, n: mlp(s, n, _widths(s)), lambda n, s: mlp(n, s, _widths(s)), ANY_NUMBERS
    ),
    "mlp-wide": _mlp([1000, 1000], [1000, 1000], nn.ReLU),
    "mlp-wide-tanh": _mlp([1200, 1200], [1200, 1200, 1200], nn.Tanh),
    "conv": EncoderDecoder(
        lambda s, n: conv_encoder(s, n, _stages(s), 4, hidden=[256]),
        lambda n, s: conv_decoder(n, s, _stages(s)[::-1], 4, hidden=[256], last=False),
    ),
    "conv-dense": EncoderDecoder(
        lambda s, n: conv_encoder(s, n, [64, 128], 4, hidden=[1024]),
        lambda n, s: conv_decoder(n, s, [128, 64], 4, hidden=[1024], last=False),
    ),
    "conv-mlp": EncoderDecoder(
        lambda s, n: conv_encoder(s, n, [16, 32], 4, hidden=[256]),
        lambda n, s: mlp(n, s, [256, 256]),
    ),
    "conv-mlp-no-batchnorm": EncoderDecoder(  # in the decoder
        lambda s, n: conv_encoder(s, n, [16, 32], 4, hidden=[256]),
        lambda n, s: mlp(n, s, [256, 256], norm=None),
    ),
    "dcgan-4x4": _strided([128, 256, 512, 1024], 4, last=3),
    "dcgan-5x5": _strided([128, 256, 512, 1024], 5, last=4),
}


def _gan_widths(shape: Shape) -> list[int]:
    """Hidden units of a small fully connected generator or critic."""
    return [512, 512] if math.prod(shape) >= 256 else [128, 128, 128]


def _gan_conv(first: int, kernel: int, least: int, hidden: tuple[int, ...] = ()) -> GeneratorCritic:
    """Strided convolutions in the manner of DCGAN: ``first`` channels at half the size, twice as many at each
    further halving, until ``least`` pixels or fewer are left; then linear layers of ``hidden`` units."""

    def stages(shape: Shape) -> list[int]:
        return [first * 2**stage for stage in range(max(2, halvings(max(shape[1:]), least)))]

    return GeneratorCritic(
        generator=lambda n, s, norm: conv_decoder(
            n, s, stages(s)[::-1], kernel, hidden, last=False, norm=norm
        ),
        critic=lambda s, n, norm: conv_encoder(
            s, n, stages(s), kernel, hidden, norm=norm, activation=leaky, bare=True
        ),
    )


GAN_NETWORKS: dict[str, GeneratorCritic] = {
    "mlp": GeneratorCritic(
        generator=lambda n, s, norm: mlp(n, s, _gan_widths(s), norm=None),
        critic=lambda s, n, norm: mlp(s, n, _gan_widths(s), norm=norm, activation=leaky),
        modalities=ANY_NUMBERS,
    ),
    "conv": _gan_conv(32, kernel=4, least=8, hidden=(512,)),
    "dcgan": _gan_conv(64, kernel=5, least=4),
}


class Architecture(Protocol):
    """Networks for rows of some modalities."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of rows that it is for."""


A = TypeVar("A", bound=Architecture)


def choose_network(name: str, table: Mapping[str, A], modality: str, data: str) -> A:
    """The networks of a name, for data of a modality; ``data`` says which data, for messages.

    Raises:
        ConfigError: If there are none, or they are for data of another modality.
    """
    if name not in table:
        raise ConfigError(f"unknown network {name!r}: {nearest(name, table)}")
    if modality not in table[name].modalities:
        needed = " or ".join(table[name].modalities)
        raise ConfigError(f"network {name!r} needs {needed} data, {data}")
    return table[name]


__all__ = ["GAN_NETWORKS", "NETWORKS", "EncoderDecoder", "GeneratorCritic", "choose_network"]
