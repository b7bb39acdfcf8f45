"""Inception-v3 with the FID weights: the features of the FID, for those who have them.

The network and its weights are torch-fidelity's, bit-exact with the original TensorFlow graph. On digits,
tables or any data that are no photographs its features mean little; take a classifier's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

from torch import Tensor

from pushforward.errors import ConfigError, DataError, reason
from pushforward.features.base import Features
from pushforward.reading import read_file
from pushforward.wording import option_name


class Inception(Features):
    """The pooled layer of 2048 numbers, and the classes' probabilities without bias.

    Arguments:
        weights: A ``.safetensors`` file with the weights by torch-fidelity's names; None lets
            torch-fidelity download them, through torch.hub, to where it keeps such files.

    Raises:
        ConfigError: If torch-fidelity cannot be imported or cannot get the weights.
        DataError: If the file does not hold them.

    References:
        | GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017)
        | https://arxiv.org/abs/1706.08500
    """

    name = "inception-v3 (FID weights)"
    resize = "299x299, bilinear as in TensorFlow 1; bytes; grey repeated to three channels"

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        try:
            from torch_fidelity import feature_extractor_inceptionv3 as theirs
        except Exception as error:  # an import of torchvision that does not fit torch may raise anything
            raise ConfigError(
                f"{option_name('features', 'inception')} need torch-fidelity and the torchvision of this "
                "torch "
                f"(pip install 'pushforward[inception]'): {reason(error)}"
            ) from error
        state = None if weights is None else _read(weights)
        outputs = ["2048", "logits_unbiased"]
        try:
            if state is None:
                self.net = theirs.FeatureExtractorInceptionV3("inception", outputs)
            else:  # their reader of files unpickles; the weights are handed in where a download would
                with patch.object(theirs, "load_state_dict_from_url", lambda *_, **__: state):
                    self.net = theirs.FeatureExtractorInceptionV3("inception", outputs)
        except OSError as error:
            raise ConfigError(
                f"the weights of Inception cannot be downloaded; give {option_name('features')} the path "
                "of a "
                f".safetensors file that holds them: {reason(error)}"
            ) from error
        except RuntimeError as error:
            raise DataError(f"{weights} does not hold the weights of Inception: {reason(error)}") from error

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, 2048) of images (N, 1 or 3, H, W) in [0, 1]."""
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise DataError(
                f"Inception sees images of 1 or 3 channels, got rows of shape {tuple(x.shape[1:])}"
            )
        pixels = x.clamp(0, 1).mul(255).round().byte().expand(-1, 3, -1, -1)
        features: Tensor = self.net(pixels)[0].flatten(1)
        return features

    def probabilities(self, features: Tensor) -> Tensor:
        """The classes' probabilities (N, K) from features (N, 2048)."""
        weight = self.net.fc.weight
        return (features.to(weight) @ weight.T).softmax(1)


def _read(path: Path) -> dict[str, Any]:
    from safetensors.torch import load

    try:
        return load(read_file(path))
    except Exception as error:  # whatever a damaged file makes its reader say
        raise DataError(f"{path} cannot be read as safetensors: {reason(error)}") from error


__all__ = ["Inception"]
