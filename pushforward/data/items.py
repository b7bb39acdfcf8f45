"""Data that are read item by item: what PyTorch calls map-style, each item an x, a tuple (x, y) or a dict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pushforward.data import pixels
from pushforward.data.formats import OpenOptions
from pushforward.data.mapped import LazyArray, fills_memory
from pushforward.data.pixels import is_image
from pushforward.data.sizes import Size, common_size, format_size
from pushforward.data.split import UNKNOWN
from pushforward.data.values import Array, as_numbers
from pushforward.errors import DataError, listed, plain, reason
from pushforward.reading import size_in_words

PROBED = 200  # items from which size and channels of images are chosen
OFTEN = 200  # items between two reports of progress
X_KEYS = ("image", "img", "pixel_values", "images", "x", "data", "input", "features")
Y_KEYS = ("label", "labels", "y", "target", "targets", "class", "fine_label")


class Items(Protocol):
    """What is read by number; reading it is often slow."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Any: ...


class Item(NamedTuple):
    """An image or numbers, and a label if there is one."""

    x: Any
    y: Any = None


class Rows(NamedTuple):
    """Arrays named as for :func:`~pushforward.data.arrays.from_arrays`, and notes."""

    arrays: dict[str, Any]
    notes: list[str]


def split_item(item: Any) -> Item:
    """The data and the label of an item.

    Raises:
        DataError: If a dict has no key for the data.

    >>> split_item((5, 1)), split_item({"pixel_values": 5, "id": 3})
    (Item(x=5, y=1), Item(x=5, y=None))
    """
    if isinstance(item, Mapping):
        key = next((key for key in X_KEYS if key in item), None)
        if key is None:
            raise DataError(
                f"expected the data under one of {', '.join(X_KEYS)}, found {', '.join(map(str, item))}"
            )
        return Item(item[key], item.get(next((name for name in Y_KEYS if name in item), ""), None))
    if isinstance(item, tuple) and not hasattr(item, "_fields"):
        return Item(item[0], item[1] if len(item) > 1 else None)
    return Item(item)


def read_items(
    items: Items,
    name: str,
    options: OpenOptions,
    pick: Callable[[Any], Item] = split_item,
    labels: Sequence[Any] | None = None,
) -> Rows:
    """The items as rows of one shape and type: in memory if they fit, otherwise read as they are needed.

    Images have the common size of the first 200, or ``options.image_size``; others are cropped at the centre
    and resized, and counted in the notes.

    Arguments:
        items: The items.
        name: What they are, for messages.
        options: What was asked of the reader.
        pick: Finds the data and the label in an item.
        labels: The labels, if they are known without reading the items.

    Raises:
        DataError: If an item cannot be read, is neither an image nor numbers, or has another shape than the
            first.
    """
    reader = _Reader(items, name, options, pick)
    if not fills_memory(reader.bytes * len(items)):
        rows = np.empty((len(items), *reader.shape), reader.dtype)
        seen = []
        for number in reader.numbers("read", options):
            rows[number], y = reader.row(number)
            seen.append(y)
        found, notes = _labels(seen if labels is None else labels, name)
        return Rows({"x": rows, **found}, [*reader.notes(), *notes])
    if labels is None:
        labels = [reader.item(number).y for number in reader.numbers("labels", options)]
    found, notes = _labels(labels, name)

    def read(index: NDArray[np.int64]) -> Array:
        return np.stack([reader.row(int(number))[0] for number in index])

    if not np.array_equal(read(np.zeros(1, np.int64)), read(np.zeros(1, np.int64))):
        raise DataError(
            f"{name}: item 0 differs each time it is read (a random transform?), and "
            f"{size_in_words(reader.bytes * len(items))} are not kept in memory; take the transform away"
        )
    rows_of = LazyArray((len(items), *reader.shape), reader.dtype, read)
    return Rows({"x": rows_of, **found}, notes)


class _Reader:
    """Reads items as arrays of one shape and type, which the first ones decide."""

    def __init__(self, items: Items, name: str, options: OpenOptions, pick: Callable[[Any], Item]) -> None:
        self._items, self._name, self._pick = items, name, pick
        self._counts: Counter[str] = Counter()
        if len(items) == 0:
            raise DataError(f"{name}: expected items, found none")
        first = self.item(0).x
        if is_image(first):
            self._fit(options.image_size)
        else:
            example = self._numbers(first, 0)
            if example.ndim == 0:
                raise DataError(f"{name}: expected an image or an array in every item, found one number")
            self.shape, self.dtype = example.shape, example.dtype
            self._read: Callable[[Any, int], Array] = self._numbers
        self.bytes = int(np.prod(self.shape)) * self.dtype.itemsize

    def _fit(self, size: Size | None) -> None:
        probed = [self.item(number).x for number in range(min(PROBED, len(self._items)))]
        odd = next((number for number, image in enumerate(probed) if not is_image(image)), None)
        if odd is not None:
            found = type(probed[odd]).__name__
            raise DataError(f"{self._name}: expected an image in item {odd}, as in item 0, found {found}")
        headers = [pixels.measure(image) for image in probed]
        self._size = size or common_size(Counter(header.size for header in headers))
        self._deep = any(header.deep for header in headers)
        grey = all(image.mode in pixels.GREY for image in probed)
        self.shape = (1 if grey else 3, *self._size)
        self.dtype = np.dtype(np.uint16 if self._deep else np.uint8)
        self._read = self._planes

    def item(self, number: int) -> Item:
        """The item of a number."""
        try:
            return self._pick(self._items[number])
        except DataError as error:
            raise DataError(f"{self._name}: item {number}: {error}") from None
        except Exception as error:  # whatever a data set of the user's raises
            found = f"{type(error).__name__} {reason(error)}"
            raise DataError(f"{self._name}: item {number} cannot be read: {found}") from error

    def row(self, number: int) -> tuple[Array, Any]:
        """The row of a number, and its label."""
        x, y = self.item(number)
        row = self._read(x, number)
        if row.shape != self.shape or not np.can_cast(row.dtype, self.dtype):
            expected, found = (f"{one.dtype} {one.shape}" for one in (self, row))
            raise DataError(
                f"{self._name}: expected {expected} in item {number}, as in item 0, found {found}"
            )
        return row, y

    def numbers(self, what: str, options: OpenOptions) -> Iterable[int]:
        """All numbers of items, with progress."""
        total = len(self._items)
        for number in range(total):
            yield number
            if options.progress and ((number + 1) % OFTEN == 0 or number + 1 == total):
                options.progress(number + 1, total)

    def notes(self) -> list[str]:
        """What was converted so far."""
        return [
            f"{count} of {len(self._items)} images {what}" for what, count in sorted(self._counts.items())
        ]

    def _numbers(self, x: Any, number: int) -> Array:
        return as_numbers(x, f"{self._name}: item {number}")

    def _planes(self, image: Any, number: int) -> Array:
        if not is_image(image):
            found = type(image).__name__
            raise DataError(f"{self._name}: expected an image in item {number}, found {found}")
        try:
            planes, done = pixels.decode(image, partial(pixels.centred, size=self._size), None, self._deep)
        except Exception as error:  # Pillow's readers raise a dozen types on a damaged image
            raise DataError(f"{self._name}: item {number} cannot be read: {reason(error)}") from error
        self._counts.update(done)
        if pixels.measure(image).size != self._size:
            self._counts[f"had another size than {format_size(self._size)}: centre-cropped and resized"] += 1
        if self.shape[0] == 1 and not (planes == planes[:1]).all():
            raise DataError(f"{self._name}: expected a grey image in item {number}, found one in colour")
        return planes[: self.shape[0]]


def _labels(found: Sequence[Any], name: str) -> tuple[dict[str, Any], list[str]]:
    """Labels as an array under ``y``, if all items have one that is a number or a name."""
    values = [plain(label) for label in found]
    if all(label is None for label in values):
        return {}, []
    odd = {type(label).__name__ for label in values if not isinstance(label, (int, float, str, type(None)))}
    if odd:
        return {}, [f"labels are not used: they are neither numbers nor names, but {listed(sorted(odd), 3)}"]
    if any(isinstance(label, str) for label in values):
        return {"y": np.array(["" if label is None else str(label) for label in values])}, []
    return {"y": np.array([UNKNOWN if label is None else label for label in values])}, []


__all__ = ["Item", "Items", "read_items", "split_item"]
