"""Series (N, T, C) are vectors of that shape, where it is said that there are channels; else images."""

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.data import open_dataset
from pushforward.errors import DataError

SERIES = np.random.default_rng(0).normal(size=(60, 6, 3)).cumsum(1)


def test_three_axes_are_grey_images_and_it_is_said_how_they_would_be_series():
    for width in (3, 5):
        x = SERIES if width == 3 else SERIES.reshape(-1, 6, 3)[:, :, [0, 1, 2, 0, 1]]
        data = open_dataset(x)
        assert (data.modality, data.shape) == ("image", (1, 6, width))
        [note] = [note for note in data.notes if "read as 60" in note]
        assert f"shape (60, 6, {width}) read as 60 grey images (N, H, W); for series (N, T, C) pass " in note
        assert "channels='last'" in note


def test_with_channels_they_are_series():
    last, first = (
        open_dataset(SERIES, channels="last"),
        open_dataset(SERIES.transpose(0, 2, 1), channels="first"),
    )
    for data in (last, first):
        assert (data.modality, data.shape) == ("vector", (6, 3))
        assert data.range == "standardised real numbers"
        assert any(
            "read as series of 6 steps with 3 numbers each, as vectors (T, C)" in n for n in data.notes
        )
    assert torch.equal(last.train.x, first.train.x)
    assert last.fingerprint == first.fingerprint
    x = last.train.batch(slice(0, 54)).x
    assert x.mean(0).abs().max() < 0.5
    assert (x.std(0) - 1).abs().max() < 0.5


def test_two_axes_have_no_channels():
    with pytest.raises(DataError, match=r"channels is for images, .* and series, found shape"):
        open_dataset(SERIES[:, 0], channels="last")


@pytest.mark.parametrize("channels", ["first", "last"])
@pytest.mark.parametrize("recipe", ["vae", "wae-mmd", "gan"])
def test_samples_come_back_as_series(channels, recipe, tmp_path):
    x = np.tile(SERIES, (4, 1, 1)) + np.random.default_rng(1).normal(size=(240, 6, 3))
    x = x if channels == "last" else x.transpose(0, 2, 1)
    np.save(tmp_path / "x.npy", x)
    run = pf.train(
        recipe, tmp_path / "x.npy", channels=channels, out=tmp_path / "run", steps=2, progress=False
    )
    again = pf.load(run.path)
    assert again.sample(5).shape == (5, 6, 3)
    assert again.evaluate(features="pca", metrics=["samples"])["samples"]["fd"]["value"] > 0
    assert again.doctor()
    if run.model.has_encoder:
        assert torch.allclose(
            again.encode(x[:4]), again.encode(x[:4].transpose(0, 2, 1) if channels == "first" else x[:4])
        )
        assert again.reconstruct(x[:4]).shape == (4, 6, 3)
        assert again.encode(x[0]).shape == again.encode(x[:1]).shape
