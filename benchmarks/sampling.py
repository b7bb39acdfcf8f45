"""Memory, speed and bytes of samples and codes that are written to folders of shards.

    python -m benchmarks.sampling [--few 10000] [--many 1000000] [--only vectors] [--folder DIR]

Trains a run on vectors and one on images for a few steps, and lets ``pushforward sample`` and ``pushforward
encode`` write few and many rows, each as a process of its own; ``encode`` reads a pack, and the .npy file
that it was made of. One JSON object a line: the largest memory of both, what many rows take more, the same of
anonymous memory alone (looked at every 10 ms; without the pages of files, which the system may take back),
the rows that a second adds, and the bytes of the shards.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# Nothing here imports torch: Linux counts the memory of the process that starts another as that one's.
CASES: dict[str, tuple[tuple[int, ...], str, tuple[str, ...]]] = {
    "vectors": ((16,), "float32", ()),
    "images": ((28, 28), "uint8", ("--network", "mlp")),
}
PART = 10_000  # rows that are made at once


class Taken(NamedTuple):
    """The largest memory, the largest anonymous memory, both in MB, and the seconds of a command."""

    peak: float
    anonymous: float
    seconds: float


def measured(*words: str) -> Taken:
    """What a command takes."""
    begun, anonymous, ended = time.perf_counter(), 0, 0
    process = subprocess.Popen([sys.executable, "-m", "pushforward", *words], stdout=subprocess.DEVNULL)
    while not ended:
        time.sleep(0.01)
        with suppress(OSError, StopIteration), Path(f"/proc/{process.pid}/status").open() as lines:
            anonymous = max(anonymous, next(int(one.split()[1]) for one in lines if "RssAnon" in one))
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"pushforward {' '.join(words)} ended with {process.returncode}")
    return Taken(usage.ru_maxrss / 1000, anonymous / 1000, time.perf_counter() - begun)


def write_rows(path: Path, n: int, shape: tuple[int, ...], dtype: str) -> None:
    """A .npy file of n random rows, part by part."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        about = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (n, *shape)}
        np.lib.format.write_array_header_1_0(file, about)
        for start in range(0, n, PART):
            part = rng.random((min(PART, n - start), *shape), np.float32)
            file.write((part * (255 if dtype == "uint8" else 1)).astype(dtype).tobytes())


def case(name: str, few: int, many: int, folder: Path) -> None:
    """Measures a case and prints a line for samples and one for codes."""
    shape, dtype, options = CASES[name]
    run = folder / "run"
    arrays: dict[int, Path] = {}
    packs: dict[int, Path] = {}
    for n in (few, many):
        arrays[n], packs[n] = folder / f"rows-{n}.npy", folder / f"pack-{n}"
        write_rows(arrays[n], n, shape, dtype)
        measured("pack", str(arrays[n]), "--out", str(packs[n]))
    budget = ("--steps", "20", "--latent-dim", "8", "--evaluate", "none", "--no-pictures")
    measured("train", "wae-mmd", str(arrays[few]), "--out", str(run), *options, *budget)
    commands: dict[str, dict[int, tuple[str, ...]]] = {
        "sample": {n: ("sample", str(run), "--n", str(n)) for n in (few, many)},
        "encode a pack": {n: ("encode", str(run), str(path)) for n, path in packs.items()},
        "encode .npy": {n: ("encode", str(run), str(path)) for n, path in arrays.items()},
    }
    for command, of_rows in commands.items():
        found: dict[int, Taken] = {}
        for n, words in of_rows.items():
            out = folder / "out"
            found[n] = measured(*words, "--out", str(out), "--device", "cpu")
            size = sum(path.stat().st_size for path in out.iterdir())
            shutil.rmtree(out)
        least, most = found[few], found[many]
        line: dict[str, Any] = {
            "command": command, "rows": name, "n": [few, many],
            "peak_mb": [round(least.peak, 1), round(most.peak, 1)],
            "more_mb": round(most.peak - least.peak, 1),
            "more_anonymous_mb": round(most.anonymous - least.anonymous, 1),
            "seconds": [round(least.seconds, 1), round(most.seconds, 1)],
            "rows_per_second": round((many - few) / (most.seconds - least.seconds)),
            "shards_mb": round(size / 1e6, 1),
        }  # fmt: skip
        print(json.dumps(line), flush=True)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--only", choices=CASES, nargs="*", default=list(CASES))
    parser.add_argument("--folder", type=Path, help="where runs and shards are while they are measured")
    given = parser.parse_args()
    for name in given.only:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            case(name, given.few, given.many, Path(folder))


if __name__ == "__main__":
    main()
