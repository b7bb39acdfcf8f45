"""Training from a pack: resident memory, and speed beside the same rows in memory.

    python -m benchmarks.packs --gigabytes 2 --folder /tmp/pack

makes a pack of generated images, 3x64x64, and trains on it and on a part of it in memory, each in a process
of its own; memory is the largest that the process had at any time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pushforward.data import Dataset, Split, open_dataset
from pushforward.data.packs import write_pack
from pushforward.data.rows import ReadRows
from pushforward.recipes import RECIPES
from pushforward.training.loop import Loop

SHAPE = (3, 64, 64)
WARM_UP = 20  # steps before the clock


def generated(rows: int) -> Dataset:
    """Smooth random images, each a function of its number."""
    grid = np.linspace(0, 6, SHAPE[1], dtype=np.float32)
    numbers = np.arange(rows)

    def read(index: np.ndarray | slice) -> Tensor:
        phase = np.asarray(numbers[index], np.float32)[:, None, None, None]
        wave = np.sin(grid[:, None] * (1 + phase % 7) + phase) * np.cos(grid * (1 + phase % 5))
        channels = np.concatenate([wave, -wave, wave * wave], 1)
        return torch.from_numpy((127.5 * (1 + channels)).astype(np.uint8))

    test = min(2000, rows // 10)
    train = Split(ReadRows(rows - test, read))
    return Dataset("waves", train, Split(ReadRows(test, read)), in_unit_interval=True)


def measure(
    folder: Path, recipe: str, steps: int, in_memory: int, batch_size: int, network: str
) -> dict[str, float]:
    """Trains for some steps: megabytes, and steps a second."""
    data = open_dataset(folder)
    if in_memory:
        count = min(in_memory, len(data.train))
        data = Dataset("part", Split(data.train.rows(torch.arange(count)).tensor()), data.test, True)
    setup = RECIPES[recipe](data.spec, batch_size=batch_size, network=network)
    loop = Loop(setup.model, data.train, setup.training, steps + WARM_UP)
    start = 0.0
    for step in range(steps + WARM_UP):
        if step == WARM_UP:
            start = time.process_time()
        loop.advance()
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"peak_mb": round(peak), "cpu_ms_per_step": round(1000 * seconds / steps, 2)}


def main() -> None:
    """Packs, trains, and prints one line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "pushforward-pack")
    parser.add_argument("--recipe", default="wae-mmd")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--network", default="mlp")
    parser.add_argument("--rows-in-memory", type=int, default=20_000)
    parser.add_argument("--measure", type=int, default=None, help="used by the script itself")
    given = parser.parse_args()
    if given.measure is not None:
        found = measure(
            given.folder, given.recipe, given.steps, given.measure, given.batch_size, given.network
        )
        print(json.dumps(found), flush=True)
        return
    if not given.folder.exists():
        start = time.perf_counter()
        write_pack(generated(int(given.gigabytes * 2**30 / np.prod(SHAPE))), given.folder)
        print(json.dumps({"packed_seconds": round(time.perf_counter() - start)}), flush=True)
    size = (given.folder / "rows.bin").stat().st_size / 2**30
    for name, rows in (("pack", 0), ("in memory", given.rows_in_memory)):
        words = [sys.executable, "-m", "benchmarks.packs", *sys.argv[1:], "--measure", str(rows)]
        result = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        print(json.dumps({"rows": name, "pack_gib": round(size, 2), **json.loads(result)}), flush=True)


if __name__ == "__main__":
    main()
