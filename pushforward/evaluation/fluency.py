"""How samples of text read: whether a language model of training lines expects them, and what is copied."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from pushforward.evaluation.context import EvaluationContext
from pushforward.metrics.ngram_lm import KneserNey

LINES = 1000  # samples that are read, at most
TRAINING_LINES = 20_000  # from which the language model is made, at most


@dataclass(frozen=True)
class Fluency:
    """How samples of text read, next to held-out lines, which the language model has not seen either.

    Among few and short lines a good sampler meets training lines too. One that has memorised none meets them
    as often as held-out lines, of which there are fewer: that is the share of copies to expect.

    Attributes:
        perplexity: The perplexity of samples under an n-gram model of training lines.
        best_perplexity: The same of held-out lines.
        copied: The share of samples that are exact copies of training lines.
        expected_copies: The share to expect if none were memorised.
    """

    perplexity: float
    best_perplexity: float
    copied: float
    expected_copies: float

    @classmethod
    def of(cls, context: EvaluationContext) -> Fluency | None:
        """The fluency of samples; None of data that are no text."""
        words, train = context.data.vocabulary, context.data.train
        if words is None:
            return None
        known = train.subsample(TRAINING_LINES, context.noise("language model")).x
        reader = KneserNey(known, len(words))
        made = torch.cat([x.cpu() for x in islice(context.drawn(), -(-LINES // 500))])[:LINES]
        given = context.data.test.x[context.order][: len(made)]
        copied, met = (_share(made, split.x[:]) for split in (train, context.data.test))
        expected = min(met * len(train) / len(context.data.test), 1.0)
        return cls(reader.perplexity(made), reader.perplexity(given), copied, expected)

    @property
    def ratio(self) -> float:
        """The perplexity of samples over that of held-out lines."""
        return self.perplexity / self.best_perplexity

    @property
    def excess_copies(self) -> float:
        """By how much the share of copies is above the share to expect."""
        return self.copied - self.expected_copies

    @property
    def words(self) -> str:
        """The numbers, and what a good sampler has."""
        return (
            f"n-gram perplexity {self.perplexity:.3g} (of held-out lines {self.best_perplexity:.3g}), "
            f"{self.copied:.0%} are training lines word for word (by chance {self.expected_copies:.0%})"
        )


def _share(rows: Tensor, among: Tensor) -> float:
    """The share of rows of tokens that are among others."""
    known = {row.tobytes() for row in among.to(torch.int32).numpy()}
    return sum(row.tobytes() in known for row in rows.to(torch.int32).numpy()) / len(rows)


__all__ = ["Fluency"]
