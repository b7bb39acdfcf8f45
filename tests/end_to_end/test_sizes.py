"""What does not fit into memory or on the disk is refused before it is made; the rest is made in parts."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.data import images, pixels
from pushforward.errors import CheckpointError, ConfigError, OutputError
from pushforward.limits import check_memory
from pushforward.runs import config as configuration

X = np.random.default_rng(0).random((60, 6)).astype(np.float32)
QUICK = {"steps": 2, "latent_dim": 2, "progress": False}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return pf.train("wae-mmd", X, out=tmp_path_factory.mktemp("run") / "run", **QUICK)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (lambda run: run.sample(10**12), "1,000,000,000,000 samples need 59,605 GiB, there is room for"),
        (lambda run: run.sample_codes(10**12), "1,000,000,000,000 codes need 14,901 GiB"),
        (lambda run: run.interpolate(X[:2], X[2:4], steps=10**12), "1,000,000,000,000 steps need 29,802 GiB"),
        (lambda run: run.traverse(X[:1], steps=10**12), "1,000,000,000,000 steps need 29,802 GiB"),
    ],
)
def test_what_cannot_be_allocated_is_refused(finished, question, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        question(finished)


@pytest.mark.parametrize("latent_dim", [10**9, 10**15])
def test_networks_that_cannot_be_allocated_are_refused(tmp_path, latent_dim):
    with pytest.raises(ConfigError, match=r"the weights of the networks need .* GiB, .*; lower latent_dim"):
        pf.train("wae-mmd", X, out=tmp_path / "run", latent_dim=latent_dim, steps=1, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_configuration_of_huge_networks_is_not_built(finished, tmp_path):
    path = finished.path / "config.json"
    kept = path.read_bytes()
    config = configuration.decode(kept)
    config["resolved"]["latent_dim"] = 10**6
    path.write_bytes(configuration.encode(config))
    try:
        with pytest.raises(CheckpointError, match=r"options of other networks than those of its weights"):
            pf.load(finished.path)
    finally:
        path.write_bytes(kept)


def test_memory_is_a_question_of_its_limit():
    check_memory("rows", 10, "lower n", most=10)
    with pytest.raises(ConfigError, match="rows need 11 bytes, there is room for 10 bytes; lower n"):
        check_memory("rows", 11, "lower n", most=10)


def test_samples_come_in_parts(finished):
    parts = list(finished.sample_parts(1100, seed=3))
    assert [len(part) for part in parts] == [512, 512, 76]
    assert torch.equal(torch.cat(parts), finished.sample(1100, seed=3))
    assert torch.allclose(torch.cat(parts)[:600], finished.sample(600, seed=3))


def test_samples_are_written_in_parts(finished, command, tmp_path):
    code, out, err = command("sample", finished.path, "--n", 1100, "--out", tmp_path / "x.npy", "--json")
    assert code == 0, err
    assert json.loads(out)["shape"] == [1100, 6]
    assert np.array_equal(np.load(tmp_path / "x.npy"), finished.sample(1100).numpy())


def test_samples_that_do_not_fit_on_the_disk_are_refused(finished, command, tmp_path):
    code, _, err = command("sample", finished.path, "--n", 10**15, "--out", tmp_path / "x.npy")
    assert code == OutputError.exit_code
    assert re.search(r"it takes 22,351,742 GiB, .* are free; lower --n", err)
    assert not list(tmp_path.iterdir())


def test_a_picture_of_too_many_images_is_refused(trained, command, tmp_path):
    code, _, err = command("sample", trained.path, "--n", 10**9, "--out", tmp_path / "x.png")
    assert code == ConfigError.exit_code
    assert "megapixels, at most 64 are written; lower --n, or write them to a file that ends in .npy" in err
    assert not list(tmp_path.iterdir())


def test_threads_decode_only_so_many_pixels_at_once(tmp_path, monkeypatch):
    """Twelve large transparent images in eight threads took gigabytes."""
    share = pixels.Share(150)
    monkeypatch.setattr(pixels, "DECODING", share)
    least, plain = [], pixels._plain

    def watched(image):
        least.append(share.left)
        return plain(image)

    monkeypatch.setattr(pixels, "_plain", watched)
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for path in paths:
        Image.new("RGBA", (8, 8)).save(path)
    images.decode_all(paths, (8, 8))
    assert len(least) == 6
    assert all(22 <= left <= 86 for left in least)  # one or two of 64 pixels are being decoded
    assert share.left == 150
