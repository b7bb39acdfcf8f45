"""EfficientNet-Lite0: a small classifier of photographs, for whose weights there is a package.

References:
    | EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks (Tan & Le, 2019), table 1
    | https://arxiv.org/abs/1905.11946
    | Higher accuracy on vision models with EfficientNet-Lite (Liu, 2020): no squeeze-and-excitation, ReLU6
    | https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

# Of each stage: blocks, side of the filters, stride of the first block, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip
STEM, HEAD, CLASSES = 32, 1280, 1000
EPSILON = 1e-3  # of BatchNorm


class SamePadding(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow's "same": the larger half at the right and below."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (N, outputs, ⌈H/stride⌉, ⌈W/stride⌉)."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = []
        for side in (x.shape[-1], x.shape[-2]):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads))


class Bottleneck(nn.Module):
    """An inverted bottleneck: expansion, convolution by channel, projection; and the input, if it fits."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [SamePadding(inputs, wide, 1), nn.BatchNorm2d(wide, EPSILON), nn.ReLU6()]
        by_channel = SamePadding(wide, wide, kernel, stride, groups=wide)
        layers += [by_channel, nn.BatchNorm2d(wide, EPSILON), nn.ReLU6()]
        layers += [SamePadding(wide, outputs, 1), nn.BatchNorm2d(outputs, EPSILON)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (N, outputs, ⌈H/stride⌉, ⌈W/stride⌉)."""
        made: Tensor = self.layers(x)
        return made + x if self.residual else made


class EfficientNetLite0(nn.Module):
    """The network; its layers are made in the order of the published weights.

    Example:
        >>> import torch
        >>> net = EfficientNetLite0().eval()
        >>> sum(parameter.numel() for parameter in net.parameters())
        4652008
        >>> net(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 1280])
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(SamePadding(3, STEM, 3, 2), nn.BatchNorm2d(STEM, EPSILON), nn.ReLU6())
        blocks, inputs = [], STEM
        for count, kernel, stride, expansion, outputs in STAGES:
            for block in range(count):
                blocks.append(Bottleneck(inputs, outputs, kernel, stride if block == 0 else 1, expansion))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(SamePadding(inputs, HEAD, 1), nn.BatchNorm2d(HEAD, EPSILON), nn.ReLU6())
        self.fc = nn.Linear(HEAD, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """The pooled features (N, 1280) of images (N, 3, H, W); ``fc`` makes logits of them."""
        features: Tensor = self.head(self.blocks(self.stem(x))).mean((2, 3))
        return features


__all__ = ["EfficientNetLite0"]
