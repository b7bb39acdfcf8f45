"""The metrics that compare two samples by their features, and the rows of tables that show them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import DataError
from pushforward.evaluation.registry import MetricSpec
from pushforward.features.base import Features
from pushforward.metrics.frechet import frechet
from pushforward.metrics.inception_score import inception_score
from pushforward.metrics.kid import kid
from pushforward.metrics.precision_recall import prdc
from pushforward.metrics.transport import sliced_wasserstein
from pushforward.metrics.two_sample import classifier_test
from pushforward.rng import Noise

FEW = 20  # rows below which two-sample metrics say nothing
PRDC = ("precision", "recall", "density", "coverage")


def compared(q: Tensor, p: Tensor, features: Features, seed: int, brief: bool = False) -> dict[str, Any]:
    """Two-sample metrics of made (N, D) and given (M, D) features; errors are standard errors over made rows.

    Of fewer than 20 rows there are none. If most given rows are copies of others, the data are discrete, and
    the classifier test counts copies as the independent draws that they are.
    """
    if min(len(q), len(p)) < FEW:
        return {"n_samples": len(q)}
    result: dict[str, Any] = {"n_samples": len(q), "fd": frechet(q, p)._asdict(), "kid": kid(q, p)._asdict()}
    if brief:
        return result
    result |= {name: value for name, value in asdict(prdc(q, p)).items() if name in PRDC}
    result["sliced_w2"] = sliced_wasserstein(q, p, noise=Noise(seed, "directions"))
    discrete = 2 * len(p.unique(dim=0)) < len(p)
    try:
        tested = classifier_test(q, p, seed, distinct=not discrete)
        result["c2st"] = {"accuracy": tested.accuracy, "p_value": tested.p_value}
    except DataError:  # copies count once: samples of continuous data that are nearly all alike are too few
        pass
    probabilities = features.probabilities(q.to(_device(features)))
    if probabilities is not None:
        score, deviation = inception_score(probabilities.cpu())
        result["inception_style_score"] = {"value": score, "deviation": deviation}
    return result


def _device(features: Features) -> torch.device:
    return next((value.device for value in features.state_dict().values()), torch.device("cpu"))


def _spec(
    name: str, path: tuple[str, ...], explanation: str, better: int = 0, column: int | None = None
) -> MetricSpec:
    return MetricSpec(
        name, ("samples", *path), explanation, better, column=column, reference=("reference", *path)
    )


SPECS = (
    _spec(
        "FD",
        ("fd",),
        "Fréchet distance of samples to held-out rows in the features named above; biased upwards by about "
        "1/n",
        -1,
        20,
    ),
    _spec(
        "KID",
        ("kid",),
        "MMD² of features with the cubic kernel; unbiased, so 0 is perfect, and by chance "
        "below it if there are few held-out rows; ± is of the samples alone",
        -1,
        30,
    ),
    _spec("precision", ("precision",), "share of samples that lie among the data's neighbours", 1, 40),
    _spec("recall", ("recall",), "share of the data that lie among the samples' neighbours", 1, 50),
    _spec(
        "density",
        ("density",),
        "how many neighbourhoods of the data hold a sample, over the rows of data in each; 1 is perfect",
        0,
        60,
    ),
    _spec("coverage", ("coverage",), "share of neighbourhoods of the data that hold a sample", 1, 70),
    _spec("sliced W2", ("sliced_w2",), "sliced 2-Wasserstein distance of features", -1),
    _spec(
        "C2ST accuracy",
        ("c2st", "accuracy"),
        "of a new classifier that tells samples from data (classifier two-sample test); 0.5 is chance",
    ),
    _spec(
        "Inception-style score",
        ("inception_style_score",),
        "exp of the information on the class; at most the number of classes",
    ),
)

__all__ = ["FEW", "SPECS", "compared"]
