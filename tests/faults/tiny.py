"""Tiny runs, and what they come to."""

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import pushforward as pf
from pushforward.files import write_atomic
from pushforward.runs.directory import LOCK
from pushforward.runs.run import Run
from pushforward.training import monitor
from pushforward.training.checkpoints import Checkpoints

PNG = b"\x89PNG IEND...."
ROWS = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LINES = [
    f"the {one} sees the {other} ." for one in ("cat", "dog", "king") for other in ("sea", "rose", "moon")
]


def leave_out(patch):
    """Leaves out what takes longer than the steps of these runs; the overview becomes an empty picture."""

    def overview(run, findings=True):
        write_atomic(run.path / "overview.png", PNG)
        return run.path / "overview.png"

    patch.setattr(Run, "overview", overview)
    patch.setattr(monitor, "null_deviation", lambda *_: 0.0)


class TinyRun:
    """A recipe on 20 small images with labels, or on a few lines."""

    def __init__(self, recipe, steps, **arguments):
        self.recipe = recipe
        labels = torch.arange(20) % (2 if recipe == "transfer-ae" else 4)
        if recipe == "arae":
            with TemporaryDirectory() as folder:
                (Path(folder) / "lines.txt").write_text("\n".join(LINES))
                self.data = pf.open_dataset(Path(folder) / "lines.txt")
        else:
            self.data = pf.open_dataset((ROWS, labels))
        self.arguments = dict(batch_size=5, steps=steps, progress=False) | arguments

    def train(self, out, **arguments):
        return pf.train(self.recipe, self.data, out=out, **self.arguments | arguments)


def fingerprint(folder):
    """The sha256 of all that the newest checkpoint holds, but for the id of the run, and of the history."""
    found, faults = Checkpoints(folder / "checkpoints").newest()
    assert faults == []
    digest = hashlib.sha256(json.dumps(found.numbers, sort_keys=True).encode())
    for part in sorted(found.tensors):
        for name, value in sorted(found.tensors[part].items()):
            digest.update(f"{part}/{name}{value.dtype}{tuple(value.shape)}".encode())
            digest.update(value.contiguous().numpy().tobytes())
    history = (folder / "history.jsonl").read_bytes()
    assert found.copies["history.jsonl"] == history
    digest.update(history)
    return digest.hexdigest()


def left_over(folder):
    """Temporary files and folders anywhere in a folder."""
    return [path for path in folder.rglob("*") if path.name.startswith(".") and path.name != LOCK]
