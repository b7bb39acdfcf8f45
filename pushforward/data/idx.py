"""MNIST and Fashion-MNIST, in the idx files that they are published in.

References:
    | Gradient-based learning applied to document recognition (LeCun et al., 1998)
    | http://yann.lecun.com/exdb/mnist/
    | Fashion-MNIST: a Novel Image Dataset for Benchmarking ML Algorithms (Xiao et al., 2017)
    | https://arxiv.org/abs/1708.07747
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pushforward.data.dataset import Dataset, Split
from pushforward.data.fetch import content, download, find, verify
from pushforward.errors import DataError

UNSIGNED_BYTES = 0x08


@dataclass(frozen=True)
class File:
    """One of the four files: its name, its rows, and the md5 of what is downloaded and of what is within."""

    name: str
    rows: int
    packed: str
    within: str | None


@dataclass(frozen=True)
class Source:
    """One set in MNIST's format.

    Arguments:
        name: Name in the catalogue.
        other: Name of torchvision's folder.
        url: Where its files are.
        classes: Names of the labels.
        files: Images and labels to train on, images and labels held out.
    """

    name: str
    other: str
    url: str
    classes: tuple[str, ...]
    files: tuple[File, File, File, File]


MNIST = Source(
    "mnist",
    "MNIST",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    tuple("0123456789"),
    (
        File(
            "train-images-idx3-ubyte",
            60_000,
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "6bbc9ace898e44ae57da46a324031adb",
        ),
        File(
            "train-labels-idx1-ubyte",
            60_000,
            "d53e105ee54ea40749a09fcbcd1e9432",
            "a25bea736e30d166cdddb491f175f624",
        ),
        File(
            "t10k-images-idx3-ubyte",
            10_000,
            "9fb629c4189551a2d022fa330f9573f3",
            "2646ac647ad5339dbf082846283269ea",
        ),
        File(
            "t10k-labels-idx1-ubyte",
            10_000,
            "ec29112dd5afa0611ce80d1b7f02629c",
            "27ae3e4e09519cfbb04c629615203637",
        ),
    ),
)
FASHION = Source(
    "fashion-mnist",
    "FashionMNIST",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    # Only the packed files have a published md5.
    (
        File("train-images-idx3-ubyte", 60_000, "8d4fb7e6c68d591d4c3dfef9ec88bf0d", None),
        File("train-labels-idx1-ubyte", 60_000, "25c81989df183df01b3e8a0aad5dffbe", None),
        File("t10k-images-idx3-ubyte", 10_000, "bef4ecab320f06d8554ea6380940ec79", None),
        File("t10k-labels-idx1-ubyte", 10_000, "bb300cfdad3c16e7a12a480ee83cd310", None),
    ),
)


def open_idx(source: Source, folder: Path) -> Dataset:
    """The set of a source, from the user's files or from the network.

    Arguments:
        source: Which one.
        folder: Where data sets are kept. The files, plain or ``.gz``, are looked for in ``<name>/``,
            ``<name>/raw/``, torchvision's ``<Name>/raw/`` and the folder itself.

    Raises:
        DataError: If a file is absent and cannot be downloaded, or is damaged.
    """
    places = (folder / source.name, folder / source.name / "raw", folder / source.other / "raw", folder)
    notes: list[str] = []
    parts: list[Tensor] = []
    for file in source.files:
        path = find((file.name, f"{file.name}.gz"), places)
        if path is None:
            path = download(f"{source.url}{file.name}.gz", file.packed, folder / source.name)
        read = content(path)
        if file.within is not None:
            verify(read, file.within, path)
        elif path.suffix == ".gz":
            verify(path.read_bytes(), file.packed, path)
        else:
            notes.append(f"{path} was checked by its layout only: its md5 is not published")
        parts.append(_checked(parse_idx(read, path), file, len(source.classes), path))
    train_x, train_y, test_x, test_y = parts
    return Dataset(
        source.name,
        Split(train_x.unsqueeze(1), train_y.long()),
        Split(test_x.unsqueeze(1), test_y.long()),
        unit=True,
        classes=source.classes,
        notes=tuple(notes),
        source=source.name,
    )


def parse_idx(read: bytes, path: Path) -> Tensor:
    """The array in an idx file of bytes: two zeros, the type, the number of axes, their lengths, the values.

    Raises:
        DataError: If the file is no such one, or its length is not what its header declares.

    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 5, 6]), Path("two"))
    tensor([5, 6], dtype=torch.uint8)
    """
    if len(read) < 4 or read[:3] != bytes((0, 0, UNSIGNED_BYTES)):
        raise DataError(
            f"{path}: expected an idx file of bytes, which begins 00 00 08, found {read[:3].hex(' ')}"
        )
    axes = read[3]
    start = 4 + 4 * axes
    shape = [int.from_bytes(read[at : at + 4], "big") for at in range(4, start, 4)]
    expected = start + int(np.prod(shape, dtype=object))
    if len(read) != expected:
        raise DataError(f"{path}: expected {expected} bytes for shape {tuple(shape)}, found {len(read)}")
    return torch.from_numpy(np.frombuffer(read, np.uint8, offset=start).reshape(shape).copy())


def _checked(values: Tensor, file: File, classes: int, path: Path) -> Tensor:
    expected = (file.rows, 28, 28) if "images" in file.name else (file.rows,)
    if tuple(values.shape) != expected:
        raise DataError(f"{path}: expected shape {expected}, found {tuple(values.shape)}")
    if "labels" in file.name and int(values.max()) >= classes:
        raise DataError(f"{path}: expected labels from 0 to {classes - 1}, found {int(values.max())}")
    return values
