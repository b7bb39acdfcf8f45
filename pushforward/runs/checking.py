"""Looking for what is odd about data before anything is trained on them: :func:`check`."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pushforward.data import CATALOGUE, open_dataset
from pushforward.data.formats import Channels, Progress
from pushforward.data.images import examine, has_images, image_paths, layout_of
from pushforward.data.oddities import DataCheck, Oddity, Scan, scan_rows
from pushforward.data.packs import check_pack, is_pack
from pushforward.data.sizes import Size, common_size, format_size, parse_size
from pushforward.errors import DataError
from pushforward.report.progress import bar
from pushforward.wording import option_name

LEAST = 4  # images that can be split


def check(
    source: Any,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | Size | None = None,
    standardize: bool = True,
    channels: Channels | None = None,
    progress: bool = True,
) -> DataCheck:
    """Looks at all rows of data, and says what is odd about them and what becomes of it in training.

    It finds images that cannot be read, of other sizes or modes; copies of rows, and held-out rows that are
    training rows, by hash; rows and columns of a single value; outliers; classes that are tiny or uneven, and
    rows without a label; and data that are refused, such as those with missing values.

    Arguments:
        source: Whatever :func:`~pushforward.data.open_dataset` opens.
        data_dir: The folder of the files of catalogue data.
        image_size: Height and width to which images are resized, or one number for both.
        standardize: Whether columns of real numbers are centred and scaled for the model.
        channels: "first" or "last": where the channels of an array of images are.
        progress: Whether to show progress on standard error.

    Returns:
        What was found, which prints as a list.

    Example:
        >>> found = check(np.concatenate([np.eye(8), np.eye(8)[:2]]), progress=False)
        >>> found.usable, len(found.names("duplicate", "leak"))
        (True, 2)
    """
    named = isinstance(source, (str, os.PathLike)) and str(source) not in CATALOGUE
    path = Path(os.path.abspath(os.path.expanduser(source))) if named else None
    if path is not None and has_images(path):
        with bar("looking at images", progress) as show:
            return _check_folder(path, parse_size(image_size), show)
    try:
        with bar("reading", progress) as show:
            data = open_dataset(
                source, data_dir=data_dir, image_size=image_size, standardize=standardize, channels=channels,
                progress=show,
            )  # fmt: skip
    except DataError as error:
        return DataCheck(str(source) if named else type(source).__name__, (), (_refused(str(error)),))
    damage = check_pack(path) if path is not None and is_pack(path) else None
    with bar("looking at rows", progress) as show:
        found = scan_rows(data, show)
    if damage is not None:
        found.insert(0, _refused(damage))
    facts = (repr(data), *data.notes)
    return DataCheck(data.name, facts, tuple(found))


def _refused(words: str) -> Oddity:
    return Oddity("refused", (), words, "training is refused", stops=True)


class _Seen(NamedTuple):
    """What is kept of an image: the hash of its pixels, whether they are all the same, and more."""

    digest: bytes
    constant: bool
    size: Size
    grey: bool
    done: list[str]


def _look(planes: NDArray[np.uint8 | np.uint16], done: list[str]) -> _Seen:
    content = np.ascontiguousarray(planes)
    digest = hashlib.blake2b(content.tobytes() + repr(content.shape).encode(), digest_size=16).digest()
    constant = bool((content == content[:, :1, :1]).all())
    grey = bool((content == content[:1]).all())
    return _Seen(digest, constant, (content.shape[1], content.shape[2]), grey, done)


def _check_folder(folder: Path, size: Size | None, progress: Progress | None) -> DataCheck:
    paths = image_paths(folder)
    good: dict[Path, _Seen] = {}
    bad: dict[Path, str] = {}
    for path, seen in examine(paths, _look, progress):
        if isinstance(seen, str):
            bad[path] = seen
        else:
            good[path] = seen

    def short(path: Path) -> str:
        return str(path.relative_to(folder))

    oddities: list[Oddity] = []
    if bad:
        names = tuple(short(path) for path in bad)
        words = (
            f"{len(bad)} of {len(paths)} images cannot be read, the first because: {next(iter(bad.values()))}"
        )
        consequence = (
            f"training is refused; {option_name('on_bad', 'skip')} leaves them out, "
            f"{option_name('on_bad', 'quarantine')} also lists them in a file"
        )
        oddities.append(Oddity("unreadable", names, words, consequence, stops=True))
    if len(good) < LEAST:
        oddities.append(_refused(f"expected at least {LEAST} images, found {len(good)} that can be read"))
        return DataCheck(folder.name, (f"{len(paths)} images",), tuple(oddities))
    sizes = Counter(seen.size for seen in good.values())
    target = size or common_size(sizes)
    other = tuple(short(path) for path, seen in good.items() if seen.size != target)
    if other:
        words = f"{len(other)} images of another size than {format_size(target)}"
        oddities.append(Oddity("size", other, words, "centre-cropped and resized"))
    oddities += _converted({short(path): seen for path, seen in good.items()})
    layout = layout_of(list(good))
    parts = {int(row): "train" for row in layout.train} | {int(row): "test" for row in layout.test}
    scan = Scan(layout.classes or ())
    for row, (path, seen) in enumerate(good.items()):
        if row in parts:
            label = None if layout.y is None else int(layout.y[row])
            scan.add(short(path), parts[row], seen.digest, seen.constant, label)
    facts = (f"{len(good)} images that can be read, as {format_size(target)}", layout.note)
    return DataCheck(folder.name, facts, (*oddities, *scan.oddities()))


def _converted(good: dict[str, _Seen]) -> list[Oddity]:
    """The images that are converted, by what is done to them."""
    names = defaultdict(list)
    for name, seen in good.items():
        for done in seen.done:
            names[done].append(name)
    found = [
        Oddity("converted", tuple(some), f"{len(some)} images {done}", "so they are read")
        for done, some in sorted(names.items())
    ]
    grey = tuple(name for name, seen in good.items() if seen.grey)
    if 0 < len(grey) < len(good):
        words = f"{len(grey)} images are grey, others are not"
        found.append(Oddity("converted", grey, words, "kept in three equal channels"))
    return found


__all__ = ["check"]
