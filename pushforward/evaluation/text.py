"""What is asked of models of text: do lines come back, do samples read like lines, does style move.

All is measured on a CPU and without a download. Perplexities are those of pieces of words under a
language model of counts: they compare runs on one vocabulary and no others, and no papers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from pushforward.data.dataset import Dataset
from pushforward.errors import ConfigError
from pushforward.evaluation.context import CHUNK, EvaluationContext, chunks
from pushforward.metrics.ngram_lm import KneserNey
from pushforward.models import decode_as
from pushforward.rng import Noise
from pushforward.text.tokens import lengths

SAMPLES = 10_000  # whose language model is made
COMPARED = 500  # samples compared with all others
SETTINGS = "sacrebleu, tokenize=none, lowercase"
STRENGTHS = (1, 2, 5)  # at which lines lean away from how their own style would tell them


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


def text(evidence: EvaluationContext) -> dict[str, Any] | None:
    """How lines come back, and how samples read; of models of text.

    ``reconstruction`` has the BLEU of held-out lines through the codes' centres, read out greedily, the share
    that comes back unchanged, and the nats of a token that is told those before it, of codes that are drawn.
    ``samples``, at most 10,000 and no more than there are training lines, are read out greedily too; it has
    the perplexity of samples under a model of training lines (forward: are they fluent?) and of held-out
    lines under a model of samples (reverse: is everything there?), and ``floor`` the same of training lines
    in the place of samples.
    """
    words = evidence.data.vocabulary
    if words is None:
        return None
    result: dict[str, Any] = {"settings": SETTINGS, "pieces": len(words)}
    held = evidence.data.test.x[evidence.order]
    given = words.lines(held)
    if evidence.model.has_encoder:
        assert evidence.coded.lines is not None
        back = words.lines(evidence.coded.lines)
        exact = sum(a == b for a, b in zip(back, given, strict=True)) / len(given)
        result["reconstruction"] = {"bleu": bleu(back, given), "exact": exact}
        if "reconstruction" in evidence.objective:
            nats = evidence.objective["reconstruction"] * len(held) / int(lengths(held).sum())
            result["reconstruction"]["nats_per_token"] = nats
    train = evidence.data.train
    reader = KneserNey(train.x, len(words))
    made = drawn(evidence, min(SAMPLES, len(train)))
    learnt = train.x[evidence.noise("floor").permutation(len(train))[: len(made)]]
    noise = evidence.noise("text")
    for name, rows in (("samples", made), ("floor", learnt)):
        lines = words.lines(rows)
        result[name] = {
            "rows": len(rows),
            "forward": reader.perplexity(rows),
            "reverse": KneserNey(rows, len(words)).perplexity(held),
            "self_bleu": self_bleu(lines, noise),
            "distinct_1": distinct(lines, 1),
            "distinct_2": distinct(lines, 2),
            "unique": len(set(lines)) / len(lines),
            "words": sum(len(line.split()) for line in lines) / len(lines),
        }
    # Lines that the model of lines has learnt would look too fluent: held-out ones stand in their place here.
    result["floor"]["forward"] = reader.perplexity(held)
    return result


def drawn(evidence: EvaluationContext, count: int) -> Tensor:
    """So many samples; models that are told labels are told each in turn."""
    made, model = [], evidence.model
    noise = evidence.noise("lines")
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        y = (torch.arange(size) % model.n_conditions).to(evidence.device) if model.n_conditions else None
        made.append(model.sample(size, noise.rows(start), y, evidence.prior).cpu())
        if evidence.progress:
            evidence.progress(start + size, count)
    return torch.cat(made)


class StyleJudge:
    """A linear classifier of lines by words and pairs of words, that no model is trained against.

    Arguments:
        lines: Lines to learn from.
        y: Their styles.
    """

    def __init__(self, lines: Sequence[str], y: Tensor) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        bag = TfidfVectorizer(lowercase=True, token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True)
        self.model = make_pipeline(bag, LogisticRegression(C=10.0, max_iter=1000)).fit(list(lines), y.numpy())

    def accuracy(self, lines: Sequence[str], y: Tensor) -> float:
        """The share of lines that are judged to be of style y (N,)."""
        return float((self.model.predict(list(lines)) == y.numpy()).mean())


def transfer(evidence: EvaluationContext) -> dict[str, Any] | None:
    """What becomes of held-out lines told in another style; of models that are told styles, and of 2 styles.

    For each direction, and as the mean of both, the row of the model and the row of copying: the share that
    an independent judge takes for the style that was wanted, the BLEU with the source, and with the same line
    in that style where held-out lines are pairs. "strength 2" and so on are of lines that lean away from
    their own style. ``judge`` is the share of real held-out lines that the judge takes for what they are.
    """
    data, model = evidence.data, evidence.model
    words, train = data.vocabulary, data.train
    if (
        words is None
        or model.n_conditions != 2
        or not model.has_encoder
        or train.y is None
        or data.test.y is None
    ):
        return None
    x, y = data.test.x[evidence.order], data.test.y[evidence.order]
    parts: dict[str, list[Tensor]] = {}
    with torch.inference_mode():
        for part in chunks(len(x)):
            own = y[part].to(evidence.device)
            codes = model.encode(x[part].to(evidence.device), y=own)
            for guidance_scale in STRENGTHS:
                name = "made" if guidance_scale == 1 else f"strength {guidance_scale}"
                parts.setdefault(name, []).append(decode_as(model, codes, own, 1 - own, guidance_scale).cpu())
    paired = None if data.test.paired is None else data.test.paired[evidence.order]
    style_classifier = StyleJudge(words.lines(train.x), train.y)
    told = {name: words.lines(torch.cat(lines)) for name, lines in parts.items()}
    return moved(data, style_classifier, x, y, paired, told)


def moved(
    data: Dataset,
    style_classifier: StyleJudge,
    x: Tensor,
    y: Tensor,
    paired: Tensor | None,
    told: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """The figures of lines x (N, T) of styles y (N,) that were told in the other style, by each of some ways.

    ``told`` has what they became by the name of each way; ``paired`` (N, T) are the same lines in the other
    style, -1 where none is known.
    """
    assert data.vocabulary is not None
    say = data.vocabulary.lines
    given = say(x)
    ways = {**told, "copied": given}
    result: dict[str, Any] = {"settings": SETTINGS, "judge": style_classifier.accuracy(given, y)}
    for style, name in enumerate(data.labels):
        rows = (y == 1 - style).nonzero().flatten()
        if not len(rows):
            continue
        wanted = torch.full((len(rows),), style)
        known = [] if paired is None else rows[paired[rows, 0] >= 0].tolist()
        truth = [] if paired is None else say(paired[known])
        for who, lines in ways.items():
            here = _at(lines, rows.tolist())
            row = {
                "accuracy": style_classifier.accuracy(here, wanted),
                "source_bleu": bleu(here, _at(given, rows.tolist())),
            }
            if known:
                row["reference_bleu"] = bleu(_at(lines, known), truth)
            result.setdefault(f"to_{name}", {})[who] = row
    for who in ways:
        both = [result[f"to_{name}"][who] for name in data.labels if f"to_{name}" in result]
        shared = [figure for figure in both[0] if all(figure in row for row in both)]
        result[who] = {figure: sum(row[figure] for row in both) / len(both) for figure in shared}
    return result


def _at(lines: Sequence[str], places: Sequence[int]) -> list[str]:
    return [lines[place] for place in places]


def _sacrebleu() -> Any:
    try:
        import sacrebleu
    except ImportError as error:
        raise ConfigError("figures of text need sacrebleu: pip install 'pushforward[text]'") from error
    return sacrebleu


__all__ = ["StyleJudge", "bleu", "distinct", "moved", "self_bleu", "sentence_bleu", "text", "transfer"]
