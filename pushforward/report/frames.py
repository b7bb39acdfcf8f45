"""Frames of an animation of vectors: points over the data, in axes that stay where they are."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import DataError, reason
from pushforward.reading import read_file
from pushforward.report.axes import principal_plane, write_figure

if TYPE_CHECKING:
    from PIL.Image import Image

INCHES, DPI = 4.0, 80
COLOURS = 16  # of a frame: grey, one hue and white, and what lies between them at the edges of points
INSIDE = 0.005  # share of the data at each end that the axes need not hold
MARGIN = 0.2  # of the range of the data, at each side


def scatter_frames(data: Tensor, rows: Sequence[Tensor], titles: Sequence[str] = ()) -> list[Image]:
    """Pictures of one size: in each the data in grey, and one of several samples in colour over them.

    Both are projected on the first two principal directions of the data, if they have more than two
    dimensions. The axes hold the data; what lies beyond them is not shown.

    Arguments:
        data: The data, (M, \\*).
        rows: The samples, each (N, \\*).
        titles: The title of each picture, or none.

    >>> import torch
    >>> scatter_frames(torch.randn(20, 3), [torch.zeros(5, 3)])[0].size
    (320, 320)
    """
    from matplotlib.figure import Figure
    from PIL import Image

    below, *above = principal_plane(data, *rows)
    figure = Figure(figsize=(INCHES, INCHES), dpi=DPI)
    axes = figure.add_axes((0.1, 0.06, 0.88, 0.88))
    axes.tick_params(labelsize=7)
    axes.scatter(below[:, 0], below[:, 1], s=8, color="0.8", linewidths=0)
    points = axes.scatter([], [], s=6, color="C3", linewidths=0)
    limits = [_limits(below[:, axis]) for axis in (0, 1)]
    if data[0].numel() == 2:  # a ring is to look like one
        limits = _of_one_scale(limits)
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    frames: list[Image.Image] = []
    for number, place in enumerate(above):
        points.set_offsets(place)
        axes.set_title(titles[number] if titles else "", fontsize=9, loc="left")
        drawn = io.BytesIO()
        write_figure(figure, drawn, format="png")
        frames.append(Image.open(drawn).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE))
    return frames


def read_rows(path: Path, shape: tuple[int, ...]) -> Tensor:
    """The rows (N, \\*) in a ``.npy`` file.

    Raises:
        DataError: If the file holds something else, or rows of another shape.
    """
    try:
        array = np.load(io.BytesIO(read_file(path)), allow_pickle=False)
    except Exception as error:  # numpy raises many types on a damaged file
        kind = "a .npy file of numpy"
        raise DataError(f"{path}: expected {kind}, found something else: {reason(error)}") from None
    if array.shape[1:] != shape or array.dtype.kind != "f":
        raise DataError(
            f"{path}: expected rows of shape {shape}, found an array of shape {array.shape} and {array.dtype}"
        )
    return torch.from_numpy(array)


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Limits of an axis that holds nearly all of the data."""
    low, high = (float(np.quantile(values, share)) for share in (INSIDE, 1 - INSIDE))
    margin = MARGIN * (high - low) or 1.0
    return low - margin, high + margin


def _of_one_scale(limits: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Limits of two axes of one length, the shorter range lengthened around its centre.

    >>> _of_one_scale([(0.0, 4.0), (0.0, 2.0)])
    [(0.0, 4.0), (-1.0, 3.0)]
    """
    half = max(high - low for low, high in limits) / 2
    return [((low + high) / 2 - half, (low + high) / 2 + half) for low, high in limits]


__all__ = ["read_rows", "scatter_frames"]
