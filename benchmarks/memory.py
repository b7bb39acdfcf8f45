"""Memory that commands on a run take of few and of many rows.

    python -m benchmarks.memory [--rows 10000 100000 1000000] [--only images] [--address-space 3000]

Trains a run for a few steps from a .npy file and from a pack of each number of rows, lets ``pushforward``
look at it in each way, evaluates the smallest run on the rows of each size, and scores them; each command is
a process of its own. One JSON object a line: the largest memory of the command for each number of rows.

Files that would fill a fifth of the free memory are read as they are needed also in training, smaller ones
are kept in memory. With ``--address-space 3000`` the commands have no more MB than that, for torch and all.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
from pathlib import Path

from benchmarks.sampling import CASES, Taken, measured, write_rows

TRAINING = ("--steps", "20", "--latent-dim", "8", "--evaluate", "none", "--no-pictures", "--device", "cpu")
FEW = ("--n-samples", "1000", "--features", "pca")  # as many rows of each size


def commands(run: Path, smallest: Path, source: Path, out: Path) -> dict[str, tuple[str, ...]]:
    """What is measured, by its name: on a run that was trained on a source, and on rows of the source.

    Arguments:
        run: The run.
        smallest: The run on the fewest rows.
        source: The rows.
        out: A folder that a command may write.
    """
    return {
        "doctor": ("doctor", str(run)),
        "evaluate": ("evaluate", str(run), *FEW),
        "report": ("report", str(run)),
        "compare": ("compare", str(run), *FEW, "--out", str(out)),
        "evaluate --data": ("evaluate", str(smallest), "--data", str(source), *FEW),
        "score, real rows": ("score", str(source), str(smallest.with_name("generated.npy")), *FEW),
        "score, generated": ("score", str(smallest.with_name("generated.npy")), str(source), *FEW),
    }


def case(name: str, sizes: list[int], kinds: list[str], only: list[str], folder: Path) -> None:
    """Measures all commands on the rows of a case and prints a line for each."""
    shape, dtype, options = CASES[name]
    write_rows(folder / "generated.npy", 2000, shape, dtype)
    for kind in kinds:
        found: dict[str, dict[int, Taken]] = {}
        for n in sizes:
            source, run = folder / f"rows-{n}.npy", folder / f"run-{kind}-{n}"
            if not source.exists():
                write_rows(source, n, shape, dtype)
            if kind == "pack":
                source = folder / f"pack-{n}"
                found.setdefault("pack", {})[n] = measured(
                    "pack", str(folder / f"rows-{n}.npy"), "--out", str(source)
                )
            words = ("train", "wae-mmd", str(source), "--out", str(run), *options, *TRAINING)
            found.setdefault("train", {})[n] = measured(*words)
            wanted = commands(run, folder / f"run-{kind}-{sizes[0]}", source, folder / "out")
            for command, words in wanted.items():
                if not only or command in only:
                    found.setdefault(command, {})[n] = measured(*words)
                shutil.rmtree(folder / "out", ignore_errors=True)
        for command, taken in found.items():
            line = {
                "command": command, "from": kind, "rows": name, "n": [*taken],
                "peak_mb": [round(one.peak) for one in taken.values()],
                "anonymous_mb": [round(one.anonymous) for one in taken.values()],
                "seconds": [round(one.seconds, 1) for one in taken.values()],
            }  # fmt: skip
            print(json.dumps(line), flush=True)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--only", choices=CASES, nargs="*", default=["images"])
    parser.add_argument("--kinds", choices=("npy", "pack"), nargs="*", default=["npy", "pack"])
    parser.add_argument("--commands", nargs="*", default=[], help="all, unless some are named")
    parser.add_argument("--address-space", type=int, help="what a command may take, in MB")
    parser.add_argument("--folder", type=Path, help="where rows and runs are while they are measured")
    given = parser.parse_args()
    if given.address_space:  # of this process, and so of those that it starts
        resource.setrlimit(resource.RLIMIT_AS, (given.address_space * 10**6, resource.RLIM_INFINITY))
    for name in given.only:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            case(name, sorted(given.rows), given.kinds, given.commands, Path(folder))


if __name__ == "__main__":
    main()
