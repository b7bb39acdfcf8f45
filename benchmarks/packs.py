"""Training from a pack: resident memory, and speed beside the same rows in memory.

    python -m benchmarks.packs --gigabytes 2 --folder /tmp/pack [--processes 2]

makes a pack of generated images, 3x64x64, and trains on it in a process of its own, whose largest memory is
printed; then on the pack and on a part of it in memory, step by step in alternation. With --processes the
same steps are taken by several processes, which share each batch, and by one: memory and times of each are
printed, and how far their weights are apart after a few steps in float64.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.processes import started
from pushforward import distributed, process_group
from pushforward.data import Dataset, Split, open_dataset
from pushforward.data.packs import write_pack
from pushforward.data.rows import ReadRows
from pushforward.data.split import Batch
from pushforward.recipes import RECIPES
from pushforward.torch_state import torch_seeded
from pushforward.training.loop import Loop

SHAPE = (3, 64, 64)
WARM_UP = 5  # steps before the clock
COMPARED = 8  # steps after which weights of one process and of several are compared
EPS = 1e-4  # of Adam. With its own 1e-8 a gradient that is 0 but for rounding becomes a whole step.


def generated(rows: int) -> Dataset:
    """Smooth random images, each a function of its number: one of 500 patterns, made brighter modulo 256."""
    grid = np.linspace(0, 6, SHAPE[1], dtype=np.float32)
    phase = np.arange(500, dtype=np.float32)[:, None, None, None]
    wave = np.sin(grid[:, None] * (1 + phase % 7) + phase) * np.cos(grid * (1 + phase % 5))
    patterns = (127.5 * (1 + np.concatenate([wave, -wave, wave * wave], 1))).astype(np.uint8)
    numbers = np.arange(rows)

    def read(index: np.ndarray | slice) -> Tensor:
        number = numbers[index]
        brighter = (number // len(patterns) % 256).astype(np.uint8)
        return torch.from_numpy(patterns[number % len(patterns)] + brighter[:, None, None, None])

    test = min(2000, rows // 10)
    train = Split(ReadRows(rows - test, read))
    return Dataset("waves", train, Split(ReadRows(test, read)), in_unit_interval=True)


def loop_on(data: Dataset, given: argparse.Namespace, steps: int) -> Loop:
    """The training of the recipe on data."""
    with torch_seeded(0):
        setup = RECIPES[given.recipe](data.spec, batch_size=given.batch_size, network=given.network)
    return Loop(setup.model, data.train, setup.training, steps)


def training(given: argparse.Namespace) -> dict[str, float]:
    """Trains on the pack for some steps, as one of several processes if there are several.

    Returns the most megabytes that the process had, and medians of the milliseconds of a step and of reading
    this process's rows of it.
    """
    reading: list[float] = []
    stepping: list[float] = []
    with process_group.joined():
        loop = loop_on(open_dataset(given.folder), given, given.steps)
        rows = loop.rows

        def read(draw: int, labelled: bool = False) -> Batch:
            with taking(reading):
                return rows(draw, labelled)

        loop.rows = read  # type: ignore[method-assign]
        for _ in range(given.steps):
            with taking(stepping):
                loop.advance()
        loop.check_same()
    milliseconds = {"step_ms": stepping, "reading_ms": reading}
    return {
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        **{name: round(1000 * float(np.median(times)), 1) for name, times in milliseconds.items()},
    }


def write_weights(given: argparse.Namespace) -> None:
    """Takes a few steps in float64, where rounding does not grow, and writes the weights."""
    with process_group.joined():
        loop = loop_on(open_dataset(given.folder), given, given.steps)
        loop.model.double()
        rows = loop.rows

        def doubled(draw: int, labelled: bool = False) -> Batch:
            x, y = rows(draw, labelled)
            return Batch(x.double(), y)

        loop.rows = doubled  # type: ignore[method-assign]
        for state in loop.player_states:
            for group in state.optimizer.param_groups:
                group["eps"] = EPS
        for _ in range(COMPARED):
            loop.advance()
        if distributed.is_first():
            save_file(loop.state()[0]["model"], given.weights)


@contextmanager
def taking(times: list[float]) -> Iterator[None]:
    """Appends the seconds that the inside takes."""
    begun = time.perf_counter()
    yield
    times.append(time.perf_counter() - begun)


def together(number: int, *more: str) -> list[str]:
    """What this script prints with more words, as so many processes of one thread."""
    running = started(number, 1, ["-m", "benchmarks.packs", *sys.argv[1:], "--train", *more])
    return [process.communicate()[0] for process in running]


def sharing(given: argparse.Namespace) -> None:
    """Trains by one process and by several, and prints what each took and how far their weights are apart."""
    for number in (1, given.processes):
        each = [json.loads(printed) for printed in together(number)]
        print(json.dumps({"processes": number, "each": each}), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        one, many = Path(folder, "one"), Path(folder, "many")
        together(1, "--weights", str(one))
        together(given.processes, "--weights", str(many))
        wanted, found = load_file(one), load_file(many)
    apart = max(
        float((found[name] - value).abs().max() / value.abs().max().clamp_min(1e-3))
        for name, value in wanted.items()
    )
    print(json.dumps({"steps_in_float64": COMPARED, "largest_difference": apart}), flush=True)


def speed(given: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of a processor for a step on the pack and on as many of its rows as fit, alternating."""
    packed = open_dataset(given.folder)
    count = min(given.rows_in_memory, len(packed.train))
    inside = Dataset("part", Split(packed.train.rows(torch.arange(count)).tensor()), packed.test, True)
    loops = {
        "pack_ms": loop_on(packed, given, 2 * given.steps),
        "memory_ms": loop_on(inside, given, 2 * given.steps),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(given.steps + WARM_UP):
        for name, loop in loops.items():
            start = time.process_time()
            loop.advance()
            seconds[name].append(time.process_time() - start)
    found = {name: 1000 * float(np.median(times[WARM_UP:])) for name, times in seconds.items()}
    return {**{name: round(value, 1) for name, value in found.items()},
            "ratio": round(found["pack_ms"] / found["memory_ms"], 3)}  # fmt: skip


def main() -> None:
    """Packs, trains, and prints one line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "pushforward-pack")
    parser.add_argument("--recipe", default="wae-mmd")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--network", default="mlp")
    parser.add_argument("--rows-in-memory", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--train", action="store_true", help="used by the script itself")
    parser.add_argument("--weights", type=Path, help="used by the script itself")
    given = parser.parse_args()
    if given.weights:
        write_weights(given)
        return
    if given.train:
        print(json.dumps(training(given)), flush=True)
        return
    if not given.folder.exists():
        start = time.perf_counter()
        write_pack(generated(int(given.gigabytes * 2**30 / np.prod(SHAPE))), given.folder)
        print(json.dumps({"packed_seconds": round(time.perf_counter() - start)}), flush=True)
    size = (given.folder / "rows.bin").stat().st_size / 2**30
    if given.processes > 1:
        print(json.dumps({"pack_gib": round(size, 2)}), flush=True)
        sharing(given)
        return
    words = [sys.executable, "-m", "benchmarks.packs", *sys.argv[1:], "--train"]
    peak = json.loads(
        subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )
    print(json.dumps({"pack_gib": round(size, 2), **peak, **speed(given)}), flush=True)


if __name__ == "__main__":
    main()
