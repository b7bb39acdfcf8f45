"""CIFAR-10 in its binary version; the other one is pickled, and nothing is ever unpickled.

References:
    | Learning Multiple Layers of Features from Tiny Images (Krizhevsky, 2009)
    | https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path

import numpy as np
import torch

from pushforward.data.dataset import Dataset, Split
from pushforward.data.fetch import content, download, find, verify
from pushforward.data.formats import OpenOptions, named_dataset
from pushforward.errors import DataError, reason
from pushforward.reading import GIB, read_file

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
ARCHIVE = "cifar-10-binary.tar.gz"
FOLDER = "cifar-10-batches-bin"
TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = ("test_batch.bin",)
ROWS = 10_000  # in each file
PIXELS = 3 * 32 * 32
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@named_dataset("cifar10", "60000 photographs, 3x32x32, 10 classes; 170 MB, downloaded", modality="image")
def open_cifar(options: OpenOptions) -> Dataset:
    """CIFAR-10, from the user's files or from the network.

    In the folder of data sets, the ``.bin`` files are looked for in ``cifar10/``, ``cifar-10-batches-bin/``
    and ``cifar10/cifar-10-batches-bin/``; the archive in ``cifar10/`` and the folder itself.

    Raises:
        DataError: If it is absent and cannot be downloaded, or is damaged.
    """
    folder = options.folder
    places = (folder / "cifar10", folder / FOLDER, folder / "cifar10" / FOLDER)
    place = next((place for place in places if all((place / name).is_file() for name in TRAIN + TEST)), None)
    if place is not None:
        batches = {name: content(place / name) for name in TRAIN + TEST}
        notes: tuple[str, ...] = (f"{place} was checked by its layout only: its md5 is not published",)
    else:
        path = find([ARCHIVE], [folder / "cifar10", folder]) or download(URL, MD5, folder / "cifar10")
        place, notes = path, ()
        batches = _unpacked(path)
    train, test = (_split([(place / name, batches[name]) for name in names]) for names in (TRAIN, TEST))
    return Dataset(
        "cifar10", train, test, in_unit_interval=True, classes=CLASSES, notes=notes, source="cifar10"
    )


def _unpacked(path: Path) -> dict[str, bytes]:
    # Members are read from the archive by name: no path that it holds is ever written to.
    wanted = {f"{FOLDER}/{name}": name for name in TRAIN + TEST}
    verify(read_file(path, GIB), MD5, path)
    batches = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name in wanted and member.isreg() else None
                if file is not None:
                    batches[wanted[member.name]] = file.read(ROWS * (PIXELS + 1) + 1)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"{path}: damaged or not readable: {reason(error)}") from None
    missing = [name for name in wanted.values() if name not in batches]
    if missing:
        raise DataError(f"{path}: expected {FOLDER}/{missing[0]} within, found none")
    return batches


def _split(batches: list[tuple[Path, bytes]]) -> Split:
    for path, read in batches:
        if len(read) != ROWS * (PIXELS + 1):
            raise DataError(f"{path}: expected {ROWS * (PIXELS + 1)} bytes, found {len(read)}")
        highest = max(read[:: PIXELS + 1])
        if highest >= len(CLASSES):
            raise DataError(f"{path}: expected labels from 0 to {len(CLASSES) - 1}, found {highest}")
    rows = np.concatenate([np.frombuffer(read, np.uint8).reshape(ROWS, PIXELS + 1) for _, read in batches])
    images = rows[:, 1:].reshape(-1, 3, 32, 32).copy()
    return Split(torch.from_numpy(images), torch.from_numpy(rows[:, 0].astype(np.int64)))
