"""What goes through a run part by part takes no more memory of more rows, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pushforward as pf

RNG = np.random.default_rng(0)
FEW, MANY, WIDTH = 20_000, 400_000, 16
CHILD = """
import json, sys
import numpy as np
import pushforward as pf

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1000

run, few, many = pf.load(sys.argv[1]), sys.argv[3::2], sys.argv[4::2]
if sys.argv[2] == "encode":
    few, many = [np.load(few[0])], [np.load(many[0])]
getattr(run, sys.argv[2])(*few)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak is what is in memory now
before = peak()
getattr(run, sys.argv[2])(*many)
print(json.dumps(peak() - before))
"""

pytestmark = pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="only Linux forgets the peak of a process"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A WAE on vectors of real numbers."""
    out = tmp_path_factory.mktemp("memory") / "run"
    return pf.train("wae-mmd", RNG.normal(size=(200, WIDTH)).astype(np.float32), out=out, steps=2,
                    latent_dim=2, progress=False, pictures=False)  # fmt: skip


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Few and many rows, which take 64 bytes each on the disk, as .npy files and as packs."""
    folder, found = tmp_path_factory.mktemp("sources"), {}
    for name, n in (("few", FEW), ("many", MANY)):
        path = folder / f"{name}.npy"
        np.lib.format.open_memmap(path, "w+", np.float32, (n, WIDTH))[0] = 1
        pf.pack(path, folder / name, standardize=False, progress=False)
        found[name] = {".npy": path, "pack": folder / name}
    return found


def more(run, method, few, many, folder):
    """The MB that many rows take in memory beyond what is there after few, and arrays that are given."""
    words = [run.path, method, few, many, folder / "few.npy", folder / "many.npy"]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, words)], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(pf.__file__).parents[1])}, cwd=folder,
    )  # fmt: skip
    return json.loads(done.stdout)


# Rows that are held take 64 bytes as they are, and took 270 with their copies; their numbers, 50.
@pytest.mark.parametrize(("kind", "bound"), [(".npy", 18), ("pack", 12)])
def test_codes_take_no_memory_for_each_row(kind, bound, run, sources, tmp_path):
    few, many = (sources[name][kind] for name in ("few", "many"))
    assert more(run, "encode_file", few, many, tmp_path) < bound
    assert np.load(tmp_path / "many.npy", mmap_mode="r").shape == (MANY, 2)


def test_codes_of_an_array_take_their_own_memory_alone(run, sources, tmp_path):
    """8 bytes a row; scaled at once, rows took 380 beside those that were given."""
    few, many = (sources[name][".npy"] for name in ("few", "many"))
    assert more(run, "encode", few, many, tmp_path) < 12
