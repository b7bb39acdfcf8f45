"""A run in motion: one frame for each picture that training kept, and paths that lead there and back."""

import pytest
from PIL import Image

import pushforward as pf
from pushforward.errors import ConfigError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return pf.train(
        "ae", "digits", steps=40, out=tmp_path_factory.mktemp("animation") / "run", progress=False
    )


def frames(path):
    with Image.open(path) as image:
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append(image.convert("RGB"))
        return found, image.info


def test_training_has_a_frame_for_each_picture(run):
    kept = sorted((run.path / "samples").glob("*.png"))
    assert len(kept) > 1
    found, info = frames(run.animate(seconds=0.2))
    assert len(found) == len(kept)
    with Image.open(kept[0]) as first:
        assert found[0].size == first.size
    assert info["loop"] == 0
    assert (run.path / "training.gif").exists()


def test_an_interpolation_goes_there_and_back(run, tmp_path):
    path = run.animate("interpolation", out=tmp_path / "paths.gif", steps=5)
    assert path == tmp_path / "paths.gif"
    found, _ = frames(path)
    assert len(found) == 2 * 5 - 2
    assert 'src="data:image/gif;base64,' in path._repr_html_()


def test_what_cannot_move_says_why(run, tmp_path):
    with pytest.raises(ConfigError, match="unknown animation 'film': "):
        run.animate("film")
    with pytest.raises(ConfigError, match="seconds must be above 0 and below 60, got 0"):
        run.animate(seconds=0)
    still = pf.train("ae", "digits", steps=2, out=tmp_path / "still", pictures=False, progress=False)
    with pytest.raises(ConfigError, match="still holds no pictures of its training"):
        still.animate()
    points = pf.train("gan", "ring", steps=2, out=tmp_path / "ring", progress=False)
    with pytest.raises(
        ConfigError, match="animations are made of images, the data of this run are vector data"
    ):
        points.animate()
