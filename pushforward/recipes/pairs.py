"""Generators and the critics that meet them, by the names they have at the door."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from pushforward.networks import conv_decoder, conv_encoder, mlp
from pushforward.networks.dcgan import halvings

Shape = tuple[int, ...]
leaky = partial(nn.LeakyReLU, 0.2)


@dataclass(frozen=True)
class Pair:
    """How a generator and a critic of one kind are made.

    Attributes:
        generator: From the latent dimensions, the shape of a row, and the normalisation; "mlp" goes without.
        critic: From the shape of a row, the numbers wanted, and the normalisation.
            Its last layer is linear; what comes before are features.
        kinds: What rows may be.
    """

    generator: Callable[[int, Shape, str | None], nn.Sequential]
    critic: Callable[[Shape, int, str | None], nn.Sequential]
    kinds: tuple[str, ...] = ("image",)


def _stages(shape: Shape, first: int, least: int) -> list[int]:
    """Channels after each halving of an image, as many as lead to ``least`` pixels or fewer."""
    return [first * 2**stage for stage in range(max(2, halvings(max(shape[1:]), least)))]


def _plain(shape: Shape) -> list[int]:
    """Units of a small fully connected net."""
    return [512, 512] if math.prod(shape) >= 256 else [128, 128, 128]


def _conv(first: int, kernel: int, least: int, hidden: tuple[int, ...] = ()) -> Pair:
    """Strided convolutions in the manner of DCGAN, ``first`` channels at full size; between them and the code
    linear layers of ``hidden`` units."""
    return Pair(
        generator=lambda n, s, norm: conv_decoder(
            n, s, _stages(s, first, least)[::-1], kernel, hidden, last=False, norm=norm
        ),
        critic=lambda s, n, norm: conv_encoder(
            s, n, _stages(s, first, least), kernel, hidden, norm=norm, activation=leaky, bare=True
        ),
    )


PAIRS: dict[str, Pair] = {
    "mlp": Pair(
        generator=lambda n, s, norm: mlp(n, s, _plain(s), norm=None),
        critic=lambda s, n, norm: mlp(s, n, _plain(s), norm=norm, activation=leaky),
        kinds=("image", "vector"),
    ),
    "conv": _conv(32, kernel=4, least=8, hidden=(512,)),
    "dcgan": _conv(64, kernel=5, least=4),
}

__all__ = ["PAIRS", "Pair"]
