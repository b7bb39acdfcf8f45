"""Convolutional encoders and decoders in the manner of DCGAN, for images of any size.

Each stage of an encoder halves the image and rounds up, as TensorFlow's "same" padding does;
the decoder goes through the same sizes in reverse. So 28 becomes 14, 7, 4, 2 and 45x37 becomes 23x19, 12x10.

References:
    | Unsupervised Representation Learning with Deep Convolutional GANs (Radford et al., 2016)
    | https://arxiv.org/abs/1511.06434
    | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), appendix C, and its official code
    | https://github.com/tolstikhin/wae
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.networks.norms import in_image, in_vector

Size = tuple[int, int]
Layers = Callable[[], nn.Module]


def halved(size: Size) -> Size:
    """The size after a stage of stride 2, rounded up.

    >>> halved((45, 37))
    (23, 19)
    """
    return -(-size[0] // 2), -(-size[1] // 2)


def halvings(side: int, least: int) -> int:
    """How often an image is halved until its side is at most ``least``; at least once.

    >>> halvings(64, 4), halvings(28, 4), halvings(8, 8)
    (4, 3, 1)
    """
    return max(1, math.ceil(math.log2(side / least)))


class Down(nn.Module):
    """A convolution of stride 2 with "same" padding: the size is halved, rounded up."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=2, bias=bias)
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        """The feature maps (N, outputs, ⌈H/2⌉, ⌈W/2⌉) of images (N, inputs, H, W)."""
        pads = []
        for length in (x.shape[-1], x.shape[-2]):  # F.pad counts from the last dimension
            total = max((-(-length // 2) - 1) * 2 + self.kernel - length, 0)
            pads += [total // 2, total - total // 2]
        return self.conv(F.pad(x, pads))


class Up(nn.Module):
    """A transposed convolution cropped to the given size; the mirror image of :class:`Down`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, size: Size, stride: int = 2, bias: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, kernel, stride=stride, bias=bias)
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """The feature maps of images (N, inputs, h, w), cropped about their middle to ``size``."""
        x = self.conv(x)
        top, left = ((have - want) // 2 for have, want in zip(x.shape[-2:], self.size, strict=True))
        return x[..., top : top + self.size[0], left : left + self.size[1]]


def sizes(size: Size, stages: int) -> list[Size]:
    """The sizes an image passes through, the largest first.

    >>> sizes((28, 28), 2)
    [(28, 28), (14, 14), (7, 7)]
    """
    path = [size]
    for _ in range(stages):
        path.append(halved(path[-1]))
    return path


def conv_encoder(
    shape: Sequence[int],
    outputs: int,
    channels: Sequence[int],
    kernel: int,
    hidden: Sequence[int] = (),
    norm: str | None = "batch",
    activation: Layers = nn.ReLU,
    bare: bool = False,
    gated: bool = False,
) -> nn.Sequential:
    """Stages of (:class:`Down`, BatchNorm, ReLU), then linear layers to ``outputs`` numbers.

    Arguments:
        shape: (C, H, W) of an image.
        outputs: Numbers that come out.
        channels: Channels after each stage.
        kernel: Side of the filters.
        hidden: Units of hidden linear layers, each with BatchNorm and ReLU.
        norm: What stands in the place of BatchNorm, by its name in :func:`in_image`.
        activation: What stands in the place of the ReLU.
        bare: Whether the first stage goes without normalisation, as in the critic of DCGAN.
        gated: Whether the activation halves channels, so that convolutions make twice as many.

    >>> import torch
    >>> conv_encoder((3, 45, 37), 8, [16, 32], 4)(torch.rand(2, 3, 45, 37)).shape
    torch.Size([2, 8])
    """
    inputs, *size = shape
    layers: list[nn.Module] = []
    for stage, width in enumerate(channels):
        here = None if bare and stage == 0 else norm
        made = 2 * width if gated else width
        layers += [Down(inputs, made, kernel), *in_image(here, made), activation()]
        inputs = width
    layers.append(nn.Flatten())
    units = inputs * math.prod(sizes((size[0], size[1]), len(channels))[-1])
    for width in hidden:
        layers += [nn.Linear(units, width), *in_vector(norm, width), activation()]
        units = width
    return nn.Sequential(*layers, nn.Linear(units, outputs))


def conv_decoder(
    latent_dim: int,
    shape: Sequence[int],
    channels: Sequence[int],
    kernel: int,
    hidden: Sequence[int] = (),
    last: bool = True,
    norm: str | None = "batch",
    activation: Layers = nn.ReLU,
    gated: bool = False,
) -> nn.Sequential:
    """Linear layers to a small image of ``channels[0]``, then stages of (:class:`Up`, BatchNorm, ReLU).

    Arguments:
        latent_dim: Numbers that come in.
        shape: (C, H, W) of an image.
        channels: Channels of the small image and after each stage but the last.
        kernel: Side of the filters.
        hidden: Units of hidden linear layers, each with BatchNorm and ReLU.
        last: Whether a stage of stride 1 makes the image, as in the official nets, rather than
            the last stage of stride 2.
        norm: What stands in the place of BatchNorm, by its name in :func:`in_image`.
        activation: What stands in the place of the ReLU.
        gated: Whether the activation halves channels, so that convolutions make twice as many.

    >>> import torch
    >>> conv_decoder(8, (3, 45, 37), [32, 16], 4)(torch.rand(2, 8)).shape
    torch.Size([2, 3, 45, 37])
    """
    outputs, *size = shape
    stages = len(channels) - 1 if last else len(channels)
    path = sizes((size[0], size[1]), stages)[::-1]
    layers: list[nn.Module] = []
    units = latent_dim
    for width in hidden:
        layers += [nn.Linear(units, width), *in_vector(norm, width), activation()]
        units = width
    twice = 2 if gated else 1
    begin = twice * channels[0]
    layers += [nn.Linear(units, begin * math.prod(path[0])), nn.Unflatten(1, (begin, *path[0]))]
    layers += [*([] if last else in_image(norm, begin)), activation()]
    for inputs, width, target in zip(channels, channels[1:], path[1:], strict=False):
        layers += [Up(inputs, twice * width, kernel, target), *in_image(norm, twice * width), activation()]
    layers.append(Up(channels[-1], outputs, kernel, path[-1], stride=1 if last else 2))
    return nn.Sequential(*layers)


def official_init(net: nn.Module, std: float = 0.0099999) -> nn.Module:
    """Initialises a network as the official WAE code does: weights N(0, std²), biases 0; returns it.

    Weights of convolutions are truncated at two deviations. The generator is torch's global one; the caller
    seeds it.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    return net
