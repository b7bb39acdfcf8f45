"""dSprites, from a file that is downloaded by hand, with the factors that generated each image.

References:
    | dSprites: Disentanglement testing Sprites dataset (Matthey, Higgins, Hassabis & Lerchner, 2017)
    | https://github.com/google-deepmind/dsprites-dataset
"""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.dataset import Dataset, Split, hold_out
from pushforward.data.fetch import find
from pushforward.data.formats import OpenOptions, named_dataset
from pushforward.data.sprites import FACTORS, SHAPES, SIDE
from pushforward.errors import DataError, reason

PAGE = "https://github.com/google-deepmind/dsprites-dataset"
FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
SIZES = (1, 3, 6, 40, 32, 32)  # colour, and the factors of sprites
IMAGES, CLASSES = "imgs", "latents_classes"  # latents_values hold the same, and the metadata are pickled
CHUNK = 4096  # images read at once


@named_dataset(
    "dsprites",
    "737280 sprites, 1x64x64, 5 known factors; download by hand, 3 GB in memory",
    modality="image",
)
def open_dsprites(options: OpenOptions) -> Dataset:
    """All 737,280 images, 3 GB in memory; a tenth is held out, at random.

    The factors are the file's ``latents_classes`` without the constant colour, the labels the shapes. The
    first and the last orientation of the file are one angle, 0 and 2π.

    The file is looked for in ``dsprites/`` of the folder of data sets, and in that folder itself.

    Raises:
        DataError: If the file is absent or damaged, or does not hold all combinations in their order.
    """
    folder = options.folder
    path = find([FILE], [folder / "dsprites", folder])
    if path is None:
        raise DataError(
            f"dsprites: expected {FILE} in {folder / 'dsprites'}, found none; "
            f"download it by hand from {PAGE} (or use 'sprites', which needs no file)"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            factors = _factors(archive, path)
            learnt, held_out = hold_out(len(factors), most=len(factors))
            x = _images(archive, path, torch.cat([learnt, held_out]))
    except DataError:
        raise
    # What numpy and zipfile raise on damaged files, and on locked or foreign archives.
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged or not readable: {reason(error)}") from None
    # Both splits are views of one tensor: a copy would take another 3 GB.
    train, test = (
        Split(part, factors[rows, 0], factors[rows])
        for part, rows in ((x[: len(learnt)], learnt), (x[len(learnt) :], held_out))
    )
    notes = (f"{path} was checked by its layout and its factors, against no checksum",)
    return Dataset(
        "dsprites",
        train,
        test,
        in_unit_interval=True,
        classes=SHAPES,
        notes=notes,
        source="dsprites",
        factors=FACTORS,
    )


def _factors(archive: zipfile.ZipFile, path: Path) -> Tensor:
    rows = math.prod(SIZES)
    with _member(archive, CLASSES, path) as file:
        _header(file, f"{path}: {CLASSES}", (rows, len(SIZES)), np.dtype(np.int64))
        read = file.read()
    if len(read) != rows * len(SIZES) * 8:
        raise DataError(f"{path}: {CLASSES}: expected {rows * len(SIZES) * 8} bytes, found {len(read)}")
    found: NDArray[np.int64] = np.frombuffer(read, np.int64).reshape(rows, len(SIZES))
    expected = np.stack(np.unravel_index(np.arange(rows), SIZES), 1)
    wrong = (found != expected).any(1)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{path}: {CLASSES}: expected all combinations in their order, "
            f"{expected[row].tolist()} in row {row}, found {found[row].tolist()}"
        )
    return torch.from_numpy(expected[:, 1:].copy())


def _images(archive: zipfile.ZipFile, path: Path, order: Tensor) -> Tensor:
    """The images in another order, unpacked in parts, so that they are in memory only once."""
    x = torch.empty(len(order), 1, SIDE, SIDE, dtype=torch.uint8)
    place = order.argsort()
    what = f"{path}: {IMAGES}"
    with _member(archive, IMAGES, path) as file:
        _header(file, what, (len(order), SIDE, SIDE), np.dtype(np.uint8))
        for rows in place.split(CHUNK):
            read = np.frombuffer(file.read(len(rows) * SIDE**2), np.uint8)
            if len(read) != len(rows) * SIDE**2:
                raise DataError(f"{what}: expected {len(order)} images, found fewer")
            if read.max() > 1:
                raise DataError(f"{what}: expected bytes 0 and 1, found {read.max()}")
            x[rows] = torch.from_numpy(read * np.uint8(255)).view(-1, 1, SIDE, SIDE)
        if file.read(1):  # zipfile checks its sum as it comes to the end
            raise DataError(f"{what}: expected {len(order)} images, found more")
    return x


def _member(archive: zipfile.ZipFile, key: str, path: Path) -> IO[bytes]:
    if f"{key}.npy" not in archive.namelist():
        raise DataError(f"{path}: expected {key}, found {', '.join(archive.namelist()) or 'nothing'}")
    return archive.open(f"{key}.npy")


def _header(file: IO[bytes], what: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
    """Reads the header that numpy writes before the values, and refuses any but the expected array."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise DataError(f"{what}: expected version 1.0 or 2.0 of numpy's format, found {version}")
    found, by_columns, kind = readers[version](file)
    if (found, by_columns, kind) != (shape, False, dtype):
        order = " by columns" if by_columns else ""
        raise DataError(f"{what}: expected {dtype} {shape}, found {kind} {found}{order}")
