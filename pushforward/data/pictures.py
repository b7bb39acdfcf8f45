"""Lists of Pillow's images in the place of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pushforward.data.formats import OpenOptions
from pushforward.data.images import read_images
from pushforward.data.pixels import is_image
from pushforward.errors import DataError
from pushforward.wording import plural


def with_pictures(named: Mapping[str, Any], options: OpenOptions) -> tuple[dict[str, Any], list[str]]:
    """Arrays in the place of lists of images, of one size, and notes on what was converted or resized.

    Arguments:
        named: Values by their names; those that are no lists of images stay as they are.
        options: What was asked of the reader.

    Raises:
        DataError: If an image cannot be read, or a list holds something else as well.
    """
    lists = {key: _images(value, key) for key, value in named.items() if _begins_with_image(value)}
    if not lists:
        return dict(named), []
    x, notes = read_images(
        [image for images in lists.values() for image in images], replace(options, channels=None)
    )
    found, start = dict(named), 0
    for key, images in lists.items():
        found[key] = x[start : start + len(images)]
        start += len(images)
    return found, notes or [f"{len(x)} {plural(len(x), 'image')} of Pillow"]


def _begins_with_image(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) > 0 and is_image(value[0])


def _images(value: Any, key: str) -> list[Any]:
    odd = next((number for number, image in enumerate(value) if not is_image(image)), None)
    if odd is not None:
        raise DataError(
            f"{key}: expected an image in place {odd}, as in place 0, found {type(value[odd]).__name__}"
        )
    return list(value)


__all__ = ["with_pictures"]
