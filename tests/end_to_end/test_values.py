"""A run takes rows in the values of its data, and returns rows in them."""

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.errors import ConfigError, DataError, OutputError

RANDOM = np.random.default_rng(0)
TABLE = np.stack(
    [RANDOM.integers(18, 90, 120), RANDOM.lognormal(10, 1, 120), 1e6 + RANDOM.normal(0, 0.01, 120)], 1
)
IMAGES = RANDOM.integers(0, 256, (60, 6, 6))
IMAGES[0, 0, 0], IMAGES[1, 0, 0] = 0, 255


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    y = np.tile([10, 20, 300], 40)
    out = tmp_path_factory.mktemp("values") / "table"
    return pf.train("vae", (TABLE, y), out=out, steps=3, conditional=True, network="mlp", progress=False)


def test_codes_are_those_of_training(table):
    split = table.data.train
    y = np.tile([10, 20, 300], 40)
    x, _ = split.batch(slice(None))
    wanted = table.model.encode(x, y=split.y)
    names = [table.data.labels[number] for number in split.y]
    assert torch.equal(table.encode(split.x, y=names), wanted.detach())
    assert torch.equal(table.encode(split.x, y=[int(name) for name in names]), wanted.detach())
    loaded = pf.load(table.path)  # without the data
    assert torch.equal(loaded.encode(TABLE, y=y), table.encode(TABLE, y=y))
    alone = loaded.encode(TABLE[:1], y=y[:1])
    assert torch.allclose(alone, table.encode(TABLE, y=y)[:1], atol=1e-6)


def test_samples_are_in_the_units_of_the_data(table):
    samples = table.sample(500)
    assert samples.dtype == torch.float64
    assert (samples[:, 2] - 1e6).abs().max() < 1
    assert samples[:, 1].median() > 1000
    codes = table.encode(samples[:3], y=[10, 20, 300])
    assert torch.isfinite(codes).all()


def test_written_samples_are_in_the_units_of_the_data(table, command):
    assert command("sample", str(table.path), "--n", "7", "--label", "300")[0] == 0
    assert np.array_equal(np.load(table.path / "samples.npy"), table.sample(7, label=300).numpy())


def test_classes_are_asked_for_by_their_values(table):
    assert table.config["data"]["classes"] == ["10", "20", "300"]
    assert torch.equal(table.sample(4, label=20), table.sample(4, label="20"))
    with pytest.raises(ConfigError, match="unknown label 1"):
        table.sample(4, label=1)  # 1 is no value of the labels, though there is a second class
    with pytest.raises(ConfigError, match="labels must be among 10, 20, 300, or -1, got 1"):
        table.encode(TABLE[:1], y=[1])
    codes = table.sample_codes(3)
    assert torch.equal(table.decode(codes, [20] * 3), table.decode(codes, ["20"] * 3))
    x, y = table.held_out(slice(0, 5))
    assert set(y.tolist()) <= {10, 20, 300}
    assert table.reconstruct(x, y).shape == (5, 3)


def test_a_cube_of_channels_is_read_as_in_training(tmp_path):
    """Where height, width and channels are one number, only what was said in training tells the axes."""
    x = RANDOM.random((30, 4, 4, 4))
    run = pf.train("ae", x, channels="last", out=tmp_path / "run", steps=1, progress=False)
    seen, _ = run.data.test.batch(slice(None))
    assert all(any(torch.equal(row, one) for one in run.rows(x)) for row in seen)


def test_a_dark_held_out_image_stops_no_run(tmp_path):
    x = RANDOM.random((60, 6, 6)) * 255
    x[:] = np.where(np.arange(60)[:, None, None] % 2, x, 0.5)
    pf.train("ae", x, out=tmp_path / "run", steps=1, progress=False)


def test_codes_that_are_not_finite_are_refused(table):
    for value in (float("nan"), 1e300):
        with pytest.raises(DataError, match="codes must be finite"):
            table.decode(torch.full((1, 8), value, dtype=torch.float64), y=[10])


def test_paths_need_as_many_ends_as_starts(table):
    with pytest.raises(DataError, match="got 2 starts and 3 ends"):
        table.interpolate_codes(table.sample_codes(2), table.sample_codes(3))


@pytest.mark.parametrize("kind", ["bytes", "floats up to 255", "floats in [0, 1]"])
def test_what_decodes_is_what_encodes(tmp_path, kind):
    x = {"bytes": IMAGES.astype(np.uint8), "floats up to 255": IMAGES + 0.0}.get(kind, IMAGES / 255)
    run = pf.train("ae", x, out=tmp_path / "run", steps=2, progress=False)
    samples = run.sample(5)
    assert (samples.max() > 1) == (kind == "floats up to 255")
    again = run.rows(samples)
    assert torch.allclose(again, run.scaled(samples))
    assert again.max() <= 1
    codes = run.encode(x)
    order = torch.cat([run.encode(split.x) for split in (run.data.train, run.data.test)])
    assert torch.equal(codes.sort(0).values, order.sort(0).values)


def test_other_values_are_refused(tmp_path):
    run = pf.train("ae", IMAGES.astype(np.uint8), out=tmp_path / "run", steps=1, progress=False)
    with pytest.raises(DataError, match="rows: expected numbers from 0 to 1, as in training, found 0 to 255"):
        run.encode(IMAGES + 0.0)


def test_the_flag_is_kept(tmp_path):
    run = pf.train("ae", TABLE, out=tmp_path / "run", steps=1, standardize=False, progress=False)
    assert run.config["data"]["standardize"] is False
    assert run.config["data"]["scaling"] == {"kind": "unscaled"}
    with pytest.raises(OutputError, match="holds another run"):
        pf.train("ae", TABLE, out=tmp_path / "run", steps=1, progress=False)


def test_the_doctor_names_an_offset(tmp_path):
    """Mean 100 and deviation 1: it is the offset that the network learns, and no weight helps."""
    x = RANDOM.normal(100, 1, (200, 2))
    run = pf.train("wae-mmd", x, out=tmp_path / "raw", steps=3, standardize=False, progress=False)
    first = run.doctor()[0]
    assert first.name == "scale of the data"
    assert "standard deviations from 0" in first.words
    run = pf.train("wae-mmd", x, out=tmp_path / "run", steps=3, progress=False)
    assert "scale of the data" not in {finding.name for finding in run.doctor()}


def test_other_names_of_classes_are_other_data(tmp_path):
    """The same rows with the labels 2, 3, 4 in place of 1, 2, 3 are not the same run."""
    x, y = np.random.default_rng(0).normal(size=(90, 3)), np.arange(90) % 3
    arguments = dict(out=tmp_path / "run", steps=1, latent_dim=2, conditional=True, progress=False)
    pf.train("vae", (x, y + 1), **arguments)
    with pytest.raises(OutputError, match=r"another run \(its data's classes: \[\"1\", .*now: \[\"2\""):
        pf.train("vae", (x, y + 2), **arguments)
    # Other data have the run's own classes, of which 4 is none.
    with pytest.raises(ConfigError, match="every row needs a label of its classes, and some are unknown"):
        pf.load(tmp_path / "run", (x, y + 2))


def test_classes_are_returned_as_labels(tmp_path):
    x, y = torch.rand(60, 1, 8, 8), (torch.arange(60) % 3 + 1) * 10
    run = pf.train("aae-semi-supervised", (x, y), out=tmp_path / "run", steps=1, n_labels=12, progress=False)
    assert {*run.classify(x).tolist()} <= {10, 20, 30}
