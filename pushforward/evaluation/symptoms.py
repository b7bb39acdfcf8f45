"""Why samples are bad, with the number behind each cause and what to try next.

A symptom is a function of a :class:`~pushforward.evaluation.diagnosis.Diagnosis` that returns a finding or
None. They are in the order of causes: an earlier one explains later ones, and its advice is the one to
follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from pushforward.discrepancies import MMD
from pushforward.evaluation.critics import critic_saturated
from pushforward.evaluation.diagnosis import Diagnosis, Finding
from pushforward.evaluation.findings import Findings
from pushforward.evaluation.grades import FAIR_MODES, grades
from pushforward.evaluation.shortfalls import SHORTFALLS
from pushforward.wording import option_name

FEW_STEPS = 300
STILL_FALLING = 0.2  # of the cost's whole fall, over the last quarter of the run
FAR = 0.1  # seven-scale MMD² of codes: a plain auto-encoder has .3 to 2, good adversarial codes up to .05
BLIND = 3.0  # deviations of the kernel's own noise
FAINT = 0.02
WORSE = 0.9  # of the best linear code's error, where good codes cost half of it
ASIDE = 3.0  # times the recipe's own weight: from there on that is the one to try
ABOUT = 1.01  # for weights that were rounded
SMALL = 0.1  # of the mean row's error: what no reconstruction is blamed for
OWN = 3.0  # times the error of training rows: up to there held-out rows have the same explanations
HOLLOW = 0.75  # of the coverage of fresh draws
FAR_OFF = 10.0  # standard deviations of a value that its mean may be from 0
ALIKE = 0.25  # of the data's variance
OVERFIT = 8.0  # times the error of training rows
POOR = 0.25  # of the coverage of training rows

Symptom = Callable[[Diagnosis], Finding | None]


def scale_of_the_data(c: Diagnosis) -> Finding | None:
    """Values far from the order of 1, which learning rates and weights are made for."""
    if not len(c.values):
        return Finding(
            "scale of the data", "all training rows are equal", "check the data", {}, conclusive=True
        )
    deviation, largest = c.values.square().mean().sqrt().item(), c.values.max().item()
    numbers = {"deviation": deviation, "largest": largest, "median": c.values.median().item()}
    remedy = (
        f"leave out {option_name('standardize', False)}, or scale every value to mean 0 and standard "
        "deviation 1 "
        "(images to [0, 1])"
    )
    bounded = c.context.data.in_unit_interval
    offset = (c.moments[0].abs() / c.moments[1]).max().item()
    if offset > FAR_OFF and not bounded:
        return Finding(
            "scale of the data",
            f"the mean of a value is {offset:.3g} of its standard deviations from 0; networks are made for "
            "values around 0, and much of the training goes into the offset",
            remedy,
            numbers | {"offset": offset},
        )
    low, high = (0.01, math.inf) if bounded else (0.05, 20.0)
    if low <= deviation <= high:
        return None
    return Finding(
        "scale of the data",
        f"the values of the data have a standard deviation of {deviation:.3g} (the largest {largest:.3g}); "
        "learning rates and weights are made for values of the order of 1",
        remedy,
        numbers,
    )


def too_few_steps(c: Diagnosis) -> Finding | None:
    """A run that stopped while it was still learning."""
    if c.steps >= FEW_STEPS and c.late_fall < STILL_FALLING:
        return None
    if c.steps == 0:
        return None
    falling = (
        f"; {c.late_fall:.0%} of the fall of the reconstruction term came in the last quarter of the run"
        if c.late_fall > STILL_FALLING
        else ""
    )
    steps = max(c.usual_steps, 3 * c.steps) if c.usual_steps else max(10 * c.steps, 2000)
    return Finding(
        "too few steps",
        f"the model has had {c.steps} updates{falling}",
        f"train longer: at least {steps} steps",
        {"steps": c.steps, "late_fall": c.late_fall},
        {"steps": steps},
        conclusive=c.steps < FEW_STEPS,
    )


def posterior_collapse(c: Diagnosis) -> Finding | None:
    """Codes that carry no information about the data, while they may match the prior perfectly."""
    fit = c.fit
    if fit is None or not c.collapsed:
        return None
    said = (
        "" if fit.mutual_information is None else f" (they carry {max(fit.mutual_information, 0):.2g} nats)"
    )
    weight = c.model.discrepancy_weight
    less = None if weight is None else _better_weight(weight, c.usual_weight, 0.1)
    lower = f"lower {option_name('weight')}" if less is None else f"use {option_name('weight', less)}"
    return Finding(
        "posterior collapse",
        f"{fit.active_units} of {c.model.prior.latent_dim} latent dimensions carry information about the "
        f"data{said}; the decoder gives nearly the same output for every row, with "
        f"{c.error / max(c.spread, 1e-30):.0%} of the mean row's error",
        f"{lower}, or let it rise from 0 ({option_name('warmup')})",
        {"active": fit.active_units, "error": c.error, "spread": c.spread},
        {} if less is None else {"weight": less},
    )


def kernel_bandwidth_too_small(c: Diagnosis) -> Finding | None:
    """A kernel with the same value everywhere codes are, so that the MMD has no gradient there."""
    if c.kernel is None or c.fit is None:
        return None
    deviations, ratio = c.kernel
    if deviations > BLIND and (ratio > FAINT or c.fit.mmd < FAR):
        return None
    return Finding(
        "kernel bandwidth too small",
        f"in {c.model.prior.latent_dim} dimensions the MMD of codes half as wide as the prior is "
        f"{deviations:.2g} null deviations at batch size {c.batch_size}, and the kernel between codes and "
        f"draws of the prior is {ratio:.2g} of that between draws",
        "use a kernel whose bandwidth grows with the dimension, a sum of seven scales: "
        f"{option_name('kernel', 'imq')}, or in Python IMQ(prior.expected_sq_distance)",
        {"mmd/null": deviations, "across/within": ratio},
    )


def aggregate_posterior(c: Diagnosis) -> Finding | None:
    """Codes that lie elsewhere than the prior's draws, which the decoder has therefore never been trained
    on.
    """
    fit = c.fit
    if fit is None or c.moments_agree or (fit.mmd < FAR and not (_light(c) and _hollow(c))):
        return None
    where = "further out than" if fit.radius > 1.1 * fit.radius_prior else "as far out as"
    where = "nearer to 0 than" if fit.radius < 0.9 * fit.radius_prior else where
    words = (
        f"is {fit.mmd:.3g} and should be near 0; they lie {where} its draws (norms {fit.radius:.3g} and "
        f"{fit.radius_prior:.3g}), and {fit.prior_coverage or 0:.0%} of the draws have a code nearby"
    )
    numbers = {"mmd": fit.mmd, "radius": fit.radius, "radius_prior": fit.radius_prior}
    weight = c.model.discrepancy_weight
    if weight is None:
        strength_option = c.model.strength_option
        advice = (
            f"raise {option_name(strength_option)}"
            if strength_option
            else "use a recipe that matches codes to the prior, such as wae-mmd"
        )
        words = f"the MMD² of codes to the prior {words}"
        return Finding("aggregate posterior does not match the prior", words, advice, numbers)
    more = _better_weight(weight, c.usual_weight, 10)
    return Finding(
        "weight too small",
        f"the aggregate posterior does not match the prior: the MMD² of codes {words}; the weight of the "
        f"discrepancy is {weight:.3g}",
        _adapted(more, max(weight, 1e-3)),
        {**numbers, "weight": weight},
        {"weight": more},
    )


def weight_too_large(c: Diagnosis) -> Finding | None:
    """Codes that match the prior and carry too little: reconstructions hardly better than a linear code's."""
    weight = c.model.discrepancy_weight
    if c.fit is None or weight is None or c.fit.mmd >= FAR or weight <= ABOUT * c.usual_weight < math.inf:
        return None
    if c.error < max(WORSE * c.linear_error, SMALL * c.spread) or c.error > OWN * c.training_error:
        return None  # where the error of training rows is far smaller, the weight is not the cause
    less = _better_weight(weight, c.usual_weight, 0.1)
    return Finding(
        "weight too large",
        f"codes match the prior (MMD² {c.fit.mmd:.2g}), but the reconstruction error is {c.error:.3g}, where "
        f"the best linear code of {c.fit.active_units} dimensions has {c.linear_error:.3g}; the weight is "
        f"{weight:.3g}",
        _adapted(less, weight),
        {"error": c.error, "linear_error": c.linear_error, "weight": weight},
        {"weight": less},
    )


def overfitting(c: Diagnosis) -> Finding | None:
    """Reconstructions that are far better of training rows than of held-out rows."""
    if c.fit is None or c.error < max(OVERFIT * c.training_error, SMALL * c.spread):
        return None
    return Finding(
        "overfitting",
        f"the reconstruction error of a held-out row is {c.error:.3g}, that of a training row "
        f"{c.training_error:.3g}: the networks have memorised the {len(c.context.data.train)} training rows",
        f"use more rows, fewer steps, smaller networks, or {option_name('input_noise')}",
        {"error": c.error, "training_error": c.training_error},
    )


def inactive_units(c: Diagnosis) -> Finding | None:
    """Latent dimensions that carry no information about the data."""
    fit = c.fit
    # A posterior with a density switches off what it does not need, and its inactive units match the prior.
    least = 8 if fit is None or fit.kl is None else 2
    if fit is None or not fit.inactive_units or len(fit.inactive_units) <= c.model.prior.latent_dim / least:
        return None
    named = ", ".join(str(number) for number in fit.inactive_units[:8]) + (
        ", …" if len(fit.inactive_units) > 8 else ""
    )
    return Finding(
        "inactive units",
        f"{len(fit.inactive_units)} of {c.model.prior.latent_dim} latent dimensions carry no information "
        f"about the data: number {named}",
        f"use {option_name('latent_dim', max(fit.active_units, 1))}; the others are not used",
        {"inactive": len(fit.inactive_units), "latent_dim": c.model.prior.latent_dim},
        {"latent_dim": max(fit.active_units, 1)},
    )


def holes(c: Diagnosis) -> Finding | None:
    """Regions of the prior without codes, although the moments match: the decoder was not trained there."""
    fit = c.fit
    if fit is None or fit.prior_coverage is None or fit.prior_coverage_reference is None or not _hollow(c):
        return None
    if not c.moments_agree and (fit.mmd >= FAR or _light(c)):  # then more is wrong than holes
        return None
    gap = max(fit.mean, fit.covariance)
    small = f"mean and covariance agree within {gap:.2g}" if c.moments_agree else f"MMD² is {fit.mmd:.2g}"
    return Finding(
        "holes",
        f"only {fit.prior_coverage:.0%} of the prior's draws have a code nearby "
        f"({fit.prior_coverage_reference:.0%} would), although {small}: the decoder was not trained on the "
        "rest",
        _another(
            (
                f"a discrepancy that sees more than moments (an MMD with {option_name('kernel', 'imq')})",
                not _whole(c),
            ),
            (f"a random encoder ({option_name('posterior', 'gaussian')})", fit.kl is None),
            (f"a smaller {option_name('latent_dim')}", c.model.prior.latent_dim > 1),
        ),
        {"coverage": fit.prior_coverage, "reference": fit.prior_coverage_reference},
    )


def mode_collapse(c: Diagnosis) -> Finding | None:
    """Samples that are nearly alike: perhaps good ones, of few kinds."""
    if c.samples is None or (c.decoded_share or 0) > 0.5:  # then the decoder is to blame
        return None
    made, best = c.samples.found, c.samples.best
    if c.modes is not None and c.modes.captured < FAIR_MODES * len(c.modes.counts):
        return Finding(
            "mode collapse",
            f"samples have {c.modes.captured} of the {len(c.modes.counts)} modes of the data",
            _more_modes(c),
            {"captured": c.modes.captured, "modes": len(c.modes.counts)},
        )
    if not (c.variety < ALIKE or made.coverage < POOR * best.coverage) or made.recall > 0.5 * best.recall:
        return None
    return Finding(
        "mode collapse",
        f"the variance of samples is {c.variety:.0%} of the data's, their coverage {made.coverage:.0%} "
        f"(training rows: {best.coverage:.0%}), their recall {made.recall:.0%} "
        f"({c.context.features.name} features, sha256 {c.context.features.sha256[:8]}, n = "
        f"{c.context.n_samples}, resize: {c.context.features.resize}, data: {c.context.data.range})",
        _more_modes(c),
        {"variety": c.variety, "coverage": made.coverage, "recall": made.recall},
    )


def _more_modes(c: Diagnosis) -> str:
    """What helps against mode collapse."""
    return _another(
        ("a discrepancy that compares whole samples (MMD, or W1 with a gradient penalty)", not _whole(c)),
        (f"a larger {option_name('batch_size')}", c.batch_size < len(c.context.data.train)),
    )


def _hollow(c: Diagnosis) -> bool:
    """Whether much of the prior has no code nearby."""
    covered = None if c.fit is None else c.fit.prior_coverage
    reference = None if c.fit is None else c.fit.prior_coverage_reference
    return covered is not None and reference is not None and covered < HOLLOW * reference


def _light(c: Diagnosis) -> bool:
    """Whether the weight is far below the one that the recipe takes by itself, which is known."""
    weight = c.model.discrepancy_weight
    return weight is not None and ASIDE * weight < c.usual_weight < math.inf


def _better_weight(weight: float, usual: float, factor: float) -> float:
    """The weight to try next: the recipe's own if the run's is far to one side of it, else the run's times a
    factor.

    Arguments:
        weight: The run's.
        usual: The recipe's own; infinite if it is not known.
        factor: Above 1 if the weight is too small.

    >>> [_better_weight(weight, 20.0, 10) for weight in (0.001, 15.0)], _better_weight(50.0, 1.0, 0.1)
    ([20.0, 150.0], 1.0)
    """
    far = usual > ASIDE * weight if factor > 1 else weight > ASIDE * usual
    return usual if far and math.isfinite(usual) else float(f"{factor * max(weight, 1e-3):.3g}")


def _adapted(better: float, weight: float) -> str:
    """Advice to take a better weight, or to let it adapt from its value on."""
    start = float(f"{weight:.3g}")
    auto = f"{option_name('weight', 'auto')}, {option_name('weight_init', start)}"
    return f"use {option_name('weight', better)}, or adapt it ({auto})"


def _whole(c: Diagnosis) -> bool:
    """Whether the discrepancy is one that compares all of two distributions."""
    return isinstance(c.model.discrepancy, MMD)


def _another(*choices: tuple[str, bool]) -> str:
    """Advice that lists what the run is not already."""
    names = [name for name, applies in choices if applies]
    return f"use {' or '.join(names)}" if names else "train longer"


SYMPTOMS: tuple[Symptom, ...] = (
    scale_of_the_data,
    too_few_steps,
    posterior_collapse,
    overfitting,
    kernel_bandwidth_too_small,
    critic_saturated,
    aggregate_posterior,
    weight_too_large,
    inactive_units,
    holes,
    mode_collapse,
    *SHORTFALLS,
)


def diagnose(measured: Diagnosis) -> Findings:
    """Grades and all findings, causes first: the advice of the first one is what to try next.

    What several findings say, such as that a run had too few steps, is said once.
    A conclusive finding is the last one: of a run with few steps nothing is said about codes and samples,
    which more steps may mend.

    >>> from pushforward.evaluation import EvaluationContext
    >>> from pushforward.recipes import wae_mmd
    >>> from pushforward.data import open_dataset
    >>> data = open_dataset("digits")
    >>> context = EvaluationContext(wae_mmd(data.spec).model.eval(), data, "pca", n_samples=100)
    >>> diagnose(Diagnosis(context, steps=3))[0].words
    'the model has had 3 updates'
    """
    found: list[Finding] = []
    for symptom in SYMPTOMS:
        finding = symptom(measured)
        if finding is not None and finding.name not in {one.name for one in found}:
            found.append(finding)
            if finding.conclusive:
                break
    context = measured.context
    if not len(measured.values):  # rows that are all equal have no features
        return Findings(found)
    features = (
        f"compared with {context.n_samples} held-out rows by {context.features.name} features; in brackets "
        "what training rows score in their place, the best to expect (latent fit: what draws of the prior "
        "score)\n"
        "precision: the share of made rows that lie among real ones; recall: the share of real rows that lie "
        "among made ones; coverage: the share of real rows with a made one nearby"
    )
    return Findings(found, grades(measured), features, measured.decoded_share)


__all__ = ["SYMPTOMS", "diagnose"]
