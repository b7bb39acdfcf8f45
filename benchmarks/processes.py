"""Time of a training step: two processes of one thread each against one process of two threads.

    python -m benchmarks.processes [--rounds 5]

Both train the same recipe on the same batches. They alternate, so that other load affects both;
the median and the range of the ratio over rounds are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time

import torch

from benchmarks.throughput import rows
from pushforward import process_group
from pushforward.recipes import RECIPES
from pushforward.torch_state import plain_torch, torch_seeded
from pushforward.training import Loop

# Images of MNIST's size with an MLP, and of CIFAR-10's with convolutions.
CASES = {"mlp": ((1, 28, 28), "wae-mmd", 200), "convolutions": ((3, 32, 32), "wae-mmd", 30)}


@plain_torch()
def seconds_per_step(case: str) -> float:
    """Seconds of a step, after a few that allocate."""
    shape, recipe, steps = CASES[case]
    data = rows(shape)
    with torch_seeded(0):
        setup = RECIPES[recipe](data.spec)
    loop = Loop(setup.model.train(), data.train, setup.training, 10_000)
    for _ in range(5):
        loop.advance()
    begun = time.perf_counter()
    for _ in range(steps):
        loop.advance()
    return (time.perf_counter() - begun) / steps


def started(number: int, threads: int, words: list[str]) -> list[subprocess.Popen[str]]:
    """Python with some words, as so many processes that train together."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    environment = {
        **os.environ, "OMP_NUM_THREADS": str(threads), "MASTER_ADDR": "localhost", "MASTER_PORT": port,
        "WORLD_SIZE": str(number),
    }  # fmt: skip
    return [
        subprocess.Popen(
            [sys.executable, *words],
            env=environment | {"RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(number)
    ]


def processes(number: int, threads: int, case: str) -> float:
    """The seconds of a step that so many processes measure."""
    words = ["-m", "benchmarks.processes", "--measure", case]
    return max(float(process.communicate()[0]) for process in started(number, threads, words))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        with process_group.joined():
            print(seconds_per_step(options.measure))
        return
    for case in CASES:
        pairs = [(processes(2, 1, case), processes(1, 2, case)) for _ in range(options.rounds)]
        ratios = sorted(two / one for two, one in pairs)
        two, one = (statistics.median(times) * 1e3 for times in zip(*pairs, strict=True))
        found = {
            "case": case,
            "two processes, ms": round(two, 2),
            "two threads, ms": round(one, 2),
            "ratio": round(statistics.median(ratios), 3),
            "range": [round(ratios[0], 3), round(ratios[-1], 3)],
        }
        print(json.dumps(found))


if __name__ == "__main__":
    main()
