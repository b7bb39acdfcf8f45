"""Images side by side in one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import DataError, reason
from pushforward.files import write_atomic
from pushforward.reading import read_file

if TYPE_CHECKING:
    from PIL.Image import Image

PAD = 2  # white pixels between two images


def mosaic(images: Tensor, columns: int | None = None, scale: int | None = None) -> np.ndarray:
    """Images (N, C, H, W) in [0, 1] on a grid: an array (H', W', 3) of bytes.

    Small images are enlarged by a whole factor, so that they can be recognised on a screen.

    Arguments:
        images: The images; of 1 channel, or of 3 or more, whose first 3 are red, green and blue.
        columns: Images in a row; about the square root of N by default.
        scale: The factor of enlargement; by default the shown images are about 32 pixels wide or high.

    >>> mosaic(Tensor(6, 1, 8, 8).zero_(), columns=3, scale=1).shape
    (22, 32, 3)
    """
    n, channels, height, width = images.shape
    columns = columns or min(n, math.ceil(math.sqrt(n)))
    scale = scale or max(1, round(32 / max(height, width)))
    pixels = images.detach().cpu().clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    pixels = np.repeat(pixels[..., :1], 3, axis=3) if channels < 3 else pixels[..., :3]
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    rows = math.ceil(n / columns)
    tall, wide = height * scale + PAD, width * scale + PAD
    grid = np.full((rows * tall + PAD, columns * wide + PAD, 3), 255, dtype=np.uint8)
    for i, image in enumerate(pixels):
        top, left = PAD + i // columns * tall, PAD + i % columns * wide
        grid[top : top + tall - PAD, left : left + wide - PAD] = image
    return grid


def picture(images: Tensor, columns: int | None = None) -> Image:
    """Images (N, C, H, W) in [0, 1] on a grid, as one PIL image."""
    from PIL import Image

    return Image.fromarray(mosaic(images, columns))


def read_picture(path: Path) -> Image:
    """The picture in a PNG file.

    Raises:
        DataError: If the file holds something else.
    """
    from PIL import Image

    try:
        return Image.open(BytesIO(read_file(path)), formats=["PNG"]).convert("RGB")
    except Exception as error:  # PIL raises many types on a damaged file
        raise DataError(f"{path}: expected a picture, found something else: {reason(error)}") from None


def write_gif(path: Path, frames: Sequence[Image], seconds: float) -> None:
    """Writes pictures of one size as a GIF that repeats; the last one stays five times as long.

    Arguments:
        path: The file.
        frames: The pictures, at least one.
        seconds: How long each is shown.
    """
    times = [1000 * seconds] * (len(frames) - 1) + [5000 * seconds]
    content = BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)
    write_atomic(path, content.getvalue())


def interleave(first: Tensor, second: Tensor) -> Tensor:
    """The rows of two tensors in alternation, (2N, \\*): such as originals and their reconstructions."""
    return torch.stack([first, second], dim=1).flatten(0, 1)


def is_whole_png(path: Path) -> bool:
    """Whether a file is a PNG with an end: one that was cut off has none."""
    try:
        content = read_file(path)
    except OSError:
        return False
    return content.startswith(b"\x89PNG") and content[-8:-4] == b"IEND"


__all__ = ["interleave", "is_whole_png", "mosaic", "picture", "read_picture", "write_gif"]
