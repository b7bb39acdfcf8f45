"""Quality of runs trained in bfloat16 next to runs in float32, everything else equal, over seeds.

    python -m benchmarks.precision_quality --data-dir DATA --out RUNS [--only mnist] [--seeds 0 1 2]

Prints a table for each group (docs/results): the means of both, and the mean of the differences of runs that
have the same seed, bfloat16 minus float32. Finished runs are not trained again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import pushforward as pf
from benchmarks.groups import AUTO, Group
from pushforward.evaluation.table import columns, written
from pushforward.metrics.uncertainty import mean_interval
from pushforward.networks.precision import has_bfloat16
from pushforward.runs.tables import ComparedRun

METRICS = ("reconstruction", "samples", "reference", "latent")
AUTO_ENCODERS = ("wae-mmd:network=conv", "vae:network=conv")
GROUPS = {
    "mnist": Group(AUTO_ENCODERS, 2000, METRICS),
    "digits": Group(AUTO_ENCODERS, 1500, METRICS, "digits"),
    "gan": Group(("wgan-gp:network=conv",), 200, METRICS, "digits"),
}
PRECISIONS = ("fp32", "bf16")


def table(runs: dict[str, list[ComparedRun]]) -> str:
    """The table of runs, by their precision in the same order, as Markdown."""
    shown = [spec for spec in columns() if any(spec.of(one.results) for one in runs["fp32"])]
    lines = [["recipe", "precision", *(spec.name for spec in shown)]]
    lines.append(["---"] * len(lines[0]))
    for case in dict.fromkeys(one.case for one in runs["fp32"]):
        pairs = [
            pair for pair in zip(*map(runs.__getitem__, PRECISIONS), strict=True) if pair[0].case == case
        ]
        assert all((low.case, low.seed) == (high.case, high.seed) for high, low in pairs)
        cells: dict[str, list[str]] = {name: [] for name in (*PRECISIONS, "difference")}
        for spec in shown:
            values = [[found[0] for one in pair if (found := spec.of(one.results))] for pair in pairs]
            sides = [*zip(*values, strict=True)] if all(len(both) == 2 for both in values) else []
            columns_of = [*sides, [low - high for high, low in values]] if sides else [[]] * len(cells)
            for name, column in zip(cells, columns_of, strict=True):
                cells[name].append(written(*mean_interval(column)) if column else "")
        lines += [[f"`{case}`", name, *found] for name, found in cells.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Trains the runs that are missing and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, default=Path("runs/precision"))
    parser.add_argument("--only", choices=GROUPS, nargs="*", default=list(GROUPS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    for name in given.only:
        group = GROUPS[name]
        found = {
            precision: pf.compare(
                group.cases, group.data, seeds=given.seeds, out=given.out / f"{name}-{precision}",
                steps=group.steps, metrics=group.metrics, data_dir=given.data_dir, threads=given.threads,
                precision=precision, pictures=False, progress=False,
                features="auto" if group.data in AUTO else "pca",
            )
            for precision in PRECISIONS
        }  # fmt: skip
        note = next(iter(found["fp32"].tables.values())).note
        units = "" if has_bfloat16(torch.device("cpu")) else "; this processor has no units for bfloat16"
        print(f"## {name}, {group.steps} steps\n")
        print(f"{table({key: [*one.runs] for key, one in found.items()})}\n\n{note}{units}\n", flush=True)


if __name__ == "__main__":
    main()
