"""A run in motion: one frame for each picture that training kept, and paths that lead there and back."""

import numpy as np
import pytest
from PIL import Image

import pushforward as pf
from pushforward.errors import ConfigError, DataError
from pushforward.runs.plots import SHOWN


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
    with pytest.raises(ConfigError, match=r"out must end in .gif, got .*film.png"):
        run.animate(out=tmp_path / "film.png")
    with pytest.raises(ConfigError, match="seconds must be above 0 and below 60, got 0"):
        run.animate(seconds=0)
    still = pf.train("ae", "digits", steps=2, out=tmp_path / "still", pictures=False, progress=False)
    with pytest.raises(ConfigError, match="still holds no samples of its training"):
        still.animate()
    (tmp_path / "lines.txt").write_text(
        "the cat sees the sea\na dog likes a tree\nmy aunt draws\na cat likes me\n" * 3
    )
    lines = pf.train("ae", tmp_path / "lines.txt", steps=2, out=tmp_path / "text", progress=False)
    with pytest.raises(
        ConfigError, match="animations are made of images and vectors, the data of this run are text data"
    ):
        lines.animate()


def test_the_command_writes_a_gif(run, figures, command, tmp_path):
    said = figures("animate", run.path, "--what", "interpolation", "--steps", 3, "--out", tmp_path / "a.gif")
    assert len(frames(said["file"])[0]) == 2 * 3 - 2
    code, out, _ = command("animate", run.path)
    assert (code, out.split()) == (0, ["animation", "of", f"{run.path}:", str(run.path / "training.gif")])
    code, _, err = command("animate", run.path, "--out", tmp_path / "a.png")
    assert code != 0
    assert "--out must end in .gif, got" in err


# ------------------------------------------------------------------------------------------------ vectors


@pytest.fixture(scope="module")
def rows():
    """Columns of very different scales, which a model sees standardised, in the order of the first."""
    made = np.random.default_rng(0).normal(size=(400, 3)) * [1000, 1, 0.01] + [5000, 0, 3]
    return made[made[:, 0].argsort()].astype(np.float32)


@pytest.fixture(scope="module")
def points(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("points") / "run"
    return pf.train("wae-mmd", rows, steps=20, out=folder, latent_dim=2, progress=False)


def kept(run):
    return sorted((run.path / "samples").glob("*"))


def test_training_keeps_samples_of_vectors_in_their_own_values(points):
    files = kept(points)
    assert [file.name for file in files] == [f"{step:08d}.npy" for step in range(2, 21, 2)]
    last = np.load(files[-1])
    assert last.shape == (1000, 3)
    assert np.array_equal(last, points.sample(1000).numpy())
    assert not np.array_equal(np.load(files[0]), last)


def test_of_wide_vectors_fewer_samples_are_kept(tmp_path):
    wide = np.random.default_rng(0).normal(size=(30, 2000)).astype(np.float32)
    run = pf.train("ae", wide, steps=1, out=tmp_path / "wide", latent_dim=2, progress=False)
    assert np.load(kept(run)[-1]).shape == (500, 2000)


def test_a_run_that_went_on_keeps_the_samples_of_one_that_never_stopped(points, rows, tmp_path, monkeypatch):
    from pushforward.training.loop import Loop

    advance = Loop.advance

    def stopped(loop):
        if loop.step == 13:
            raise KeyboardInterrupt
        return advance(loop)

    def train():
        return pf.train("wae-mmd", rows, steps=20, out=tmp_path / "run", latent_dim=2, progress=False)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "advance", stopped)
        with pytest.raises(KeyboardInterrupt):
            train()
    assert len(list((tmp_path / "run" / "samples").glob("*.npy"))) == 6
    again = train()
    assert [(file.name, file.read_bytes()) for file in kept(again)] == [
        (file.name, file.read_bytes()) for file in kept(points)
    ]


def test_vectors_move_over_the_data_in_fixed_axes(points, rendering):
    with rendering():
        path = points.animate()
    found, _ = frames(path)
    assert len(found) == 10
    assert len({frame.size for frame in found}) == 1
    assert path.stat().st_size < 150_000
    first, last = (np.asarray(found[i]).astype(int) for i in (0, -1))
    assert (first != last).any()
    coloured = [np.ptp(frame, axis=2) > 60 for frame in (first, last)]  # samples; data and axes are grey
    assert all(mask.sum() > 50 for mask in coloured)
    moved = (np.abs(first - last).max(axis=2) > 40) & ~coloured[0] & ~coloured[1]
    outside = moved[60:].sum()  # below the title, which counts steps
    assert outside < 0.05 * moved.size


def test_points_are_seen_as_the_model_sees_them(points, monkeypatch):
    """Not a plane of the column of largest values alone, and not the first rows of sorted ones."""
    from pushforward.report import frames as module

    seen = []
    drawn = module.scatter_frames

    def spy(data, rows, titles=()):
        seen.append((data, rows, titles))
        return drawn(data, rows[:1], titles[:1])

    monkeypatch.setattr("pushforward.report.renderers.scatter_frames", spy)
    points.animate(out=points.path / "again.gif")
    ((data, rows, titles),) = seen
    assert len(data) == min(SHOWN, len(points.data.test))
    assert data.std(0).max() < 3
    assert abs(rows[-1].mean()) < 3
    assert titles[-1] == "step 20"


def test_an_interpolation_of_vectors_moves_many_points(points, tmp_path, rendering):
    with rendering():
        found, _ = frames(points.animate("interpolation", out=tmp_path / "paths.gif", steps=4))
    assert len(found) == 2 * 4 - 2
    gan = pf.train("gan", "ring", steps=1, out=tmp_path / "gan", progress=False)
    with rendering():
        found, _ = frames(gan.animate("interpolation", steps=3))
    assert len(found) == 4


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (np.zeros((5, 2), np.float32), r"expected rows of shape \(3,\), found an array of shape \(5, 2\)"),
        (np.array([{"a": 1}]), "expected a .npy file of numpy, found something else"),
    ],
    ids=["shape", "objects"],
)
def test_samples_that_are_damaged_are_named(points, content, found, tmp_path):
    import shutil

    shutil.copytree(points.path, tmp_path / "run")
    np.save(tmp_path / "run" / "samples" / "00000008.npy", content, allow_pickle=True)
    with pytest.raises(DataError, match=f"00000008.npy: {found}"):
        pf.load(tmp_path / "run", data=points.data).animate()


def test_one_dimension_is_a_line(tmp_path, rendering):
    line = np.random.default_rng(0).normal(size=(60, 1)).astype(np.float32)
    run = pf.train("ae", line, steps=2, out=tmp_path / "line", latent_dim=1, progress=False)
    with rendering():
        found, _ = frames(run.animate())
    assert len(found) == 2
