"""A request to stop is heard at any moment: the run is saved, and one line says how to go on."""

import signal
from contextlib import contextmanager, suppress
from functools import partial

import numpy as np
import pytest
from faulty_disk import FaultyDisk
from tiny import ROWS, TinyRun, fingerprint, left_over

import pushforward as pf
from pushforward import interrupts
from pushforward.cli import main
from pushforward.errors import InterruptedRunError
from pushforward.runs import api, setups
from pushforward.runs import training as run_training
from pushforward.runs.run import Run
from pushforward.training import trainer
from pushforward.training.checkpoints import Checkpoints
from pushforward.training.loop import Loop

STEPS = 3
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]
BEFORE = "before the first step; the same command begins again"
# What is interrupted: the function that hears a signal, and what the user reads.
MOMENTS = {
    "reading": (api, "open_dataset", BEFORE),
    "building": (setups, "seeded", BEFORE),
    "fitting moments": (run_training, "match_moments", BEFORE),
    "measuring the speed": (trainer.Loop, "restore", BEFORE),
    "a step": (Loop, "advance", "at step 1 of 3; go on with: pushforward resume"),
    "samples": (run_training, "_save_samples", "at step 1 of 3; go on with: pushforward resume"),
    "a checkpoint": (Checkpoints, "write", "at step 1 of 3; go on with: pushforward resume"),
    "the overview": (Run, "overview", "at step 3 of 3; go on with: pushforward resume"),
}


@pytest.fixture(autouse=True)
def no_signal_is_ignored():
    """As in a terminal: a shell starts what runs in the background with SIGINT ignored."""
    ignored = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(autouse=True, scope="module")
def few_steps_of_fitting():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_training, "match_moments", partial(run_training.match_moments, steps=2))
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    tiny = TinyRun("wae-mmd", STEPS, latent_dim=2, preset="official", network="mlp")  # it fits moments
    with FaultyDisk():
        return tiny, fingerprint(tiny.train(tmp_path_factory.mktemp("whole") / "run").path)


@contextmanager
def asked_at(monkeypatch, place, name, *numbers):
    """Within, the first call of a function hears signals before it begins."""
    with monkeypatch.context() as patch:
        real, pending = getattr(place, name), list(numbers)

        def heard(*arguments, **named):
            while pending:
                signal.raise_signal(pending.pop(0))
            return real(*arguments, **named)

        patch.setattr(place, name, heard)
        yield


def moments():
    """Every signal at every moment, of which every signal and every moment is for every day."""
    for moment in MOMENTS:
        for number in SIGNALS:
            daily = number == signal.SIGTERM or moment == "a step"
            marks = [] if daily else pytest.mark.soak
            yield pytest.param(moment, number, marks=marks, id=f"{moment}-{number.name}")


@pytest.mark.parametrize(("moment", "number"), [*moments()])
def test_a_run_is_stopped_at_any_moment_and_goes_on_to_the_same_bits(
    moment, number, whole, tmp_path, monkeypatch
):
    tiny, bits = whole
    place, name, printed = MOMENTS[moment]
    budget = {"steps": None, "minutes": 0.001} if moment == "measuring the speed" else {}
    before = [signal.getsignal(one) for one in SIGNALS]
    with FaultyDisk(), asked_at(monkeypatch, place, name, number):
        with pytest.raises(InterruptedRunError, match=f"stopped by {number.name} {printed}"):
            tiny.train(tmp_path / "run", **budget)
        assert not (tmp_path / "run").exists() or left_over(tmp_path / "run") == []
        assert [signal.getsignal(one) for one in SIGNALS] == before
        tiny.train(tmp_path / "run")
    assert fingerprint(tmp_path / "run") == bits


def test_a_second_signal_does_not_wait_for_the_checkpoint(whole, tmp_path, monkeypatch):
    """It leaves nothing behind, and the checkpoint before is gone on with."""
    tiny, bits = whole
    writes = []
    write = trainer.Checkpoints.write

    def third(checkpoints, *arguments):
        writes.append(checkpoints)
        if len(writes) == 2:
            with asked_at(monkeypatch, pf.files.disk, "sync", signal.SIGTERM, signal.SIGTERM):
                return write(checkpoints, *arguments)
        return write(checkpoints, *arguments)

    with FaultyDisk(), monkeypatch.context() as patch:
        patch.setattr(trainer.Checkpoints, "write", third)
        with pytest.raises(InterruptedRunError, match="stopped by SIGTERM at step 2 of 3, saved at 1; go on"):
            tiny.train(tmp_path / "run")
        assert left_over(tmp_path / "run") == []
        tiny.train(tmp_path / "run")
    assert fingerprint(tmp_path / "run") == bits


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1], ids=lambda number: number.name)
def test_the_command_ends_with_75_while_it_evaluates(number, tmp_path, monkeypatch, capsys):
    words = ["train", "ae", "digits", "--latent-dim", "2", "--steps", "2", "--out", str(tmp_path / "run")]
    with asked_at(monkeypatch, Run, "doctor", number), pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 75
    said = f"error: stopped by {number.name} while it evaluated; go on with: pushforward resume {tmp_path}"
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_comparison_ends_with_75_too(tmp_path, monkeypatch, capsys):
    words = ["compare", "ae", "--data", "digits", "--seeds", "0", "--steps", "2", "--features", "pca"]
    with asked_at(monkeypatch, Run, "evaluate_once", signal.SIGTERM), pytest.raises(SystemExit) as stop:
        main([*words, "--out", str(tmp_path)])
    assert stop.value.code == 75
    printed = capsys.readouterr().err.splitlines()[-1]
    assert printed == "error: stopped by SIGTERM in a comparison; the same comparison goes on"


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_other_commands_end_with_the_number_of_the_signal(number, whole, tmp_path, monkeypatch, capsys):
    tiny, _ = whole
    with FaultyDisk():
        folder = tiny.train(tmp_path / "run").path
    capsys.readouterr()
    with asked_at(monkeypatch, Run, "sample_parts", number), pytest.raises(SystemExit) as stop:
        main(["sample", str(folder)])
    assert stop.value.code == 128 + number
    advice = "before its output was written; the same command begins again"
    assert capsys.readouterr().err == f"error: stopped by {number.name} {advice}\n"
    assert left_over(folder) == []


def test_a_command_that_writes_a_file_leaves_nothing_and_begins_again(whole, tmp_path, monkeypatch, capsys):
    """Whenever the signal comes: the file appears by its rename."""
    tiny, _ = whole
    with FaultyDisk():
        folder = tiny.train(tmp_path / "run").path
    np.save(tmp_path / "x.npy", ROWS.numpy())
    words = ["encode", str(folder), str(tmp_path / "x.npy"), "--out", str(tmp_path / "out" / "codes.npy")]
    capsys.readouterr()
    for place, name in ((Run, "_opened"), (Run, "_encode"), (pf.files.disk, "replace")):
        with asked_at(monkeypatch, place, name, signal.SIGTERM), pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 143
        printed = capsys.readouterr().err.splitlines()[-1]
        assert printed.endswith("SIGTERM before its output was written; the same command begins again")
        assert not [*(tmp_path / "out").iterdir()]
    with pytest.raises(SystemExit, match="0"):
        main(words)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["codes.npy"]


def test_a_pack_that_is_stopped_goes_on(tmp_path, monkeypatch, capsys):
    words = ["pack", "digits", str(tmp_path / "pack")]
    with asked_at(monkeypatch, pf.files.disk, "sync", signal.SIGTERM), pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 75
    said = "error: stopped by SIGTERM with a part packed; the same command goes on"
    assert capsys.readouterr().err.splitlines()[-1] == said
    with pytest.raises(SystemExit, match="0"):
        main(words)
    assert pf.open_dataset(tmp_path / "pack").fingerprint == pf.open_dataset("digits").fingerprint


def test_what_the_process_ignores_is_still_ignored(whole, tmp_path, monkeypatch):
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with FaultyDisk(), asked_at(monkeypatch, Loop, "advance", signal.SIGHUP):
            assert whole[0].train(tmp_path / "run").step == STEPS
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_a_thread_signals_are_left_to_the_program(whole, tmp_path):
    import threading

    done = []
    with FaultyDisk():
        thread = threading.Thread(target=lambda: done.append(whole[0].train(tmp_path / "run")))
        thread.start()
        thread.join()
    assert done[0].step == STEPS


def test_a_signal_that_was_noted_is_forgotten_after_an_error():
    with interrupts.stop_on_signals():
        with suppress(ZeroDivisionError), interrupts.deferred() as stopped:
            signal.raise_signal(signal.SIGTERM)
            raise ZeroDivisionError
        with interrupts.deferred() as stopped:
            assert not stopped()


@pytest.mark.parametrize("tick", [0.0, 7.0, 1e4])
def test_what_a_run_comes_to_does_not_depend_on_the_clock(tick, whole, tmp_path, monkeypatch):
    """A checkpoint that is due by the clock is one more to go back to, and changes nothing else."""
    tiny, bits = whole
    now = [0.0]

    def clock():
        now[0] += tick
        return now[0]

    monkeypatch.setattr(trainer.Trainer.__init__, "__defaults__", (clock,))
    with FaultyDisk():
        tiny.train(tmp_path / "run")
    assert fingerprint(tmp_path / "run") == bits
