"""Looking for what is odd about data before anything is trained on them: :func:`check`."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.data import CATALOGUE, open_dataset
from pushforward.data.dataset import LEAST
from pushforward.data.formats import Channels, Progress
from pushforward.data.images import examine, has_images, image_paths, layout_of
from pushforward.data.oddities import DataCheck, Oddity, Scan, many, scan_rows
from pushforward.data.packs import check_pack, is_pack
from pushforward.data.partition import Partition
from pushforward.data.shards import check_shards, is_shards
from pushforward.data.sizes import Size, common_size, format_size, parse_size
from pushforward.data.split import UNKNOWN
from pushforward.errors import ConfigError, DataError, NonfiniteError
from pushforward.report.progress import bar
from pushforward.wording import option_name, plural


def check(
    source: Any,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | Size | None = None,
    columns: Mapping[str, str] | None = None,
    target: str | None = None,
    standardize: bool = True,
    channels: Channels | None = None,
    test: Any = None,
    group: Any = None,
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
        columns: Kinds of columns of a table by their names.
        target: Name of the column of a table whose values are the labels.
        standardize: Whether columns of real numbers are centred and scaled for the model.
        channels: "first" or "last": where the channels of an array of images are.
        test: The held-out rows: data of their own, or numbers or a mask of rows of the source.
        group: The name of a column, or one value a row: rows with the same value are on the same side.
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
        partition = Partition.of(test, group)
        with bar("looking at images", progress) as show:
            return _check_folder(path, partition, parse_size(image_size), show)
    try:
        with bar("reading", progress) as show:
            data = open_dataset(
                source, data_dir=data_dir, image_size=image_size, columns=columns, target=target,
                standardize=standardize, channels=channels, test=test, group=group, progress=show,
            )  # fmt: skip
    except NonfiniteError as error:
        refused = "training is refused: leave them out or fill them; tables may have missing values"
        found = [
            many("missing", names, what, "with missing or infinite values", refused, stops=True)
            for what, names in (
                ("row", error.rows),
                ("column", tuple(f"{name}: {count}" for name, count in error.columns.items())),
            )
        ]
        return DataCheck(str(source) if named else type(source).__name__, (str(error),), tuple(found))
    except DataError as error:
        return DataCheck(str(source) if named else type(source).__name__, (), (_refused(str(error)),))
    damage = None
    if path is not None:
        damage = check_pack(path) if is_pack(path) else check_shards(path) if is_shards(path) else None
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


def _check_folder(
    folder: Path, partition: Partition | None, size: Size | None, progress: Progress | None
) -> DataCheck:
    base, paths = folder, image_paths(folder)
    held_out = None if partition is None or partition.source is None else _images_of(partition.source)
    if held_out is not None:
        paths += image_paths(held_out)
        base = Path(os.path.commonpath([folder, held_out]))
    good: dict[Path, _Seen] = {}
    bad: dict[Path, str] = {}
    for path, seen in examine(paths, _look, progress):
        if isinstance(seen, str):
            bad[path] = seen
        else:
            good[path] = seen

    def short(path: Path) -> str:
        return str(path.relative_to(base))

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
    if len(good) < 2 * LEAST:
        oddities.append(_refused(f"expected at least {2 * LEAST} images, found {len(good)} that can be read"))
        return DataCheck(folder.name, (f"{len(paths)} {plural(len(paths), 'image')}",), tuple(oddities))
    sizes = Counter(seen.size for seen in good.values())
    target = size or common_size(sizes)
    other = tuple(short(path) for path, seen in good.items() if seen.size != target)
    if other:
        words = f"of another size than {format_size(target)}"
        oddities.append(many("size", other, "image", words, "centre-cropped and resized"))
    oddities += _converted({short(path): seen for path, seen in good.items()})
    placed, classes, note = _placed(list(good), paths, held_out, partition)
    scan = Scan(classes)
    for path, (part, label) in placed.items():
        scan.add(short(path), part, good[path].digest, good[path].constant, label)
    facts = (f"{len(good)} {plural(len(good), 'image')} that can be read, as {format_size(target)}", note)
    return DataCheck(folder.name, facts, (*oddities, *scan.oddities()))


def _images_of(source: Any) -> Path:
    path = (
        Path(os.path.abspath(os.path.expanduser(source))) if isinstance(source, (str, os.PathLike)) else None
    )
    if path is None or not has_images(path):
        raise ConfigError(f"{option_name('test')} of a folder of images must be one, too, to be checked")
    return path


def _placed(
    good: list[Path], paths: list[Path], held_out: Path | None, partition: Partition | None
) -> tuple[dict[Path, tuple[str, int | None]], tuple[str, ...], str]:
    """The split and the label of each image that can be read, the classes, and a note."""
    if held_out is not None:
        found: dict[Path, tuple[str, int | None]] = {}
        names: tuple[str, ...] | None = None
        for part, inside in (("train", False), ("test", True)):
            some = [path for path in good if path.is_relative_to(held_out) is inside]
            own = layout_of(some)
            names = own.classes or () if names is None else names
            numbers = [names.index(name) if name in names else UNKNOWN for name in own.classes or ()]
            for row, path in enumerate(some):
                at = UNKNOWN if own.y is None else int(own.y[row])
                found[path] = part, (numbers[at] if at >= 0 else UNKNOWN) if names else None
        return found, names or (), f"held out: all images of {held_out.name}"
    layout = layout_of(good)
    rows = torch.arange(len(good))
    parts_of = {
        row: part
        for part, index in (("train", layout.train), ("test", layout.test))
        for row in rows[index].tolist()
    }
    note = layout.note
    if partition is not None:
        if not layout.at_random:
            raise ConfigError(f"{option_name('test')} is for data without a split of their own")
        split = partition.of_rows(len(paths), None, "the folder")
        chosen = {paths[row] for row in torch.arange(len(paths))[split.test].tolist()}
        parts_of = {row: "test" if path in chosen else "train" for row, path in enumerate(good)}
        note = split.note
    placed = {
        path: (parts_of[row], None if layout.y is None else int(layout.y[row]))
        for row, path in enumerate(good)
        if row in parts_of
    }
    return placed, layout.classes or (), note


def _converted(good: dict[str, _Seen]) -> list[Oddity]:
    """The images that are converted, by what is done to them."""
    names = defaultdict(list)
    for name, seen in good.items():
        for done in seen.done:
            names[done].append(name)
    found = [
        many("converted", some, "image", done, "so they are read") for done, some in sorted(names.items())
    ]
    grey = tuple(name for name, seen in good.items() if seen.grey)
    if 0 < len(grey) < len(good):
        words = "among others that are not"
        found.append(many("converted", grey, "grey image", words, "kept in three equal channels"))
    return found


__all__ = ["check"]
