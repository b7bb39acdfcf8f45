r"""Sprites: a white shape on black, whose five factors of variation are known; generated, not read.

The factors are those of dSprites (its sixth, colour, has one value): 3 shapes, 6 scales, 40 orientations,
32 positions across and 32 down, 737,280 combinations. The images differ from those of dSprites on purpose in
three ways:

* The centre lies on the centre of a pixel, and a step of position is one pixel: it shifts the image and
  changes nothing else.
* A step of orientation is 9°, 2π/40: no orientation occurs twice, whereas dSprites has both 0 and 2π. A
  square looks the same after 10 steps and an ellipse after 20, so that at most 7/12 of the orientations can
  be recognised from images.
* The three shapes have the same area and rotate about their centroid.

A pixel is white if its centre lies inside the shape. No centre lies within 5e-4 pixels of an edge, which the
tests check, so that rounding cannot change a pixel.

References:
    | dSprites: Disentanglement testing Sprites dataset (Matthey, Higgins, Hassabis & Lerchner, 2017)
    | https://github.com/google-deepmind/dsprites-dataset
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.dataset import Dataset, Split
from pushforward.data.formats import OpenOptions, named_dataset
from pushforward.errors import DataError
from pushforward.rng import Noise

Array = NDArray[np.float64]

FACTORS = ("shape", "scale", "orientation", "x", "y")
SIZES = (3, 6, 40, 32, 32)
SHAPES = ("square", "ellipse", "heart")
PERIODS = (10, 20, 40)  # steps of orientation after which a shape looks the same
SIDE = 64
REACH = 16  # pixels from the centre to the edge of a sprite's patch; 64 - 33 + 1 = 32 places for it
AREA = 471.0  # of a shape at scale 1, in pixels; chosen so that no edge lies on the centre of a pixel
ASPECT = 1.5  # of the ellipse
TRAIN, TEST = 60_000, 10_000
CHUNK = 4096  # images rendered at once


@named_dataset(
    "sprites",
    "70000 squares, ellipses and hearts, 1x64x64, 5 known factors; generated, works offline",
    modality="image",
)
def open_sprites(options: OpenOptions) -> Dataset:
    """A fixed sample of the 737,280 combinations: 60,000 training images and 10,000 held-out ones.

    No combination comes twice, and no held-out picture is a training image under another orientation. The
    images are bytes, 0 and 255, 287 MB in all; the labels are the shapes.
    """
    order = Noise("sprites").permutation(math.prod(SIZES))
    factors = torch.stack(torch.unravel_index(order, SIZES), 1)
    seen = picture(factors)
    held_out = factors[:TEST]
    learnt = factors[TEST:][~torch.isin(seen[TEST:], seen[:TEST])][:TRAIN]
    # Copies: a part of the table would keep all 737,280 rows alive.
    train, test = (Split(render(part), part[:, 0].clone(), part.clone()) for part in (learnt, held_out))
    return Dataset(
        "sprites", train, test, in_unit_interval=True, classes=SHAPES, source="sprites", factors=FACTORS
    )


def render(factors: Tensor) -> Tensor:
    """Images of sprites: bytes 0 and 255 of shape (N, 1, 64, 64), each a function of its row alone.

    Arguments:
        factors: Whole numbers (N, 5): shape 0 to 2 (square, ellipse, heart); scale 0 to 5, for 0.5, 0.6 to 1;
            orientation 0 to 39, in steps of 9° clockwise; x and y 0 to 31, in pixels to the right and down.

    Raises:
        DataError: If they are not such numbers.

    >>> images = render(torch.tensor([[0, 5, 0, 0, 0], [0, 0, 0, 31, 31]]))
    >>> images.shape, images.unique().tolist(), (images > 0).sum((1, 2, 3)).tolist()
    (torch.Size([2, 1, 64, 64]), [0, 255], [441, 121])
    """
    shape, scale, turn, x, y = _checked(factors).numpy().T
    images = np.zeros((len(factors), SIDE, SIDE), np.uint8)
    width = 2 * REACH + 1
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        # A view of every position that a patch can have in an image.
        places = np.lib.stride_tricks.sliding_window_view(
            images[part], (width, width), axis=(1, 2), writeable=True
        )
        rows = np.arange(len(places))
        places[rows, y[part], x[part]] = patches()[shape[part], scale[part], turn[part]]
    return torch.from_numpy(images)[:, None]


def picture(factors: Tensor) -> Tensor:
    """A number (N,) for each row of factors (N, 5), equal for rows that have the same image.

    >>> picture(torch.tensor([[0, 5, 1, 3, 4], [0, 5, 31, 3, 4], [2, 5, 31, 3, 4]])).unique().numel()
    2
    """
    shape, scale, turn, x, y = _checked(factors).T
    number = torch.zeros_like(shape)
    for values, size in zip((shape, scale, turn % torch.tensor(PERIODS)[shape], x, y), SIZES, strict=True):
        number = number * size + values
    return number


@cache
def patches() -> NDArray[np.uint8]:
    """Every shape, scale and orientation once: bytes 0 and 255 of shape (3, 6, 40, 33, 33)."""
    return np.where(depths() > 0, 255, 0).astype(np.uint8)


def depths() -> Array:
    """Depth of the centre of each pixel of each patch within its shape; negative outside.

    It is 0 on the edge alone, and near it a distance in pixels (for the ellipse, up to its aspect ratio).
    """
    offset = np.arange(-REACH, REACH + 1, dtype=np.float64)
    down, right = np.meshgrid(offset, offset, indexing="ij")
    scale = (np.arange(5, 11) / 10)[:, None, None, None]
    angle = (2 * math.pi / SIZES[2] * np.arange(SIZES[2]))[:, None, None]
    along = (np.cos(angle) * right + np.sin(angle) * down) / scale
    across = (np.cos(angle) * down - np.sin(angle) * right) / scale
    return np.stack([shape(along, across) for shape in (_square, _ellipse, _heart)]) * scale


def _square(along: Array, across: Array) -> Array:
    return math.sqrt(AREA) / 2 - np.maximum(abs(along), abs(across))


def _ellipse(along: Array, across: Array) -> Array:
    short = math.sqrt(AREA / (math.pi * ASPECT))
    return short - np.hypot(along / ASPECT, across)


def _heart(along: Array, across: Array) -> Array:
    # A square on its corner, with half a disc on each of its upper edges.
    half = math.sqrt(AREA / (4 + math.pi))
    centroid = half * (4 + 3 * math.pi) / (24 + 6 * math.pi)  # from the square's centre, along both axes
    one = (along - across) * math.sqrt(0.5) + centroid
    other = (-along - across) * math.sqrt(0.5) + centroid
    square = half - np.maximum(abs(one), abs(other))
    discs = (half - np.hypot(one - half, other), half - np.hypot(one, other - half))
    return np.maximum.reduce([square, *discs])


def _checked(factors: Tensor) -> Tensor:
    if factors.ndim != 2 or factors.shape[1] != len(SIZES):
        raise DataError(f"sprites: expected factors of shape (N, 5), found {tuple(factors.shape)}")
    if factors.is_floating_point() or factors.is_complex() or factors.dtype == torch.bool:
        raise DataError(f"sprites: expected factors as whole numbers, found {factors.dtype}")
    factors = factors.cpu().long()
    for name, size, values in zip(FACTORS, SIZES, factors.T, strict=True):
        wrong = values[(values < 0) | (values >= size)]
        if len(wrong):
            raise DataError(f"sprites: expected {name} from 0 to {size - 1}, found {int(wrong[0])}")
    return factors
