"""A run that is trained longer is the run that had its whole budget from the first step on."""

import shutil
from contextlib import suppress

import pytest
import torch
from faulty_disk import FaultyDisk, Killed
from tiny import TinyRun, left_over

import pushforward as pf
from pushforward.errors import ConfigError, OutputError
from pushforward.training.checkpoints import Checkpoints
from pushforward.training.loop import Loop

# One with a critic, one of a single player, one with a weight that adapts, and one without an encoder.
RECIPES = {
    "wae-gan": {"latent_dim": 2},
    "vae": {"latent_dim": 2},
    "wae-mmd": {"latent_dim": 2, "weight": "auto"},
    "gan": {"latent_dim": 2},
}


def state(folder):
    """All tensors of the newest checkpoint: weights and moments."""
    found, faults = Checkpoints(folder / "checkpoints").newest()
    assert faults == []
    return {f"{file}/{name}": value for file, part in found.tensors.items() for name, value in part.items()}


def assert_same(folder, other):
    found, wanted = state(folder), state(other)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.fixture(scope="module")
def tiny():
    return TinyRun("vae", 4, latent_dim=2, schedule="constant")


@pytest.fixture(scope="module")
def short(tiny, tmp_path_factory):
    """A run of 4 steps."""
    return tiny.train(tmp_path_factory.mktemp("short") / "run").path


@pytest.fixture(scope="module")
def long(tiny, tmp_path_factory):
    """The same run of 7 steps."""
    return tiny.train(tmp_path_factory.mktemp("long") / "run", steps=7).path


@pytest.fixture
def run(short, tmp_path):
    """A copy of the short run."""
    shutil.copytree(short, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("recipe", RECIPES)
def test_with_constant_rates_it_has_the_bits_of_one_longer_run(recipe, tmp_path):
    tiny = TinyRun(recipe, 4, schedule="constant", **RECIPES[recipe])
    tiny.train(tmp_path / "run")
    longer = pf.resume(tmp_path / "run", tiny.data, steps="+3", progress=False)
    assert longer.step == longer.config["total_steps"] == 7
    assert [one["total_steps"] for one in longer.config["earlier_budgets"]] == [4]
    tiny.train(tmp_path / "whole", steps=7)
    assert_same(tmp_path / "run", tmp_path / "whole")
    assert [line["step"] for line in longer.history] == [1, 2, 3, 4, 5, 6, 7]


def test_totals_and_passes_over_the_data(tiny, run, long):
    """16 training rows in batches of 5 are 3 steps a pass."""
    assert pf.resume(run, tiny.data, steps=6, progress=False).step == 6
    assert pf.resume(run, tiny.data, steps=6, progress=False).step == 6  # once more changes nothing
    assert pf.resume(run, tiny.data, epochs=2.1, progress=False).step == 7
    assert_same(run, long)
    longer = pf.resume(run, tiny.data, epochs="+1", progress=False)
    assert [one["total_steps"] for one in longer.config["earlier_budgets"]] == [4, 6, 7]


def test_minutes_are_measured(tiny, run, tmp_path):
    longer = pf.resume(run, tiny.data, minutes="+0.002", progress=False)
    assert longer.step > 4
    tiny.train(tmp_path / "whole", steps=longer.step)
    assert_same(run, tmp_path / "whole")


def test_a_run_that_was_stopped_before_its_end_is_extended_beyond_it(tiny, long, tmp_path):
    folder = tmp_path / "run"
    with FaultyDisk("kill", 90), pytest.raises(Killed):
        tiny.train(folder)
    assert 0 < Checkpoints(folder / "checkpoints").newest()[0].step < 4
    assert pf.resume(folder, tiny.data, steps="+3", progress=False).step == 7
    assert_same(folder, long)


def test_commands_with_the_budget_of_before_and_of_now_go_on_with_it(tiny, run):
    with pytest.raises(
        OutputError, match=r"this run with another budget \(4 steps, now: 7 steps\); .*resume .*"
    ):
        tiny.train(run, steps=7)
    pf.resume(run, tiny.data, steps=7, progress=False)
    assert tiny.train(run, steps=7).step == 7
    assert tiny.train(run).step == 7
    with pytest.raises(OutputError, match=r"with another budget \(7 steps, now: 5 steps\)"):
        tiny.train(run, steps=5)


@pytest.mark.parametrize("budget", [{"steps": "+3"}, {"minutes": "+0.003"}])
def test_a_stopped_extension_goes_on_with_the_same_command(budget, tiny, run, monkeypatch):
    """A queue repeats a command that ended with 75: what was added is not added again."""
    advance = Loop.advance

    def stopped(loop):
        if loop.step == 5 and loop.total < 1_000_000:  # not while the speed is measured
            raise KeyboardInterrupt
        return advance(loop)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "advance", stopped)
        with pytest.raises(KeyboardInterrupt):
            pf.resume(run, tiny.data, progress=False, **budget)
    total = pf.load(run, tiny.data).config["total_steps"]
    assert pf.resume(run, tiny.data, progress=False, **budget).step == total
    assert pf.resume(run, tiny.data, progress=False, **budget).step > total  # it has had all of it


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.soak) for part in range(1, 12))])
def test_a_kill_at_any_file_operation_of_an_extension_loses_nothing(part, tiny, short, long, tmp_path):
    def extend(folder, **budget):
        return pf.resume(folder, tiny.data, progress=False, **budget)

    shutil.copytree(short, tmp_path / "counted")
    with FaultyDisk() as faulty:
        extend(tmp_path / "counted", steps=7)
    for number in range(part, len(faulty.calls), 12):
        folder = tmp_path / str(number)
        shutil.copytree(short, folder)
        with FaultyDisk("kill", number), suppress(Killed):
            extend(folder, steps=7)
        with FaultyDisk():
            extend(folder, steps=7)
        assert_same(folder, long)
        assert left_over(folder) == []


def test_a_damaged_configuration_does_not_undo_an_extension(tiny, run, monkeypatch):
    """The newest checkpoint holds the new configuration before the first step of the extension."""

    def stop(trainer):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pushforward.training.trainer.Trainer.run", stop)
        with pytest.raises(KeyboardInterrupt):
            pf.resume(run, tiny.data, steps=7, progress=False)
    (run / "config.json").write_text("{")
    with pytest.warns(UserWarning, match="the copy in the checkpoint of step 4 is used"):
        assert pf.resume(run, tiny.data, progress=False).step == 7


def test_what_becomes_of_the_schedule_is_said(tmp_path, capsys):
    tiny = TinyRun("vae", 4, latent_dim=2, schedule="cosine")
    tiny.train(tmp_path / "run")
    pf.resume(tmp_path / "run", tiny.data, steps="+4")
    said = "from 4 to 8 steps; schedule cosine: at step 4 the learning rates go from 0.02 to 0.55 of the full"
    assert said in capsys.readouterr().err
    steady = TinyRun("vae", 4, latent_dim=2, schedule="constant")
    steady.train(tmp_path / "steady")
    pf.resume(tmp_path / "steady", steady.data, steps="+4")
    assert "schedule constant: the learning rates go on as they were" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"steps": 3}, "a run can only be trained longer: it has 4 steps, got 3"),
        ({"steps": "+0"}, "steps must be at least 1, got 0"),
        ({"steps": "-3"}, "steps must be at least 1, got -3"),
        ({"steps": "many"}, r"steps must be a whole number such as 100 or \+100, got 'many'"),
        ({"minutes": 3}, r"minutes must be added to a run, with a plus sign, as in \+3; got 3"),
        ({"steps": "+3", "epochs": "+3"}, "expected one budget, got steps and epochs"),
        ({"epochs": "+nan"}, r"epochs must be above 0 and at most 1e\+09, got nan"),
    ],
)
def test_bad_extensions_change_nothing(budget, said, tiny, run):
    before = (run / "config.json").read_bytes()
    with pytest.raises(ConfigError, match=said):
        pf.resume(run, tiny.data, progress=False, **budget)
    assert (run / "config.json").read_bytes() == before
