"""What codes say about classes, and whether conditional samples are of the class they were asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from pushforward.data.dataset import Split
from pushforward.distributions import ConditionalEncoder
from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.registry import MetricSpec, metric_group
from pushforward.metrics.uncertainty import mean_of
from pushforward.networks.conditional import one_hot

ROWS = 20_000  # training rows that clusters are named after and neighbours are looked for among
NEIGHBOURS = 5
T = TypeVar("T")


@metric_group(
    "classes",
    70,
    MetricSpec(
        "classification error",
        ("classes", "classification_error"),
        "share of held-out rows whose code is read as another class",
        -1,
        column=140,
    ),
    MetricSpec(
        "1 − purity",
        ("classes", "one_minus_purity"),
        "the same with each cluster named after its most frequent label",
        -1,
        column=145,
    ),
    MetricSpec(
        "1 − ACC (Hungarian)",
        ("classes", "one_minus_acc"),
        "the same with clusters and labels matched one to one",
        -1,
        column=150,
    ),
    MetricSpec(
        "5-NN error",
        ("classes", "knn_error"),
        "share of held-out rows that a 5-nearest-neighbour classifier of training codes gets wrong",
        -1,
        column=155,
    ),
    MetricSpec(
        "label predictability of z",
        ("classes", "label_predictability"),
        "share of rows whose label a 5-nearest-neighbour classifier reads from the code",
        column=160,
    ),
    MetricSpec(
        "conditional accuracy",
        ("classes", "conditional_accuracy"),
        "share of samples that are classified as the class they were asked for",
        1,
        column=170,
    ),
    MetricSpec(
        "label-swap accuracy",
        ("classes", "label_swap_accuracy"),
        "share of codes decoded with another label that are classified as that label",
        1,
        column=180,
    ),
    default=True,
)
def classes(context: EvaluationContext) -> dict[str, Any] | None:
    """Metrics of data with labels, each where the model has it:

    * ``classification_error``: share of held-out rows whose code is read as another class than theirs. A
      model that was trained without labels names clusters: each is named after the training row with the
      highest probability of it, or the most frequent label of those that tie; ``one_minus_purity`` names it
      after the most frequent label of all its rows, and ``one_minus_acc`` gives no two clusters the same
      name, in the way that names most rows rightly (the Hungarian algorithm).
    * ``knn_error``: share of held-out rows that the five nearest training codes, in the space that is looked
      at, classify wrongly.
    * ``label_predictability``: where the decoder sees labels and the encoder does not, the share of held-out
      rows whose label the five nearest codes give nevertheless.
    * ``conditional_accuracy``: share of samples that the features' classifier takes for the class they were
      asked for.
    * ``label_swap_accuracy``: the same of codes decoded with another label than their own.
    """
    data, model = context.data, context.model
    if len(data.labels) < 2 or data.train.y is None or data.test.y is None:
        return None
    found: dict[str, Any] = {}
    if not model.n_conditions:
        found |= known(context)
    elif model.has_encoder and not isinstance(model.encoder, ConditionalEncoder):
        near = known(context).get("knn_error")
        found |= (
            {}
            if near is None
            else {"label_predictability": {"value": 1 - near["value"], "error": near["error"]}}
        )
    if model.classes_are_labels and model.classes == len(data.labels) and context.modality.is_continuous:
        found |= obeyed(context)
    return found or None


def known(context: EvaluationContext) -> dict[str, Any]:
    """The metrics of classes that can be read off codes, or off samples by the code posterior."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.neighbors import KNeighborsClassifier

    data, model = context.data, context.model
    assert data.train.y is not None
    assert data.test.y is not None
    test = context.order[data.test.y[context.order] >= 0]
    if not len(test) or not (data.train.y >= 0).any():
        return {}
    labelled = data.train.labelled()
    order = context.noise("classes").permutation(len(labelled))[:ROWS]
    assert labelled.y is not None
    train_y, test_y = labelled.y[order], data.test.y[test]
    sides = ((labelled, order), (data.test, test))
    found: dict[str, Any] = {}
    codes: list[Tensor] = []
    with torch.inference_mode():
        if model.has_encoder:
            codes = [torch.cat(_of_rows(context, lambda x: model.encode(x).cpu(), *side)) for side in sides]
            learnt, class_probabilities = (model.prior.class_probabilities(rows) for rows in codes)
        else:
            learnt, class_probabilities = (
                _joined(_of_rows(context, model.class_probabilities, *side)) for side in sides
            )
    if class_probabilities is not None and learnt is not None:
        chosen = class_probabilities.argmax(1)
        if model.classes_are_labels:
            found = {"classification_error": error(chosen, test_y), "named_by": "labels"}
        else:
            labels = one_hot(train_y, len(data.labels))
            surest = (learnt == learnt.amax(0)).float()  # many rows tie: a softmax in float32 reaches 1
            members = one_hot(learnt.argmax(1), learnt.shape[1])
            names, majority = ((votes.T @ labels).argmax(1) for votes in (surest, members))
            pairs = linear_sum_assignment(-(members.T @ labels).numpy())
            matched = torch.full_like(names, -1).scatter(0, *map(torch.from_numpy, pairs))
            found = {
                "classification_error": error(names[chosen], test_y),
                "one_minus_purity": error(majority[chosen], test_y),
                "one_minus_acc": error(matched[chosen], test_y),
                "named_by": "the surest training row",
                "clusters": int((chosen.bincount(minlength=class_probabilities.shape[1]) > 0).sum()),
            }
    if not codes:
        return found
    with torch.inference_mode():
        seen = [model.view(rows.to(context.device)).cpu().numpy() for rows in codes]
    near = KNeighborsClassifier(min(NEIGHBOURS, len(train_y))).fit(seen[0], train_y.numpy())
    guessed = torch.from_numpy(near.predict(seen[1]))
    return found | {"knn_error": error(guessed, test_y), "knn_rows": len(train_y)}


def obeyed(context: EvaluationContext) -> dict[str, Any]:
    """Whether decodes are of the class that was asked for."""
    model = context.model
    asked = torch.arange(context.n_samples) % model.classes
    noise = context.noise("asked")
    with torch.inference_mode():

        def drawn(part: slice) -> tuple[Tensor, Tensor]:
            y = asked[part]
            return y, model.sample(len(y), noise.rows(part.start), y.to(context.device))

        def swapped(part: slice) -> tuple[Tensor, Tensor]:
            s = context.square(part)
            assert s.y is not None
            step = 1 + asked[part].to(s.y) % (model.n_conditions - 1)
            other = (s.y + step) % model.n_conditions
            return other.cpu(), model.decode(s.q.center, other)

        found = {"conditional_accuracy": _read(context, drawn)}
        if model.n_conditions:
            found["label_swap_accuracy"] = _read(context, swapped)
    return {name: value for name, value in found.items() if value is not None}


def error(guessed: Tensor, y: Tensor) -> dict[str, float]:
    """The share that is wrong, with its standard error."""
    return mean_of((guessed != y).double())._asdict()


def _of_rows(
    context: EvaluationContext, function: Callable[[Tensor], T], split: Split, order: Tensor
) -> list[T]:
    """What a function makes of rows of a split, in parts."""
    return context.map(lambda part: function(context.batch(split, order[part]).x), rows=len(order))


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    known = [part.cpu() for part in parts if part is not None]
    return torch.cat(known) if known else None


def _read(
    context: EvaluationContext, make: Callable[[slice], tuple[Tensor, Tensor]]
) -> dict[str, float] | None:
    """How often the features' classifier takes rows for the classes that are made with them."""

    def right(part: slice) -> Tensor | None:
        y, x = make(part)
        probabilities = context.features.probabilities(context.features(x))
        return None if probabilities is None else (probabilities.argmax(1).cpu() == y).double()

    found = _joined(context.map(right))
    return None if found is None else mean_of(found)._asdict()


__all__ = ["classes"]
