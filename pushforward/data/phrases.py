"""Phrases of a small grammar, each in plain and in old English: text in two styles that needs no file."""

from __future__ import annotations

from pushforward.data.dataset import Dataset
from pushforward.data.lines import Lines, as_dataset
from pushforward.randomness import Noise

ROWS = 4000  # pairs of phrases
WHO = ("you", "i", "we", "the king", "my brother", "her old mother", "the two men", "your friend")
DOES = ("see", "love", "give away", "know", "seek", "watch over", "speak of", "fear")
WHAT = (
    "the house",
    "a red rose",
    "your sword",
    "my heart",
    "the sea",
    "these letters",
    "a small bird",
    "her ring",
)
WHERE = ("", "near the river", "before the door", "in the dark wood", "between the hills", "at home")
WHEN = ("", "today", "often", "before night", "every morning", "never again")
OLD = {
    "you": "thou", "your": "thy", "my": "mine", "see": "behold", "know": "wit", "near": "nigh",
    "before": "ere", "today": "this day", "often": "oft", "never again": "nevermore", "between": "betwixt",
    "give away": "yield up", "speak of": "prate of", "brother": "kinsman", "friend": "gossip",
    "every morning": "each morn", "house": "dwelling", "fear": "dread", "men": "fellows", "seek": "pursue",
}  # fmt: skip


def phrases(rows: int = ROWS) -> list[tuple[str, str]]:
    """So many phrases, plain and old; always the same ones.

    >>> phrases(2)[0]
    ('... .', '... .')
    """
    noise = Noise("phrases")
    choices = [
        [options[place] for place in (noise(name).uniform(rows) * len(options)).long().tolist()]
        for name, options in (("who", WHO), ("does", DOES), ("what", WHAT), ("where", WHERE), ("when", WHEN))
    ]
    plain = [" ".join([*(part for part in parts if part), "."]) for parts in zip(*choices, strict=True)]
    return [(line, olden(line)) for line in plain]


def olden(line: str) -> str:
    """A plain phrase in old English, longer expressions first.

    >>> olden("you never again see your house .")
    'thou nevermore behold thy dwelling .'
    """
    said = f" {line} "
    for plain in sorted(OLD, key=len, reverse=True):
        said = said.replace(f" {plain} ", f" {OLD[plain]} ")
    return said.strip()


def open_phrases(longest: int | None = None) -> Dataset:
    """Nine tenths to learn from and the rest held out, as pairs."""
    pairs = [dict(zip(("plain", "old"), pair, strict=True)) for pair in phrases()]
    cut = len(pairs) * 9 // 10
    held = {style: Lines([pair[style] for pair in pairs[cut:]]) for style in ("plain", "old")}
    empty = {style: Lines([]) for style in held}
    return as_dataset("phrases", empty, held, pairs[:cut], longest, source="phrases", pieces=300)


__all__ = ["open_phrases", "phrases"]
