"""Time of a training step: two processes of one thread each against one process of two threads.

    python -m benchmarks.processes [--rounds 5] [--exchanges]

Both train the same recipe on the same batches. They alternate, so that other load affects both;
the median and the range of the ratio over rounds are printed. With ``--exchanges`` what passes between two
processes in a step is listed: who asked for it, its bytes, how long the first to come waits for the second,
and how long the exchange then takes.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist

from benchmarks.throughput import rows
from pushforward import distributed, process_group
from pushforward.recipes import RECIPES
from pushforward.torch_state import plain_torch, torch_seeded
from pushforward.training import Loop

MNIST, CIFAR = (1, 28, 28), (3, 32, 32)
# By name: the shape of rows, the recipe, its options, and the steps that are timed.
CASES: dict[str, tuple[tuple[int, ...], str, dict[str, Any], int]] = {
    "mlp": (MNIST, "wae-mmd", {}, 200),
    "mlp without BatchNorm": (MNIST, "wae-mmd", {"network": "mlp-wide"}, 100),
    "convolutions": (CIFAR, "wae-mmd", {}, 30),
    "vae": (MNIST, "vae", {}, 200),
    "wae-gan": (MNIST, "wae-gan", {}, 100),
    "wgan-gp": (MNIST, "wgan-gp", {}, 10),
}


def loop_of(case: str) -> Loop:
    """The loop of a case, after a few steps that allocate."""
    shape, recipe, options, _ = CASES[case]
    data = rows(shape)
    with torch_seeded(0):
        setup = RECIPES[recipe](data.spec, **options)
    loop = Loop(setup.model.train(), data.train, setup.training, 10_000)
    for _ in range(5):
        loop.advance()
    return loop


@plain_torch()
def seconds_per_step(case: str) -> float:
    """Seconds of a step."""
    loop, steps = loop_of(case), CASES[case][-1]
    begun = time.perf_counter()
    for _ in range(steps):
        loop.advance()
    return (time.perf_counter() - begun) / steps


def asked_by() -> str:
    """The file and function that ask for the exchange that is about to begin."""
    frame, backward = sys._getframe(2), False
    seam = Path(distributed.__file__)
    while seam.parent not in (place := Path(frame.f_code.co_filename)).parents or place == seam:
        backward |= frame.f_code.co_name == "backward"
        assert frame.f_back is not None
        frame = frame.f_back
    return "gradient of a gather" if backward else f"{place.stem}.{frame.f_code.co_name}"


@plain_torch()
def exchanges(case: str, steps: int = 50) -> list[tuple[str, str, int, float, float]]:
    """Of each exchange of a step who asks for it, its kind, its bytes, and the seconds of both waits."""
    loop = loop_of(case)
    found: list[tuple[str, str, int, float, float]] = []

    def recorded(kind: str, exchange: Callable[..., Any], place: int) -> Callable[..., Any]:
        def record(*arguments: Any) -> None:
            who, x, begun = asked_by(), arguments[place], time.perf_counter()
            exchange(*arguments)
            found.append((who, kind, x.numel() * x.element_size(), begun, time.perf_counter()))

        return record

    with (
        patch.object(dist, "all_gather", recorded("gather", dist.all_gather, 1)),
        patch.object(dist, "all_reduce", recorded("sum", dist.all_reduce, 0)),
    ):
        for _ in range(steps):
            loop.advance()
    here, there = (json.loads(one) for one in distributed.gather_bytes(json.dumps(found).encode(), 1))
    count, listed = len(found) // steps, []
    for place in range(count):
        waits, takes = [], []
        for one, other in zip(here[place::count], there[place::count], strict=True):
            last = max(one[3], other[3])
            waits.append(abs(one[3] - other[3]))
            takes.append((one[4] + other[4]) / 2 - last)
        listed.append((*found[place][:3], statistics.median(waits), statistics.median(takes)))
    return listed


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


def processes(number: int, threads: int, case: str, what: str = "--measure") -> list[Any]:
    """What each of so many processes prints of a case."""
    words = ["-m", "benchmarks.processes", what, case]
    return [json.loads(process.communicate()[0]) for process in started(number, threads, words)]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--exchanges", action="store_true")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--measure", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--list", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure or options.list:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        with process_group.joined():
            print(json.dumps(exchanges(options.list) if options.list else seconds_per_step(options.measure)))
        return
    for case in options.cases:
        if options.exchanges:
            print(case)
            for who, kind, size, wait, took in processes(2, 1, case, "--list")[0]:
                print(
                    f"  {who}, {kind} of {size:,} bytes: waits {1e3 * wait:.2f} ms, takes {1e3 * took:.2f} ms"
                )
            continue
        pairs = [(max(processes(2, 1, case)), max(processes(1, 2, case))) for _ in range(options.rounds)]
        ratios = sorted(two / one for two, one in pairs)
        two, one = (statistics.median(times) * 1e3 for times in zip(*pairs, strict=True))
        found = {
            "case": case,
            "two processes, ms": round(two, 2),
            "two threads, ms": round(one, 2),
            "ratio": round(statistics.median(ratios), 3),
            "range": [round(ratios[0], 3), round(ratios[-1], 3)],
        }
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
