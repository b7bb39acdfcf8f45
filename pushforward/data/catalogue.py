"""The door: whatever a user means by data, as a :class:`Dataset`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pushforward.data.arrays import from_arrays, open_array_file
from pushforward.data.celeba import open_celeba
from pushforward.data.cifar import open_cifar
from pushforward.data.dataset import Dataset, Split, hold_out
from pushforward.data.dsprites import open_dsprites
from pushforward.data.fetch import data_folder
from pushforward.data.idx import FASHION, MNIST, open_idx
from pushforward.data.images import Progress, has_images, open_image_folder
from pushforward.data.lines import SUFFIXES, has_texts, open_lines, open_styles
from pushforward.data.phrases import open_phrases
from pushforward.data.points import open_grid, open_petals, open_ring, open_roll
from pushforward.data.sizes import Size, parse_size, resized
from pushforward.data.sprites import open_sprites
from pushforward.data.squares import open_fading_squares
from pushforward.data.stacked import open_stacked
from pushforward.data.styles import open_bible, open_captions, open_shakespeare
from pushforward.errors import ConfigError, DataError, nearest
from pushforward.text.vocabulary import Vocabulary

Folder = Callable[[], Path]  # asked for only by the sets that are kept in files
Opener = Callable[[Folder, Size | None, Progress | None], Dataset]

SOURCES = (
    "a source is a catalogue name, a folder of images or of text files, a .npy, .npz or .txt file, an array, "
    "a tuple (x, y) or dict"
)
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")


@dataclass(frozen=True)
class Entry:
    """A data set of the catalogue: one line about it, and what opens it.

    Attributes:
        about: The line.
        open: Opens it from its folder, a size and a progress; text from its folder, the most tokens of a line
            and, where it is known, the vocabulary.
        text: Whether it is text.
    """

    about: str
    open: Callable[..., Dataset]
    text: bool = False


def _digits() -> Dataset:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    images = torch.from_numpy(np.asarray(x, np.float32) / 16).reshape(-1, 1, 8, 8)
    labels = torch.from_numpy(np.asarray(y, np.int64))
    whole = Split(images, labels)
    train, test = (whole.rows(index) for index in hold_out(len(whole), share=0.2))
    return Dataset("digits", train, test, in_unit_interval=True, classes=tuple("0123456789"), source="digits")


def _fixed(read: Callable[[Path], Dataset]) -> Opener:
    return lambda folder, size, progress: resized(read(folder()), size)


def _made(make: Callable[[], Dataset]) -> Opener:
    return lambda folder, size, progress: resized(make(), size)


def _lines(read: Callable[[Path, int | None, Vocabulary | None], Dataset]) -> Callable[..., Dataset]:
    return lambda folder, longest, words: read(folder(), longest, words)


def tokens(size: Size | None) -> int | None:
    """What a size means for text: the tokens of a line.

    Raises:
        ConfigError: If it is one of images, whose sides differ.
    """
    if size is None:
        return None
    if size[0] != size[1]:
        raise ConfigError(f"the size of text is one number, the tokens of a line, got {size[0]}x{size[1]}")
    return size[0]


CATALOGUE: Mapping[str, Entry] = {
    "digits": Entry(
        "1797 handwritten digits, 1x8x8, 10 classes; comes with scikit-learn, works offline",
        _made(_digits),
    ),
    "mnist": Entry(
        "70000 handwritten digits, 1x28x28, 10 classes; 12 MB, downloaded", _fixed(partial(open_idx, MNIST))
    ),
    "fashion-mnist": Entry(
        "70000 pieces of clothing, 1x28x28, 10 classes; 31 MB, downloaded", _fixed(partial(open_idx, FASHION))
    ),
    "cifar10": Entry("60000 photographs, 3x32x32, 10 classes; 170 MB, downloaded", _fixed(open_cifar)),
    "celeba": Entry(
        "182732 faces, 3x64x64; to be got by hand",
        lambda folder, size, progress: open_celeba(folder(), size, progress),
    ),
    "fading-squares": Entry(
        "1001 grey levels of one square, 1x32x32, known factor; made here, works offline",
        _made(open_fading_squares),
    ),
    "sprites": Entry(
        "70000 squares, ellipses and hearts, 1x64x64, 5 known factors; made here, works offline",
        _made(open_sprites),
    ),
    "dsprites": Entry(
        "737280 sprites, 1x64x64, 5 known factors; to be got by hand, 3 GB in memory", _fixed(open_dsprites)
    ),
    "stacked-mnist": Entry(
        "70000 rows of three digits in red, green and blue, 3x28x28, 1000 modes; made of MNIST, downloaded",
        _fixed(open_stacked),
    ),
    "ring": Entry("60000 points of 8 normal laws on a circle; made here, works offline", _made(open_ring)),
    "grid": Entry("60000 points of 25 normal laws on a grid; made here, works offline", _made(open_grid)),
    "swiss-roll": Entry("60000 points of a spiral; made here, works offline", _made(open_roll)),
    "petals": Entry("60000 points of 10 drawn-out normal laws; made here, works offline", _made(open_petals)),
    "phrases": Entry(
        "4000 phrases of a small grammar, in plain and in old English, 2 styles; made here, works offline",
        lambda folder, longest, words: open_phrases(longest, words),
        text=True,
    ),
    "shakespeare": Entry(
        "18395 lines of Shakespeare and the same in modern English, 2 styles; to be got by hand",
        _lines(open_shakespeare),
        text=True,
    ),
    "bible": Entry(
        "29532 verses of the King James version and the same in Basic English, 2 styles; to be got by hand",
        _lines(open_bible),
        text=True,
    ),
    "captions": Entry(
        "12000 romantic and humorous captions of photographs, 2 styles; to be got by hand",
        _lines(open_captions),
        text=True,
    ),
}


def open_dataset(
    source: object,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    size: int | Size | None = None,
    progress: Progress | None = None,
    words: Vocabulary | None = None,
) -> Dataset:
    """Opens whatever can be learnt from.

    Arguments:
        source: A name of the catalogue; the path of a folder of images or of text files, or of a ``.npy``,
            ``.npz`` or ``.txt`` file; an array or tensor; a tuple ``(x,)`` or ``(x, y)`` or a dict of arrays;
            or a Dataset. A name of the catalogue goes before a path; ``./mnist`` is a path.
        data_dir: Where the catalogue's files are kept: by default what the environment variable
            ``PUSHFORWARD_DATA`` says, else a folder in the user's cache.
        size: Height and width of the images, or one number for both; of text the most tokens of a line.
        progress: Called with (done, total) while many images are read.
        words: The vocabulary of text, if it is known; else it is learnt.

    Raises:
        ConfigError: If ``size`` is none.
        DataError: If the source is unknown, absent, damaged, or cannot be learnt from.

    >>> open_dataset("digits").shape
    (1, 8, 8)
    >>> open_dataset(torch.rand(20, 3)).range
    '[0, 1]'
    """
    wanted = parse_size(size)
    if isinstance(source, str) and source in CATALOGUE:
        entry = CATALOGUE[source]
        folder = partial(data_folder, data_dir)
        if entry.text:
            data = entry.open(folder, tokens(wanted), words)
        else:
            data = entry.open(folder, wanted, progress)
        shadowed = Path(source).exists()
        return (
            data.noted(f"{source!r} is the catalogue's; write './{source}' for the path")
            if shadowed
            else data
        )
    if isinstance(source, (str, os.PathLike)):
        return _open_path(os.fspath(source), wanted, progress, words)
    if isinstance(source, Dataset):
        return source if source.vocabulary else resized(source, wanted)
    return resized(from_arrays(_named(source)), wanted)


def _open_path(
    given: str | bytes, size: Size | None, progress: Progress | None, words: Vocabulary | None
) -> Dataset:
    # os.path, because pathlib's questions raise on a name that is too long to exist.
    name = os.path.abspath(os.path.expanduser(os.fsdecode(given)))
    path = Path(name)
    if os.path.isdir(name):
        if has_texts(path) and not has_images(path):
            return open_styles(path, tokens(size), words)
        return open_image_folder(path, size, progress)
    if not os.path.exists(name):
        hint = nearest(os.fsdecode(given).lower().replace("_", "-"), CATALOGUE)
        raise DataError(f"{given!r} is no file or folder and no catalogue name; {hint}; {SOURCES}")
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        return resized(open_array_file(path), size)
    if suffix in SUFFIXES:
        return open_lines(path, tokens(size), words)
    if suffix in ARCHIVES:
        raise DataError(
            f"{path}: expected a folder of images, found an archive: unzip it and give the folder"
        )
    raise DataError(f"{path}: expected a .npy, .npz or .txt file or a folder; {SOURCES}")


def _named(source: object) -> Mapping[str, Any]:
    if isinstance(source, Mapping):
        return source
    if isinstance(source, tuple):
        if len(source) not in (1, 2):
            raise DataError(f"expected a tuple (x,) or (x, y), found one of {len(source)}; {SOURCES}")
        return dict(zip(("x", "y"), source, strict=False))
    if hasattr(source, "__array__") or isinstance(source, list):
        return {"x": source}
    raise DataError(f"expected data, found {type(source).__name__}; {SOURCES}")
