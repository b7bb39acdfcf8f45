"""BLEU and other counts of n-grams of words, computed on a CPU and without a download."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from pushforward.errors import ConfigError
from pushforward.rng import Noise

Gram = tuple[str, ...]

ORDER = 4  # words of the longest n-gram of BLEU
COMPARED = 500  # lines compared with all others in self-BLEU
BLEU_SETTINGS = "sacrebleu, tokenize=none, lowercase"


def bleu(made: Sequence[str], given: Sequence[str]) -> float:
    """Corpus BLEU in percent of lines against one reference each, words as blanks part them, capitals alike.

    References:
        | A Call for Clarity in Reporting BLEU Scores (Post, 2018)
        | https://aclanthology.org/W18-6319

    >>> round(bleu(["the cat sat on the mat"], ["The cat sat on the mat"]), 6)
    100.0
    """
    score = _sacrebleu().corpus_bleu(list(made), [list(given)], tokenize="none", lowercase=True, force=True)
    return float(score.score)


def self_bleu(lines: Sequence[str], noise: Noise, rows: int = COMPARED) -> float:
    """The mean BLEU in percent of some lines against all others of them: 100 if they are all alike.

    A line's score is its :func:`sentence_bleu`; n-grams are counted once for all lines.

    References:
        | Texygen: A Benchmarking Platform for Text Generation Models (Zhu et al., 2018)
        | https://arxiv.org/abs/1802.01886

    Raises:
        ConfigError: there are fewer than two lines.

    >>> round(self_bleu(["the cat", "The cat"], Noise(0)), 6)
    100.0
    """
    order = noise("self").permutation(len(lines))[:rows].tolist()
    if len(order) < 2:
        raise ConfigError(f"self-BLEU needs at least 2 lines, got {len(order)}")
    compute = _sacrebleu().metrics.BLEU.compute_bleu
    counted = [_counts(lines[place]) for place in order]
    sizes = [_words(counts) for counts in counted]
    largest = _two_largest(counted)
    scores = []
    for place, counts in enumerate(counted):
        matched, total = [0] * ORDER, [0] * ORDER
        for gram, count in counts.items():
            first, second, holder = largest[gram]
            total[len(gram) - 1] += count
            matched[len(gram) - 1] += min(count, second if holder == place else first)
        size = sizes[place]
        nearest = min(sizes[:place] + sizes[place + 1 :], key=lambda other: (abs(other - size), other))
        scores.append(compute(matched, total, size, nearest, "exp", effective_order=True).score)
    return float(sum(scores) / len(scores))


def sentence_bleu(line: str, references: Sequence[str]) -> float:
    """The BLEU in percent of a single line, by the n-grams that it is long enough for.

    >>> round(sentence_bleu("the cat", ["a dog", "The cat"]), 6)
    100.0
    """
    return float(_of_sentences().sentence_score(line, list(references)).score)


@cache
def _of_sentences() -> Any:
    return _sacrebleu().metrics.BLEU(tokenize="none", lowercase=True, force=True, effective_order=True)


def _two_largest(counted: Sequence[Counter[Gram]]) -> dict[Gram, tuple[int, int, int]]:
    """For each n-gram its two largest counts in a line, and the line of the largest.

    Of these a line's references are all lines but itself without being counted anew for each line.
    """
    found: dict[Gram, tuple[int, int, int]] = {}
    for place, counts in enumerate(counted):
        for gram, count in counts.items():
            first, second, holder = found.get(gram, (0, 0, -1))
            found[gram] = (count, first, place) if count > first else (first, max(second, count), holder)
    return found


def _counts(line: str) -> Counter[Gram]:
    """How often each n-gram of up to four words occurs in a line, capitals alike."""
    words = line.lower().split()
    return Counter(gram for size in range(1, ORDER + 1) for gram in _grams(words, size))


def _words(counts: Counter[Gram]) -> int:
    return sum(count for gram, count in counts.items() if len(gram) == 1)


def distinct(lines: Sequence[str], size: int) -> float:
    """The share of different ones among all n-grams of words.

    >>> distinct(["a b", "a c"], 1)
    0.75
    """
    grams = Counter(gram for line in lines for gram in _grams(line.split(), size))
    return len(grams) / max(1, sum(grams.values()))


def _grams(words: list[str], size: int) -> list[Gram]:
    return [tuple(words[place : place + size]) for place in range(len(words) - size + 1)]


def _sacrebleu() -> Any:
    try:
        import sacrebleu
    except ImportError as error:
        raise ConfigError("figures of text need sacrebleu: pip install 'pushforward[text]'") from error
    return sacrebleu


__all__ = ["BLEU_SETTINGS", "bleu", "distinct", "self_bleu", "sentence_bleu"]
