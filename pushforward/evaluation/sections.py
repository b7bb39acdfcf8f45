"""One path by which every run is judged, on rows it has not learnt from.

A section is a question to a model; one that it cannot answer is left out. No section assumes an
encoder, an image or a label, so that auto-encoders and samplers of any data stand in one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from pushforward.costs import GaussianLikelihood
from pushforward.distributions import Dirac, Gaussian
from pushforward.errors import ConfigError, DataError, nearest
from pushforward.evaluation.classes import classes
from pushforward.evaluation.context import EvaluationContext, Section
from pushforward.evaluation.modes import modes
from pushforward.evaluation.text import text, transfer
from pushforward.features.base import Features
from pushforward.metrics.ais import annealed
from pushforward.metrics.disentanglement import disentanglement
from pushforward.metrics.frechet import frechet
from pushforward.metrics.inception_score import inception_score
from pushforward.metrics.kid import kid
from pushforward.metrics.latent_fit import latent_fit
from pushforward.metrics.likelihood import importance_weighted
from pushforward.metrics.parzen import parzen_with_baselines
from pushforward.metrics.precision_recall import prdc
from pushforward.metrics.transport import sliced_wasserstein
from pushforward.metrics.two_sample import classifier_test
from pushforward.metrics.uncertainty import mean_of
from pushforward.models import Model
from pushforward.rng import Noise

VERSION = 1  # raised when a figure of the same model becomes another, so that kept ones are made again
LIKELIHOOD_ROWS = 1000
IMPORTANCE_SAMPLES = 200
PARZEN_ROWS = 1000
ANNEALED_ROWS = 100
TEMPERATURES = 300
CHAINS = 8
OBSERVED = 0.1  # deviation of the noise on decoders without a likelihood
FEW = 20  # rows below which two-sample figures say nothing


def objective(evidence: EvaluationContext) -> dict[str, Any]:
    """The formula's terms, their sum where it is the negative evidence lower bound, and signs beside them."""
    result: dict[str, Any] = {"terms": evidence.objective}
    if evidence.diagnostics:
        result["diagnostics"] = evidence.diagnostics
    if evidence.model.is_elbo:
        result["negative_elbo"] = sum(evidence.objective.values())
        result["observation"] = repr(evidence.model.cost)
    return result


def reconstruction(evidence: EvaluationContext) -> dict[str, Any] | None:
    """What held-out rows lose on their way through the codes' centres.

    Reconstructions of one half of the rows are compared with the other half: with their own rows they
    are paired, and closer than any sample could be.
    """
    if not evidence.model.has_encoder:
        return None
    half = evidence.rows // 2
    error = mean_of(evidence.coded.errors)._asdict()
    name = evidence.modality.error_name
    back, given = evidence.coded.back.features[:half], evidence.given.features[half:]
    return {name: error} | compared(back, given, evidence.features, evidence.seed, brief=True)


def samples(evidence: EvaluationContext) -> dict[str, Any]:
    """How far samples are from held-out rows, by every two-sample figure."""
    return compared(evidence.samples.features, evidence.given.features, evidence.features, evidence.seed)


def floor(evidence: EvaluationContext) -> dict[str, Any]:
    """The same of training rows in the place of samples: what a perfect sampler would score at this size."""
    return compared(evidence.learnt.features, evidence.given.features, evidence.features, evidence.seed)


def sharp(evidence: EvaluationContext) -> dict[str, Any] | None:
    """The variance of the Laplacian of data, samples and reconstructions; of images."""
    shown = {"data": evidence.given.sharpness, "samples": evidence.samples.sharpness}
    if evidence.model.has_encoder:
        shown["reconstructions"] = evidence.coded.back.sharpness
    return {name: value.mean().item() for name, value in shown.items() if value is not None} or None


def latent(evidence: EvaluationContext) -> dict[str, Any] | None:
    """Whether codes follow the prior."""
    if not evidence.model.has_encoder:
        return None
    coded = evidence.coded
    fit = latent_fit(
        coded.codes, evidence.model.prior, evidence.seed, evidence.test_sizes, coded.distributions
    )
    return {name: value for name, value in asdict(fit).items() if value is not None}


def likelihood(evidence: EvaluationContext) -> dict[str, Any] | None:
    """The importance-weighted bound of log p(x) in nats, of models with a likelihood and random codes.

    A critic's estimate of the evidence lower bound stands beside it, and nowhere else: it is no bound.
    """
    model = evidence.model
    if not (model.has_encoder and model.cost.likelihood and _has_density(model)) or model.n_conditions:
        return None
    x = torch.cat(list(evidence.batches(evidence.data.test, evidence.order[:LIKELIHOOD_ROWS])))
    if isinstance(model.encoder(x[:2]), Dirac):
        return None
    noise = evidence.noise("importance")
    bound = importance_weighted(model, x, IMPORTANCE_SAMPLES, noise).double()
    claim = {"critics_elbo": -sum(evidence.objective.values())} if model.estimates_elbo else {}
    return {
        "log_likelihood": mean_of(bound)._asdict(),
        **claim,
        "observation": repr(model.cost),
        "samples": IMPORTANCE_SAMPLES,
        "rows": len(x),
    }


def annealing(evidence: EvaluationContext) -> dict[str, Any] | None:
    """A stochastic lower bound of log p(x) in nats by annealing, of any decoder of a normal prior.

    A cost that is no likelihood is replaced by Gaussian noise of a fixed deviation, which the figure names.
    """
    model = evidence.model
    if not _has_density(model) or model.n_conditions or not evidence.modality.is_continuous:
        return None
    cost = model.cost if model.cost.likelihood else GaussianLikelihood(OBSERVED)
    x = torch.cat(list(evidence.batches(evidence.data.test, evidence.order[:ANNEALED_ROWS])))
    noise = evidence.noise("annealing")
    bound = annealed(
        model, x, noise, TEMPERATURES, chains=CHAINS, observation=cost, progress=evidence.progress
    ).double()
    return {
        "log_likelihood": mean_of(bound)._asdict(),
        "rows": len(x),
        "observation": repr(cost),
        "temperatures": TEMPERATURES,
        "chains": CHAINS,
    }


def parzen(evidence: EvaluationContext) -> dict[str, Any] | None:
    """The Parzen window's log-likelihood in nats, beside its two embarrassing baselines; not of text."""
    if not evidence.modality.is_continuous:
        return None
    data, count = evidence.data, min(PARZEN_ROWS, evidence.rows // 2)
    with torch.inference_mode():
        made = torch.cat([x.flatten(1).cpu() for x in evidence.drawn()])
    held = data.test.batch(evidence.order).x.flatten(1)
    learnt = data.train.subsample(len(made), evidence.noise("parzen")).x.flatten(1)
    found = parzen_with_baselines(made, learnt, held[:count], held[count:], seed=evidence.seed)
    return {name: asdict(value) for name, value in found.items()}


def disentangled(evidence: EvaluationContext) -> dict[str, Any] | None:
    """Whether single dimensions of the codes' centres follow single factors; of data with at least 2 of them.

    Factors that no two of the rows differ in are left out, and the figures name those that are left.
    """
    names, factors = evidence.data.factors, evidence.data.test.factors
    if not evidence.model.has_encoder or names is None or factors is None:
        return None
    factors = factors[evidence.order]
    changes = (factors != factors[0]).any(0)
    if changes.sum() < 2:
        return None
    codes = evidence.coded.distributions.center.flatten(1)
    found = disentanglement(codes, factors[:, changes], evidence.seed, progress=evidence.progress)
    kept = [name for name, changed in zip(names, changes.tolist(), strict=True) if changed]
    return {"factors": kept} | asdict(found)


SECTIONS: dict[str, Section] = {
    "objective": objective,
    "reconstruction": reconstruction,
    "samples": samples,
    "floor": floor,
    "sharpness": sharp,
    "latent": latent,
    "classes": classes,
    "modes": modes,
    "text": text,
    "transfer": transfer,
    "likelihood": likelihood,
    "annealing": annealing,
    "parzen": parzen,
    "disentanglement": disentangled,
}
USUAL = (
    "objective", "reconstruction", "samples", "floor", "sharpness", "latent", "classes", "modes", "text",
    "transfer",
)  # fmt: skip


def compared(q: Tensor, p: Tensor, features: Features, seed: int, brief: bool = False) -> dict[str, Any]:
    """Two-sample figures of made (N, D) and given (M, D) features; errors are standard errors over made rows.

    Of fewer than 20 rows there are none.
    """
    if min(len(q), len(p)) < FEW:
        return {"rows": len(q)}
    result: dict[str, Any] = {
        "rows": len(q),
        "frechet": frechet(q, p)._asdict(),
        "kid": kid(q, p)._asdict(),
    }
    if brief:
        return result
    result |= {name: value for name, value in asdict(prdc(q, p)).items() if name in PRDC}
    result["sliced_wasserstein"] = sliced_wasserstein(q, p, noise=Noise(seed, "directions"))
    try:
        tested = classifier_test(q, p, seed)
        result["classifier_test"] = {"accuracy": tested.accuracy, "p_value": tested.p_value}
    except DataError:  # copies count once: samples that are nearly all alike are too few to test
        pass
    probabilities = features.probabilities(q.to(_device(features)))
    if probabilities is not None:
        score, deviation = inception_score(probabilities.cpu())
        result["inception_score"] = {"value": score, "deviation": deviation}
    return result


PRDC = ("precision", "recall", "density", "coverage")


def check_sections(names: Sequence[str]) -> None:
    """Refuses a section that there is not.

    Raises:
        ConfigError: If there is no section of one of these names.
    """
    for name in names:
        if name not in SECTIONS:
            raise ConfigError(f"unknown section {name!r}: {nearest(name, SECTIONS)}")


def evaluate(evidence: EvaluationContext, metrics: Sequence[str] = USUAL) -> dict[str, Any]:
    """Every figure of a model at rest.

    Returns:
        ``rows`` and ``range`` of the data; ``features``: what samples were compared by, with name, sha256 and
        resizing; and by name each of the ``sections`` that the model and its data allow.

    Raises:
        ConfigError: If there is no such section.
    """
    check_sections(metrics)
    result: dict[str, Any] = {
        "rows": evidence.rows,
        "range": evidence.data.range,
        "features": evidence.features.card() | {"dimensions": evidence.given.features.shape[1]},
    }
    for name in metrics:
        if (found := SECTIONS[name](evidence)) is not None:
            result[name] = found
    return result


def _has_density(model: Model) -> bool:
    return isinstance(model.prior(1), Gaussian)


def _device(features: Features) -> torch.device:
    return next((value.device for value in features.state_dict().values()), torch.device("cpu"))


__all__ = ["SECTIONS", "USUAL", "check_sections", "compared", "evaluate"]
