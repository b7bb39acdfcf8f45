"""How lines are reconstructed and how samples read; of models of text.

Perplexities are those of tokens under a language model of counts: they compare runs with the same vocabulary
and no others, and no papers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.evaluation.bleu import BLEU_SETTINGS, bleu, distinct, self_bleu
from pushforward.evaluation.context import CHUNK, EvaluationContext
from pushforward.evaluation.registry import MetricSpec, metric_group
from pushforward.metrics.ngram_lm import KneserNey
from pushforward.parts import map_parts
from pushforward.text.tokens import lengths

SAMPLES = 10_000  # at most, from which the language model is made


def _spec(
    name: str, key: str, explanation: str, better: int = 0, column: int | None = None, reference: bool = True
) -> MetricSpec:
    beside = ("training lines", ("text", "reference", key)) if reference else None
    return MetricSpec(name, ("text", "samples", key), explanation, better, beside, column)


@metric_group(
    "text",
    90,
    MetricSpec(
        "reconstruction BLEU",
        ("text", "reconstruction", "bleu"),
        "percent, of reconstructed lines",
        1,
        column=300,
    ),
    MetricSpec(
        "exact match",
        ("text", "reconstruction", "exact_match"),
        "share of lines that are reconstructed without a change",
        1,
        column=301,
    ),
    MetricSpec(
        "NLL per token",
        ("text", "reconstruction", "nll_per_token"),
        "nats, of held-out lines, each token given those before it",
        -1,
        column=302,
    ),
    _spec(
        "forward perplexity",
        "forward_perplexity",
        "of samples' tokens under an n-gram model of training lines; dull lines are low too",
        0,
        303,
    ),
    _spec(
        "reverse perplexity",
        "reverse_perplexity",
        "of held-out lines' tokens under an n-gram model of samples",
        -1,
        304,
    ),
    _spec("self-BLEU", "self_bleu", "percent, of samples against each other; more is less variety", 0, 305),
    _spec("distinct-2", "distinct_2", "share of different pairs of words", 0, 306),
    _spec("unique ratio", "unique_ratio", "share of different lines among samples", 0, 307, reference=False),
    _spec("mean length", "mean_length", "words of a sample", 0, 308),
    default=True,
)
def text(context: EvaluationContext) -> dict[str, Any] | None:
    """How lines come back, and how samples read; of models of text.

    ``reconstruction`` has the BLEU of held-out lines through the codes' centres, read out greedily, the share
    that comes back unchanged, and the nats of a token given those before it, with codes drawn.
    ``samples``, at most 10,000 and no more than there are training lines, are read out greedily too; it has
    the perplexity of samples under a model of training lines (forward: are they fluent?) and of held-out
    lines under a model of samples (reverse: is everything there?), and ``reference`` the same of training
    lines in the place of samples.
    """
    words = context.data.vocabulary
    if words is None:
        return None
    result: dict[str, Any] = {"bleu_settings": BLEU_SETTINGS, "vocab_size": len(words)}
    held = context.data.test.x[context.order]
    given = words.lines(held)
    if context.model.has_encoder:
        assert context.encoded.lines is not None
        back = words.lines(context.encoded.lines)
        exact = sum(a == b for a, b in zip(back, given, strict=True)) / len(given)
        result["reconstruction"] = {"bleu": bleu(back, given), "exact_match": exact}
        if "reconstruction" in context.objective:
            nats = context.objective["reconstruction"] * len(held) / int(lengths(held).sum())
            result["reconstruction"]["nll_per_token"] = nats
    train = context.data.train
    reader = KneserNey(train.tensor(), len(words))
    made = drawn(context, min(SAMPLES, len(train)))
    learnt = train.x[context.noise("floor").permutation(len(train))[: len(made)]]
    noise = context.noise("text")
    for name, rows in (("samples", made), ("reference", learnt)):
        lines = words.lines(rows)
        result[name] = {
            "n_samples": len(rows),
            "forward_perplexity": reader.perplexity(rows),
            "reverse_perplexity": KneserNey(rows, len(words)).perplexity(held),
            "self_bleu": self_bleu(lines, noise),
            "distinct_1": distinct(lines, 1),
            "distinct_2": distinct(lines, 2),
            "unique_ratio": len(set(lines)) / len(lines),
            "mean_length": sum(len(line.split()) for line in lines) / len(lines),
        }
    # Lines that the model of lines has learnt would look too fluent: held-out ones stand in their place here.
    result["reference"]["forward_perplexity"] = reader.perplexity(held)
    return result


def drawn(context: EvaluationContext, count: int) -> Tensor:
    """So many samples; of conditional models of each label in turn."""
    model, noise = context.model, context.noise("lines")

    def made(start: int) -> Tensor:
        size = min(CHUNK, count - start)
        y = (torch.arange(size) % model.n_conditions).to(context.device) if model.n_conditions else None
        rows = model.sample(size, noise.rows(start), y, context.prior).cpu()
        if context.progress:
            context.progress(start + size, count)
        return rows

    return torch.cat([*map_parts(made, range(0, count, CHUNK))])
