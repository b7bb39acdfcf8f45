"""How many modes of a known distribution samples have: points, stacked digits, and classes."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from pushforward.data.dataset import Centres, Stacked
from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.registry import MetricSpec, metric_group
from pushforward.features.base import Features
from pushforward.features.open import open_features
from pushforward.metrics.modes import label_modes, point_modes, stacked_labels


@metric_group(
    "modes",
    80,
    MetricSpec(
        "modes covered",
        ("modes", "covered"),
        "modes that samples have",
        1,
        ("of", ("modes", "modes")),
        column=220,
    ),
    MetricSpec(
        "KL(modes)",
        ("modes", "kl"),
        "of the frequencies of modes among samples from those among data, in nats",
        -1,
        column=230,
    ),
    MetricSpec(
        "high-quality samples",
        ("modes", "high_quality"),
        "share of samples within three standard deviations of a mode",
        1,
        column=240,
    ),
    default=True,
)
def modes(context: EvaluationContext) -> dict[str, Any] | None:
    """How many modes samples have, and how evenly: of data whose modes are known, or that have classes.

    ``kl`` is that of the samples' modes from even ones; where modes are the classes that the features'
    classifier reads, from those that it reads of held-out rows.
    """
    known = context.data.modes
    with torch.inference_mode():
        if isinstance(known, Centres):
            points = torch.cat([x.cpu() for x in context.drawn()])
            found = point_modes(points, known.points, known.std)
            quality = {"high_quality": found.high_quality}
            return {"covered": found.captured, "modes": len(known.points), "kl": found.kl} | quality
        if isinstance(known, Stacked):
            reader = open_features("classifier", known.images).to(context.device)
            make = context.make_samples()
            numbers = context.map(lambda part: stacked_labels(partial(_read, reader), make(part)).cpu())
            total = len(known.images.labels) ** 3
            found = label_modes(torch.cat(numbers), total)
            return {"covered": found.captured, "modes": total, "kl": found.kl}
        if len(context.data.labels) < 2:
            return None
        seen = [context.features.probabilities(rows.features) for rows in (context.samples, context.given)]
        made, given = seen
        if made is None or given is None:
            return None
        classes = made.shape[1]
        q, p = (rows.argmax(1).bincount(minlength=classes).double() / len(rows) for rows in (made, given))
        return {
            "covered": int((q > 0).sum()),
            "modes": classes,
            "kl": (torch.xlogy(q, q) - torch.xlogy(q, p)).sum().item(),
        }


def _read(reader: Features, x: Tensor) -> Tensor:
    probabilities = reader.probabilities(reader(x))
    assert probabilities is not None
    return probabilities.argmax(1)
