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
FEW, MANY, WIDTH = 80_000, 400_000, 16  # few fill a part that is read at once, too
OPTIONS = {"steps": 2, "latent_dim": 2, "progress": False, "pictures": False}
CHILD = """
import json, sys
import numpy as np
import pushforward as pf
from pushforward.data import mapped

def peak(rows, name):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak is what is in memory now
    work(rows, name)
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1000

work, before, *sources = sys.argv[1:]
exec(before)
work = eval(work)
few, many = map(prepared, sources)
work(few, "first")  # what is imported, and kept by the allocator
print(json.dumps(-peak(few, "few") + peak(many, "many")))
"""

pytestmark = pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="only Linux forgets the peak of a process"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A WAE on vectors of real numbers."""
    out = tmp_path_factory.mktemp("memory") / "run"
    return pf.train("wae-mmd", RNG.normal(size=(200, WIDTH)).astype(np.float32), out=out, **OPTIONS)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Few and many rows, which take 64 bytes each on the disk, as .npy and .npz files and as packs."""
    folder, found = tmp_path_factory.mktemp("sources"), {}
    for name, n in (("few", FEW), ("many", MANY)):
        path = folder / f"{name}.npy"
        np.lib.format.open_memmap(path, "w+", np.float32, (n, WIDTH))[:1000] = RNG.normal(size=(1000, WIDTH))
        pf.pack(path, folder / name, standardize=False, progress=False)
        np.savez(folder / f"{name}.npz", x=np.load(path, mmap_mode="r"))
        found[name] = {".npy": path, ".npz": folder / f"{name}.npz", "pack": folder / name}
    return found


@pytest.fixture(scope="module")
def runs(sources, tmp_path_factory):
    """A run on each of the sources."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: {
            kind: pf.train("wae-mmd", path, out=folder / f"{name}{kind}", **OPTIONS).path
            for kind, path in paths.items()
        }
        for name, paths in sources.items()
    }


def more(work, few, many, folder, before="prepared = str"):
    """The MB that many rows take in memory beyond what is there after few.

    ``work`` is called with what ``prepared``, which ``before`` defines, makes of the path, and with a name.
    """
    done = subprocess.run(
        [sys.executable, "-c", CHILD, work, before, str(few), str(many)],
        capture_output=True, text=True, check=True,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(pf.__file__).parents[1]),
            "MALLOC_MMAP_THRESHOLD_": "65536",  # what glibc would keep goes back to the system
        },
    )  # fmt: skip
    return json.loads(done.stdout)


# Rows that are held take 64 bytes as they are, and took 270 with their copies; their numbers, 50.
@pytest.mark.parametrize(("kind", "bound"), [(".npy", 18), (".npz", 18), ("pack", 12)])
def test_codes_take_no_memory_for_each_row(kind, bound, run, sources, tmp_path):
    few, many = (sources[name][kind] for name in ("few", "many"))
    work = f"lambda rows, name: pf.load({str(run.path)!r}).encode_file(rows, name + '.npy')"
    assert more(work, few, many, tmp_path) < bound
    assert np.load(tmp_path / "many.npy", mmap_mode="r").shape == (MANY, 2)


def test_codes_of_an_array_take_their_own_memory_alone(run, sources, tmp_path):
    """8 bytes a row; scaled at once, rows took 380 beside those that were given."""
    few, many = (sources[name][".npy"] for name in ("few", "many"))
    work = f"lambda rows, name: pf.load({str(run.path)!r}).encode(rows)"
    assert more(work, few, many, tmp_path, "prepared = np.load") < 12


LATER = "mapped.SHARE = 0; mapped.SAMPLE = 2**20; prepared = str"  # as if they would fill the memory
ONCE = "mapped.SAMPLE = 2**20; prepared = str"
EVALUATE = ".evaluate(500, features='pixels', metrics=['samples', 'reconstruction'])"


@pytest.mark.parametrize("kind", [".npy", ".npz", "pack"])
def test_an_evaluation_takes_no_memory_for_each_row_of_its_data(kind, run, sources, runs, tmp_path):
    """But for the order of rows, 8 bytes and at times 16: of other data, and of those of the run."""
    few, many = (sources[name][kind] for name in ("few", "many"))
    other = more(f"lambda rows, name: pf.load({str(run.path)!r}, rows){EVALUATE}", few, many, tmp_path)
    few, many = (runs[name][kind] for name in ("few", "many"))
    own = more(f"lambda rows, name: pf.load(rows){EVALUATE}", few, many, tmp_path)
    assert max(own, other) < 10


@pytest.mark.parametrize("kind", [".npy", ".npz", "pack"])
def test_scores_take_no_memory_for_each_real_row(kind, sources, tmp_path):
    few, many = (sources[name][kind] for name in ("few", "many"))
    work = f"lambda rows, name: pf.score(rows, {str(few)!r}, features='pixels', n_samples=500)"
    assert more(work, few, many, tmp_path, ONCE) < 12


TRAIN = f"lambda rows, name: pf.train('wae-mmd', rows, out=name, **{OPTIONS})"


# Rows that are kept in memory take 20 MB more, and took 65 while they were read.
@pytest.mark.parametrize(
    ("kind", "how", "bound"),
    [(".npy", LATER, 8), (".npz", LATER, 8), ("pack", LATER, 8), (".npy", ONCE, 28)],
)
def test_training_holds_rows_once_or_not_at_all(kind, how, bound, sources, tmp_path):
    few, many = (sources[name][kind] for name in ("few", "many"))
    assert more(TRAIN, few, many, tmp_path, how) < bound
