r"""A language model of counts: interpolated Kneser-Ney, over a vocabulary that is known beforehand.

.. math:: p(w \mid h) = \frac{\max(c(hw) - d, 0)}{c(h\cdot)} + \frac{d\,N(h\cdot)}{c(h\cdot)}\,p(w \mid h')

h' is h without its first token, c counts n-grams at the highest order and, below it, the different tokens
that an n-gram follows; N counts the different tokens that follow h. Under all lies the uniform distribution
of the V tokens, so that nothing is impossible. The discounts are :math:`d = n_1 / (n_1 + 2 n_2)` of each
order.

References:
    | Improved backing-off for m-gram language modeling (Kneser & Ney, 1995)
    | An Empirical Study of Smoothing Techniques for Language Modeling (Chen & Goodman, 1999), section 2.7
    | https://doi.org/10.1006/csla.1999.0128
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError, check_int
from pushforward.text.tokens import BEGIN, lengths

Numbers = NDArray[np.int64]
ORDER = 5


@dataclass(frozen=True)
class Level:
    """N-grams of one order: keys in order, their counts, and of each context its total and its variety."""

    grams: Numbers
    counts: Numbers
    contexts: Numbers
    totals: Numbers
    varieties: Numbers
    discount: float


class KneserNey:
    """The distribution of lines of tokens that some lines suggest.

    Arguments:
        x: Lines (N, T) of tokens, each with its end.
        pieces: Size V of the vocabulary.
        order: The longest n-gram; fewer if keys of so many tokens do not fit into 63 bits.

    Raises:
        ConfigError: If ``order`` is less than 1.
        DataError: If there are no lines.

    Example:
        >>> import torch
        >>> model = KneserNey(torch.tensor([[4, 5, 1], [4, 4, 1]]), pieces=6)
        >>> 1 < model.perplexity(torch.tensor([[4, 5, 1]])) < 6
        True
    """

    def __init__(self, x: Tensor, pieces: int, order: int = ORDER) -> None:
        if not len(x):
            raise DataError("a language model needs at least one line")
        self.pieces = pieces
        self.bits = max(1, math.ceil(math.log2(pieces)))
        self.order = min(check_int("order", order, least=1), 63 // self.bits)
        self.levels: list[Level] = []
        grams = windows(x, self.order, self.bits)
        keys, counts = np.unique(grams, return_counts=True)
        for size in range(self.order, 0, -1):
            self.levels.insert(0, self._level(keys, counts))
            if size > 1:
                # A shorter n-gram counts once for every different token before it.
                shorter = keys & ((1 << self.bits * (size - 1)) - 1)
                keys, counts = np.unique(shorter, return_counts=True)

    def _level(self, keys: Numbers, counts: Numbers) -> Level:
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        discount = once / (once + 2 * twice) if once else 0.5
        contexts, first = np.unique(keys >> self.bits, return_index=True)
        totals = np.add.reduceat(counts, first)
        varieties = np.diff(np.append(first, len(keys)))
        return Level(keys, counts, contexts, totals, varieties, discount)

    def log_probs(self, x: Tensor) -> NDArray[np.float64]:
        """Log-probabilities in nats of all tokens of lines (N, T), line after line, shape (M,)."""
        grams = windows(x, self.order, self.bits)
        p = np.full(len(grams), 1 / self.pieces)
        for size, level in enumerate(self.levels, start=1):
            keys = grams & ((1 << self.bits * size) - 1)
            count = looked_up(keys, level.grams, level.counts)
            contexts = keys >> self.bits
            total = looked_up(contexts, level.contexts, level.totals)
            variety = looked_up(contexts, level.contexts, level.varieties)
            seen = total > 0
            kept = np.maximum(count[seen] - level.discount, 0)
            p[seen] = (kept + level.discount * variety[seen] * p[seen]) / total[seen]
        return np.log(p)

    def perplexity(self, x: Tensor) -> float:
        """exp of the mean nats of a token of lines (N, T), their ends among them."""
        return float(np.exp(-self.log_probs(x).mean()))


def windows(x: Tensor, order: int, bits: int) -> Numbers:
    """Each token of lines (N, T) with the ``order - 1`` before it as one number, the token in the low bits.

    Lines begin with as many ``BEGIN``; padding is left out.
    """
    tokens = x.cpu().numpy().astype(np.int64)
    kept = np.arange(tokens.shape[1]) < lengths(x).cpu().numpy()[:, None]
    before = np.full((len(tokens), order - 1), BEGIN, dtype=np.int64)
    row = np.concatenate([before, tokens], axis=1)
    keys = np.zeros_like(tokens)
    for place in range(order):
        keys = (keys << bits) | row[:, place : place + tokens.shape[1]]
    return keys[kept]


def looked_up(keys: Numbers, known: Numbers, values: Numbers) -> Numbers:
    """The value of each key, 0 where it is not known."""
    place = np.searchsorted(known, keys).clip(max=len(known) - 1)
    found: Numbers = np.where(known[place] == keys, values[place], 0)
    return found


__all__ = ["KneserNey"]
