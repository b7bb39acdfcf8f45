"""A run is evaluated on other data that fit it, and never in the place of its own evaluation."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.data import open_dataset
from pushforward.errors import ConfigError, DataError

DIGITS = open_dataset("digits")
QUICK = {"features": "pca", "metrics": ["samples", "reference", "reconstruction"]}


@pytest.fixture
def shifted():
    """Held-out digits, darker."""
    return DIGITS.test.batch(slice(0, 100)).x * 0.5


def test_other_data_are_evaluated_as_held_out_rows_next_to_the_own_training_rows(trained, shifted):
    """The numbers are those of pf.score with the run's samples and, but for their choice, training rows."""
    run = pf.load(trained.path, data=shifted)
    found = run.evaluate(**QUICK)
    assert found["data"]["name"].startswith("array-")
    assert (found["data"]["n_rows"], found["data"]["training_rows"]) == (100, "digits")
    assert repr(found).startswith("step 300; evaluated on all 100 rows of array-")
    assert "not on the data it was trained on (digits)" in repr(found).splitlines()[0]
    samples = torch.cat(list(run.evaluation_context().drawn()))
    scored = pf.score(shifted, samples, train=DIGITS.train.x, features="pca")
    assert found["samples"]["fd"]["value"] == pytest.approx(scored["samples"]["fd"]["value"], rel=1e-4)
    assert found["reference"]["fd"]["value"] == pytest.approx(scored["reference"]["fd"]["value"], rel=0.2)


def test_an_evaluation_on_other_data_is_no_evaluation_of_the_run(trained, shifted):
    own = trained.evaluate(**QUICK)
    before = {path.name for path in trained.path.iterdir()}
    run = pf.load(trained.path, data=shifted)
    other = run.evaluate(**QUICK)
    kept = {path.name for path in trained.path.iterdir()} - before
    assert kept <= {"evaluations"}
    name = f"{other['data']['name']}-{other['data']['sha256'][:6]}.json"
    assert json.loads((trained.path / "evaluations" / name).read_text()) == other
    assert trained.evaluate_once(**QUICK) == own
    run.evaluate(**QUICK | {"sampler": "gmm"})
    assert (trained.path / "evaluations" / name.replace(".json", "-gmm.json")).exists()


@pytest.mark.parametrize(
    "ask", [pf.Run.doctor, pf.Run.report, pf.Run.overview, pf.Run.evaluate_once, pf.compare]
)
def test_what_is_about_the_own_data_refuses_others(ask, trained, shifted):
    run = pf.load(trained.path, data=shifted)
    with pytest.raises(ConfigError, match=r"was loaded to be evaluated on array-\w+, .* without data="):
        ask(run)


def test_the_own_data_by_another_door_are_the_own_data(trained):
    run = pf.load(trained.path, data=DIGITS)
    assert run.other is None
    assert "data" not in run.evaluate(**QUICK)


BAD = {
    "another shape": (lambda: torch.rand(30, 1, 9, 9), r"expected image data of shape \(1, 8, 8\), as"),
    "another modality": (lambda: torch.rand(30, 64), r"found vector data of shape \(64,\)"),
    "values": (lambda: torch.randn(30, 1, 8, 8), "expected numbers from 0 to 1, as in training"),
    "a table": (lambda: pd.DataFrame({"a": [1, 2, 3] * 10, "b": range(30)}), "found table data"),
    "nothing": (lambda: "no-such.npy", "does not exist"),
    "too few": (lambda: torch.rand(1, 1, 8, 8), "expected at least 2 rows, found 1"),
    "no data": (lambda: 3, "expected data, found int"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_data_that_do_not_fit_are_refused(what, trained):
    make, message = BAD[what]
    with pytest.raises(DataError, match=message):
        pf.load(trained.path, data=make())


def test_a_conditional_model_needs_a_label_of_its_classes(tmp_path):
    x, y = torch.rand(60, 3), np.array(["a", "b"] * 30)
    run = pf.train("wae-mmd", (x, y), out=tmp_path / "run", conditional=True, steps=2, progress=False)
    with pytest.raises(ConfigError, match="every row needs a label of its classes, and there are none"):
        pf.load(run.path, data=x)
    with pytest.raises(ConfigError, match="and some are unknown"):
        pf.load(run.path, data=(x, np.array(["a", "c"] * 30)))
    assert pf.load(run.path, data=(x * 0.9, y)).other is not None


def test_without_the_own_training_rows_half_of_the_others_stand_in(tmp_path):
    x = torch.randn(120, 3)
    run = pf.train("ae", x, out=tmp_path / "run", steps=2, latent_dim=2, progress=False)
    found = pf.load(run.path, data=x[:80] + 1).evaluate(**QUICK)
    assert found["data"]["n_rows"] == 40
    assert found["data"]["training_rows"] == found["data"]["name"]
    assert "of which the other half stand in for the training rows" in repr(found)


def test_on_the_command_line(trained, command, tmp_path, shifted):
    np.save(tmp_path / "dark.npy", shifted.numpy())
    code, out, err = command("evaluate", trained.path, "--data", tmp_path / "dark.npy", "--features", "pca")
    assert code == 0, err
    assert "evaluated on all 100 rows of dark, not on the data it was trained on (digits)" in out
    assert "try next" not in out  # the summary is of the own data
    for verb in ("doctor", "sample", "reconstruct", "interpolate", "report"):
        code, _, err = command(verb, trained.path, "--data", tmp_path / "dark.npy")
        assert code != 0
        assert "was loaded to be evaluated on dark" in err
        assert "without --data" in err
    code, _, err = command("resume", trained.path, "--steps", "+1", "--data", tmp_path / "dark.npy")
    assert code != 0
    assert "dark is not what the run was trained on: sha256 should be" in err


def test_of_a_table_the_schema_is_that_of_the_run(tmp_path):
    frame = pd.DataFrame({"n": np.arange(80) % 7, "town": ["Rome", "Oslo"] * 40})
    run = pf.train("vae", frame, out=tmp_path / "run", steps=2, progress=False)
    found = pf.load(run.path, data=frame[10:60]).evaluate(metrics=["table"])
    assert found["data"]["n_rows"] == 25
    with pytest.raises(DataError, match="town"):
        pf.load(run.path, data=frame.assign(town="Bern"))
    with pytest.raises(DataError, match="town"):
        pf.load(run.path, data=frame[["n"]])


def test_to_overwrite_a_run_removes_evaluations_on_other_data(tmp_path):
    x = torch.randn(60, 3)
    options = {"out": tmp_path / "run", "steps": 2, "latent_dim": 2, "progress": False}
    pf.train("ae", x, **options)
    pf.load(tmp_path / "run", data=x + 1).evaluate(**QUICK)
    assert pf.load(tmp_path / "run", data=x + 1).outdated == []
    assert (tmp_path / "run" / "evaluations").exists()
    pf.train("ae", x, **options, overwrite=True)
    assert not (tmp_path / "run" / "evaluations").exists()


def test_the_own_held_out_rows_are_none_of_the_others(tmp_path):
    """A run whose held-out rows have a file of their own does not add them to other data."""
    x = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "test.npy", x[:40] + 0.1)
    run = pf.train("ae", tmp_path / "x.npy", test=tmp_path / "test.npy", out=tmp_path / "run", steps=2,
                   latent_dim=2, progress=False)  # fmt: skip
    other = pf.load(run.path, data=x[:50] * 0.5)
    assert len(other.evaluation_data.test) == 50
    assert len(other.evaluation_data.train) == 120
    assert pf.load(run.path, data=tmp_path / "x.npy").other is None
