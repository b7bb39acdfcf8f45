"""The table of doors in docs/data.md: what each kind of source does with numbers, images, labels, missing and
bad values. Every cell is found by opening such data; ``python -m tests.data.test_doors`` prints the table.
"""

import io
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import io as scipy_io
from scipy import sparse
from torch.utils.data import Dataset as TorchDataset

import pushforward as pf
from pushforward.data import open_dataset
from pushforward.errors import DataError

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
COLUMNS = ("numbers", "images", "labels", "missing labels", "missing values", "bad")
N = 40
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(N, 3))
HOLES = NUMBERS.copy()
HOLES[5, 1] = np.nan
IMAGES = RNG.integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)
NAMES = ["cat" if number % 3 else "dog" for number in range(N)]
SOME = [None if number == 7 else name for number, name in enumerate(NAMES)]
CODES = [-1 if number == 7 else number % 2 for number in range(N)]


class Items(TorchDataset):
    """A map-style data set of a list."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]


def pictures():
    return [Image.fromarray(x) for x in IMAGES]


def saved(folder, name, write, *values):
    write(folder / name, *values)
    return folder / name


def image_folder(folder, labelled=False, loose=False, damaged=False):
    for number, image in enumerate(pictures()):
        path = (
            folder / (NAMES[number] if labelled and not (loose and number == 7) else "") / f"{number:02}.png"
        )
        path.parent.mkdir(exist_ok=True)
        image.save(path)
    if damaged:
        (folder / "05.png").write_bytes(b"no image")
    return folder


def frame(library, x, y=None):
    module = pytest.importorskip(library)
    columns = {name: x[:, number] for number, name in enumerate("abc")}
    return module.DataFrame(columns | ({} if y is None else {"label": y}))


def csv(folder, x, y=None, more=""):
    lines = [",".join("" if np.isnan(value) else repr(float(value)) for value in row) for row in x]
    if y is not None:
        lines = [f"{line},{name or ''}" for line, name in zip(lines, y, strict=True)]
    path = folder / "rows.csv"
    path.write_text("\n".join(["a,b,c" + (",label" if y is not None else ""), *lines, more]))
    return path


def hugging_face(**columns):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    return datasets.Dataset.from_dict(columns)


def columns_of(x):
    return {name: x[:, number].tolist() for number, name in enumerate("abc")}


def h5ad(folder, x, y=None, group=True):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "a.h5ad", "w") as file:
        if group:
            file["X"] = x
        if y is not None:
            column = file.create_group("obs").create_group("cell_type")
            column["categories"] = ["cat", "dog"]
            column["codes"] = np.array(
                [-1 if one is None else ["cat", "dog"].index(one) for one in y], np.int8
            )
    return folder / "a.h5ad"


def packed(folder, source):
    pf.pack(source, folder / "pack", progress=False)
    return folder / "pack"


def shortened(pack):
    (pack / "rows.bin").write_bytes(b"few")
    return pack


# For each door what is opened in each column; None where a source cannot hold such a thing.
DOORS = {
    "arrays, tensors, tuples, dicts": (
        lambda f: NUMBERS, lambda f: IMAGES, lambda f: (NUMBERS, NAMES), lambda f: (NUMBERS, SOME),
        lambda f: HOLES, lambda f: {"x": np.array([["a"]] * N)},
    ),
    "`.npy`, `.npz`": (
        lambda f: saved(f, "x.npy", np.save, NUMBERS), lambda f: saved(f, "x.npy", np.save, IMAGES),
        lambda f: saved(f, "x.npz", lambda p: np.savez(p, x=NUMBERS, y=NAMES)),
        lambda f: saved(f, "x.npz", lambda p: np.savez(p, x=NUMBERS, y=CODES)),
        lambda f: saved(f, "x.npy", np.save, HOLES),
        lambda f: saved(f, "x.npy", Path.write_bytes, b"\x93NUMPY"),
    ),
    "sparse matrices": (
        lambda f: sparse.csr_matrix(NUMBERS), None, lambda f: (sparse.csr_matrix(NUMBERS), NAMES),
        lambda f: (sparse.csr_matrix(NUMBERS), SOME), lambda f: sparse.csr_matrix(HOLES), None,
    ),
    "lists of Pillow's images": (
        None, lambda f: pictures(), lambda f: (pictures(), NAMES), lambda f: (pictures(), SOME), None,
        lambda f: [*pictures()[:-1], "photo"],
    ),
    "a folder of images": (
        None, image_folder, lambda f: image_folder(f, labelled=True),
        lambda f: image_folder(f, labelled=True, loose=True), None, lambda f: image_folder(f, damaged=True),
    ),
    "map-style data of PyTorch": (
        lambda f: Items(list(NUMBERS)), lambda f: Items(pictures()),
        lambda f: Items(list(zip(pictures(), NAMES, strict=True))),
        lambda f: Items(list(zip(pictures(), SOME, strict=True))), lambda f: Items(list(HOLES)),
        lambda f: Items([*NUMBERS[:-1], NUMBERS[0, :2]]),
    ),
    "Hugging Face": (
        lambda f: hugging_face(**columns_of(NUMBERS)), lambda f: hugging_face(image=pictures()),
        lambda f: hugging_face(image=pictures(), label=NAMES),
        lambda f: hugging_face(image=pictures(), label=SOME),
        lambda f: hugging_face(**columns_of(HOLES)), lambda f: hugging_face(x=[[1.0]] * N + [[1.0, 2.0]]),
    ),
    "frames of pandas": (
        lambda f: frame("pandas", NUMBERS), None, lambda f: frame("pandas", NUMBERS, NAMES),
        lambda f: frame("pandas", NUMBERS, SOME), lambda f: frame("pandas", HOLES), None,
    ),
    "frames of polars": (
        lambda f: frame("polars", NUMBERS), None, lambda f: frame("polars", NUMBERS, NAMES),
        lambda f: frame("polars", NUMBERS, SOME), lambda f: frame("polars", HOLES), None,
    ),
    "`.csv`": (
        lambda f: csv(f, NUMBERS), None, lambda f: csv(f, NUMBERS, NAMES), lambda f: csv(f, NUMBERS, SOME),
        lambda f: csv(f, HOLES), lambda f: csv(f, NUMBERS, more="1,2\n"),
    ),
    "`.h5ad`": (
        lambda f: h5ad(f, NUMBERS), None, lambda f: h5ad(f, NUMBERS, NAMES), lambda f: h5ad(f, NUMBERS, SOME),
        lambda f: h5ad(f, HOLES), lambda f: h5ad(f, NUMBERS, group=False),
    ),
    "`.mat`": (
        lambda f: saved(f, "x.mat", lambda p: scipy_io.savemat(p, {"X": NUMBERS})),
        lambda f: saved(f, "x.mat", lambda p: scipy_io.savemat(p, {"X": IMAGES.transpose(1, 2, 3, 0)})),
        lambda f: saved(f, "x.mat", lambda p: scipy_io.savemat(p, {"X": NUMBERS, "y": np.arange(N) % 2})),
        lambda f: saved(f, "x.mat", lambda p: scipy_io.savemat(p, {"X": NUMBERS, "y": CODES})),
        lambda f: saved(f, "x.mat", lambda p: scipy_io.savemat(p, {"X": HOLES})),
        lambda f: saved(f, "x.mat", Path.write_bytes, b"nothing"),
    ),
    "packs": (
        lambda f: packed(f, NUMBERS), lambda f: packed(f, IMAGES), lambda f: packed(f, (NUMBERS, NAMES)),
        lambda f: packed(f, (NUMBERS, SOME)), None, lambda f: shortened(packed(f, NUMBERS)),
    ),
}  # fmt: skip


def found(column, source):
    """What happens to a source, in the words of the table."""
    try:
        data = open_dataset(source)
    except DataError as error:
        return "refused" if "\n" not in str(error) else "a message of several lines"
    if column == "missing values":
        return "a cell of its own" if data.modality == "table" else "kept"
    if column in ("numbers", "images"):
        shape = "×".join(map(str, data.shape))
        return f"{data.modality} {shape}"
    if data.train.y is None:
        return "a column" if data.modality == "table" else "not read"
    ys = [*data.train.y.tolist(), *data.test.y.tolist()]
    if column == "labels":
        return f"{len(data.labels)} classes"
    return "unknown" if ys.count(-1) == 1 else "a class"


def cells(door):
    """The cells of one line of the table."""
    result = []
    for column, make in zip(COLUMNS, DOORS[door], strict=True):
        if make is None:
            result.append("–")
            continue
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            inside = Path(folder) / "data"
            inside.mkdir()
            result.append(found(column, make(inside)))
    return result


def line(door):
    return f"| {door} | {' | '.join(cells(door))} |"


@pytest.mark.parametrize("door", DOORS)
def test_the_table_of_doors_is_true(door):
    lines = io.StringIO(PAGE.read_text(encoding="utf-8")).read().splitlines()
    assert line(door) in lines


def test_the_table_has_every_door():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index(f"| source | {' | '.join(COLUMNS)} |")
    table = lines[start + 2 : start + 2 + len(DOORS)]
    assert [one.split(" | ")[0].removeprefix("| ") for one in table] == list(DOORS)


def test_a_folder_of_files_that_are_data_by_themselves_is_refused_with_ways_that_work(tmp_path):
    """A row in each, and ten rows in each: it cannot be seen which, so that the user has to say it."""
    single, parts = tmp_path / "single", tmp_path / "parts"
    for folder, files in ((single, NUMBERS), (parts, np.split(NUMBERS, 4))):
        (folder / "cat").mkdir(parents=True)
        for number, x in enumerate(files):
            np.save(folder / "cat" / f"{number:02}.npy", x)
        said = (
            rf"found {len(files)} .npy files; such a file is data by itself: give one, or join several in one"
        )
        with pytest.raises(DataError, match=said):
            open_dataset(folder)
    paths = sorted(single.rglob("*.npy"))
    np.save(tmp_path / "stacked.npy", np.stack([np.load(path) for path in paths]))
    np.save(tmp_path / "joined.npy", np.concatenate([np.load(path) for path in sorted(parts.rglob("*.npy"))]))

    class Files(Items):
        def __getitem__(self, number):
            return np.load(self.items[number])

    wanted = open_dataset(NUMBERS).fingerprint
    for way in (tmp_path / "stacked.npy", tmp_path / "joined.npy", Files(paths)):
        assert open_dataset(way).fingerprint == wanted


if __name__ == "__main__":
    sys.stdout.write("\n".join(map(line, DOORS)) + "\n")
