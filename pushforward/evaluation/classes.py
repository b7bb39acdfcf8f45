"""What codes know of classes, and whether samples are of the class they were asked for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.distributions import ConditionalEncoder
from pushforward.evaluation.context import EvaluationContext, chunks
from pushforward.metrics.uncertainty import mean_of
from pushforward.networks.conditional import one_hot

ROWS = 20_000  # training rows that clusters are named after and neighbours are looked for among
NEIGHBOURS = 5


def classes(evidence: EvaluationContext) -> dict[str, Any] | None:
    """Figures of data with labels, each where the model can answer:

    * ``error``: share of held-out rows whose code names another class than theirs. A model that has seen no
      label names clusters: each is called after the training row that is surest of it, or the most frequent
      label of those that tie; ``majority_error`` calls it after the most frequent label of all its rows, and
      ``matched_error`` gives no two clusters one name, in the way that names most rows rightly.
    * ``neighbours_error``: share of held-out rows that the five nearest training codes, where codes are to be
      looked at, would take for another class.
    * ``leak``: where the decoder is told labels and the encoder is not, the share of held-out rows whose
      label those codes tell all the same.
    * ``asked``: share of samples that the features' classifier takes for the class they were asked for.
    * ``swapped``: the same of codes decoded with another label than their own.
    """
    data, model = evidence.data, evidence.model
    if len(data.labels) < 2 or data.train.y is None or data.test.y is None:
        return None
    found: dict[str, Any] = {}
    if not model.n_conditions:
        found |= known(evidence)
    elif model.has_encoder and not isinstance(model.encoder, ConditionalEncoder):
        near = known(evidence).get("neighbours_error")
        found |= {} if near is None else {"leak": {"value": 1 - near["value"], "error": near["error"]}}
    if model.classes_are_labels and model.classes == len(data.labels) and not data.vocabulary:
        found |= obeyed(evidence)
    return found or None


def known(evidence: EvaluationContext) -> dict[str, Any]:
    """What codes, or a recogniser of them, know of classes."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.neighbors import KNeighborsClassifier

    data, model = evidence.data, evidence.model
    assert data.train.y is not None
    assert data.test.y is not None
    test = evidence.order[data.test.y[evidence.order] >= 0]
    if not len(test) or not (data.train.y >= 0).any():
        return {}
    labelled = data.train.labelled()
    order = evidence.noise("classes").permutation(len(labelled))[:ROWS]
    assert labelled.y is not None
    train_y, test_y = labelled.y[order], data.test.y[test]
    sides = ((labelled, order), (data.test, test))
    found: dict[str, Any] = {}
    codes: list[Tensor] = []
    with torch.inference_mode():
        if model.has_encoder:
            codes = [torch.cat([model.encode(x).cpu() for x in evidence.batches(*side)]) for side in sides]
            learnt, class_probabilities = (model.prior.class_probabilities(rows) for rows in codes)
        else:
            learnt, class_probabilities = (
                _joined([model.class_probabilities(x) for x in evidence.batches(*side)]) for side in sides
            )
    if class_probabilities is not None and learnt is not None:
        chosen = class_probabilities.argmax(1)
        if model.classes_are_labels:
            found = {"error": error(chosen, test_y), "named_by": "labels"}
        else:
            labels = one_hot(train_y, len(data.labels))
            surest = (learnt == learnt.amax(0)).float()  # many rows tie: a softmax in float32 reaches 1
            members = one_hot(learnt.argmax(1), learnt.shape[1])
            names, majority = ((votes.T @ labels).argmax(1) for votes in (surest, members))
            pairs = linear_sum_assignment(-(members.T @ labels).numpy())
            matched = torch.full_like(names, -1).scatter(0, *map(torch.from_numpy, pairs))
            found = {
                "error": error(names[chosen], test_y),
                "majority_error": error(majority[chosen], test_y),
                "matched_error": error(matched[chosen], test_y),
                "named_by": "the surest training row",
                "clusters": int((chosen.bincount(minlength=class_probabilities.shape[1]) > 0).sum()),
            }
    if not codes:
        return found
    with torch.inference_mode():
        seen = [model.view(rows.to(evidence.device)).cpu().numpy() for rows in codes]
    near = KNeighborsClassifier(min(NEIGHBOURS, len(train_y))).fit(seen[0], train_y.numpy())
    guessed = torch.from_numpy(near.predict(seen[1]))
    return found | {"neighbours_error": error(guessed, test_y), "neighbours_among": len(train_y)}


def obeyed(evidence: EvaluationContext) -> dict[str, Any]:
    """Whether decodes are of the class that was asked for."""
    model = evidence.model
    asked = torch.arange(evidence.rows) % model.classes
    noise = evidence.noise("asked")
    with torch.inference_mode():
        draws = [
            (
                asked[part],
                model.sample(len(asked[part]), noise.rows(part.start), asked[part].to(evidence.device)),
            )
            for part in chunks(evidence.rows)
        ]
        found = {"asked": _read(evidence, draws)}
        if model.n_conditions:
            swaps = []
            for part, s in evidence.squares():
                assert s.y is not None
                step = 1 + asked[part].to(s.y) % (model.n_conditions - 1)
                other = (s.y + step) % model.n_conditions
                swaps.append((other.cpu(), model.decode(s.q.center, other)))
            found["swapped"] = _read(evidence, swaps)
    return {name: value for name, value in found.items() if value is not None}


def error(guessed: Tensor, y: Tensor) -> dict[str, float]:
    """The share that is wrong, with its standard error."""
    return mean_of((guessed != y).double())._asdict()


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    known = [part.cpu() for part in parts if part is not None]
    return torch.cat(known) if known else None


def _read(evidence: EvaluationContext, made: list[tuple[Tensor, Tensor]]) -> dict[str, float] | None:
    right = []
    for y, x in made:
        probabilities = evidence.features.probabilities(evidence.features(x))
        if probabilities is None:
            return None
        right.append((probabilities.argmax(1).cpu() == y).double())
    return mean_of(torch.cat(right))._asdict()


__all__ = ["classes"]
