"""Style transfer: held-out lines rewritten in the other style; of models that are conditional on two
styles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.data.dataset import Dataset
from pushforward.evaluation.bleu import BLEU_SETTINGS, bleu
from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.registry import MetricSpec, metric_group
from pushforward.models import decode_as

GUIDANCE_SCALES = (1, 2, 5)
# What is printed for keys of the results.
NAMES = {
    "style_accuracy": "style accuracy",
    "source_bleu": "self-BLEU with the source",
    "reference_bleu": "BLEU with the reference",
}
WAYS = {"made": "transferred lines", "copied": "unchanged lines"}


class StyleClassifier:
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
        """The share of lines that are classified as style y (N,)."""
        return float((self.model.predict(list(lines)) == y.numpy()).mean())


def _rows(found: Mapping[str, Any]) -> Iterator[str]:
    for name in (key for key in found if key.startswith("to_")):
        for way, row in found[name].items():
            shown = ", ".join(f"{NAMES[key]} {value:.3g}" for key, value in row.items())
            yield f"into style {name.removeprefix('to_')}, {WAYS.get(way, way)}: {shown}"
    yield (
        f"the style classifier is right on {found['style_classifier_accuracy']:.1%} of real lines; "
        f"BLEU: {found['bleu_settings']}"
    )


@metric_group(
    "transfer",
    100,
    MetricSpec(
        NAMES["style_accuracy"],
        ("transfer", "made", "style_accuracy"),
        "share of transferred lines that are classified as the wanted style",
        1,
        ("copying", ("transfer", "copied", "style_accuracy")),
        column=310,
    ),
    MetricSpec(
        NAMES["source_bleu"],
        ("transfer", "made", "source_bleu"),
        "percent, transferred lines with their sources",
        column=311,
    ),
    MetricSpec(
        NAMES["reference_bleu"],
        ("transfer", "made", "reference_bleu"),
        "percent, transferred lines with the same lines in the wanted style",
        1,
        ("copying", ("transfer", "copied", "reference_bleu")),
        column=312,
    ),
    default=True,
    sentences=_rows,
)
def transfer(context: EvaluationContext) -> dict[str, Any] | None:
    """Held-out lines rewritten in the other style; of models that are conditional on 2 styles.

    For each direction, and as the mean of both, the row of the model and the row of copying: the share that
    an independent classifier takes for the wanted style, the BLEU with the source, and with the same line
    in that style where held-out lines are pairs. "guidance scale 2" and so on are of lines that lean away
    from their own style. ``style_classifier_accuracy`` is the share of real held-out lines that the
    classifier takes for what they are.
    """
    data, model = context.data, context.model
    words, train = data.vocabulary, data.train
    if (
        words is None
        or model.n_conditions != 2
        or not model.has_encoder
        or train.y is None
        or data.test.y is None
    ):
        return None
    x, y = data.test.x[context.order], data.test.y[context.order]

    def moved_part(part: slice) -> list[Tensor]:
        own = y[part].to(context.device)
        codes = model.encode(x[part].to(context.device), y=own)
        return [decode_as(model, codes, own, 1 - own, scale).cpu() for scale in GUIDANCE_SCALES]

    with torch.inference_mode():
        parts = context.map(moved_part)
    names = ["made" if scale == 1 else f"guidance scale {scale}" for scale in GUIDANCE_SCALES]
    paired = None if data.test.paired is None else data.test.paired[context.order]
    style_classifier = StyleClassifier(words.lines(train.tensor()), train.y)
    rewritten = {
        name: words.lines(torch.cat(lines))
        for name, lines in zip(names, zip(*parts, strict=True), strict=True)
    }
    return moved(data, style_classifier, x, y, paired, rewritten)


def moved(
    data: Dataset,
    style_classifier: StyleClassifier,
    x: Tensor,
    y: Tensor,
    paired: Tensor | None,
    rewritten: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """The metrics of lines x (N, T) of styles y (N,) that were rewritten in the other style, in several ways.

    ``rewritten`` has what they became by the name of each way; ``paired`` (N, T) are the same lines in the
    other style, -1 where none is known.
    """
    assert data.vocabulary is not None
    say = data.vocabulary.lines
    given = say(x)
    ways = {**rewritten, "copied": given}
    result: dict[str, Any] = {
        "bleu_settings": BLEU_SETTINGS,
        "style_classifier_accuracy": style_classifier.accuracy(given, y),
    }
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
                "style_accuracy": style_classifier.accuracy(here, wanted),
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
