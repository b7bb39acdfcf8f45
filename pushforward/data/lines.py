"""Plain text as a data set: a line is a row, and a file may be a style."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pushforward.data.dataset import Dataset, Split, hold_out
from pushforward.data.fetch import reason
from pushforward.data.vocabulary import PIECES, Vocabulary
from pushforward.errors import DataError, whole
from pushforward.tokens import padded

LONGEST = 32  # tokens of a line, its end included
BYTES = 1_000_000  # of one line
SUFFIXES = (".txt", ".text", ".lines")
SPLITS = {"train": "train", "test": "test", "valid": "valid", "dev": "valid"}


@dataclass(frozen=True)
class Lines:
    """Lines of one style, and where they come from."""

    said: list[str]
    source: str = "the text"


def read_lines(path: Path, encoding: str = "utf-8-sig") -> Lines:
    """The lines of a file, in UTF-8 unless told otherwise, without blanks at their ends; empty ones too.

    Raises:
        DataError: If the file cannot be read, is not UTF-8 (the message names the byte), or holds a NUL or a
            line of more than a megabyte (the message names the line).
    """
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path} cannot be read: {reason(error)}") from error
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        number = raw[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}: expected UTF-8, found byte 0x{raw[error.start]:02x} at offset {error.start}, "
            f"in line {number}"
        ) from None
    if "\0" in text:
        number = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{path}: expected text, found a NUL in line {number}: is this a text file?")
    kept = []
    for number, line in enumerate(text.split("\n")[: -1 if text.endswith("\n") else None], start=1):
        if len(line) > BYTES:
            raise DataError(
                f"{path}: expected a sentence a line, found {len(line)} characters in line {number}; "
                f"at most {BYTES} are read"
            )
        kept.append(" ".join(line.split()))
    return Lines(kept, str(path))


def open_lines(path: Path, longest: int | None = None, lower: bool = False) -> Dataset:
    """A text file, a line a row; every tenth is held out at random.

    Raises:
        DataError: If it cannot be read or has too few lines.
    """
    return as_dataset(path.stem, {"": read_lines(path)}, longest=longest, lower=lower, source=str(path))


def open_styles(folder: Path, longest: int | None = None, lower: bool = False) -> Dataset:
    """A folder of text files, one for each style.

    Files are ``modern.txt`` and ``original.txt``, of which rows are held out, or ``train.modern``,
    ``train.original``, ``test.modern`` and ``test.original``; endings after those are passed over. What is
    in ``pairs.tsv``, whose header names the styles, says the same in each: those rows are learnt from too.

    Raises:
        DataError: If the files are not of this kind, or one cannot be read.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    texts = {path.stem: path for path in files if path.suffix in SUFFIXES}
    split = {
        (SPLITS[parts[0]], parts[1]): path
        for path in files
        if len(parts := path.name.split(".")) >= 2 and parts[0] in SPLITS and path.suffix not in SUFFIXES
    }
    pairs = folder / "pairs.tsv"
    if split:
        styles = sorted({style for part, style in split if part == "train"})
        held = "test" if any(part == "test" for part, _ in split) else "valid"
        missing = [f"{p}.{s}" for s in styles for p in ("train", held) if (p, s) not in split]
        if missing:
            raise DataError(f"{folder}: expected {', '.join(missing)} beside the other files, found none")
        learnt, test = ({s: read_lines(split[p, s]) for s in styles} for p in ("train", held))
        return as_dataset(folder.name, learnt, test, _read_pairs(pairs, styles), longest, lower, str(folder))
    if not texts:
        raise DataError(f"{folder}: expected text files ({' '.join(SUFFIXES)}), found none")
    learnt = {style: read_lines(path) for style, path in texts.items()}
    return as_dataset(folder.name, learnt, None, _read_pairs(pairs, list(texts)), longest, lower, str(folder))


def has_texts(folder: Path) -> bool:
    """Whether a folder holds text files right inside it."""
    names = [path.name for path in folder.iterdir() if path.is_file()]
    return any(Path(n).suffix in SUFFIXES or (n.split(".")[0] in SPLITS and n.count(".")) for n in names)


def as_dataset(
    name: str,
    learnt: Mapping[str, Lines],
    held: Mapping[str, Lines] | None = None,
    pairs: Sequence[Mapping[str, str]] = (),
    longest: int | None = None,
    lower: bool = False,
    source: str | None = None,
    pieces: int = PIECES,
) -> Dataset:
    """Lines by style as a data set; lines that are empty or too long are left out and counted in its notes.

    Arguments:
        name: What runs are called after.
        learnt: Lines to learn from, by style; one style for none.
        held: Lines held out; by default a tenth of each style.
        pairs: What says the same in every style, to learn from.
        longest: Tokens of a line, its end included.
        lower: Whether capitals are made small.
        source: What opens it again.
        pieces: Size of the vocabulary.

    Raises:
        ConfigError: If ``longest`` is less than 4.
        DataError: If too few lines are left.
    """
    longest = LONGEST if longest is None else whole("size", longest, least=4)
    if held is None:
        learnt, held = _cut(learnt)
    styles = tuple(learnt)
    said = [(line, style, -1) for style in styles for line in learnt[style].said]
    for number, pair in enumerate(pairs):
        said += [(pair[style], style, number) for style in styles]
    words = Vocabulary.of((line for line, _, _ in said if line), pieces, lower)
    notes: list[str] = []
    train = _split(words, said, styles, longest, notes, "to learn from")
    tested = [(line, style, place) for style in styles for place, line in enumerate(held[style].said)]
    # Held-out files that are aligned line by line are pairs to be judged by.
    aligned = len(styles) > 1 and len({len(held[style].said) for style in styles}) == 1
    tested = [(line, style, place if aligned else -1) for line, style, place in tested]
    test = _split(words, tested, styles, longest, notes, "held out")
    return Dataset(
        name,
        train,
        test,
        unit=False,
        classes=styles if len(styles) > 1 else None,
        notes=tuple(notes),
        source=source,
        words=words,
    )


def _split(
    words: Vocabulary,
    said: Sequence[tuple[str, str, int]],
    styles: tuple[str, ...],
    longest: int,
    notes: list[str],
    what: str,
) -> Split:
    """Rows of the lines that fit; pairs of which one does not fit are no pairs."""
    rows = words.pieces([line for line, _, _ in said])
    fits = [1 < len(row) <= longest for row in rows]
    empty = sum(len(row) == 1 for row in rows)
    long = len(rows) - empty - sum(fits)
    if empty or long:
        counts = [f"{empty} empty"] * bool(empty) + [f"{long} of more than {longest - 1} tokens"] * bool(long)
        notes.append(f"left out {' and '.join(counts)} of {len(rows)} lines {what}")
    kept = [place for place, fit in enumerate(fits) if fit]
    x = padded([rows[place] for place in kept], longest)
    y = torch.tensor([styles.index(said[place][1]) for place in kept]) if len(styles) > 1 else None
    return Split(x, y, twin=_twins(x, [said[place][2] for place in kept]) if len(styles) == 2 else None)


def _twins(x: Tensor, pairs: list[int]) -> Tensor | None:
    """The other row of each row's pair, or -1 where it has none; None if there are no pairs."""
    places: dict[int, list[int]] = {}
    for place, pair in enumerate(pairs):
        if pair >= 0:
            places.setdefault(pair, []).append(place)
    twin = torch.full_like(x, -1)
    whole = [both for both in places.values() if len(both) == 2]
    for first, second in whole:
        twin[first], twin[second] = x[second], x[first]
    return twin if whole else None


def _cut(learnt: Mapping[str, Lines]) -> tuple[dict[str, Lines], dict[str, Lines]]:
    """A tenth of each style, for later."""
    train, test = {}, {}
    for style, lines in learnt.items():
        count = sum(1 for line in lines.said if line)
        if count < 4:
            raise DataError(f"{lines.source}: at least 4 lines with words are needed, found {count}")
        index, held = hold_out(len(lines.said))
        train[style] = Lines([lines.said[place] for place in index.sort().values.tolist()])
        test[style] = Lines([lines.said[place] for place in held.sort().values.tolist()])
    return train, test


def _read_pairs(path: Path, styles: Sequence[str]) -> list[dict[str, str]]:
    if not path.exists():
        return []
    return list(read_table(path, styles))


def read_table(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Those columns of a table of tabs with a header, row by row.

    Raises:
        DataError: If it cannot be read, or has no such columns.
    """
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8: {reason(error)}") from error
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = [column for column in columns if column not in (table.fieldnames or ())]
    if missing:
        raise DataError(f"{path}: expected the columns {', '.join(columns)}, found {table.fieldnames}")
    for number, row in enumerate(table, start=2):
        if any(row[column] is None for column in columns):
            raise DataError(f"{path}: expected {len(table.fieldnames or ())} columns in line {number}")
        yield {column: " ".join(row[column].split()) for column in columns}


def open_shakespeare(folder: Path, longest: int | None = None) -> Dataset:
    """Shakespeare and modern English, aligned line by line; Twelfth Night and all test plays are held out.

    References:
        | Shakespearizing Modern Language Using Copy-Enriched Sequence-to-Sequence Models (Jhamtani et al.,
          2017)
        | https://arxiv.org/abs/1707.01161
    """
    place = folder / "shakespeare"
    styles = ("modern", "original")
    read = {
        (part, style): read_lines(place / f"{part}.{style}.nltktok")
        for part in ("train", "test")
        for style in styles
    }
    pairs = _aligned(place, {style: read["train", style] for style in styles})
    test = {style: read["test", style] for style in styles}
    blank = {style: Lines([]) for style in styles}
    return as_dataset("shakespeare", blank, test, pairs, longest, True, "shakespeare")


def open_bible(folder: Path, longest: int | None = None) -> Dataset:
    """The King James version and the Bible in Basic English, verse by verse; whole books are held out."""
    path = folder / "bible" / "bible_kjv_web_bbe.tsv.gz"
    table = list(read_table(path, ("split", "BBE", "KJV")))
    styles = {"basic": "BBE", "king-james": "KJV"}
    pairs = [
        {style: row[column] for style, column in styles.items()} for row in table if row["split"] == "train"
    ]
    test = {
        style: Lines([row[column] for row in table if row["split"] == "test"])
        for style, column in styles.items()
    }
    return as_dataset("bible", {style: Lines([]) for style in styles}, test, pairs, longest, True, "bible")


def open_captions(folder: Path, longest: int | None = None) -> Dataset:
    """Romantic and humorous captions of photographs, unpaired.

    References:
        | Delete, Retrieve, Generate (Li et al., 2018)
        | https://arxiv.org/abs/1804.06437
    """
    place = folder / "captions"
    styles = {"romantic": 0, "humorous": 1}
    learnt, held = (
        {s: read_lines(place / f"sentiment.{part}.{number}", "latin-1") for s, number in styles.items()}
        for part in ("train", "dev")
    )
    return as_dataset("captions", learnt, held, (), longest, True, "captions")


def _aligned(place: Path, learnt: Mapping[str, Lines]) -> list[dict[str, str]]:
    counts = {style: len(lines.said) for style, lines in learnt.items()}
    if len(set(counts.values())) > 1:
        raise DataError(f"{place}: expected as many lines in each style, found {counts}")
    rows = zip(*(lines.said for lines in learnt.values()), strict=True)
    return [dict(zip(learnt, row, strict=True)) for row in rows]


__all__ = [
    "has_texts",
    "open_bible",
    "open_captions",
    "open_lines",
    "open_shakespeare",
    "open_styles",
    "read_lines",
]
