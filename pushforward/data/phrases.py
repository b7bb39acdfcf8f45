"""Phrases of a small grammar, each in plain and in old English: text in two styles, generated."""

from __future__ import annotations

from itertools import product

from pushforward.data.dataset import Dataset
from pushforward.data.formats import OpenOptions, named_dataset
from pushforward.data.styles import paired_dataset
from pushforward.rng import Noise

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
    """Different phrases in plain and in old English, the same in every run.

    >>> phrases(2)[0]
    ('... .', '... .')
    """
    parts = (WHO, DOES, WHAT, WHERE, WHEN)
    every = [" ".join([*(part for part in choice if part), "."]) for choice in product(*parts)]
    chosen = Noise("phrases").permutation(len(every))[:rows].tolist()
    return [(every[place], olden(every[place])) for place in chosen]


def olden(line: str) -> str:
    """A plain phrase translated to old English, longer expressions first.

    >>> olden("you never again see your house .")
    'thou nevermore behold thy dwelling .'
    """
    text = f" {line} "
    for plain in sorted(OLD, key=len, reverse=True):
        text = text.replace(f" {plain} ", f" {OLD[plain]} ")
    return text.strip()


@named_dataset(
    "phrases",
    "4000 phrases of a small grammar in plain and in old English, 2 styles, paired; generated, works offline",
    modality="text",
)
def open_phrases(options: OpenOptions) -> Dataset:
    """Nine tenths are training rows and the rest is held out; all of them are pairs."""
    pairs = [dict(zip(("plain", "old"), pair, strict=True)) for pair in phrases()]
    share = len(pairs) * 9 // 10
    return paired_dataset("phrases", pairs[:share], pairs[share:], options, vocab_size=300)


__all__ = ["open_phrases", "phrases"]
