"""Decodes one image file of any mode, depth and orientation to three planes of integers."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pushforward.data.sizes import Size

if TYPE_CHECKING:
    from PIL.Image import Image

Fit = Callable[["Image"], "Image"]  # crops and resizes an upright image of mode L or RGB

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
# Pillow goes by the content, not the suffix, and some of its other readers start foreign programs.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
MOST_PIXELS = 64_000_000
ORIENTATION = 0x0112  # the EXIF tag; 5 to 8 are the quarter turns
DEPTH_16 = 65_535
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # modes of Pillow with more than 8 bits


GREY = ("1", "L", "LA", "La", *DEEP)  # modes without colours


def is_image(value: object) -> bool:
    """Whether a value is an image of Pillow."""
    from PIL.Image import Image

    return isinstance(value, Image)


def centred(image: Image, size: Size) -> Image:
    """An image cropped at the centre to the aspect ratio of a size (H, W), and resized to it."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    return ImageOps.fit(image, (size[1], size[0]), method=Pillow.Resampling.LANCZOS)


class Header(NamedTuple):
    """Height and width of an upright image, and whether it has more than 8 bits, or no colours.

    A grey image with colours of its own, such as a palette of greys, is taken for one in colour.
    """

    size: Size
    deep: bool
    grey: bool


def measure(path: Path | Image) -> Header:
    """Size and depth of an image, read from its header.

    Raises:
        ValueError: If it has more than 64 megapixels.
        Exception: Whatever Pillow raises on a file that it cannot read.
    """
    with _opened(path) as image:
        # The tag is read only if the header holds it: a search would decode the whole image.
        turned = "exif" in image.info and image.getexif().get(ORIENTATION, 1) >= 5
        size = (image.width, image.height) if turned else (image.height, image.width)
        return Header(size, image.mode in DEEP, image.mode in GREY)


def decode(
    path: Path | Image, fit: Fit, longer_side: int | None = None, deep: bool = False
) -> tuple[NDArray[np.uint8 | np.uint16], list[str]]:
    """The image as integers of shape (3, H, W), and notes on what was done to it.

    Arguments:
        path: The file, or an image in memory. It is decoded completely, so that a truncated file is detected.
        fit: Crops and resizes the upright image to the wanted size.
        longer_side: Longer side of the wanted size, if a JPEG may be decoded at a fraction of its own.
        deep: Whether to return 16 bits; an image of 8 bits is then multiplied by 257.

    Raises:
        ValueError: If it has more than 64 megapixels, or values without a known range.
        Exception: Whatever Pillow raises on a file that it cannot read.
    """
    with _opened(path) as opened:
        if longer_side is not None and isinstance(path, Path):
            opened.draft(None, (4 * longer_side, 4 * longer_side))
        with DECODING.held(opened.width * opened.height):
            return _planes(opened, fit, deep)


class Share:
    """An amount that threads take parts of; who asks for more than is left waits.

    Arguments:
        amount: The whole amount.
    """

    def __init__(self, amount: int) -> None:
        self.amount = self.left = amount
        self._changed = Condition()

    @contextmanager
    def held(self, part: int) -> Iterator[None]:
        """Inside, a part is taken; of more than there is, all."""
        part = min(part, self.amount)
        with self._changed:
            self._changed.wait_for(lambda: self.left >= part)
            self.left -= part
        try:
            yield
        finally:
            with self._changed:
                self.left += part
                self._changed.notify_all()


# Pixels that all threads may decode at once: a transparent image takes 16 bytes for each while it is decoded.
DECODING = Share(MOST_PIXELS)


def _planes(opened: Image, fit: Fit, deep: bool) -> tuple[NDArray[np.uint8 | np.uint16], list[str]]:
    """An open image as :func:`decode` returns it."""
    from PIL import ImageOps

    done = []
    if getattr(opened, "is_animated", False):
        done.append("with several pictures: the first was taken")
        opened.seek(0)
    if opened.mode not in DEEP and any(";16" in str(tile) for tile in getattr(opened, "tile", ())):
        done.append("with 16 bits a channel, of which 8 are read; give them as a .npy to keep all")
    opened.load()
    image: Image = opened
    if image.getexif().get(ORIENTATION, 1) != 1:
        done.append("turned upright (EXIF)")
        image = ImageOps.exif_transpose(image)
    if image.mode in DEEP:
        return _deep_planes(image, fit), done
    if image.mode == "F":
        _refuse_range(image)
    image, conversion = _plain(image)
    if conversion:
        done.append(conversion)
    planes = np.asarray(fit(image).convert("RGB")).transpose(2, 0, 1)
    return (planes.astype(np.uint16) * 257 if deep else planes), done


@contextmanager
def _opened(path: Path | Image) -> Iterator[Image]:
    from PIL import Image

    if isinstance(path, Image.Image):
        if path.width * path.height > MOST_PIXELS:
            raise ValueError(_too_large(f"{path.width}x{path.height} pixels"))
        yield path
        return
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a regular file")  # a pipe would wait for ever
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(_too_large(f"{image.width}x{image.height} pixels"))
            yield image
    except Image.DecompressionBombError:
        raise ValueError(_too_large("far more")) from None


def _too_large(found: str) -> str:
    return f"expected at most {MOST_PIXELS // 1_000_000} megapixels, found {found}"


def _plain(image: Image) -> tuple[Image, str]:
    from PIL import Image as Pillow

    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Pillow.new("RGBA", layer.size, "white")
        return Pillow.alpha_composite(white, layer).convert("RGB"), "with transparency, laid over white"
    if image.mode in ("L", "RGB"):
        return image, ""
    mode = "L" if image.mode == "1" else "RGB"
    return image.convert(mode), f"converted from {image.mode} to {mode}"


def _deep_planes(image: Image, fit: Fit) -> NDArray[np.uint16]:
    from PIL import Image as Pillow

    values: NDArray[Any] = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > DEPTH_16:
        _refuse_range(image)
    # Pillow resizes 16 bits only as floats, and a resized image may go beyond its range.
    fitted = np.asarray(fit(Pillow.fromarray(values.astype(np.float32))))
    plane = fitted.round().clip(0, values.max()).astype(np.uint16)
    return np.broadcast_to(plane, (3, *plane.shape))


def _refuse_range(image: Image) -> None:
    raise ValueError(
        f"expected 8 or 16 bits, found numbers without a known range (mode {image.mode}); give them as a .npy"
    )
