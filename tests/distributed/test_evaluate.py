"""Evaluations of several processes: the bits of one, one file, and an error in all where one fails."""

import contextlib
import json
import runpy
import shutil
from dataclasses import asdict
from pathlib import Path

import evaluations
import numpy as np
import pytest
from many import in_processes

import pushforward as pf
from pushforward.evaluation import context
from pushforward.evaluation.diagnosis import Diagnosis
from pushforward.metrics import precision_recall
from pushforward.parts import together
from pushforward.utils import eval_mode

HERE = Path(__file__).parent
ROOT = Path(pf.__file__).parents[1]
NAMES = {kind: "evaluation-gmm.json" if kind == "vector" else "evaluation.json" for kind in evaluations.CASES}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each modality."""
    folder = tmp_path_factory.mktemp("runs")
    for kind in evaluations.CASES:
        evaluations.train(kind, folder / kind)
    return folder


def files(folder):
    """The files of the last evaluations, which are removed."""
    found = {kind: (folder / kind / name).read_text() for kind, name in NAMES.items()}
    for kind, name in NAMES.items():
        (folder / kind / name).unlink()
        shutil.rmtree(folder / kind / "samplers", ignore_errors=True)
    return found


@pytest.fixture(scope="module")
def one(runs):
    """What one process says of the runs, and the files that it writes."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((context, "CHUNK"), (precision_recall, "CELLS")):
            patch.setattr(module, name, getattr(module, name))
        return evaluations.evaluations(runs), files(runs)


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_every_number_has_the_bits_of_one_process(runs, one, size):
    """Also where a process has no part in the last round, and in the files."""
    for code, printed, errors in in_processes(size, ROOT, [HERE / "evaluations.py", runs]):
        assert code == 0, errors
        assert json.loads(printed) == json.loads(one[0])
    assert files(runs) == one[1]


KEPT = [
    (owner, name)
    for owner in (context.EvaluationContext, Diagnosis)
    for name, value in vars(owner).items()
    if isinstance(value, together)
]


@pytest.mark.parametrize("kind", evaluations.CASES)
def test_what_is_kept_is_never_first_computed_within_a_part(runs, kind):
    """A process without a part would not have it, and wait alone for the others later."""
    run = pf.load(runs / kind, evaluations.data_of(kind))
    for owner, name in KEPT:
        diagnosis = run.diagnosis()
        with contextlib.suppress(NotImplementedError), eval_mode(run.model):
            getattr(diagnosis.context if owner is context.EvaluationContext else diagnosis, name)


CODES_FIRST = """
import sys
import pushforward as pf
from pushforward.parts import shared_out
with shared_out():
    context = pf.load(sys.argv[1]).evaluation_context()
    print(context.encoded.errors.sum().item(), context.samples.features.sum().item())
"""


def test_a_part_for_one_process_alone(tmp_path):
    """359 rows are one part, whose reconstructions are the first to have features."""
    pf.train("wae-mmd", "digits", out=tmp_path / "run", steps=5, progress=False, pictures=False)
    program = tmp_path / "program.py"
    program.write_text(CODES_FIRST)
    ((code, expected, _),) = in_processes(1, ROOT, [program, tmp_path / "run"])
    assert code == 0
    for code, printed, errors in in_processes(2, ROOT, [program, tmp_path / "run"]):
        assert code == 0, errors
        assert printed == expected


OWN_BUFFER = """
import sys
import torch
from torch import nn
import pushforward as pf

encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
encoder.register_buffer("of_each", torch.randn(3), persistent=False)
if __name__ == "__main__":
    pf.load(sys.argv[1], encoder=encoder).doctor()
"""


def test_a_buffer_that_no_checkpoint_holds_has_to_be_the_same(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(OWN_BUFFER)
    encoder = runpy.run_path(str(program))["encoder"]
    run = tmp_path / "run"
    pf.train("wae-mmd", "digits", encoder=encoder, latent_dim=2, out=run, steps=5, pictures=False)
    for code, _, errors in in_processes(2, ROOT, [program, run]):
        assert code == 1
        assert "ProcessError: the weights of the run must be the same in all 2 processes, but " in errors
        assert "of_each is not" in errors


PROGRAM = """
import os
import sys
import torch
from pushforward.errors import DataError, PushforwardError
from pushforward.parts import check_same, map_parts, once, shared_out

rank = int(os.environ["RANK"])
done = []


def fails(by, error):
    def function(part):
        done.append(part)
        if part == by:
            raise error
        return part, torch.full((part,), part, dtype=torch.float64), torch.tensor(part > 1), {{"a": None}}
    return function


def attempt(work):
    # each time in a group of its own
    try:
        with shared_out():
            print(work())
    except (PushforwardError, ZeroDivisionError) as error:
        print(type(error).__name__, error)


attempt(lambda: [*map_parts(fails(9, None), range(3))])
attempt(lambda: (done, once(lambda: rank)))
attempt(lambda: [*map_parts(fails(1, DataError("no such row")), range(3))])
attempt(lambda: [*map_parts(fails(2, ZeroDivisionError("of one")), range(3))])
attempt(lambda: check_same("numbers", {{"x": torch.ones(1) * (1 + rank)}}))
attempt(lambda: [*map_parts(fails(9, None), range(3 + rank))])
print([*map_parts(lambda part: part, [rank])])  # alone
attempt(lambda: [*map_parts(lambda part: sys.exit(3) if part == 1 else part, range(3))])
"""


def test_parts_are_shared_out_and_errors_reach_all(tmp_path):
    file = tmp_path / "program.py"
    file.write_text(PROGRAM.replace("{{", "{").replace("}}", "}"))
    (code, first, errors), (lost, second, others) = in_processes(2, ROOT, [file])
    assert (code, lost) == (0, 3), errors + others
    first, second = first.splitlines(), second.splitlines()
    values = "[(0, tensor([], dtype=torch.float64), tensor(False), {'a': None}), "
    assert first[0] == second[0]
    assert first[0].startswith(values)
    assert (first[1], second[1]) == ("([0, 2], 0)", "([1], 0)")
    assert first[2] == second[2] == "DataError no such row"  # of one process all stop by the same error
    assert first[3] == "ZeroDivisionError of one"
    assert second[3] == "ProcessError process 0 of 2 has failed: of one"
    assert first[4] == second[4] == "ProcessError numbers must be the same in all 2 processes, but x is not"
    for lines in (first, second):
        assert lines[5].startswith("ProcessError all 2 processes must do the same")
    assert (first[6], second[6]) == ("[0]", "[1]")
    assert first[7].startswith("ProcessError one of the 2 processes was lost")


def test_where_one_process_fails_all_end_with_one_line(runs):
    """Here it cannot read the data."""
    rows = [runs / "rows-0.npy", runs / "rows-1.npy"]
    np.save(rows[0], evaluations.data_of("vector").test.x.numpy())
    words = [
        "-m",
        "pushforward",
        "evaluate",
        runs / "vector",
        "--features",
        "pixels",
        "--metrics",
        "objective",
    ]
    ended = in_processes(2, ROOT, lambda rank: [*words, "--data", rows[rank]])
    for (code, _, errors), fault in zip(ended, ("processes was lost", "rows-1.npy"), strict=True):
        assert code in (65, 75)
        (line,) = errors.splitlines()
        assert fault in line


@pytest.mark.slow
def test_a_run_that_was_trained_by_several_is_evaluated_by_all(tmp_path):
    """BatchNorm and dropout of the whole batch, in the networks that were trained, change no bit."""
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).random((6000, 1, 16, 16), np.float32))
    words = ["-m", "pushforward", "train", "dcgan", tmp_path / "rows.npy", "--evaluate", "full", "--json"]
    words += ["--steps", "4", "--batch-size", "20", "--out", tmp_path / "run", "--no-pictures"]
    (code, printed, errors), (other, nothing, silent) = in_processes(2, ROOT, words)
    assert (code, other, nothing, silent) == (0, 0, "", ""), errors
    written = (tmp_path / "run" / "evaluation.json").read_text()
    found, again = json.loads(printed), pf.load(tmp_path / "run")
    assert found["grades"] == [asdict(grade) for grade in again.doctor().grades]
    (tmp_path / "run" / "evaluation.json").unlink()
    words = ["-m", "pushforward", "evaluate", tmp_path / "run", "--metrics"]
    (code, printed, errors), (other, nothing, silent) = in_processes(3, ROOT, [*words, "samples"])[:2]
    assert (code, other, nothing, silent) == (0, 0, "", ""), errors
    assert "features: pca" in printed
    again.evaluate()  # the samples are kept
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text()) == json.loads(written)
