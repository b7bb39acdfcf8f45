"""Plain text as a data set: each line is a row, and each file may be a style."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pushforward.data.dataset import Dataset, Split, hold_out
from pushforward.data.formats import OpenOptions, data_format
from pushforward.data.images import has_images
from pushforward.errors import DataError, reason
from pushforward.reading import MOST_TEXT, open_file, read_up_to, size_in_words, unpacked
from pushforward.text.tokens import padded
from pushforward.text.vocabulary import DEFAULT_VOCAB_SIZE, Vocabulary
from pushforward.wording import plural

MAX_LENGTH = 32  # default number of tokens of a line, its end included
MAX_CHARACTERS = 1_000_000  # of one line
SUFFIXES = (".txt", ".text", ".lines")
SPLITS = {"train": "train", "test": "test", "valid": "valid", "dev": "valid"}
IGNORED = ("readme", "license", "licence")  # files that are not data
BOM = b"\xef\xbb\xbf"
Pairs = Sequence[Mapping[str, str]]
DEFAULTS = OpenOptions()


@dataclass(frozen=True)
class TextFile:
    """The lines of one style, empty ones included so that an index is a line number, and their source."""

    lines: Sequence[str]
    source: str = "the text"


@dataclass(frozen=True)
class Tokenised:
    """Tokens (N, T) of the lines that are kept, their indices among all lines, and a note on the others."""

    x: Tensor
    rows: list[int]
    note: str


def read_lines(path: Path, encoding: str = "utf-8") -> TextFile:
    """The lines of a file, with single blanks inside and none at the ends.

    Raises:
        DataError: If the file cannot be read, is not UTF-8 (the message names the byte), or holds a NUL or a
            line of more than a million characters (the message names the line).
    """
    return TextFile([" ".join(line.split()) for line in _raw(path, encoding)], str(path))


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Columns of a tab-separated table with a header, row by row.

    Raises:
        DataError: If it cannot be read, as in :func:`read_lines`, or lacks a column.
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
        with open_file(path, MOST_TEXT) as file, unpacked(file, path) as content:
            raw = read_up_to(content, MOST_TEXT)
        if len(raw) > MOST_TEXT:
            raise OSError(f"expected at most {size_in_words(MOST_TEXT)} of text, found more")
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
        if len(line) > MAX_CHARACTERS:
            raise DataError(
                f"{path}: expected a sentence a line, found {len(line)} characters in line {number}; "
                f"at most {MAX_CHARACTERS} are read"
            )
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


@data_format("a text file", suffixes=SUFFIXES, modality="text")
def open_lines(path: Path, options: OpenOptions) -> Dataset:
    """A text file whose rows are its lines; a tenth is held out at random.

    Raises:
        DataError: If it cannot be read or has too few lines.
    """
    train, test = split_lines({"": read_lines(path)})
    return text_dataset(path.stem, train, test, options=options, source=str(path))


def has_texts(source: object) -> bool:
    """Whether a source is a folder that directly holds text files, and no image."""
    is_folder = isinstance(source, Path) and source.is_dir()
    return isinstance(source, Path) and is_folder and not has_images(source) and bool(_files(source))


@data_format(
    "a folder of text files",
    accepts=has_texts,
    modality="text",
    contents=f"text files ({' '.join(SUFFIXES)})",
    general=True,
)
def open_styles(folder: Path, options: OpenOptions) -> Dataset:
    """A folder of text files, one for each style.

    Files are ``modern.txt`` and ``original.txt``, of which rows are held out at random; or ``train.modern``,
    ``train.original``, ``test.modern`` and ``test.original``, each with or without the suffix ``.txt``; or
    ``train.txt`` and ``test.txt``, without styles. The tables ``pairs.tsv`` and ``test-pairs.tsv``, whose
    headers name the styles, hold pairs of lines of the same meaning: they become training rows, or held-out
    rows, as well.

    Raises:
        DataError: If the files are not of this kind, or one cannot be read.
    """
    found = _files(folder)
    parts = {part for part, _ in found}
    styles = sorted({style for part, style in found if part == "train"})
    if not styles:
        raise DataError(f"{folder}: expected text files ({' '.join(SUFFIXES)}), found none to train on")
    train = {style: read_lines(found["train", style]) for style in styles}
    if part := next((part for part in ("test", "valid") if part in parts), None):
        missing = [f"{part}.{style}" for style in styles if (part, style) not in found]
        if missing:
            raise DataError(f"{folder}: expected {', '.join(missing)} beside the other files, found none")
        test = {style: read_lines(found[part, style]) for style in styles}
    else:
        train, test = split_lines(train)
    tables = [folder / name for name in ("pairs.tsv", "test-pairs.tsv")]
    pairs, test_pairs = (read_table(path, styles) if path.exists() else [] for path in tables)
    return text_dataset(folder.name, train, test, pairs, test_pairs, options=options, source=str(folder))


def _files(folder: Path) -> dict[tuple[str, str], Path]:
    """Text files by split and style: the split is "train" if none is named, the style "" if there is none."""
    found = {}
    for path in sorted(folder.iterdir()):
        name = path.name[: -len(path.suffix)] if path.suffix in SUFFIXES else path.name
        part, _, style = name.partition(".")
        if not path.is_file() or name.startswith(".") or name.lower() in IGNORED:
            continue
        if part in SPLITS and (style or path.suffix in SUFFIXES):
            found[SPLITS[part], style] = path
        elif path.suffix in SUFFIXES:
            found["train", name] = path
    return found


def split_lines(files: Mapping[str, TextFile]) -> tuple[dict[str, TextFile], dict[str, TextFile]]:
    """Splits each style into training lines and a tenth held out; copies of a line are in the same part.

    Raises:
        DataError: If a style has fewer than 4 different lines.
    """
    train, test = {}, {}
    for style, file in files.items():
        different = list(dict.fromkeys(line for line in file.lines if line))
        if len(different) < 4:
            raise DataError(f"{file.source}: at least 4 lines with words are needed, found {len(different)}")
        held_out = {different[row] for row in hold_out(len(different))[1].tolist()}
        train[style] = TextFile([line for line in file.lines if line not in held_out], file.source)
        test[style] = TextFile([line for line in file.lines if line in held_out], file.source)
    return train, test


def text_dataset(
    name: str,
    train: Mapping[str, TextFile],
    test: Mapping[str, TextFile],
    pairs: Pairs = (),
    test_pairs: Pairs = (),
    *,
    options: OpenOptions = DEFAULTS,
    source: str | None = None,
    vocab_size: int = DEFAULT_VOCAB_SIZE,
    lower: bool = False,
) -> Dataset:
    """A data set of lines by style; lines that are empty or too long are left out and counted in its notes.

    Arguments:
        name: Name of the data set.
        train: Training lines by style; a single style stands for none.
        test: Held-out lines of the same styles.
        pairs: Training lines of the same meaning, one of each style.
        test_pairs: Held-out lines of the same meaning.
        options: The maximum length, 32 tokens by default, and the vocabulary, learnt by default.
        source: The source that opens it again.
        vocab_size: Maximum number of tokens of a vocabulary that is learnt.
        lower: Whether such a vocabulary converts text to lower case.

    Raises:
        DataError: If too few lines are left.
    """
    max_length = options.max_length or MAX_LENGTH
    styles = tuple(train)
    vocabulary = options.codec
    if not isinstance(vocabulary, Vocabulary):
        lines = [line for file in train.values() for line in file.lines if line]
        lines += [line for pair in pairs for line in pair.values() if line]
        vocabulary = Vocabulary.of(lines, vocab_size, lower)
    train_rows, train_note = _split(vocabulary, train, pairs, styles, max_length, "of the training split")
    test_rows, test_note = _split(vocabulary, test, test_pairs, styles, max_length, "held out")
    return Dataset(
        name,
        train_rows,
        test_rows,
        in_unit_interval=False,
        classes=styles if len(styles) > 1 else None,
        notes=tuple(note for note in (train_note, test_note) if note),
        source=source,
        codec=vocabulary,
    )


def tokenise(vocabulary: Vocabulary, lines: Sequence[str], max_length: int, what: str) -> Tokenised:
    """The tokens of the lines that are neither empty nor longer than ``max_length`` with their end."""
    encoded = vocabulary.encode(lines)
    kept = [row for row, tokens in enumerate(encoded) if 1 < len(tokens) <= max_length]
    empty = sum(len(tokens) == 1 for tokens in encoded)
    long = len(encoded) - empty - len(kept)
    counts = [f"{empty} empty"] * bool(empty) + [f"{long} of more than {max_length - 1} tokens"] * bool(long)
    total = f"{len(encoded)} {plural(len(encoded), 'line')}"
    note = f"left out {' and '.join(counts)} of {total} {what}" if counts else ""
    return Tokenised(padded([encoded[row] for row in kept], max_length), kept, note)


def _split(
    vocabulary: Vocabulary,
    files: Mapping[str, TextFile],
    pairs: Pairs,
    styles: tuple[str, ...],
    max_length: int,
    what: str,
) -> tuple[Split, str]:
    """The rows of the lines that are kept, and a note; a pair is one only if both of its lines are kept."""
    lines = [(line, style, -1) for style in styles for line in files[style].lines]
    lines += [(pair[style], style, number) for number, pair in enumerate(pairs) for style in styles]
    kept = tokenise(vocabulary, [line for line, _, _ in lines], max_length, what)
    y = paired = None
    if len(styles) > 1:
        y = torch.tensor([styles.index(lines[row][1]) for row in kept.rows])
    if len(styles) == 2:
        paired = _paired_rows(kept.x, [lines[row][2] for row in kept.rows])
    return Split(kept.x, y, paired=paired), kept.note


def _paired_rows(x: Tensor, pairs: Iterable[int]) -> Tensor | None:
    """The other row of each row's pair, or -1 where it has none; None if there are no pairs."""
    rows: dict[int, list[int]] = {}
    for row, pair in enumerate(pairs):
        if pair >= 0:
            rows.setdefault(pair, []).append(row)
    paired = torch.full_like(x, -1)
    complete = [both for both in rows.values() if len(both) == 2]
    for first, second in complete:
        paired[first], paired[second] = x[second], x[first]
    return paired if complete else None


__all__ = [
    "TextFile",
    "Tokenised",
    "has_texts",
    "open_lines",
    "open_styles",
    "read_lines",
    "read_table",
    "split_lines",
    "text_dataset",
    "tokenise",
]
