"""Groups of recipes, each compared on one data set with one budget."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pushforward as pf

CODES = ("objective", "reconstruction", "latent", "classes")
AUTO = ("mnist", "shakespeare", "bible")  # data sets with features of their own for sample metrics


@dataclass(frozen=True)
class Group:
    """Recipes to compare on one data set with one budget, and the metrics to compute."""

    cases: tuple[str, ...]
    steps: int
    metrics: tuple[str, ...] = CODES
    data: str = "mnist"
    image_size: int | None = None


def run(words: str | None, groups: Mapping[str, Group]) -> None:
    """Train the runs that are missing and print the tables."""
    parser = argparse.ArgumentParser(description=words)
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--only", choices=groups, nargs="*", default=list(groups))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    common: dict[str, Any] = {"data_dir": arguments.data_dir, "threads": arguments.threads}
    for name in arguments.only:
        group = groups[name]
        found = pf.compare(
            group.cases, group.data, seeds=arguments.seeds, out=arguments.out / name, steps=group.steps,
            metrics=group.metrics, image_size=group.image_size, **common,
            features="auto" if group.data in AUTO else "pca",
        )  # fmt: skip
        for table in found.tables.values():
            print(f"## {name}, {group.steps} steps\n\n{table.text()}\n\n{table.note}\n", flush=True)
