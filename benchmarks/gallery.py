"""The pictures of the pages of auto-encoders: samples of one short run of each recipe.

    python -m benchmarks.gallery --data-dir DATA --out runs/gallery                # all, an hour on a core
    python -m benchmarks.gallery --data-dir DATA --out runs/gallery --only vae ae  # some

Runs are on MNIST, with the defaults of the recipe and few steps; those of text are on the phrases of the
catalogue. Samples are the first 40, none is chosen; of text they are printed. Pictures of other recipes
are cut from those of ``benchmarks.pictures``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import pushforward as pf
from pushforward.recipes import RECIPES
from pushforward.recipes.recipe import GANS, MOMENTS
from pushforward.report.images import picture
from pushforward.runs.run import Run

PICTURES = Path("docs/images/models")
STEPS = 3000
NAMES = [name for name, one in RECIPES.items() if one.family not in (GANS, MOMENTS) and name != "gmmn-ae"]
TEXT = ("arae", "transfer-ae")
PLANE = ("aae-label-regularised", "aae-reduction")
OPTIONS: dict[str, dict[str, Any]] = {
    "aae-semi-supervised": {"n_labels": 100},
    "aae-label-regularised": {"n_labels": 10_000},
    "aae-reduction": {"n_labels": 100},
}
COLUMNS, SAMPLES = 20, 40


def trained(name: str, data_dir: str | None, out: Path, steps: int) -> Run:
    """The run of a recipe."""
    data = "phrases" if name in TEXT else "mnist"
    return pf.train(
        name, data, data_dir=data_dir, steps=steps, out=out / name, threads=1, **OPTIONS.get(name, {})
    )


def main() -> None:
    """Train, and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), default=NAMES)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        began = time.process_time()
        run = trained(name, arguments.data_dir, arguments.out, arguments.steps)
        print(f"{name}: {run.step} steps, {time.process_time() - began:.0f} CPU seconds")
        if name in TEXT:
            print("\n".join(run.lines(run.sample(8))))
        elif name in PLANE:
            run.plots.codes().savefig(PICTURES / f"{name}.png")
        else:
            picture(run.sample(SAMPLES), COLUMNS).save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
