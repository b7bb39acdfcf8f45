"""The classifier of photographs, whose weights come with a package."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from torch.nn.functional import interpolate

import pushforward as pf
from pushforward.errors import ConfigError, DataError
from pushforward.features import imagenet

PALACE, DAISY = 698, 985  # classes of ImageNet


def photographs():
    """The two photographs that scikit-learn ships, their middle squares."""
    for pixels in load_sample_images().images:
        height, width, _ = pixels.shape
        left = (width - height) // 2
        yield torch.from_numpy(pixels[:, left : left + height].copy()).permute(2, 0, 1)[None].float() / 255


def test_it_names_what_two_photographs_show():
    net = imagenet.ImageNet().eval()
    with torch.no_grad():
        found = [net.probabilities(net(x)).argmax().item() for x in photographs()]
    assert found == [PALACE, DAISY]


@pytest.mark.slow
def test_blurred_photographs_are_farther_than_halves_of_the_same():
    x = torch.cat(list(photographs()))
    patches = x.unfold(2, 64, 36).unfold(3, 64, 36).permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, 64, 64)
    patches = patches[torch.randperm(len(patches), generator=torch.Generator().manual_seed(0))[:48]]
    blurred = interpolate(interpolate(patches[24:], scale_factor=0.125, mode="area"), 64, mode="bilinear")
    real = (patches[:24] * 255).byte()
    near, far = (
        pf.score(real, x, features="imagenet")["samples"]["fd"]["value"] for x in (patches[24:], blurred)
    )
    assert far > 2 * near


def test_it_is_refused_where_it_means_nothing_or_is_not_there(monkeypatch):
    with pytest.raises(DataError, match="such features see images in"):
        pf.score(np.random.default_rng(0).normal(size=(40, 4)), torch.randn(40, 4), features="imagenet")
    monkeypatch.setattr(imagenet, "SHA256", "0" * 64)
    with pytest.raises(DataError, match="expected the file with sha256 000000000000, found 579344248a93"):
        imagenet.ImageNet()
    monkeypatch.setattr(imagenet, "PACKAGE", "no_such_package")
    with pytest.raises(ConfigError, match=r"pip install 'pushforward\[imagenet\]'"):
        imagenet.ImageNet()
