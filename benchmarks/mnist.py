"""Auto-encoders on MNIST, each trained for minutes on two CPU cores.

    python -m benchmarks.mnist --data-dir DATA --out RUNS [--only auto] [--seeds 0 1 2]

Prints a table for docs/results. Finished runs are not trained again.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import pushforward as pf

STARTS = (0.1, 1.0, 10.0, 100.0, 1000.0)
CASES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "wae-mmd": [("wae-mmd", {"minutes": 2})],
    "wae-gan": [("wae-gan", {"minutes": 3})],
    "vae": [("vae", {"minutes": 2})],
    "ae": [("ae", {"minutes": 2})],
    "auto": [("wae-mmd", {"minutes": 2, "weight": "auto", "weight_init": start}) for start in STARTS],
}


def main() -> None:
    """Train the runs that are missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/mnist"))
    parser.add_argument("--only", choices=CASES, nargs="*", default=list(CASES))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    print("| recipe | seed | steps | squared error | latent MMD² | p at batch / 1000 | objective | weight |")
    print("|---|---|---|---|---|---|---|---|")
    for case in arguments.only:
        errors = []
        for recipe, options in CASES[case]:
            asked = options.get("weight_init", "")
            for seed in arguments.seeds:
                name = "-".join(map(str, (recipe, options.get("weight", "default"), asked, seed)))
                run = pf.train(
                    recipe,
                    "mnist",
                    data_dir=arguments.data_dir,
                    out=arguments.out / name,
                    seed=seed,
                    threads=arguments.threads,
                    **options,
                )
                result = run.evaluate()
                error = result["reconstruction"]["squared_error"]["value"]
                errors.append(error)
                weight = run.history[-1].get("weight")
                printed = "" if weight is None else f"{weight:.3g}"
                mmd, tests = result["latent"]["mmd"], result["latent"]["tests"]
                chances = " / ".join(f"{test['p_value']:.3f}" for test in tests)
                objective = sum(result["objective"]["terms"].values())
                print(
                    f"| {recipe} {asked} | {seed} | {run.step} | {error:.2f} | {mmd:.4f} | {chances} "
                    f"| {objective:.2f} | {printed} |",
                    flush=True,
                )
        if len(errors) > 1:
            spread = max(errors) / min(errors) - 1
            print(f"\n{case}: mean {statistics.mean(errors):.2f}, largest over smallest {spread:+.1%}\n")


if __name__ == "__main__":
    main()
