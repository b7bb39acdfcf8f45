"""Deep residual generators and critics: bottleneck blocks that halve or double the image between stages.

References:
    | Improved Training of Wasserstein GANs (Gulrajani et al., 2017), section 5.1: "101-layer ResNet G and D"
    | https://arxiv.org/abs/1704.00028
    | and its official code, gan_64x64.py
    | https://github.com/igul222/improved_wgan_training
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.networks.dcgan import Down, Size, halvings, sizes
from pushforward.networks.norms import in_image

LEAST = 4  # pixels of the smallest stage
SHARE = 0.3  # of a block's branch in its sum: a hundred layers would grow without it


class Bottleneck(nn.Module):
    """A residual block: 1x1, 3x3 and 1x1 convolutions, each after normalisation and ReLU.

    Arguments:
        inputs: Channels that come in.
        outputs: Channels that go out.
        norm: "batch", "layer" or None.
        size: The size that images are enlarged to; None leaves it.
        down: Whether the size is halved, rounded up.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        norm: str | None,
        size: Size | None = None,
        down: bool = False,
    ) -> None:
        super().__init__()
        inner = max(outputs // 2, 1)
        self.size = size
        self.down = down
        middle: nn.Module = Down(inner, inner, 3) if down else nn.Conv2d(inner, inner, 3, padding=1)
        self.first = nn.Sequential(*in_image(norm, inputs), nn.ReLU(), nn.Conv2d(inputs, inner, 1))
        self.second = nn.Sequential(*in_image(norm, inner), nn.ReLU(), middle)
        self.third = nn.Sequential(*in_image(norm, inner), nn.ReLU(), nn.Conv2d(inner, outputs, 1))
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The output for feature maps (N, inputs, H, W), shape (N, outputs, \\*) of the block's size."""
        h = self.first(x)
        if self.size is not None:
            h, x = (F.interpolate(part, size=self.size, mode="nearest") for part in (h, x))
        h = self.third(self.second(h))
        if self.down:
            x = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
        return self.shortcut(x) + SHARE * h


def resnet_generator(
    latent_dim: int, shape: Sequence[int], width: int, blocks: int = 6, norm: str | None = "batch"
) -> nn.Sequential:
    """From codes (N, L) to images, not squashed: at 64x64 with 6 blocks a stage it has 101 layers.

    Arguments:
        latent_dim: Numbers that come in.
        shape: (C, H, W) of an image.
        width: Channels at half the full size; twice as many at each size below, half as many above.
        blocks: Blocks at each size, besides the one that enlarges the image; one less at full size.
        norm: "batch", "layer" or None.

    >>> import torch
    >>> resnet_generator(8, (3, 16, 16), 8, blocks=1)(torch.rand(2, 8)).shape
    torch.Size([2, 3, 16, 16])
    """
    channels, height, wide = shape
    path = sizes((height, wide), halvings(max(height, wide), LEAST))[::-1]
    here = width * 2 ** (len(path) - 2)
    layers: list[nn.Module] = [
        nn.Linear(latent_dim, here * math.prod(path[0])),
        nn.Unflatten(1, (here, *path[0])),
    ]
    for size in path[1:]:
        layers += [Bottleneck(here, here, norm) for _ in range(blocks)]
        layers.append(Bottleneck(here, max(here // 2, 1), norm, size=size))
        here = max(here // 2, 1)
    layers += [Bottleneck(here, here, norm) for _ in range(blocks - 1)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(here, channels, 1))


def resnet_critic(
    shape: Sequence[int], outputs: int, width: int, blocks: int = 6, norm: str | None = "layer"
) -> nn.Sequential:
    """From images (N, C, H, W) to ``outputs`` numbers: the mirror image of :func:`resnet_generator`.

    Arguments:
        shape: (C, H, W) of an image.
        outputs: Numbers that come out.
        width: Channels at half the full size; half as many at full size, twice as many at each size below.
        blocks: Blocks at each size, besides the one that halves the image; one less at full size.
        norm: "batch", "layer" or None.

    >>> import torch
    >>> resnet_critic((3, 16, 16), 1, 8, blocks=1)(torch.rand(2, 3, 16, 16)).shape
    torch.Size([2, 1])
    """
    channels, height, wide = shape
    count = halvings(max(height, wide), LEAST)
    here = max(width // 2, 1)
    layers: list[nn.Module] = [nn.Conv2d(channels, here, 1)]
    layers += [Bottleneck(here, here, norm) for _ in range(blocks - 1)]
    for _ in range(count):
        layers.append(Bottleneck(here, 2 * here, norm, down=True))
        here *= 2
        layers += [Bottleneck(here, here, norm) for _ in range(blocks)]
    end = sizes((height, wide), count)[-1]
    return nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(here * math.prod(end), outputs))


def layers(net: nn.Module) -> int:
    """How many layers with weights one row passes through, shortcuts apart."""
    return sum(
        isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and "shortcut" not in name
        for name, module in net.named_modules()
    )


__all__ = ["Bottleneck", "layers", "resnet_critic", "resnet_generator"]
