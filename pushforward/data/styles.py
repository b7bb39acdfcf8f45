"""Text in two styles by name: Shakespeare and modern English, two Bibles, captions of two moods."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pushforward.data.dataset import Dataset
from pushforward.data.lines import Pairs, TextFile, as_dataset, read_lines, read_table
from pushforward.errors import DataError
from pushforward.text.vocabulary import Vocabulary

# Of Shakespeare, whose names nobody else bears: pieces so small that new words are made of known ones, and
# the tokens of a line, which 94 of 100 lines do not pass.
PIECES, LONGEST = 1000, 40


def open_shakespeare(folder: Path, longest: int | None = None, words: Vocabulary | None = None) -> Dataset:
    """Modern English and Shakespeare, aligned line by line; Romeo and Juliet is held out.

    References:
        | Shakespearizing Modern Language Using Copy-Enriched Sequence-to-Sequence Models (Jhamtani et al.,
          2017)
        | https://arxiv.org/abs/1707.01161
    """
    place = folder / "shakespeare"
    learnt, held = (
        aligned({s: read_lines(place / f"{part}.{s}.nltktok") for s in ("modern", "original")})
        for part in ("train", "test")
    )
    return paired("shakespeare", learnt, held, longest or LONGEST, words, pieces=PIECES)


def open_bible(folder: Path, longest: int | None = None, words: Vocabulary | None = None) -> Dataset:
    """The Bible in Basic English and the King James version, verse by verse; whole books are held out."""
    styles = {"basic": "BBE", "king-james": "KJV"}
    table = read_table(folder / "bible" / "bible_kjv_web_bbe.tsv.gz", ("split", *styles.values()))
    learnt, held = (
        [{s: row[column] for s, column in styles.items()} for row in table if row["split"] == part]
        for part in ("train", "test")
    )
    return paired("bible", learnt, held, longest, words)


def open_captions(folder: Path, longest: int | None = None, words: Vocabulary | None = None) -> Dataset:
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
    return as_dataset("captions", learnt, held, longest=longest, source="captions", words=words, lower=True)


def paired(
    name: str, learnt: Pairs, held: Pairs, longest: int | None, words: Vocabulary | None, **more: int
) -> Dataset:
    """A data set of the catalogue that has nothing but pairs, in small letters."""
    blank = {style: TextFile([]) for style in learnt[0]}
    return as_dataset(name, blank, blank, learnt, held, longest, source=name, words=words, lower=True, **more)


def aligned(lines: Mapping[str, TextFile]) -> list[dict[str, str]]:
    """Lines of one number in each style as pairs.

    Raises:
        DataError: If there are not as many in each.
    """
    counts = {style: len(found.said) for style, found in lines.items()}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{count} in {lines[style].source}" for style, count in counts.items())
        raise DataError(f"expected as many lines in each style, found {shown}")
    rows = zip(*(found.said for found in lines.values()), strict=True)
    return [dict(zip(lines, row, strict=True)) for row in rows]


__all__ = ["aligned", "open_bible", "open_captions", "open_shakespeare", "paired"]
