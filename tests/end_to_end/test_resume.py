"""Stopped anywhere and resumed, a run is bit for bit the run that was not stopped."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import torch
from speed import quick

import pushforward as pf
from pushforward.errors import CheckpointError, DataError, InterruptedRunError, OutputError
from pushforward.runs.config import SCHEMA
from pushforward.training.checkpoints import KEEP, Checkpoints
from pushforward.training.loop import Loop

STEPS = 60
RECIPES = {
    "wae-mmd": {"weight": "auto"},
    "wae-gan": {"input_noise": 0.05, "posterior": "gaussian"},
    "vae": {"cost": "gaussian-learnt"},
    "ae": {"conditional": True},
    "avb": {},
    "aae-label-regularised": {"n_labels": 30},
    "aae-supervised": {},
    "aae-reduction": {"n_labels": 30},
    "aae-clustering": {"n_critic": 2},
}


def fingerprint(folder):
    """The sha256 of everything a checkpoint holds, and of the history."""
    newest, _ = Checkpoints(folder / "checkpoints").newest()
    tensors, numbers = newest.tensors, newest.numbers
    digest = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode())
    for part in sorted(tensors):
        for name, value in sorted(tensors[part].items()):
            digest.update(f"{part}/{name}{value.dtype}{tuple(value.shape)}".encode())
            digest.update(value.contiguous().numpy().tobytes())
    digest.update((folder / "history.jsonl").read_bytes())
    return digest.hexdigest()


@pytest.mark.parametrize("recipe", quick(RECIPES, "wae-mmd", "wae-gan"))
def test_a_stopped_run_goes_on_bit_for_bit(recipe, tmp_path, monkeypatch):
    arguments = dict(batch_size=50, seed=7, steps=STEPS, progress=False, **RECIPES[recipe])
    if recipe != "aae-label-regularised":  # whose prior lies in the plane
        arguments["latent_dim"] = 3
    pf.train(recipe, "digits", out=tmp_path / "whole", **arguments)

    advance = Loop.advance
    for stop in (17, 41):  # not at the end of an epoch, nor where history or checkpoints are due

        def interrupted(loop, stop=stop):
            if loop.step == stop - 1:
                signal.raise_signal(signal.SIGTERM)
            return advance(loop)

        monkeypatch.setattr(Loop, "advance", interrupted)
        with pytest.raises(
            InterruptedRunError,
            match=f"stopped by SIGTERM at step {stop} of {STEPS}; go on with: pushforward resume",
        ):
            pf.train(recipe, "digits", out=tmp_path / "stopped", **arguments)
    monkeypatch.setattr(Loop, "advance", advance)
    pf.resume(tmp_path / "stopped", progress=False)
    assert fingerprint(tmp_path / "stopped") == fingerprint(tmp_path / "whole")


def test_looking_at_a_learnt_prior_does_not_change_it(tmp_path, monkeypatch):
    """The prior of ARAE has BatchNorms; warnings are read again from the history of a run that goes on."""
    arguments = dict(steps=6, latent_dim=8, batch_size=16, progress=False)
    pf.train("arae", "phrases", out=tmp_path / "whole", **arguments)
    advance = Loop.advance

    def interrupted(loop):
        if loop.step == 3:
            signal.raise_signal(signal.SIGTERM)
        return advance(loop)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "advance", interrupted)
        with pytest.raises(InterruptedRunError):
            pf.train("arae", "phrases", out=tmp_path / "stopped", **arguments)
    pf.resume(tmp_path / "stopped", progress=False)
    assert fingerprint(tmp_path / "stopped") == fingerprint(tmp_path / "whole")


@pytest.mark.parametrize("again", [False, True])
def test_every_step_is_taken_in_training_mode(again, tmp_path, monkeypatch):
    """BatchNorm, dropout and spectral norms do another thing in evaluation mode, and no term says so."""
    folder, modes = tmp_path / "run", []
    advance = Loop.advance

    def watched(loop):
        modes.append([module.training for module in loop.model.modules()])
        if again and loop.step == 2:
            signal.raise_signal(signal.SIGTERM)
        return advance(loop)

    monkeypatch.setattr(Loop, "advance", watched)
    train = partial(pf.train, "wae-mmd", "digits", out=folder, steps=4, progress=False)
    if again:
        with pytest.raises(InterruptedRunError):
            train()
    run = train()
    assert len(modes) >= 4
    assert all(map(all, modes))
    assert not run.model.training


@pytest.mark.slow
def test_the_command_is_stopped_by_sigterm_and_resumed_in_another_process(tmp_path):
    words = ["train", "wae-mmd", "digits", "--latent-dim", "3", "--steps", "400", "--seed", "3"]
    words += ["--evaluate", "none", "--no-pictures"]
    command = [sys.executable, "-m", "pushforward"]

    def environment(hash_seed):
        return {**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"}

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    subprocess.run([*command, *words, "--out", whole], env=environment("1"), check=True, capture_output=True)
    with subprocess.Popen(
        [*command, *words, "--out", stopped], env=environment("1"), stderr=subprocess.PIPE, text=True
    ) as process:
        history = stopped / "history.jsonl"
        while not (history.exists() and history.stat().st_size):  # training has begun
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate()
    assert (process.returncode, "Traceback" in err) == (75, False)
    subprocess.run([*command, "resume", stopped], env=environment("2"), check=True, capture_output=True)
    assert fingerprint(stopped) == fingerprint(whole)


def test_the_same_command_again_trains_nothing_anew(trained, monkeypatch):
    before = fingerprint(trained.path)
    monkeypatch.setattr(Loop, "advance", None)
    again = pf.train("wae-mmd", "digits", out=trained.path, latent_dim=4, steps=300, progress=False)
    assert again.step == 300
    assert fingerprint(trained.path) == before


def test_a_folder_of_another_run_is_refused_by_what_differs(trained):
    with pytest.raises(OutputError, match=r"holds another run \(its arguments: .*4.*now: .*5"):
        pf.train("wae-mmd", "digits", out=trained.path, latent_dim=5, steps=300, progress=False)
    with pytest.raises(OutputError, match=r"holds another run \(its recipe"):
        pf.train("vae", "digits", out=trained.path, latent_dim=4, steps=300, progress=False)


def test_a_flipped_bit_is_found_and_the_checkpoint_before_it_is_used(tmp_path):
    run = pf.train("ae", "digits", out=tmp_path / "run", latent_dim=2, steps=20, progress=False)
    checkpoints = Checkpoints(run.path / "checkpoints")
    older, newer = checkpoints.steps()
    weights = checkpoints.place(newer) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model.safetensors is damaged: sha256 should be \w+, is \w+"):
        checkpoints.read(newer)
    assert checkpoints.newest()[0].step == older
    with pytest.warns(UserWarning, match=f"damaged.*using the checkpoint of step {older}"):
        assert pf.load(run.path).step == older
    pf.resume(run.path, progress=False)
    assert checkpoints.newest()[0].step == newer


def test_data_that_changed_are_refused(tmp_path, digits):
    x = digits.train.x
    run = pf.train("ae", x, out=tmp_path / "run", latent_dim=2, steps=5, progress=False)
    with pytest.raises(DataError, match="in memory"):
        pf.resume(run.path, progress=False)
    with pytest.raises(DataError, match="is not what the run was trained on: sha256"):
        pf.resume(run.path, data=x[1:], progress=False)
    assert pf.resume(run.path, data=x, progress=False).step == 5


def test_two_arrays_of_one_session_have_two_folders(tmp_path, monkeypatch):
    """The same call with the same array goes on with its run; another array is another run."""
    monkeypatch.chdir(tmp_path)
    first, second = np.random.default_rng(0).normal(size=(2, 40, 3))
    paths = [pf.train("ae", x, steps=2, progress=False).path for x in (first, second, first.copy())]
    assert paths[0] == paths[2]
    assert paths[0] != paths[1]
    assert all(path.parent == tmp_path / "runs" and path.name.startswith("ae-array-") for path in paths)


@pytest.fixture(scope="module")
def from_memory(tmp_path_factory):
    """A run on arrays in memory, and a file of the same arrays."""
    folder = tmp_path_factory.mktemp("memory")
    x, y = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32), np.arange(60) % 2
    np.savez(folder / "rows.npz", x=x, y=y)
    pf.train("wae-mmd", (x, y), out=folder / "run", conditional=True, latent_dim=2, steps=2, progress=False)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "--n-samples", 20, "--features", "pca"], ["doctor", "--features", "pca"],
        ["report", "--features", "pca"], ["reconstruct", "--n", 2], ["interpolate", "--n", 2],
        ["transfer", "--to", 1], ["sample", "--sampler", "gmm", "--n", 2], ["resume"], ["compare"],
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_commands_take_a_file_of_data_that_were_in_memory(words, from_memory, command, tmp_path):
    name, *rest = words
    rest += ["--out", tmp_path / "compared", "--features", "pca"] if name == "compare" else []
    code, _, err = command(name, from_memory / "run", *rest)
    assert code != 0
    assert "was trained on data in memory" in err
    assert command(name, from_memory / "run", *rest, "--data", from_memory / "rows.npz")[0] == 0


def test_data_that_have_moved_are_named_and_can_be_given(command, tmp_path):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).random((60, 3)))
    command("train", "ae", tmp_path / "rows.npy", "--steps", 2, "--out", tmp_path / "run")
    (tmp_path / "rows.npy").rename(tmp_path / "moved.npy")
    code, _, err = command("resume", tmp_path / "run", "--steps", "+1")
    assert code != 0
    assert "rows.npy, which is no longer there; name its new place: --data FILE" in err
    assert command("resume", tmp_path / "run", "--steps", "+1", "--data", tmp_path / "moved.npy")[0] == 0


def test_a_file_of_other_data_is_refused(from_memory, command, tmp_path):
    np.save(tmp_path / "other.npy", np.zeros((60, 3)))
    code, _, err = command("resume", from_memory / "run", "--data", tmp_path / "other.npy")
    assert code != 0
    assert "other is not what the run was trained on: sha256 should be" in err


def test_a_diverged_run_stops_before_the_step_and_names_the_term(tmp_path):
    from pushforward.errors import DivergedError

    with pytest.raises(
        DivergedError, match=r"step \d+: the model's loss is not finite: reconstruction = (nan|inf)"
    ):
        pf.train("ae", "digits", out=tmp_path / "run", latent_dim=2, lr=1e30, steps=200, progress=False)


def test_minutes_become_steps_and_measuring_the_speed_leaves_no_trace(tmp_path):
    run = pf.train("ae", "digits", out=tmp_path / "timed", latent_dim=2, minutes=0.01, progress=False)
    steps = run.config["total_steps"]
    assert run.step == steps >= 1
    other = pf.train("ae", "digits", out=tmp_path / "counted", latent_dim=2, steps=steps, progress=False)
    assert all((a == b).all() for a, b in zip(run.model.parameters(), other.model.parameters(), strict=True))


def test_trainer_writes_history_pictures_and_checkpoints(trained, rendering):
    lines = trained.history
    assert lines[-1]["step"] == 300
    assert set(lines[-1]["terms"]) == {"reconstruction", "discrepancy"}
    assert set(lines[-1]["diagnostics"]) == {"std", "mmd"}
    assert len(list((trained.path / "samples").glob("*.png"))) == 10
    assert len(Checkpoints(trained.path / "checkpoints").steps()) == KEEP
    assert (trained.path / "overview.png").exists()
    with rendering():  # the command line draws it anew, in other tests without rendering it
        assert trained.overview(False).stat().st_size > 10_000


def test_pretraining_is_derived_too(tmp_path):
    """Dropout in a module of one's own draws from torch's generator; the run's seed decides all the same."""

    def run(name, state):
        torch.manual_seed(0)
        encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(64, 2))
        torch.manual_seed(state)
        settings = {"preset": "official", "network": "mlp", "latent_dim": 2, "encoder": encoder}
        return pf.train("wae-mmd", "digits", out=tmp_path / name, steps=3, progress=False, **settings)

    one, other = run("one", 1), run("other", 2)
    assert all((a == b).all() for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True))


def test_an_overview_that_is_missing_is_drawn_again(trained):
    (trained.path / "overview.png").unlink()
    pf.resume(trained.path, progress=False)
    assert (trained.path / "overview.png").exists()


def test_a_run_of_an_older_version_is_refused_by_its_version(tmp_path, command):
    run = pf.train("ae", "digits", out=tmp_path / "run", latent_dim=2, steps=5, progress=False)
    config = json.loads((run.path / "config.json").read_text())
    config |= {"schema": 1, "versions": {"pushforward": "0.0.1"}}
    (run.path / "config.json").write_text(json.dumps(config))
    shutil.rmtree(run.path / "checkpoints")  # which hold copies of the configuration now
    refused = (
        f"was made by pushforward 0.0.1: its configuration has schema 1, this version reads schema {SCHEMA}"
    )
    for call in (pf.load, pf.resume):
        with pytest.raises(OutputError, match=refused):
            call(run.path)
    code, _, err = command("train", "ae", "digits", "--out", run.path, "--latent-dim", 2, "--steps", 5)
    assert code == 74
    assert refused in err.splitlines()[-1]
    again = pf.train("ae", "digits", out=run.path, latent_dim=2, steps=5, progress=False, overwrite=True)
    assert again.step == 5


def test_an_option_that_repeats_the_preset_is_the_same_run(trained):
    assert trained.config["resolved"]["kernel"] == "imq"
    same = dict(kernel="imq", prior_std=1, latent_dim=4)
    assert pf.train("wae-mmd", "digits", out=trained.path, steps=300, progress=False, **same).step == 300


def test_the_command_trains_a_run_longer(tmp_path, command):
    words = ("train", "ae", "digits", "--out", tmp_path / "run", "--latent-dim", 2, "--steps")
    command(*words, 2)
    code, _, err = command(*words, 5)
    assert code == 74
    assert (
        "another budget (2 steps, now: 5 steps); to train it longer, for example: pushforward resume" in err
    )
    code, _, err = command("resume", tmp_path / "run", "--steps", "+3")
    assert (code, "extended from 2 to 5 steps" in err) == (0, True)
    assert command(*words, 5)[0] == 0
