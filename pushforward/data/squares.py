"""Fading squares, whose one factor of variation is a grey level; generated, not read.

References:
    | On the Latent Space of Wasserstein Auto-Encoders (Rubenstein, Schölkopf & Tolstikhin, 2018)
    | https://arxiv.org/abs/1802.03761
"""

from __future__ import annotations

import torch

from pushforward.data.dataset import Dataset, Split, hold_out
from pushforward.data.formats import OpenOptions, named_dataset

SIDE = 32
SQUARE = 16  # our choice
LEVELS = 1001  # 0, 1/1000, ..., 1: more than bytes can hold


@named_dataset(
    "fading-squares",
    "1001 grey levels of one square, 1x32x32, 1 known factor; generated, works offline",
    modality="image",
)
def open_fading_squares(options: OpenOptions) -> Dataset:
    """Black images with a centred square, one for each of the grey levels 0, 0.001, ..., 1.

    The square is 16 pixels wide, which is our choice. The images lie on a line: their intrinsic dimension is
    1, whatever the number of pixels. The one factor, ``grey``, counts thousandths. A tenth is held out.

    >>> data = open_fading_squares(OpenOptions())
    >>> data.shape, len(data.train), len(data.test), data.factors
    ((1, 32, 32), 901, 100, ('grey',))
    """
    grey = torch.arange(LEVELS)
    images = torch.zeros(LEVELS, 1, SIDE, SIDE)
    inner = slice((SIDE - SQUARE) // 2, (SIDE + SQUARE) // 2)
    images[:, :, inner, inner] = (grey / (LEVELS - 1)).view(-1, 1, 1, 1)
    whole = Split(images, factors=grey[:, None])
    train, test = (whole.rows(index) for index in hold_out(LEVELS))
    name = "fading-squares"
    return Dataset(name, train, test, in_unit_interval=True, source=name, factors=("grey",))
