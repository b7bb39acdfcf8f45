"""Whole processes are killed by the operating system, and other ones go on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faulty_disk import FaultyDisk
from tiny import TinyRun, fingerprint, left_over

STEPS = 4
KILLS = 5  # of every recipe, one after the other
RECIPES = ["ae", "vae", "wae-mmd", "wae-gan", "aae", "gmmn-ae", "gan", "wgan-gp"]

# Trains a recipe in a process that kills itself at a file operation.
PROGRAM = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
torch.manual_seed({number} + 1)  # the run's own seed decides
import pytest
from tiny import TinyRun, leave_out
from pushforward.files import disk, Disk

leave_out(pytest.MonkeyPatch())

count = 0

def call(name):
    def counted(*arguments):
        global count
        count += 1
        if count == {number}:
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(Disk, name)(disk, *arguments)
    return counted

for name in {names!r}:
    setattr(disk, name, call(name))
TinyRun({recipe!r}, {steps}, latent_dim=2).train({out!r})
"""


def process(recipe, out, number, names):
    """Trains in a process of its own until the file operation of that number; returns its exit code."""
    tests = str(Path(__file__).parent)
    program = PROGRAM.format(
        tests=tests, recipe=recipe, steps=STEPS, out=str(out), number=number, names=list(names)
    )
    environment = {**os.environ, "PYTHONHASHSEED": str(number % 1000), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_killed_process_loses_nothing(recipe, tmp_path):
    """The lock of a dead process is nobody's, and the next process comes to the same bits."""
    with FaultyDisk() as faulty:
        TinyRun(recipe, STEPS, latent_dim=2).train(tmp_path / "whole")
    names = sorted({name for name, *_ in faulty.calls})
    folder = tmp_path / "run"
    for kill in range(KILLS):
        number = len(faulty.calls) // (KILLS + 2) + kill
        assert process(recipe, folder, number, names) == -signal.SIGKILL
    assert process(recipe, folder, 0, names) == 0
    assert fingerprint(folder) == fingerprint(tmp_path / "whole")
    assert left_over(folder) == []
    assert json.loads((folder / "config.json").read_text())["total_steps"] == STEPS
