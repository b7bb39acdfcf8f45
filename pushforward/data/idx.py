"""MNIST and Fashion-MNIST, from the idx files in which they are published.

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
from pushforward.data.formats import OpenOptions, named_dataset
from pushforward.errors import DataError

UNSIGNED_BYTES = 0x08


FILES = (
    ("train-images-idx3-ubyte", (60_000, 28, 28)),
    ("train-labels-idx1-ubyte", (60_000,)),
    ("t10k-images-idx3-ubyte", (10_000, 28, 28)),
    ("t10k-labels-idx1-ubyte", (10_000,)),
)


@dataclass(frozen=True)
class Source:
    """A data set in MNIST's format.

    Arguments:
        name: Name in the catalogue.
        other: Name of torchvision's folder.
        url: Where its files are.
        classes: Names of the labels.
        packed: The md5 of each ``.gz`` file at ``url``, in the order of ``FILES``.
        within: The md5 of each file unpacked, since a user may have compressed it again.
    """

    name: str
    other: str
    url: str
    classes: tuple[str, ...]
    packed: tuple[str, ...]
    within: tuple[str, ...]


MNIST = Source(
    name="mnist",
    other="MNIST",
    url="https://ossci-datasets.s3.amazonaws.com/mnist/",
    classes=tuple("0123456789"),
    packed=(
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    within=(
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    ),
)
FASHION = Source(
    name="fashion-mnist",
    other="FashionMNIST",
    url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    classes=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    packed=(
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    within=(
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "9018921c3c673c538a1fc5bad174d6f9",
        "8181f5470baa50b63fa0f6fddb340f0a",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
)


@named_dataset("mnist", "70000 handwritten digits, 1x28x28, 10 classes; 12 MB, downloaded", modality="image")
def open_mnist(options: OpenOptions) -> Dataset:
    """MNIST."""
    return open_idx(MNIST, options.folder)


@named_dataset(
    "fashion-mnist", "70000 pieces of clothing, 1x28x28, 10 classes; 31 MB, downloaded", modality="image"
)
def open_fashion_mnist(options: OpenOptions) -> Dataset:
    """Fashion-MNIST."""
    return open_idx(FASHION, options.folder)


def open_idx(source: Source, folder: Path) -> Dataset:
    """A data set in MNIST's format, from the user's files or from the network.

    Arguments:
        source: Which one.
        folder: Where data sets are kept. The files, plain or ``.gz``, are looked for in ``<name>/``,
            ``<name>/raw/``, torchvision's ``<Name>/raw/`` and the folder itself.

    Raises:
        DataError: If a file is absent and cannot be downloaded, or is damaged.
    """
    places = (folder / source.name, folder / source.name / "raw", folder / source.other / "raw", folder)
    parts: list[Tensor] = []
    for (name, shape), packed, within in zip(FILES, source.packed, source.within, strict=True):
        path = find((name, f"{name}.gz"), places)
        if path is None:
            path = download(f"{source.url}{name}.gz", packed, folder / source.name)
        read = content(path)
        verify(read, within, path)
        values = parse_idx(read, path)
        if tuple(values.shape) != shape:
            raise DataError(f"{path}: expected shape {shape}, found {tuple(values.shape)}")
        parts.append(values)
    train_x, train_y, test_x, test_y = parts
    return Dataset(
        source.name,
        Split(train_x.unsqueeze(1), train_y.long()),
        Split(test_x.unsqueeze(1), test_y.long()),
        in_unit_interval=True,
        classes=source.classes,
        source=source.name,
    )


def parse_idx(read: bytes, path: Path) -> Tensor:
    """The array in an idx file of bytes: two zeros, the type, the number of axes, their lengths, the values.

    Raises:
        DataError: If the file has another format, or its length differs from what its header declares.

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
