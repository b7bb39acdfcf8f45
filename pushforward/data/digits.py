"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

import numpy as np
import torch

from pushforward.data.dataset import Dataset, Split, hold_out
from pushforward.data.formats import OpenOptions, named_dataset


@named_dataset(
    "digits",
    "1797 handwritten digits, 1x8x8, 10 classes; comes with scikit-learn, works offline",
    modality="image",
)
def open_digits(options: OpenOptions) -> Dataset:
    """1,797 digits of 8x8 pixels in 17 grey levels; a fifth is held out.

    >>> open_digits(OpenOptions()).shape
    (1, 8, 8)
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    images = torch.from_numpy(np.asarray(x, np.float32) / 16).reshape(-1, 1, 8, 8)
    labels = torch.from_numpy(np.asarray(y, np.int64))
    whole = Split(images, labels)
    train, test = (whole.rows(index) for index in hold_out(len(whole), share=0.2))
    return Dataset("digits", train, test, in_unit_interval=True, classes=tuple("0123456789"), source="digits")


__all__ = ["open_digits"]
