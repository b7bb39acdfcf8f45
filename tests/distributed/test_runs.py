"""Runs of several processes, as torchrun starts them: one folder, stops, errors, another number of them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from many import in_processes, largest_difference, started
from safetensors.torch import load_file

import pushforward as pf
from pushforward import process_group
from pushforward.cli import main
from pushforward.errors import ConfigError
from pushforward.recipes import RECIPES
from pushforward.training import Loop

ROOT = Path(pf.__file__).parents[1]
STEPS = 40
OPTIONS = ["--batch-size", "20", "--latent-dim", "2", "--evaluate", "none"]
TRAIN = ["-m", "pushforward", "train", "wae-gan", "digits", *OPTIONS]


def state(folder):
    """The weights and moments of the newest checkpoint, and its step."""
    place = sorted((folder / "checkpoints").iterdir())[-1]
    tensors = {
        f"{file.stem}/{name}": value
        for file in place.glob("*.safetensors")
        for name, value in load_file(file).items()
    }
    return int(place.name), tensors


def check_near(found, expected, most=1e-4):
    """With a critic, rounding grows in float32."""
    (step, tensors), (last, wanted) = found, expected
    assert step == last
    gap, place = largest_difference(tensors, wanted)
    assert gap <= most, place


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The run of one process."""
    out = tmp_path_factory.mktemp("one") / "run"
    ((code, _, errors),) = in_processes(1, ROOT, [*TRAIN, "--steps", str(STEPS), "--out", str(out)])
    assert code == 0, errors
    return out


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The run of two, and what they printed."""
    out = tmp_path_factory.mktemp("two") / "run"
    ended = in_processes(2, ROOT, [*TRAIN, "--steps", str(STEPS), "--out", str(out)])
    assert [code for code, *_ in ended] == [0, 0], ended
    return out, ended


def test_a_run_of_two_processes_is_that_of_one(one, two):
    check_near(state(two[0]), state(one))


def test_the_history_is_that_of_the_whole_batch(one, two):
    """Terms and diagnostics are of the rows of all processes."""
    lines, others = (
        [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
        for run in (one, two[0])
    )
    assert [line["step"] for line in lines] == [line["step"] for line in others]
    for line, other in zip(lines, others, strict=True):
        for part in ("terms", "diagnostics"):
            assert other[part] == pytest.approx(line[part], rel=1e-2, abs=1e-2)


def test_the_first_process_alone_speaks_and_writes(one, two):
    folder, ((_, first, shown), (_, second, errors)) = two
    assert str(folder) in first or folder.name in first
    assert f"{STEPS}/{STEPS}" in shown or "wae-gan on digits" in shown
    assert (second, errors) == ("", "")
    assert {path.name for path in folder.iterdir()} == {path.name for path in one.iterdir()}


def test_a_loaded_run_does_not_know_of_processes(two):
    run = pf.load(two[0])
    assert run.sample(3).shape == (3, 1, 8, 8)
    assert run.config["resolved"]["batch_size"] == 20


# Trains with the words that follow, and has a scheduler's signal after half of the steps.
STOPPED = f"""
import os, signal, sys
from pushforward.cli import main
from pushforward.training.loop import Loop
advance = Loop.advance
def stopped(loop):
    made = advance(loop)
    if loop.step == {STEPS // 2}:
        os.kill(os.getpid(), signal.SIGTERM)
    return made
Loop.advance = stopped
main(sys.argv[1:])
"""
# Recipes, and how near float32 comes to the run that nobody stopped. With a critic rounding grows; a gradient
# that is 0 but for rounding becomes a step of Adam, of the size of the learning rate.
NEAR = {"wae-gan": ([], 1e-4), "wae-mmd": (["--lr", "1e-4"], 1e-6)}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """For a recipe the run of one process, and that of two which was stopped after half of the steps."""
    known = {}

    def runs(recipe):
        if recipe not in known:
            folder = tmp_path_factory.mktemp(recipe)
            words = ["train", recipe, "digits", *OPTIONS, *NEAR[recipe][0], "--no-pictures"]
            words += ["--steps", str(STEPS), "--out"]
            for size, name, program, wanted in (
                (1, "one", ["-m", "pushforward"], 0), (2, "two", ["-c", STOPPED], 75),
            ):  # fmt: skip
                ended = in_processes(size, ROOT, [*program, *words, str(folder / name)])
                said = "".join(errors for *_, errors in ended)
                assert [code for code, *_ in ended] == [wanted] * size, said
                advice = f"go on with: torchrun --nproc-per-node 2 -m pushforward resume {folder / name}"
                assert (advice in said) is (wanted == 75), said
            assert state(folder / "two")[0] == STEPS // 2
            known[recipe] = folder
        return known[recipe]

    return runs


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("recipe", NEAR)
def test_a_run_goes_on_with_another_number_of_processes(stopped, tmp_path, recipe, size):
    """A checkpoint of two processes ends in the weights of one process that was never stopped."""
    shutil.copytree(stopped(recipe) / "two", tmp_path / "run")
    words = ["-m", "pushforward", "resume", str(tmp_path / "run"), "--evaluate", "none"]
    for code, _, errors in in_processes(size, ROOT, words):
        assert code == 0, errors
    check_near(state(tmp_path / "run"), state(stopped(recipe) / "one"), NEAR[recipe][1])


@pytest.mark.slow
@pytest.mark.parametrize("words", [["sample", "--n", "1700"], ["encode", "digits"]])
def test_torchrun_writes_the_shards_that_one_process_writes(one, tmp_path, words):
    """As the pages say it: without "--" torchrun takes --n for its own --nnodes or --nproc-per-node."""
    verb, *options = words
    command = ["pushforward", verb, str(one), *options, "--rows-per-shard", "400", "--device", "cpu"]
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    for name, program in (("alone", command), ("shared", [*launcher, *command])):
        subprocess.run(
            [sys.executable, "-m", *program, "--out", str(tmp_path / name)],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
        )
    alone, shared = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("alone", "shared")
    )
    assert len(alone) == 6
    assert shared == alone


@pytest.mark.parametrize(("words", "fault"), [
    (["aae-semi-supervised", "--n-labels=15"], "n-labels must be a multiple of the number of processes, 2"),
    (["vae", "--batch-size=21"], "batch-size must be a multiple of the number of processes, 2, got 21"),
    (["vae", "--device=nowhere"], "device 'nowhere' cannot be used"),
])  # fmt: skip
def test_bad_options_are_refused_by_all_before_anything_is_written(words, fault, tmp_path):
    recipe, *words = words
    program = ["-m", "pushforward", "train", recipe, "digits", "--out", str(tmp_path / "run"), *words]
    ended = in_processes(2, ROOT, program)
    assert [code for code, *_ in ended] == [78, 78]
    (line,) = "".join(errors for *_, errors in ended).splitlines()  # which one of them prints
    assert fault in line
    assert not (tmp_path / "run").exists()


def test_a_batch_of_all_labelled_rows_has_to_be_shared_out_evenly():
    """It is smaller than the one that was asked for, so the message blames the number of labels."""
    data = pf.open_dataset("digits")
    setup = RECIPES["aae-semi-supervised"](data.spec, n_labels=10)
    fault = (
        "n_labels must be a multiple of the number of processes, 4, or at least the batch size, 100, got 10"
    )
    with process_group.imitated(4), pytest.raises(ConfigError, match=fault):
        Loop(setup.model, data.train, setup.training, 1)


OWN_NETWORKS = """
import io, sys
import torch
from torch import nn
import pushforward as pf

encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Dropout(0.1), nn.Linear(8, 2))
classes = [type(module) for module in encoder.modules()]
functions = nn.functional.batch_norm, nn.functional.dropout
pf.train("wae-mmd", "digits", encoder=encoder, latent_dim=2, steps=3, batch_size=20, out=sys.argv[1])
assert [type(module) for module in encoder.modules()] == classes
assert (nn.functional.batch_norm, nn.functional.dropout) == functions
torch.save(encoder, io.BytesIO())
"""


def test_networks_of_a_user_stay_what_they_are(tmp_path):
    for code, _, errors in in_processes(2, ROOT, ["-c", OWN_NETWORKS, str(tmp_path / "run")]):
        assert code == 0, errors


FAILING = """
import os, sys, time
from pushforward.cli.entry import fail

if os.environ["RANK"] not in sys.argv[1:]:
    if "TORCHELASTIC_RUN_ID" in os.environ:
        time.sleep(60)  # until torchrun ends it
    sys.exit()
fail("of " + " and ".join(sys.argv[1:]), 2)
"""


@pytest.mark.parametrize("ranks", [["0", "1"], ["0"], ["1"]])
def test_under_torchrun_an_error_is_said_once(ranks, tmp_path):
    """One of all by the first that has it; one that a process has alone by that one, whatever its number."""
    (tmp_path / "failing.py").write_text(FAILING)
    ended = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         str(tmp_path / "failing.py"), *ranks],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    assert said == [f"error: of {' and '.join(ranks)}"]


@pytest.mark.parametrize("ranks", [["0", "1", "2"], ["0"], ["2"]])
def test_without_torchrun_too(ranks, tmp_path):
    """Such as under a scheduler alone: process 0 then keeps what the others ask."""
    (tmp_path / "failing.py").write_text(FAILING)
    ended = in_processes(3, ROOT, [str(tmp_path / "failing.py"), *ranks])
    assert [code for code, *_ in ended] == [2 if str(rank) in ranks else 0 for rank in range(3)]
    said = [errors for *_, errors in ended if errors]
    assert said == [f"error: of {' and '.join(ranks)}\n"]


def test_an_environment_that_makes_no_sense_is_said_in_one_line(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(SystemExit, match="78"):
        main(["list"])
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "error: the variable WORLD_SIZE must be a whole number of at least 1, got 'many'"


@pytest.mark.parametrize("words", [["--version"], ["train", "vae", "digits", "--help"]])
def test_the_first_alone_prints_help_and_version(words):
    (code, first, errors), *others = in_processes(3, ROOT, ["-m", "pushforward", *words])
    assert code == 0, errors
    assert first.strip()
    assert others == [(0, "", "")] * 2


def test_processes_with_other_options_are_refused(tmp_path):
    """Such as a scheduler's script that gives each another seed."""
    words = [*TRAIN, "--steps", str(STEPS), "--out", str(tmp_path / "run"), "--seed"]
    ended = in_processes(2, ROOT, lambda rank: [*words, str(rank)])
    assert ended[1][0] == 78
    assert "all processes of a run need the same seed, process 1 has 1, process 0 0" in ended[1][2]


def test_other_commands_are_refused(two):
    ended = in_processes(2, ROOT, ["-m", "pushforward", "reconstruct", str(two[0])])
    assert [code for code, *_ in ended] == [78, 78]
    (line,) = "".join(errors for *_, errors in ended).splitlines()
    assert "reconstruct is done by one process, got 2 (WORLD_SIZE): start it without torchrun" in line


@pytest.mark.slow
def test_a_stop_of_one_is_a_stop_of_all_and_loses_nothing(tmp_path):
    """A scheduler may send the signal to one process alone."""
    long = [*TRAIN, "--steps", "100000", "--no-pictures", "--out", str(tmp_path / "run")]
    processes = started(2, ROOT, long)
    while not (tmp_path / "run" / "history.jsonl").exists():
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
    assert [code for _, code in ended] == [75, 75], ended
    step, _ = state(tmp_path / "run")
    said = [line for errors, _ in ended for line in errors.splitlines() if line.startswith("error:")]
    assert len(said) == 1
    assert f"at step {step} of 100000" in said[0]


IN_BLOCKS = """
import contextlib
import io
import json
import sys
import torch
from pushforward import distributed, process_group
from pushforward.cli.entry import main
from pushforward.training import block, trainer
from pushforward.training.loop import Loop
from pushforward.training.player_state import PlayerState

trainer.steps_per_line, trainer.PICTURES = lambda total: 10, 2
take_step, descend, now = Loop._take_step, PlayerState.descend, []
def struck_step(loop, *arguments):
    now[:] = [(loop.step, loop.rollbacks)]
    return take_step(loop, *arguments)
def struck_descend(state, losses, *arguments):
    bad = now == [(34, 0)] and state.player.name == "critic" and distributed.rank() == 1
    factor = torch.nan if bad else 1
    return descend(state, {name: factor * loss for name, loss in losses.items()}, *arguments)
Loop._take_step, PlayerState.descend = struck_step, struck_descend
with process_group.joined():
    for name, steps, words in json.loads(sys.argv[1]):
        block.BLOCKS, block.SECONDS = {"cpu": steps}, 1e6
        said, code = io.StringIO(), 0
        try:
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                main(words)
        except SystemExit as end:
            code = end.code or 0
        print(json.dumps([name, code, said.getvalue()]))
"""


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    """Runs of two processes with one or seven steps in a block: of each process the exit code and errors."""
    folder = tmp_path_factory.mktemp("blocks")
    runs = []
    for on_nonfinite in ("stop", "rollback"):
        for steps in (1, 7):
            name = f"{on_nonfinite}-{steps}"
            words = [*TRAIN[2:], "--steps", str(STEPS), "--on-nonfinite", on_nonfinite, "--no-pictures"]
            runs.append((name, steps, [*words, "--out", str(folder / name)]))
    ended = in_processes(2, ROOT, ["-c", IN_BLOCKS, json.dumps(runs)])
    assert [code for code, *_ in ended] == [0, 0], ended
    said = [[json.loads(line) for line in printed.splitlines()] for _, printed, _ in ended]
    return folder, [{name: (code, errors) for name, code, errors in process} for process in said]


@pytest.mark.parametrize("on_nonfinite", ["stop", "rollback"])
def test_blocks_of_steps_change_nothing_for_several_processes(on_nonfinite, blocks):
    """Numbers that are not finite in one process undo the block in all of them."""
    folder, ended = blocks
    said, states = [], []
    for steps in (1, 7):
        name = f"{on_nonfinite}-{steps}"
        out = folder / name
        assert [process[name][0] for process in ended] == [70 if on_nonfinite == "stop" else 0] * 2, ended
        printed = "".join(process[name][1] for process in ended)  # the error by one of them, whichever
        said.append(printed.strip().splitlines()[-1].replace(str(out), "RUN"))
        states.append((state(out), (out / "history.jsonl").read_bytes()))
    (first, history), (second, other) = states
    assert history == other
    assert first[0] == second[0] == (20 if on_nonfinite == "stop" else STEPS)
    assert all(torch.equal(value, second[1][name]) for name, value in first[1].items())
    if on_nonfinite == "stop":
        assert said[0] == said[1]
        assert "step 34: the critic's loss is not finite" in said[0]
    else:
        assert b"rolled back to step 20: step 34: the critic" in history
