"""Text in two styles: Shakespeare and modern English, two Bibles, captions of two moods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pushforward.data.dataset import Dataset
from pushforward.data.formats import OpenOptions, named_dataset
from pushforward.data.lines import Pairs, TextFile, read_lines, read_table, text_dataset
from pushforward.errors import DataError
from pushforward.text.vocabulary import DEFAULT_VOCAB_SIZE

# Of Shakespeare, whose names occur nowhere else: a vocabulary so small that unseen words consist of known
# tokens, and the maximum length of a line, which 94 of 100 lines do not exceed.
VOCAB_SIZE, MAX_LENGTH = 1000, 40


@named_dataset(
    "shakespeare",
    "18395 lines of Shakespeare and the same in modern English, 2 styles, paired; download by hand",
    modality="text",
)
def open_shakespeare(options: OpenOptions) -> Dataset:
    """Modern English and Shakespeare, aligned line by line; Romeo and Juliet is held out.

    References:
        | Shakespearizing Modern Language Using Copy-Enriched Sequence-to-Sequence Models (Jhamtani et al.,
          2017)
        | https://arxiv.org/abs/1707.01161
    """
    place = options.folder / "shakespeare"
    train, test = (
        aligned({s: read_lines(place / f"{part}.{s}.nltktok") for s in ("modern", "original")})
        for part in ("train", "test")
    )
    options = replace(options, max_length=options.max_length or MAX_LENGTH)
    return paired_dataset("shakespeare", train, test, options, vocab_size=VOCAB_SIZE)


@named_dataset(
    "bible",
    "29532 verses of the King James version and the same in Basic English, 2 styles, paired; "
    "download by hand",
    modality="text",
)
def open_bible(options: OpenOptions) -> Dataset:
    """The Bible in Basic English and the King James version, verse by verse; whole books are held out."""
    styles = {"basic": "BBE", "king-james": "KJV"}
    table = read_table(options.folder / "bible" / "bible_kjv_web_bbe.tsv.gz", ("split", *styles.values()))
    train, test = (
        [{s: row[column] for s, column in styles.items()} for row in table if row["split"] == part]
        for part in ("train", "test")
    )
    return paired_dataset("bible", train, test, options)


@named_dataset(
    "captions",
    "12000 romantic and humorous captions of photographs, 2 styles; download by hand",
    modality="text",
)
def open_captions(options: OpenOptions) -> Dataset:
    """Romantic and humorous captions of photographs, unpaired.

    References:
        | Delete, Retrieve, Generate (Li et al., 2018)
        | https://arxiv.org/abs/1804.06437
    """
    place = options.folder / "captions"
    styles = {"romantic": 0, "humorous": 1}
    train, test = (
        {s: read_lines(place / f"sentiment.{part}.{number}", "latin-1") for s, number in styles.items()}
        for part in ("train", "dev")
    )
    return text_dataset("captions", train, test, options=options, source="captions", lower=True)


def paired_dataset(
    name: str, train: Pairs, test: Pairs, options: OpenOptions, vocab_size: int = DEFAULT_VOCAB_SIZE
) -> Dataset:
    """A data set of the catalogue that consists of pairs, in lower case."""
    none = {style: TextFile([]) for style in train[0]}
    return text_dataset(
        name, none, none, train, test, options=options, source=name, vocab_size=vocab_size, lower=True
    )


def aligned(lines: Mapping[str, TextFile]) -> list[dict[str, str]]:
    """Pairs of the lines that have the same number in each style.

    Raises:
        DataError: If there are not as many in each.
    """
    counts = {style: len(found.lines) for style, found in lines.items()}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{count} in {lines[style].source}" for style, count in counts.items())
        raise DataError(f"expected as many lines in each style, found {shown}")
    rows = zip(*(found.lines for found in lines.values()), strict=True)
    return [dict(zip(lines, row, strict=True)) for row in rows]


__all__ = ["aligned", "open_bible", "open_captions", "open_shakespeare", "paired_dataset"]
