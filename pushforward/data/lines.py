"""Plain text as a data set: a line is a row, and a file may be a style."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pushforward.data.dataset import Dataset, Split, hold_out
from pushforward.errors import DataError, check_int, reason
from pushforward.text.tokens import padded
from pushforward.text.vocabulary import PIECES, Vocabulary

LONGEST = 32  # tokens of a line, its end included
CHARACTERS = 1_000_000  # of one line
SUFFIXES = (".txt", ".text", ".lines")
SPLITS = {"train": "train", "test": "test", "valid": "valid", "dev": "valid"}
ASIDE = ("readme", "license", "licence")  # files that are no style
BOM = b"\xef\xbb\xbf"
Pairs = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class TextFile:
    """Lines of one style, empty ones too, so that a line's place is its number; and where they come from."""

    said: Sequence[str]
    source: str = "the text"


@dataclass(frozen=True)
class Fitting:
    """Lines that fit: their tokens (N, T), their places among all, and what is to be said of the others."""

    x: Tensor
    places: list[int]
    note: str


def read_lines(path: Path, encoding: str = "utf-8") -> TextFile:
    """The lines of a file, blanks within them single and none at their ends.

    Raises:
        DataError: If the file cannot be read, is not UTF-8 (the message names the byte), or holds a NUL or a
            line of more than a million characters (the message names the line).
    """
    return TextFile([" ".join(line.split()) for line in _raw(path, encoding)], str(path))


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Those columns of a table of tabs with a header, row by row.

    Raises:
        DataError: If it cannot be read, as of :func:`read_lines`, or has no such columns.
    """
    head, *rows = [line.split("\t") for line in _raw(path)] or [[]]
    missing = [column for column in columns if column not in head]
    if missing:
        raise DataError(f"{path}: expected the columns {', '.join(columns)}, found {', '.join(head)}")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(head):
            raise DataError(f"{path}: expected {len(head)} columns, found {len(row)} in line {number}")
    places = {column: head.index(column) for column in columns}
    return [{column: " ".join(row[place].split()) for column, place in places.items()} for row in rows]


def _raw(path: Path, encoding: str = "utf-8") -> list[str]:
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {reason(error)}") from error
    begin = len(BOM) if raw.startswith(BOM) else 0
    try:
        text = raw[begin:].decode(encoding)
    except UnicodeDecodeError as error:
        place = error.start + begin
        raise DataError(
            f"{path}: expected UTF-8, found byte 0x{raw[place]:02x} at offset {place}, "
            f"in line {raw[:place].count(10) + 1}"
        ) from None
    if "\0" in text:
        number = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{path}: expected text, found a NUL in line {number}: is this a text file?")
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if len(line) > CHARACTERS:
            raise DataError(
                f"{path}: expected a sentence a line, found {len(line)} characters in line {number}; "
                f"at most {CHARACTERS} are read"
            )
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def open_lines(path: Path, longest: int | None = None, words: Vocabulary | None = None) -> Dataset:
    """A text file, a line a row; every tenth is held out at random.

    Raises:
        DataError: If it cannot be read or has too few lines.
    """
    learnt, held = cut({"": read_lines(path)})
    return as_dataset(path.stem, learnt, held, (), (), longest, source=str(path), words=words)


def open_styles(folder: Path, longest: int | None = None, words: Vocabulary | None = None) -> Dataset:
    """A folder of text files, one for each style.

    Files are ``modern.txt`` and ``original.txt``, of which rows are held out at random; or ``train.modern``,
    ``train.original``, ``test.modern`` and ``test.original``, with or without ``.txt`` behind; or
    ``train.txt`` and ``test.txt``, of no style. Lines of ``pairs.tsv`` and ``test-pairs.tsv``, whose headers
    name the styles, say the same in each: they are learnt from, or held out, as well.

    Raises:
        DataError: If the files are not of this kind, or one cannot be read.
    """
    found = _files(folder)
    parts = {part for part, _ in found}
    styles = sorted({style for part, style in found if part == "train"})
    if not styles:
        raise DataError(f"{folder}: expected text files ({' '.join(SUFFIXES)}), found none to learn from")
    learnt = {style: read_lines(found["train", style]) for style in styles}
    if part := next((part for part in ("test", "valid") if part in parts), None):
        missing = [f"{part}.{style}" for style in styles if (part, style) not in found]
        if missing:
            raise DataError(f"{folder}: expected {', '.join(missing)} beside the other files, found none")
        held = {style: read_lines(found[part, style]) for style in styles}
    else:
        learnt, held = cut(learnt)
    tables = [folder / name for name in ("pairs.tsv", "test-pairs.tsv")]
    pairs, tested = (read_table(path, styles) if path.exists() else [] for path in tables)
    return as_dataset(folder.name, learnt, held, pairs, tested, longest, source=str(folder), words=words)


def has_texts(folder: Path) -> bool:
    """Whether a folder holds text files right inside it."""
    return bool(_files(folder))


def _files(folder: Path) -> dict[tuple[str, str], Path]:
    """Text files by split and style; without a split they are to learn from, without a style theirs is ""."""
    found = {}
    for path in sorted(folder.iterdir()):
        name = path.name[: -len(path.suffix)] if path.suffix in SUFFIXES else path.name
        part, _, style = name.partition(".")
        if not path.is_file() or name.startswith(".") or name.lower() in ASIDE:
            continue
        if part in SPLITS and (style or path.suffix in SUFFIXES):
            found[SPLITS[part], style] = path
        elif path.suffix in SUFFIXES:
            found["train", name] = path
    return found


def cut(learnt: Mapping[str, TextFile]) -> tuple[dict[str, TextFile], dict[str, TextFile]]:
    """A tenth of the lines of each style, for later; copies of a line are all on one side.

    Raises:
        DataError: If a style has fewer than 4 different lines.
    """
    train, test = {}, {}
    for style, lines in learnt.items():
        different = list(dict.fromkeys(line for line in lines.said if line))
        if len(different) < 4:
            raise DataError(f"{lines.source}: at least 4 lines with words are needed, found {len(different)}")
        held = {different[place] for place in hold_out(len(different))[1].tolist()}
        train[style] = TextFile([line for line in lines.said if line not in held], lines.source)
        test[style] = TextFile([line for line in lines.said if line in held], lines.source)
    return train, test


def as_dataset(
    name: str,
    learnt: Mapping[str, TextFile],
    held: Mapping[str, TextFile],
    pairs: Pairs = (),
    held_pairs: Pairs = (),
    longest: int | None = None,
    *,
    source: str | None = None,
    words: Vocabulary | None = None,
    pieces: int = PIECES,
    lower: bool = False,
) -> Dataset:
    """Lines by style as a data set; lines that are empty or too long are left out and counted in its notes.

    Arguments:
        name: What runs are called after.
        learnt: Lines to learn from, by style; one style for none.
        held: Lines held out, of the same styles.
        pairs: What says the same in every style, to learn from.
        held_pairs: The same, held out.
        longest: Tokens of a line, its end included.
        source: What opens it again.
        words: The vocabulary, if it is known; else it is learnt.
        pieces: The most there may be in a vocabulary that is learnt.
        lower: Whether it makes capitals small.

    Raises:
        ConfigError: If ``longest`` is less than 4.
        DataError: If too few lines are left.
    """
    longest = LONGEST if longest is None else check_int("size", longest, least=4)
    styles = tuple(learnt)
    if words is None:
        said = [line for lines in learnt.values() for line in lines.said if line]
        said += [line for pair in pairs for line in pair.values() if line]
        words = Vocabulary.of(said, pieces, lower)
    train, *notes = _split(words, learnt, pairs, styles, longest, "to learn from")
    test, *more = _split(words, held, held_pairs, styles, longest, "held out")
    return Dataset(
        name,
        train,
        test,
        in_unit_interval=False,
        classes=styles if len(styles) > 1 else None,
        notes=tuple(note for note in (*notes, *more) if note),
        source=source,
        vocabulary=words,
    )


def fitting(words: Vocabulary, said: Sequence[str], longest: int, what: str) -> Fitting:
    """Those lines that have words, and no more than so many tokens with their end."""
    rows = words.pieces(said)
    places = [place for place, row in enumerate(rows) if 1 < len(row) <= longest]
    empty = sum(len(row) == 1 for row in rows)
    long = len(rows) - empty - len(places)
    counts = [f"{empty} empty"] * bool(empty) + [f"{long} of more than {longest - 1} tokens"] * bool(long)
    note = f"left out {' and '.join(counts)} of {len(rows)} lines {what}" if counts else ""
    return Fitting(padded([rows[place] for place in places], longest), places, note)


def _split(
    words: Vocabulary,
    lines: Mapping[str, TextFile],
    pairs: Pairs,
    styles: tuple[str, ...],
    longest: int,
    what: str,
) -> tuple[Split, str]:
    """Rows of the lines that fit, and a note; pairs of which one does not fit are no pairs."""
    said = [(line, style, -1) for style in styles for line in lines[style].said]
    said += [(pair[style], style, number) for number, pair in enumerate(pairs) for style in styles]
    kept = fitting(words, [line for line, _, _ in said], longest, what)
    y = paired = None
    if len(styles) > 1:
        y = torch.tensor([styles.index(said[place][1]) for place in kept.places])
    if len(styles) == 2:
        paired = _twins(kept.x, [said[place][2] for place in kept.places])
    return Split(kept.x, y, paired=paired), kept.note


def _twins(x: Tensor, pairs: Iterable[int]) -> Tensor | None:
    """The other row of each row's pair, or -1 where it has none; None if there are no pairs."""
    places: dict[int, list[int]] = {}
    for place, pair in enumerate(pairs):
        if pair >= 0:
            places.setdefault(pair, []).append(place)
    paired = torch.full_like(x, -1)
    there = [both for both in places.values() if len(both) == 2]
    for first, second in there:
        paired[first], paired[second] = x[second], x[first]
    return paired if there else None


__all__ = [
    "TextFile",
    "as_dataset",
    "cut",
    "fitting",
    "has_texts",
    "open_lines",
    "open_styles",
    "read_lines",
    "read_table",
]
