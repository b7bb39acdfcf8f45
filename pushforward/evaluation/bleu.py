"""BLEU and other counts of n-grams of words, computed on a CPU and without a download."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from pushforward.errors import ConfigError
from pushforward.rng import Noise

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

    References:
        | Texygen: A Benchmarking Platform for Text Generation Models (Zhu et al., 2018)
        | https://arxiv.org/abs/1802.01886
    """
    order = noise("self").permutation(len(lines))[:rows].tolist()
    some = [lines[place] for place in order]
    scores = [sentence_bleu(line, some[:place] + some[place + 1 :]) for place, line in enumerate(some)]
    return sum(scores) / len(scores)


def sentence_bleu(line: str, references: Sequence[str]) -> float:
    """The BLEU in percent of a single line, by the n-grams that it is long enough for.

    >>> round(sentence_bleu("the cat", ["a dog", "The cat"]), 6)
    100.0
    """
    return float(_of_sentences().sentence_score(line, list(references)).score)


@cache
def _of_sentences() -> Any:
    return _sacrebleu().metrics.BLEU(tokenize="none", lowercase=True, force=True, effective_order=True)


def distinct(lines: Sequence[str], size: int) -> float:
    """The share of different ones among all n-grams of words.

    >>> distinct(["a b", "a c"], 1)
    0.75
    """
    grams = Counter(gram for line in lines for gram in _grams(line.split(), size))
    return len(grams) / max(1, sum(grams.values()))


def _grams(words: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[place : place + size]) for place in range(len(words) - size + 1)]


def _sacrebleu() -> Any:
    try:
        import sacrebleu
    except ImportError as error:
        raise ConfigError("figures of text need sacrebleu: pip install 'pushforward[text]'") from error
    return sacrebleu


__all__ = ["BLEU_SETTINGS", "bleu", "distinct", "self_bleu", "sentence_bleu"]
