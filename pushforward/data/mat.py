"""MATLAB's ``.mat`` files of images and labels, such as those of SVHN.

References:
    | Reading Digits in Natural Images with Unsupervised Feature Learning (Netzer et al., 2011)
    | http://ufldl.stanford.edu/housenumbers/
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pushforward.data.arrays import from_arrays
from pushforward.data.dataset import Dataset
from pushforward.data.formats import OpenOptions, data_format
from pushforward.data.values import Array
from pushforward.errors import DataError, reason
from pushforward.reading import open_file

TRAIN, TEST = "train_", "test_"  # how the names of two files begin that are the parts of one data set


@data_format("a .mat file", suffixes=(".mat",))
def open_mat(path: Path, options: OpenOptions) -> Dataset:
    """The arrays ``X`` and ``y`` of a file of MATLAB up to version 7, or others named as in an ``.npz``.

    The rows of images are the last axis there, (H, W, C, N). Next to a file ``train_...`` a file ``test_...``
    of the same name holds the held-out rows. The label 10 of the digits of SVHN is the digit 0.

    Raises:
        DataError: If a file cannot be read or holds no data.
    """
    arrays, notes = _arrays(path)
    other = path.with_name(TEST + path.name.removeprefix(TRAIN))
    if path.name.startswith(TRAIN) and other.is_file():
        test, _ = _arrays(other)
        arrays = {f"{key}_train": value for key, value in arrays.items()}
        arrays |= {f"{key}_test": value for key, value in test.items()}
        notes.append(f"held out: {other.name}")
    return from_arrays(arrays, path.stem, str(path), options).noted(*notes)


def _arrays(path: Path) -> tuple[dict[str, Array], list[str]]:
    """The data under ``x`` and the labels under ``y``, if there are any; and notes."""
    from scipy.io import loadmat

    try:
        with open_file(path) as file:
            found: dict[str, Any] = loadmat(file)
    except NotImplementedError:
        raise DataError(
            f"{path}: expected a file of MATLAB up to version 7, found version 7.3; save it with -v7"
        ) from None
    except Exception as error:  # scipy raises a dozen types on a damaged file
        raise DataError(f"{path}: expected a .mat file, found something else: {reason(error)}") from None
    arrays = {key.lower(): value for key, value in found.items() if not key.startswith("__")}
    numbers = {key: value for key, value in arrays.items() if value.dtype.kind in "buif"}
    x = numbers.get("x", next(iter(numbers.values())) if len(numbers) == 1 else None)
    if x is None:
        raise DataError(f"{path}: expected the data as X, found {', '.join(arrays) or 'no array'}")
    y = numbers.get("y")
    y = None if y is None else y.reshape(-1)
    if x.ndim == 4 and (y is None or x.shape[3] == len(y)):
        x = x.transpose(3, 0, 1, 2)
    if y is None:
        return {"x": x}, []
    if x.shape[1:] == (32, 32, 3) and set(np.unique(y)) <= set(range(1, 11)) and y.max() == 10:
        return {"x": x, "y": y % 10}, ["the label 10 is the digit 0, as in SVHN"]
    return {"x": x, "y": y}, []


__all__ = ["open_mat"]
