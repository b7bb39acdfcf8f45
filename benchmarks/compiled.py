"""Speed of training with compiled losses relative to training without, for the same networks and data.

    python -m benchmarks.compiled --threads 1 [--device cuda]

Both loops alternate in short rounds of one process, after losses have been compiled. The median and the
range of the ratio over rounds are printed, and the seconds of the steps in which losses are compiled.
"""

from __future__ import annotations

import argparse
import json
import statistics

import torch

from benchmarks.throughput import alternate, general, ratios, rows, seconds, steps_of
from pushforward.recipes import RECIPES, Setup
from pushforward.torch_state import plain_torch

CASES = (("wae-mmd", "mlp"), ("wae-mmd", "conv"), ("wgan-gp", "mlp"), ("mmd-gan", "mlp"))


def compare(recipe: str, network: str, rounds: int, device: torch.device, seed: int) -> dict[str, object]:
    """Seconds of a step of both loops, and their ratio."""
    data = rows((1, 28, 28))

    def build() -> Setup:
        torch.manual_seed(seed)
        return RECIPES[recipe](data.spec, network=network)

    plain, compiled = build(), build()
    loops = {"plain": general(plain, data, device), "compiled": general(compiled, data, device, compile=True)}
    first = seconds(loops["compiled"], 5)
    steps = steps_of(loops["plain"], 0.5)
    took = alternate(loops, steps, rounds)
    ratio, least, most = (round(value, 3) for value in ratios(took["plain"], took["compiled"]))
    return {
        "recipe": recipe,
        "network": network,
        "seed": seed,
        "first 5 steps, s": round(first, 1),
        "plain, ms a step": round(1000 * statistics.median(took["plain"]) / steps, 2),
        "plain / compiled": ratio,
        "range": [least, most],
        "rounds": rounds,
    }


@plain_torch()
def main() -> None:
    """Print one JSON object per line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    for recipe, network in CASES:
        for seed in range(arguments.seeds):
            print(json.dumps(compare(recipe, network, arguments.rounds, device, seed)), flush=True)


if __name__ == "__main__":
    main()
