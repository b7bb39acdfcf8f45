"""The common size of the images of a data set, and resizing to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.data.dataset import Dataset, Stacked
from pushforward.data.rows import Rows, read_by
from pushforward.errors import ConfigError
from pushforward.wording import option_name

Size = tuple[int, int]  # (H, W), as in the shape of a batch

KEPT_SIDE = 128  # a size that all images share is kept if no side is longer
DEFAULT_SIDE = 64  # longer side otherwise: a size that a small network on one machine can model
MAX_SIDE = 4096
CHUNK = 1024  # images resized at once


def parse_size(size: int | Size | None) -> Size | None:
    """A size as (H, W); a single number is both.

    Raises:
        ConfigError: If it is neither a whole number nor two of them, each from 1 to 4096.

    >>> parse_size(32), parse_size((48, 64)), parse_size(None)
    ((32, 32), (48, 64), None)
    """
    if size is None:
        return None
    sides = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, (tuple, list)) else ()
    whole = all(isinstance(side, int) and not isinstance(side, bool) for side in sides)
    if len(sides) != 2 or not whole or not all(1 <= side <= MAX_SIDE for side in sides):
        raise ConfigError(
            f"{option_name('image_size')}: expected a whole number or (height, width), 1 to {MAX_SIDE}, "
            f"got {size!r}"
        )
    return sides[0], sides[1]


def format_size(size: Size) -> str:
    """A size as height x width, for notes and messages.

    >>> format_size((32, 48))
    '32x48'
    """
    return f"{size[0]}x{size[1]}"


def common_size(sizes: Counter[Size]) -> Size:
    """The size that images of these sizes are resized to.

    One size shared by all and at most 128 on each side is kept. Otherwise the most common size is
    taken, scaled down so that its longer side is at most 64.

    >>> common_size(Counter({(100, 128): 5})), common_size(Counter({(300, 400): 5, (32, 32): 4}))
    ((100, 128), (48, 64))
    """
    height, width = min(sizes, key=lambda size: (-sizes[size], size))
    longer = max(height, width)
    if longer <= (KEPT_SIDE if len(sizes) == 1 else DEFAULT_SIDE):
        return height, width
    scale = DEFAULT_SIDE / longer
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized(data: Dataset, size: int | Size | None, later: bool = False) -> Dataset:
    """A data set whose images are cropped at the centre to the aspect ratio of ``size`` and resized to it.

    Arguments:
        data: The data set.
        size: Height and width, or one number for both; None to leave images as they are.
        later: Whether images that are read as they are needed are resized then; else they all are at once.

    Raises:
        ConfigError: If ``size`` is out of range, or the rows are not images.

    >>> from pushforward.data import Split
    >>> images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    >>> resized(Dataset("toy", Split(images[:2]), Split(images[2:]), in_unit_interval=True), 16).shape
    (1, 16, 16)
    """
    wanted = parse_size(size)
    if wanted is None:
        return data
    if len(data.shape) != 3:
        raise ConfigError(
            f"{option_name('image_size')} {format_size(wanted)} is for images, "
            f"but the rows of {data.name} have shape {data.shape}"
        )
    if data.shape[1:] == wanted:
        return data
    before = format_size((data.shape[1], data.shape[2]))
    modes = Stacked(resized(data.modes.images, wanted)) if isinstance(data.modes, Stacked) else data.modes
    return replace(
        data,
        modes=modes,
        train=replace(data.train, x=_resize(data.train.x, wanted, later)),
        test=replace(data.test, x=_resize(data.test.x, wanted, later)),
    ).noted(f"every image was resized from {before} to {format_size(wanted)}")


def _resize(x: Rows, size: Size, later: bool) -> Rows:
    if later and not isinstance(x, Tensor):
        return read_by(lambda rows, _: _fitted(rows, size), x)
    out = torch.empty(*x.shape[:2], *size, dtype=x.dtype)
    for start in range(0, len(x), CHUNK):
        out[start : start + CHUNK] = _fitted(x[slice(start, start + CHUNK)], size)
    return out


def _fitted(x: Tensor, size: Size) -> Tensor:
    height, width = x.shape[2:]
    scale = min(height / size[0], width / size[1])
    inner = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    inside = x[:, :, top : top + inner[0], left : left + inner[1]]
    # Bilinear, because bicubic leaves the range of its input.
    rows = F.interpolate(inside.float(), size, mode="bilinear", antialias=True)
    return (rows.round() if x.dtype == torch.uint8 else rows).to(x.dtype)
