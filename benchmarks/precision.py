"""Speed of training in bfloat16 relative to float32, for the same networks and data.

    python -m benchmarks.precision --threads 2 [--device cuda]

The two alternate in short rounds of one process, so that other load on the machine affects both. The median
and the range of the ratio over rounds are printed, one JSON object per line.
"""

from __future__ import annotations

import argparse
import json
import statistics
from contextlib import ExitStack

import torch

from benchmarks.throughput import alternate, general, ratios, rows, seconds, steps_of
from pushforward.networks.precision import has_bfloat16, in_precision
from pushforward.recipes import RECIPES
from pushforward.torch_state import plain_torch

CASES: list[tuple[str, tuple[int, ...], str]] = [
    ("wae-mmd", (1, 28, 28), "mlp"),
    ("wae-mmd", (1, 28, 28), "conv"),
    ("wae-mmd", (3, 32, 32), "conv"),
    ("wae-mmd", (3, 64, 64), "conv"),
    ("wae-mmd", (1, 28, 28), "dcgan-4x4"),
    ("wgan-gp", (3, 32, 32), "conv"),
]


def compare(
    recipe: str, shape: tuple[int, ...], network: str, rounds: int, device: torch.device
) -> dict[str, object]:
    """Images per second of both precisions, and their ratio."""
    data = rows(shape, 2_000)
    loops = {}
    with ExitStack() as computing:
        for precision in ("fp32", "bf16"):
            torch.manual_seed(0)
            setup = RECIPES[recipe](data.spec, network=network)
            computing.enter_context(in_precision(setup.model, precision))
            loops[precision] = general(setup, data, device)
        seconds(loops["bf16"], 10)
        steps = steps_of(loops["fp32"], 1.0)
        took = alternate(loops, steps, rounds)
    ratio, least, most = (round(value, 2) for value in ratios(took["fp32"], took["bf16"]))
    images = steps * setup.training.batch_size
    return {
        "recipe": recipe,
        "shape": shape,
        "network": network,
        **{f"{name}, images/s": round(images / statistics.median(times)) for name, times in took.items()},
        "bf16 / fp32": ratio,
        "range": [least, most],
        "rounds": rounds,
    }


@plain_torch()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{options.threads} threads"
    for case in CASES:
        result = compare(*case, options.rounds, device)
        print(json.dumps({**result, "on": machine, "units": has_bfloat16(device)}), flush=True)


if __name__ == "__main__":
    main()
