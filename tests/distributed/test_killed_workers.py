"""A worker under torchrun is killed at random moments; all start again, and end in the same weights."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

import pushforward as pf

ROOT = Path(pf.__file__).parents[1]


def torchrun(out, steps, restarts):
    """A run of two processes, started by torchrun."""
    words = ["-m", "pushforward", "train", "wae-gan", "digits", "--out", str(out), "--steps", str(steps)]
    words += ["--batch-size", "20", "--latent-dim", "2", "--evaluate", "none", "--no-pictures"]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [sys.executable, *launcher, "--max-restarts", str(restarts), *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def workers(launcher):
    """The processes that torchrun has started and that live."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    return [int(child) for child in children]


def newest(folder):
    """The tensors of the newest checkpoint, and its step."""
    place = sorted((folder / "checkpoints").iterdir())[-1]
    return int(place.name), {file.name: load_file(file) for file in place.glob("*.safetensors")}


def killed_run(out, steps, kills, moment, rng):
    """Kills a random worker until there were so many kills or the run has ended; how many there were."""
    launcher = torchrun(out, steps, 2 * kills)
    done = 0
    while done < kills and launcher.poll() is None:
        moment(out, rng)
        living = workers(launcher) if launcher.poll() is None else []
        if len(living) == 2:  # else they are about to start again
            os.kill(rng.choice(living), 9)
            done += 1
    assert launcher.wait() == 0
    return done


def at_random(out, rng):
    """At any moment, also while workers start."""
    time.sleep(rng.uniform(1.0, 12.0))


def after_a_checkpoint(out, rng):
    """Soon after the first checkpoint that holds steps, so that there is something to go on from."""
    limit = time.monotonic() + 120
    while len(list(out.glob("checkpoints/*"))) < 2 and time.monotonic() < limit:
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers in /proc")
@pytest.mark.parametrize(
    ("kills", "steps", "moment"),
    [
        pytest.param(1, 200, after_a_checkpoint, marks=pytest.mark.slow),
        pytest.param(20, 800, at_random, marks=[pytest.mark.soak, pytest.mark.timeout(3000)]),
    ],
)
def test_a_killed_worker_changes_nothing(tmp_path, kills, steps, moment):
    assert torchrun(tmp_path / "whole", steps, 0).wait() == 0
    wanted_step, wanted = newest(tmp_path / "whole")
    rng, done = random.Random(kills), 0
    while done < kills:
        out = tmp_path / f"killed-{done}"
        done += killed_run(out, steps, kills - done, moment, rng)
        step, found = newest(out)
        assert step == wanted_step == steps
        for name, tensors in wanted.items():
            for key, value in tensors.items():
                assert (found[name][key] == value).all(), (name, key)
