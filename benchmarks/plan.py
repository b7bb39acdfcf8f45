"""Is the time of a step that ``pushforward plan`` predicts the time that a step takes?

    python -m benchmarks.plan [--rounds 3]

For each recipe the predictions for one and two processes of one thread, and the steps of one and of two
processes that are there, under torchrun. The two processes are planned for while both compute, since they
share this machine's memory and caches then too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import Any

CASES = {
    "wae-mmd, mlp": ["wae-mmd", "digits"],
    "vae, mlp": ["vae", "digits"],
    "wae-gan, mlp": ["wae-gan", "digits"],
    "wgan-gp, mlp": ["wgan-gp", "digits"],
    "wae-mmd, conv": ["wae-mmd", "digits", "--network", "conv"],
    "wae-mmd, conv, batch 1000": ["wae-mmd", "digits", "--network", "conv", "--batch-size", "1000"],
}


def plan(words: list[str], processes: int) -> dict[str, Any]:
    """The plan of a recipe, made by so many processes."""
    options = ["--threads", "1", "--world-size", "1", "--gpus", "8", "--json"]
    command = ["-m", "pushforward", "plan", *words, *options]
    if processes > 1:
        command = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), *command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    made = subprocess.run([sys.executable, *command], env=environment, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(made.stdout)
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for case, words in CASES.items():
        found = []
        for _ in range(options.rounds):
            one, two = plan(words, 1)["here"][0], plan(words, 2)
            (both,) = (step for step in two["here"] if step["world_size"] == 2)
            found.append((one, both, two["link"]))
        ratios = sorted(both["measured"] / (both["computing"] + both["waiting"]) for _, both, _ in found)
        middle = sorted(found, key=lambda parts: parts[1]["measured"])[len(found) // 2]
        one, both, link = middle
        print(
            json.dumps(
                {
                    "case": case,
                    "one process, ms": round(1e3 * one["computing"], 2),
                    "two: computing, ms": round(1e3 * both["computing"], 2),
                    "two: waiting, ms": round(1e3 * both["waiting"], 2),
                    "two: measured, ms": round(1e3 * both["measured"], 2),
                    "measured / predicted": round(statistics.median(ratios), 2),
                    "range": [round(ratios[0], 2), round(ratios[-1], 2)],
                    "latency, ms": round(1e3 * link["latency"], 2),
                    "MB/s": round(link["bandwidth"] / 1e6),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
