"""A folder of images, of any kind and size, as one data set."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar, Union

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data import pixels
from pushforward.data.dataset import Dataset, Split
from pushforward.data.formats import OpenOptions, Progress, data_format
from pushforward.data.mapped import LazyArray, fills_memory, map_rows
from pushforward.data.partition import Parts, usual
from pushforward.data.rows import Rows
from pushforward.data.scaling import UnitInterval
from pushforward.data.sizes import Size, common_size, format_size
from pushforward.data.split import UNKNOWN
from pushforward.data.values import Array, Values, from_depth
from pushforward.errors import DataError, reason
from pushforward.files import write_atomic
from pushforward.reading import size_in_words
from pushforward.wording import plural

if TYPE_CHECKING:
    from PIL.Image import Image

TRAIN = "train"
HELD_OUT = ("test", "val", "valid", "validation")  # the first that exists beside "train" is held out
MANY = 2000  # number of files from which on progress is reported, every so many files
OFTEN = 200
Source = Union[Path, "Image"]
NAMED = 100  # files that cannot be read, of which a message names each


def has_images(source: object) -> bool:
    """Whether a source is a folder with an image anywhere below it."""
    return isinstance(source, Path) and source.is_dir() and next(_images_below(source), None) is not None


@data_format(
    "a folder of images",
    accepts=has_images,
    modality="image",
    contents=f"images ({' '.join(pixels.SUFFIXES)})",
)
def open_image_folder(folder: Path, options: OpenOptions) -> Dataset:
    """All images below a folder, in the order of their paths.

    Sub-folders that hold images, when there are at least two, name the labels. Sub-folders ``train``
    and ``test`` (or ``val``), in capitals or not, are the two splits; otherwise rows are held out. Images
    that are all grey have one channel; if any has 16 bits, all are kept in 16. Of a file of several pictures
    the first is taken. What was converted or resized is counted in the notes. Names that begin with a dot
    are ignored, and links to folders.

    By default the size is the common one if all images share it and it is at most 128; else the most common
    one, scaled down to at most 64 on its longer side.

    Raises:
        DataError: If there are fewer than 4 images, or any that cannot be read to its end, has more than
            64 megapixels, or values without a known range.
    """
    paths = image_paths(folder)
    left_out: list[str] = []
    if options.on_bad != "error":
        paths, left_out = _without_bad(folder, paths, options)
    headers = _headers(paths, options.image_size)
    x: Rows
    if fills_memory(len(paths) * headers.bytes):
        x, values, notes = _read_later(paths, headers, options)
    else:
        array, notes = read_images(paths, options)
        values = _values_of(array)
        x = values.parts[0]
    layout = layout_of(paths, lambda n: options.parts(n, lambda name: None, str(folder), "images"))
    whole = Split(x, layout.y)
    return Dataset(
        folder.name or "images",
        whole.rows(layout.train),
        whole.rows(layout.test),
        in_unit_interval=True,
        classes=layout.classes,
        notes=(*left_out, *notes, *values.notes, *[layout.note] * bool(layout.note)),
        source=str(folder),
        scaling=values.scaling,
        held_out_at_random=layout.at_random and options.partition is None,
    )


class Layout(NamedTuple):
    """Which images are training rows and which are held out, their labels, the classes, and a note."""

    train: Tensor | slice
    test: Tensor | slice
    y: Tensor | None
    classes: tuple[str, ...] | None
    note: str
    at_random: bool


def layout_of(paths: Sequence[Path], divide: Callable[[int], Parts] | None = None) -> Layout:
    """What the folders of images say: splits and labels.

    Arguments:
        paths: The images.
        divide: Splits so many images, if no folders do; by default a tenth is held out.
    """
    # A lone wrapping folder, as archives like to have, is neither label nor split.
    base = os.path.commonpath([path.parent for path in paths])
    parts = [path.relative_to(base).parts for path in paths]
    train, test, note = _splits(parts, divide or (lambda n: usual(n, "images")))
    own = _is_split(parts)
    y, classes = _labels([part[1:] for part in parts] if own else parts)
    return Layout(train, test, y, classes, note, not own)


def image_paths(folder: Path) -> list[Path]:
    """All images below a folder, in order."""
    return sorted(_images_below(folder), key=lambda path: path.parts)


Examined = TypeVar("Examined")


def examine(
    paths: Sequence[Path],
    look: Callable[[NDArray[np.uint8 | np.uint16], list[str]], Examined],
    progress: Progress | None = None,
) -> Iterator[tuple[Path, Examined | str]]:
    """What there is to see in each image, decoded in its own size; or why it cannot be read.

    Arguments:
        paths: The files.
        look: Called with the three planes of an image and what was done to it.
        progress: Called with (done, total).
    """

    def read(path: Path) -> Examined | str:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return look(*pixels.decode(path, lambda image: image))
        except Exception as error:  # Pillow's readers raise a dozen types on a damaged file
            return _why(error)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(paths), OFTEN):
            some = paths[start : start + OFTEN]
            yield from zip(some, pool.map(read, some), strict=True)
            if progress:
                progress(start + len(some), len(paths))


def bad_list(folder: Path) -> Path:
    """Where ``on_bad="quarantine"`` lists the files that cannot be read: beside the folder."""
    return folder.with_name(f"{folder.name}.bad.txt")


def _without_bad(folder: Path, paths: Sequence[Path], options: OpenOptions) -> tuple[list[Path], list[str]]:
    """The files that can be read, and a note on the others, which may be listed in a file."""
    found = list(examine(paths, lambda planes, done: None, options.progress))
    bad = [(path, why) for path, why in found if why is not None]
    if not bad:
        return list(paths), []
    note = f"{len(bad)} of {len(paths)} images cannot be read and {plural(len(bad), 'is')} left out"
    if options.on_bad == "quarantine":
        lines = "".join(f"{path}\t{why}\n" for path, why in bad)
        write_atomic(bad_list(folder), lines.encode(errors="surrogateescape"))
        note += f"; they are listed in {bad_list(folder)}"
    good = [path for path, why in found if why is None]
    if not good:
        raise DataError(f"{folder}: expected images, found none that can be read among {len(paths)} files")
    return good, [note]


def read_images(
    sources: Sequence[Source], options: OpenOptions
) -> tuple[NDArray[np.uint8 | np.uint16], list[str]]:
    """Images of any size as integers (N, C, H, W) of one, and notes on what was converted or resized.

    Arguments:
        sources: Their files, or images of Pillow.
        options: What was asked of the reader.

    Raises:
        DataError: If any cannot be read.
    """
    headers = _headers(sources, options.image_size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, notes = decode_all(sources, headers.target, progress=options.progress, deep=headers.deep)
    return x, [*notes, *headers.notes(len(sources))]


@dataclass(frozen=True)
class _Headers:
    """What the headers of images say: sizes, whether any has 16 bits, and whether none has colours."""

    sizes: Counter[Size]
    target: Size
    deep: bool
    grey: bool

    @property
    def bytes(self) -> int:
        """Bytes of an image in memory."""
        return 3 * self.target[0] * self.target[1] * (2 if self.deep else 1)

    def notes(self, total: int) -> list[str]:
        """How many of so many images have another size."""
        other = total - self.sizes[self.target]
        how = "centre-cropped and resized"
        said = f"{other} of {total} images had another size than {format_size(self.target)}: {how}"
        return [said] if other else []


def _headers(sources: Sequence[Source], size: Size | None = None) -> _Headers:
    with warnings.catch_warnings():
        # Pillow warns of large images as it opens them; the limit here is lower, and an error.
        warnings.simplefilter("ignore")
        headers = [header for header in map(_measured, sources) if header is not None]
    sizes = Counter(header.size for header in headers)
    target = size or (common_size(sizes) if sizes else (1, 1))
    deep, grey = any(header.deep for header in headers), all(header.grey for header in headers)
    return _Headers(sizes, target, deep, grey)


def _values_of(x: NDArray[np.uint8 | np.uint16]) -> Values:
    if x.dtype == np.uint16:
        return from_depth([x])
    return Values([torch.from_numpy(x)], UnitInterval(), [], torch.from_numpy)


def _read_later(
    paths: Sequence[Path], headers: _Headers, options: OpenOptions
) -> tuple[Rows, Values, list[str]]:
    """Images that do not fit into memory, decoded whenever they are needed."""
    channels, size = 1 if headers.grey else 3, headers.target

    def read(index: NDArray[np.int64]) -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found, _ = decode_all([paths[number] for number in index], size, deep=headers.deep)
        return np.repeat(found, channels, 1) if found.shape[1] < channels else found

    x = LazyArray((len(paths), channels, *size), np.dtype(np.uint16 if headers.deep else np.uint8), read)
    (rows,), values = map_rows(
        {"images": x}, True, options.standardize, lambda found: found, options.progress
    )
    later = f"{size_in_words(x.nbytes)} are decoded each time they are needed"
    return rows, values, [*headers.notes(len(paths)), f"{later}; a pack of them is faster: pushforward pack"]


def decode_all(
    paths: Sequence[Source],
    size: Size,
    fit: pixels.Fit | None = None,
    progress: Progress | None = None,
    deep: bool = False,
) -> tuple[NDArray[np.uint8 | np.uint16], list[str]]:
    """The images as integers of shape (N, C, H, W), C = 1 if all are grey, and notes on what was converted.

    Arguments:
        paths: The files, or images of Pillow; the rows keep their order.
        size: Height and width of the rows.
        fit: Brings an image to that size; by default a centre crop to the aspect ratio, resized.
        progress: Called with (done, total) when there are more than 2000 files.
        deep: Whether to keep 16 bits; bytes are multiplied by 257.

    Raises:
        DataError: If files cannot be read: each of them by name, up to 100, and how many there are.
    """
    centred = partial(pixels.centred, size=size)
    longer_side = max(size) if fit is None else None
    shape = (len(paths), 3, *size)
    out: NDArray[np.uint8 | np.uint16] = np.empty(shape, np.uint16 if deep else np.uint8)

    def read(row: int) -> list[str] | Exception:
        try:
            out[row], done = pixels.decode(paths[row], fit or centred, longer_side, deep)
        except Exception as error:  # Pillow's readers raise a dozen types on a damaged file
            return error
        return done

    failed: dict[str, Exception] = {}
    counts: Counter[str] = Counter()
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for row, result in enumerate(pool.map(read, range(len(paths)))):
            if isinstance(result, Exception):
                path = paths[row]
                failed[repr(str(path)) if isinstance(path, Path) else f"image {row}"] = result
            else:
                counts.update(result)
            if progress and len(paths) > MANY and ((row + 1) % OFTEN == 0 or row + 1 == len(paths)):
                progress(row + 1, len(paths))
    if failed:
        raise DataError(_unreadable(failed, len(paths)))
    notes = [f"{count} of {len(paths)} images {what}" for what, count in sorted(counts.items())]
    grey = sum(bool((row == row[:1]).all()) for row in out)
    if 0 < grey < len(paths):
        notes.append(f"{grey} of {len(paths)} images {plural(grey, 'is')} grey: kept in three equal channels")
    return (out[:, :1].copy() if grey == len(paths) else out), notes


def _unreadable(failed: dict[str, Exception], total: int) -> str:
    (path, error), *others = failed.items()
    named = [f"{path} cannot be read: {_why(error)}"]
    named += [f"{path}: {_why(error)}" for path, error in others[: NAMED - 1]]
    rest = "; ..." if len(failed) > NAMED else ""
    return f"{'; '.join(named)}{rest} ({len(failed)} of {total} images cannot be read)"


def _why(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    known = " ".join(pixels.FORMATS)
    return f"expected one of {known}" if isinstance(error, UnidentifiedImageError) else reason(error)


def _images_below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder, onerror=_refuse):
        # What file managers leave behind: ._photo.jpg, .thumbnails, __MACOSX.
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        paths = (Path(root, name) for name in files if not name.startswith("."))
        yield from (path for path in paths if path.suffix.lower() in pixels.SUFFIXES)


def _refuse(error: OSError) -> None:
    raise DataError(f"{str(error.filename)!r} cannot be listed: {error.strerror}")


def _measured(path: Source) -> pixels.Header | None:
    try:
        return pixels.measure(path)
    except Exception:  # reported when it is decoded
        return None


def _is_split(parts: Sequence[tuple[str, ...]]) -> bool:
    tops = {part[0].lower() for part in parts}
    return TRAIN in tops and len(tops) > 1 and tops <= {TRAIN, *HELD_OUT}


def _splits(parts: Sequence[tuple[str, ...]], divide: Callable[[int], Parts]) -> Parts:
    total = len(parts)
    if not _is_split(parts):
        return divide(total)
    tops = [part[0].lower() for part in parts]
    other = next(name for name in HELD_OUT if name in tops)
    folders = {part[0].lower(): part[0] for part in parts}
    train, test = (
        torch.tensor([at for at, top in enumerate(tops) if top == name]) for name in (TRAIN, other)
    )
    unused = total - len(train) - len(test)
    rest = f"; not used: {unused} {plural(unused, 'image')} in other folders" if unused else ""
    return Parts(train, test, f"trained on: {folders[TRAIN]}/, held out: {folders[other]}/{rest}")


def _labels(parts: Sequence[tuple[str, ...]]) -> tuple[Tensor | None, tuple[str, ...] | None]:
    names = sorted({part[0] for part in parts if len(part) > 1})
    if len(names) < 2:
        return None, None
    number = {name: at for at, name in enumerate(names)}
    # An image that lies beside the sub-folders is of none of their classes.
    return torch.tensor([number[part[0]] if len(part) > 1 else UNKNOWN for part in parts]), tuple(names)
