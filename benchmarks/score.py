"""What ``pf.score`` of two folders of images takes.

    python -m benchmarks.score --rows 2500 10000

Images are generated, 32x32 in colour. Two folders are scored in a process of its own for each number of rows;
printed are the CPU seconds and the largest memory beyond that of a process that scores 100 rows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32
BASE = 100  # rows whose memory is that of the libraries
CHILD = """
import json, resource, sys, time
import pushforward as pf
begun = time.process_time()
found = pf.score(sys.argv[1], sys.argv[2], features=sys.argv[3], n_samples=10_000)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([found["n_samples"], found["samples"]["fd"]["value"], time.process_time() - begun, peak]))
"""


def write_images(folder: Path, rows: int, seed: int) -> Path:
    """Smooth random images as PNG files: a few waves in each channel, and noise."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    for number in range(rows):
        waves = rng.normal(size=(3, 4)) * [4, 4, 1, 0.3 + 0.1 * seed]
        image = [np.sin(a * x + b * y + c) * d + rng.normal(0, 0.05, (SIDE, SIDE)) for a, b, c, d in waves]
        pixels = (np.clip(np.stack(image, 2) / 2 + 0.5, 0, 1) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06}.png")
    return folder


def memory(rows: list[int], features: str) -> None:
    """Prints what scoring of folders takes."""
    base = 0.0
    for count in (BASE, *rows):
        with tempfile.TemporaryDirectory() as place:
            folders = [str(write_images(Path(place) / str(seed), count, seed)) for seed in (0, 1)]
            call = [sys.executable, "-c", CHILD, *folders, features]
            n, distance, seconds, peak = json.loads(subprocess.check_output(call))
        base = base or peak
        words = f"{n:,} rows of each: FD {distance:.4g}, {seconds:.1f} CPU s"
        print(f"{words}, {peak - base:.0f} MiB beyond {base:.0f}")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[2500, 10_000])
    parser.add_argument("--features", default="pca")
    given = parser.parse_args()
    memory(given.rows, given.features)


if __name__ == "__main__":
    main()
