"""``pf.score``: any two samples are compared, in the values of the real ones."""

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.data import open_dataset
from pushforward.data.alike import whole
from pushforward.data.catalogue import open_like
from pushforward.errors import ConfigError, DataError

DIGITS = whole(open_dataset("digits")).x


@pytest.mark.parametrize("shift", [0.0, 1.0, 50.0])
def test_rows_shifted_by_c_have_a_frechet_distance_of_c_squared(shift):
    """W2 of a sample and itself shifted by c is |c|: rows are scaled by the real ones, not by themselves."""
    x = torch.randn(200, 3, dtype=torch.float64) * torch.tensor([1.0, 10.0, 100.0]) + 1000
    scales = torch.tensor(open_dataset(x).spec.scaling.scales)
    found = pf.score(x, x + shift * scales, features="pixels")["samples"]["fd"]["value"]
    assert found == pytest.approx(3 * shift**2, rel=1e-4, abs=1e-4)


def test_of_a_run_the_numbers_are_those_of_its_evaluation(trained):
    """The same rows in other order: held-out rows, the run's samples, and training rows as the reference."""
    data = open_dataset("digits")
    samples = torch.cat(list(trained.evaluation_context().drawn()))
    kept = trained.evaluate(features="pca", metrics=["samples", "reference", "sharpness"])
    found = pf.score(data.test.x, samples, train=data.train.x, features="pca")
    assert found["features"] == kept["features"]
    for name in ("fd", "kid"):
        assert found["samples"][name]["value"] == pytest.approx(kept["samples"][name]["value"], rel=1e-4)
    for name in ("precision", "recall", "density", "coverage"):
        assert found["samples"][name] == pytest.approx(kept["samples"][name], abs=1e-6)
    for name in ("data", "samples"):
        assert found["sharpness"][name] == pytest.approx(kept["sharpness"][name], rel=1e-5)
    assert found["reference"]["n_samples"] == kept["reference"]["n_samples"] == len(data.test)


def test_training_rows_are_good_samples_and_noise_is_poor():
    train, rest = DIGITS[:800], DIGITS[800:1300]
    assert pf.score(rest, DIGITS[1300:], train=train)["grade"]["level"] == "good"
    assert pf.score(rest, torch.rand(400, 1, 8, 8), train=train)["grade"]["level"] == "poor"
    found = pf.score(rest, DIGITS[1300:])
    assert "grade" not in found
    assert "Tensor against Tensor" in found._repr_html_()


def test_folders_of_images_of_any_size_are_compared(tmp_path, command, figures):
    for name, rows in (("real", DIGITS[:60]), ("made", DIGITS[60:120])):
        (tmp_path / name).mkdir()
        for number, x in enumerate(rows):
            picture = Image.fromarray((x[0].numpy() * 255).round().astype(np.uint8))
            size = (8, 8) if name == "real" else (16, 16)
            picture.resize(size, Image.Resampling.NEAREST).save(tmp_path / name / f"{number}.png")
    found = figures("score", tmp_path / "real", tmp_path / "made", "--features", "pixels")
    assert found["n_samples"] == 60
    assert found["samples"]["coverage"] > 0.6
    code, shown, _ = command("score", tmp_path / "real", tmp_path / "made", "--train", tmp_path / "real")
    assert code == 0
    assert shown.startswith("samples: ")


def test_files_of_statistics_give_the_frechet_distance_of_gaussians(tmp_path):
    """Of N(0, 1) and N(3, 2²): 3² + (2 - 1)² = 10."""
    np.savez(tmp_path / "p.npz", mu=np.zeros(1), sigma=np.ones((1, 1)))
    np.savez(tmp_path / "q.npz", mu=np.full(1, 3.0), sigma=np.full((1, 1), 4.0))
    found = pf.score(tmp_path / "p.npz", tmp_path / "q.npz")
    assert found["samples"] == {"fd": {"value": pytest.approx(10.0)}}


def test_statistics_and_rows_are_compared_in_the_features_that_are_named(tmp_path):
    x = DIGITS[:300].flatten(1).double()
    np.savez(tmp_path / "p.npz", mu=x.mean(0), sigma=x.T.cov())
    whole_set = pf.score(DIGITS[:300], DIGITS[300:700], features="pixels")["samples"]["fd"]["value"]
    found = pf.score(tmp_path / "p.npz", DIGITS[300:700], features="pixels")["samples"]["fd"]["value"]
    assert found == pytest.approx(whole_set, rel=1e-4)
    with pytest.raises(ConfigError, match="features must be named"):
        pf.score(tmp_path / "p.npz", DIGITS)
    with pytest.raises(DataError, match="found 64 and 61 numbers"):
        pf.score(tmp_path / "p.npz", DIGITS, features="pca")
    np.savez(tmp_path / "p.npz", mu=np.zeros(2), sigma=np.ones((3, 3)))
    with pytest.raises(DataError, match=r"found \(2,\) and \(3, 3\)"):
        pf.score(tmp_path / "p.npz", DIGITS, features="pixels")


def test_text_is_scored_by_its_words(tmp_path):
    lines = [f"the {colour} {animal} eats" for colour in ("red", "blue", "green") for animal in "abcdefgh"]
    for name, rows in (("real", lines), ("made", lines[::-1])):
        (tmp_path / f"{name}.txt").write_text("\n".join(rows * 2))
    found = pf.score(tmp_path / "real.txt", tmp_path / "made.txt")
    assert found["features"]["name"] == "words"
    assert found["samples"]["fd"]["value"] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("generated", "message"),
    [
        (torch.rand(40, 1, 9, 9), r"expected image data of shape \(1, 8, 8\).*found .*\(1, 9, 9\)"),
        (torch.rand(40, 64), r"expected image data of shape .*found vector data"),
        (torch.rand(10, 1, 8, 8), "expected at least 20 generated rows to compare, found 10"),
        (torch.rand(40, 1, 8, 8) - 5, "expected numbers from 0 to 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(generated, message):
    with pytest.raises(DataError, match=message):
        pf.score(DIGITS, generated)


def test_grey_values_are_compared_whatever_their_type():
    """Bytes, 16-bit integers, floats up to 255 and floats up to 1 of the same pictures."""
    made = DIGITS[:100]
    same = [made, (made * 255).round().byte(), made * 255]
    found = [pf.score(DIGITS, x, features="pixels")["samples"]["fd"]["value"] for x in same]
    assert found == pytest.approx([found[0]] * 3, rel=0.01)


def test_labels_are_numbered_as_in_the_other_data():
    spec = open_dataset((torch.rand(20, 2), ["cat", "dog"] * 10)).spec
    rows = open_like((torch.rand(4, 2), ["dog", "dog", "owl", "cat"]), spec)
    assert sorted(rows.y.tolist()) == [-1, 0, 1, 1]


def test_images_of_another_size_are_said_to_be_resized(tmp_path, capsys):
    """Sharpness, and features, are not those of the images that were given."""
    draw = np.random.default_rng(0)
    for name, size in (("real", 16), ("made", 8)):
        np.save(tmp_path / f"{name}.npy", draw.integers(0, 256, (40, size, size, 1), dtype=np.uint8))
    pf.score(tmp_path / "real.npy", tmp_path / "made.npy", features="pixels", progress=True)
    assert "generated: every image was resized from 8x8 to 16x16" in capsys.readouterr().err
