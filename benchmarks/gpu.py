"""Speed of the official CelebA networks on a GPU, as a share of its bfloat16 peak, and of Fréchet distances.

    python -m benchmarks.gpu --device cuda
    python -m benchmarks.gpu --device cpu --quick  # a trial of the script: one step, few rows

Operations of a step are those of its matrix products and convolutions, forward and backward, of all players,
counted as ``pushforward plan`` does. The peak is that of the vendor's tables, without sparsity. One JSON
object per line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from contextlib import ExitStack
from dataclasses import replace

import torch

from benchmarks.throughput import general, rows, seconds, steps_of
from pushforward.metrics.frechet import frechet_distance, moments
from pushforward.networks.precision import in_precision
from pushforward.recipes import RECIPES, Setup
from pushforward.torch_state import plain_torch
from pushforward.training import Loop
from pushforward.training.cost_model import GPUS
from pushforward.training.step_cost import measure_step


def peak(device: torch.device) -> float | None:
    """The bfloat16 operations a second of a GPU, if it is a known one."""
    name = torch.cuda.get_device_name(device).lower() if device.type == "cuda" else ""
    return next((gpu.flops["bf16"] for kind, gpu in GPUS.items() if kind in name), None)


def training(
    recipe: str, batch_size: int, compile: bool, rounds: int, device: torch.device, quick: bool
) -> dict[str, object]:
    """Images and operations a second of the official networks in bfloat16, at 64x64; of one step if quick."""
    data = rows((3, 64, 64), 2 * batch_size if quick else max(2_000, batch_size))

    def build() -> Setup:
        torch.manual_seed(0)
        setup = RECIPES[recipe](data.spec, "official")
        computing.enter_context(in_precision(setup.model.train(), "bf16"))
        return replace(setup, training=replace(setup.training, batch_size=batch_size))

    with ExitStack() as computing:
        counted = build()
        loop = Loop(counted.model, data.train, counted.training, 1_000_000, device=device)
        flops = measure_step(loop).work.flops
        loop.close()
        steps = general(build(), data, device, compile)
        count = 1 if quick else steps_of(steps, 1.0)
        took = sorted(seconds(steps, count) / count for _ in range(rounds))
    step, most = statistics.median(took), peak(device)
    return {
        "recipe": recipe,
        "batch": batch_size,
        "compiled": compile,
        "images/s": round(batch_size / step),
        "ms a step": round(1e3 * step, 2),
        "range": [round(1e3 * took[0], 2), round(1e3 * took[-1], 2)],
        "TFLOP/s": round(flops / step / 1e12, 2),
        "share of the bf16 peak": None if most is None else round(flops / step / most, 3),
    }


def frechet(n: int, features: int, device: torch.device) -> dict[str, object]:
    """Seconds of the moments of n rows and of the distance of two samples."""
    generator = torch.Generator().manual_seed(0)
    made, given = (torch.randn(n, features, generator=generator).to(device) for _ in range(2))
    found: dict[str, object] = {"Fréchet distance": [n, features]}
    for _ in range(2):  # the first one loads libraries
        begun = time.perf_counter()
        q, p = moments(made), moments(given)
        q.scatter.sum().item()  # what is asked for is waited for
        middle = time.perf_counter()
        value = frechet_distance(q, p)
        found |= {
            "moments, s": round(middle - begun, 3),
            "distance, s": round(time.perf_counter() - middle, 3),
        }
    return {**found, "value": value}


@plain_torch()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.batch_size, options.rounds, options.rows, options.features = [2], 1, 500, 32
    device = torch.device(options.device)
    print(json.dumps(frechet(options.rows, options.features, device)), flush=True)
    for compile in [False, True] if device.type == "cuda" else [False]:
        for recipe in ("wae-mmd", "wae-gan", "vae"):
            for batch_size in options.batch_size:
                found = training(recipe, batch_size, compile, options.rounds, device, options.quick)
                print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
