"""Why samples are bad, in plain words, with the number behind each reason and the one thing to try next.

Every symptom is a function of a checkup that finds something or nothing. They stand in the order of
causes: what comes first explains what comes later, and its advice is the one to follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.discrepancies import IMQ, MMD, Adversarial, Discrepancy, JensenShannon
from pushforward.evaluation.context import EvaluationContext
from pushforward.features.base import PCA
from pushforward.metrics.latent_fit import LatentFit, latent_fit
from pushforward.metrics.precision_recall import Prdc, prdc
from pushforward.models.weight import null_deviation
from pushforward.rng import Noise
from pushforward.utils import lazy

ROWS = 2000  # that a checkup looks at: enough for every threshold, quick on any model
FEW_STEPS = 300
FEW_ROWS = 50  # held-out rows, below which nothing is said of samples
STILL_FALLING = 0.2  # of the cost's whole fall, over the last quarter of the run
FAR = 0.1  # seven-scale MMD² of codes: a plain auto-encoder has .3 to 2, a game's good codes up to .05
BLIND = 3.0  # deviations of the kernel's own noise
FAINT = 0.02
SURE = 0.95
AGREE = 0.3  # of the prior's deviation and variance: the largest gap of means and covariances
WORSE = 0.9  # of the best linear code's error, where good codes cost half of it
SMALL = 0.1  # of the mean row's error: what no reconstruction is blamed for
OWN = 3.0  # times the error of training rows: up to there held-out rows are told by the same reasons
BY_HEART = 8.0
HOLLOW = 0.75  # of the coverage of fresh draws
ALIKE = 0.25  # of the data's variance
POOR = 0.25  # of the coverage of training rows


@dataclass(frozen=True)
class Finding:
    """One reason for bad samples.

    Attributes:
        name: What the condition is called.
        words: What was seen, with its numbers.
        advice: What to try.
        numbers: The numbers behind it.
    """

    name: str
    words: str
    advice: str
    numbers: Mapping[str, float]


class Diagnosis:
    """What the symptoms are read from, each thing measured when it is first asked for.

    Arguments:
        evidence: The model, its data, and rows of both.
        history: The run's logged lines; without them nothing is said of the course of training.
        steps: Updates so far.
        batch: Rows in a batch.
    """

    def __init__(
        self,
        evidence: EvaluationContext,
        history: Sequence[Mapping[str, Any]] = (),
        steps: int = 0,
        batch: int = 100,
    ) -> None:
        self.evidence = evidence
        self.model = evidence.model
        self.history = [line for line in history if "terms" in line]
        self.steps = steps
        self.batch_size = batch
        self.noise = Noise(evidence.seed, "checkup")

    @lazy
    def fit(self) -> LatentFit | None:
        """How the codes follow the prior; None of a model without codes."""
        if not self.model.has_encoder:
            return None
        coded = self.evidence.coded
        return latent_fit(coded.codes, self.model.prior, self.evidence.seed, (), coded.distributions)

    @lazy
    def values(self) -> Tensor:
        """The standard deviation of every value that varies, over training rows, (D,)."""
        x = self.seen(self.evidence.data.train.subsample(10_000, self.noise("values")).x).double()
        deviations = x.std(0)
        return deviations[deviations > 1e-9 * x.abs().max()]

    def seen(self, x: Tensor) -> Tensor:
        """Rows as numbers (N, D) that errors are measured in: their values, and of text its features."""
        if self.evidence.modality.is_continuous:
            return x.flatten(1)
        with torch.inference_mode():
            made: Tensor = self.evidence.features(x.to(self.evidence.device))
        return made.cpu()

    @lazy
    def error(self) -> float:
        """The mean squared error of a held-out row."""
        back = self.evidence.coded.lines
        if back is None:
            return self.evidence.coded.errors.mean().item()
        given = self.evidence.data.test.x[self.evidence.order]
        return (self.seen(back) - self.seen(given)).square().sum(1).mean().item()

    @lazy
    def learnt_error(self) -> float:
        """The mean squared error of a training row."""
        data = self.evidence.data
        order = self.noise("training rows").permutation(len(data.train))[: self.evidence.rows]
        total = 0.0
        with torch.inference_mode():
            for x, y in self.evidence.labelled(data.train, order):
                back = self.model.decode(self.model.encode(x, y=y), y)
                total += (self.seen(back) - self.seen(x)).square().sum().item()
        return total / len(order)

    @lazy
    def linear_error(self) -> float:
        """What the best linear code of as many dimensions as are active costs on held-out rows.

        Text has none: words are not added up.
        """
        assert self.fit is not None
        data = self.evidence.data
        if not self.evidence.modality.is_continuous:
            return math.inf
        pca = PCA.of(data, max(min(self.fit.active, data.train.x[0].numel()), 1))
        total = rows = 0.0
        axes = pca.directions / pca.directions.norm(dim=0)
        for x in self.evidence.held_out():
            flat = x.flatten(1).cpu() - pca.mean
            total += (flat.square().sum() - (flat @ axes).square().sum()).item()
            rows += len(x)
        return total / rows

    @lazy
    def spread(self) -> float:
        """The error of the mean row: what a decoder that knows nothing pays."""
        return float(self.values.square().sum())

    @lazy
    def near(self) -> tuple[Prdc, Prdc]:
        """Precision, recall, density and coverage of samples, and of training rows in their place."""
        given = self.evidence.given.features
        return prdc(self.evidence.samples.features, given), prdc(self.evidence.learnt.features, given)

    @lazy
    def variety(self) -> float:
        """The total variance of samples' features over that of held-out rows."""
        made, given = (
            shown.features.double().var(0).sum() for shown in (self.evidence.samples, self.evidence.given)
        )
        return (made / given.clamp_min(1e-30)).item()

    @lazy
    def gauge(self) -> float:
        """The codes' seven-scale MMD² in a batch's null deviations."""
        assert self.fit is not None
        mmd = MMD(IMQ(self.model.prior.expected_sq_distance))
        return self.fit.mmd / null_deviation(mmd, self.model.prior, min(self.batch_size, 500))

    @lazy
    def moments_agree(self) -> bool:
        """Whether the codes have the prior's mean and covariance, whatever else they have."""
        assert self.fit is not None
        variance = self.model.prior.variance
        return self.fit.mean < AGREE * variance**0.5 and self.fit.covariance < AGREE * variance

    @lazy
    def kernel(self) -> tuple[float, float] | None:
        """Of a match by a kernel: what it makes of codes half as wide, in null deviations of a batch; and its
        mean value between codes and draws, over that between draws.
        """
        discrepancy = self.model.discrepancy
        if not isinstance(discrepancy, MMD) or self.fit is None:
            return None
        prior, n = self.model.prior, min(self.batch_size, 500)
        deviation = null_deviation(discrepancy, prior, n)
        wide, draws = (prior.draw(2000, self.noise("kernel", side)) for side in (0, 1))
        seen = (discrepancy(wide / 2, draws) - discrepancy(wide, draws)).item()
        codes = self.evidence.coded.codes[:2000]
        across, within = (discrepancy.kernel.sum(rows, draws).item() / len(rows) for rows in (codes, wide))
        return seen / max(deviation, 1e-12), across / max(within, 1e-30)

    @lazy
    def critic(self) -> float | None:
        """How often a critic is right about what held-out rows make and what is given; 0.5 is chance."""
        discrepancy = self.model.discrepancy
        if not isinstance(discrepancy, Discrepancy) or self.fit is None:
            return None
        right: dict[str, float] = {}
        with torch.inference_mode():
            for part, square in self.evidence.squares():
                for name, (game, q, p) in discrepancy.components(*self.model.pair(square)).items():
                    if isinstance(game, JensenShannon):
                        sides = (game.critic(q) < 0).double().mean() + (game.critic(p) > 0).double().mean()
                        share = (part.stop - part.start) / self.evidence.rows
                        right[name] = right.get(name, 0.0) + sides.item() / 2 * share
        return max(right.values(), default=None)

    @lazy
    def late_fall(self) -> float:
        """Which share of all that the cost has fallen it fell in the last quarter of the run."""
        costs = [
            line["terms"]["reconstruction"] for line in self.history if "reconstruction" in line["terms"]
        ]
        if len(costs) < 16:
            return 0.0
        eighth = len(costs) // 8
        first, before, now = costs[0], costs[-3 * eighth : -2 * eighth], costs[-eighth:]
        fallen = first - sum(now) / eighth
        return (sum(before) - sum(now)) / eighth / fallen if fallen > 0 else 0.0

    def diagnostics(self) -> dict[str, float]:
        """All numbers, for whoever wants to look."""
        precise, best = self.near
        found = {
            "steps": float(self.steps),
            "value std": self.values.median().item() if len(self.values) else 0.0,
            "variety": self.variety,
            "precision": precise.precision / max(best.precision, 1e-9),
            "recall": precise.recall / max(best.recall, 1e-9),
            "coverage": precise.coverage / max(best.coverage, 1e-9),
        }
        if self.fit is not None:
            found |= {
                "error/linear": self.error / max(self.linear_error, 1e-30),
                "error/spread": self.error / max(self.spread, 1e-30),
                "held out/learnt": self.error / max(self.learnt_error, 1e-30),
                "late fall": self.late_fall,
                "mmd": self.fit.mmd,
                "mmd/null": self.gauge,
                "active": self.fit.active / self.model.prior.latent_dim,
                "holes": (self.fit.coverage or 0.0) / max(self.fit.coverage_prior or 0.0, 1e-9),
                "radius": self.fit.radius / self.fit.radius_prior,
            }
            if self.fit.mutual_information is not None:
                found["information"] = self.fit.mutual_information
            if self.kernel is not None:
                found |= {"kernel sees": self.kernel[0], "kernel pulls": self.kernel[1]}
            if self.critic is not None:
                found["critic right"] = self.critic
        return found


# ---------------------------------------------------------------------------- symptoms, causes first

Symptom = Callable[[Diagnosis], Finding | None]


def scale_of_the_data(c: Diagnosis) -> Finding | None:
    """Values far from the order of 1, for which no learning rate or weight was made."""
    if not len(c.values):
        return Finding("scale of the data", "no value of the training rows varies", "look at the data", {})
    deviation, largest = c.values.square().mean().sqrt().item(), c.values.max().item()
    numbers = {"deviation": deviation, "largest": largest, "median": c.values.median().item()}
    low, high = (0.01, math.inf) if c.evidence.data.in_unit_interval else (0.05, 20.0)
    if low <= deviation <= high:
        return None
    return Finding(
        "scale of the data",
        f"the values of the data deviate by {deviation:.3g} from their means (the largest by "
        f"{largest:.3g}), and learning rates and weights are made for values of the order of 1",
        "bring every column to mean 0 and deviation 1 (images to [0, 1]) before training",
        numbers,
    )


def too_few_steps(c: Diagnosis) -> Finding | None:
    """A run that stopped while it was still learning."""
    if c.steps >= FEW_STEPS and c.late_fall < STILL_FALLING:
        return None
    if c.steps == 0:
        return None
    falling = f"; {c.late_fall:.0%} of the cost's fall came in the last quarter" if c.late_fall > 0.01 else ""
    return Finding(
        "too few steps",
        f"the model has had {c.steps} updates{falling}",
        f"train longer: at least {max(10 * c.steps, 2000)} steps",
        {"steps": c.steps, "late_fall": c.late_fall},
    )


def posterior_collapse(c: Diagnosis) -> Finding | None:
    """Codes that say nothing about the data, while their law may fit the prior perfectly."""
    fit = c.fit
    if fit is None or fit.active > c.model.prior.latent_dim / 4 or fit.active >= 2:
        return None
    said = (
        "" if fit.mutual_information is None else f" (they carry {max(fit.mutual_information, 0):.2g} nats)"
    )
    return Finding(
        "posterior collapse",
        f"{fit.active} of {c.model.prior.latent} latent dimensions say anything about the data{said}; the "
        f"decoder makes the same of everything, at {c.error / max(c.spread, 1e-30):.0%} of the mean row's "
        "error",
        "divide the weight by 10, or let it grow from 0",
        {"active": fit.active, "error": c.error, "spread": c.spread},
    )


def kernel_blind(c: Diagnosis) -> Finding | None:
    """A kernel that takes the same value everywhere codes are, so that the match has nothing to descend."""
    if c.kernel is None or c.fit is None:
        return None
    sees, pulls = c.kernel
    if sees > BLIND and (pulls > FAINT or c.fit.mmd < FAR):
        return None
    return Finding(
        "kernel blind",
        f"in {c.model.prior.latent} dimensions the match's kernel tells codes of half the width from the "
        f"prior by {sees:.2g} of its own deviations at batch {c.batch_size}, and sees codes at {pulls:.2g} of "
        "what it sees of draws",
        "take a kernel whose width grows with the dimension: IMQ(prior.expected_sq_distance), which sums seven scales",
        {"sees": sees, "pulls": pulls},
    )


def critic_saturated(c: Diagnosis) -> Finding | None:
    """A critic that is always right: its verdict says no longer which way to go."""
    if c.critic is None or c.critic < SURE:
        return None
    discrepancy = c.model.discrepancy
    assert isinstance(discrepancy, Discrepancy)
    if c.model.discrepancy_weight is not None and c.model.discrepancy_weight < 0.02 * c.spread:
        return None  # codes that are not pulled are easy to tell
    non_saturating = all(
        game.non_saturating for game in discrepancy.modules() if isinstance(game, Adversarial)
    )
    advice = "let its learning rate be a tenth" if non_saturating else "exchange the roles (exchange=True)"
    return Finding(
        "critic saturated",
        f"the critic tells codes from draws in {c.critic:.1%} of cases, with {discrepancy.n_critic} turns a step: "
        "where it is sure, its slope points nowhere",
        advice if discrepancy.n_critic == 1 or not non_saturating else "give the critic one turn",
        {"right": c.critic, "turns": discrepancy.n_critic},
    )


def codes_off(c: Diagnosis) -> Finding | None:
    """Codes that lie elsewhere than the prior's draws, which the decoder therefore never saw."""
    fit = c.fit
    if fit is None or fit.mmd < FAR or c.moments_agree:
        return None
    where = "further out than" if fit.radius > 1.1 * fit.radius_prior else "as far out as"
    where = "nearer to 0 than" if fit.radius < 0.9 * fit.radius_prior else where
    words = (
        f"the codes do not follow the prior: their MMD² is {fit.mmd:.3g} and should be near 0; they lie "
        f"{where} its draws (norms {fit.radius:.3g} and {fit.radius_prior:.3g}), and "
        f"{fit.coverage or 0:.0%} of the draws have a code nearby"
    )
    numbers = {"mmd": fit.mmd, "radius": fit.radius, "radius_prior": fit.radius_prior}
    weight = c.model.discrepancy_weight
    if weight is None:
        strength_option = c.model.strength_option
        advice = f"raise the {strength_option}" if strength_option else "take a recipe with a match: wae-mmd"
        return Finding("codes do not follow the prior", words, advice, numbers)
    return Finding(
        "weight too small",
        f"{words}; the weight of the match is {weight:.3g}",
        f"multiply the weight by 10, or let it find itself (weight='auto:{max(weight, 1e-3):.3g}')",
        {**numbers, "weight": weight},
    )


def weight_too_large(c: Diagnosis) -> Finding | None:
    """Codes that follow the prior and say too little: reconstructions hardly better than a linear code's."""
    weight = c.model.discrepancy_weight
    if c.fit is None or weight is None or c.fit.mmd >= FAR:
        return None
    if c.error < max(WORSE * c.linear_error, SMALL * c.spread) or c.error > OWN * c.learnt_error:
        return None  # where training rows cost far less, it is not the weight that is to blame
    return Finding(
        "weight too large",
        f"codes follow the prior (MMD² {c.fit.mmd:.2g}), but a reconstruction costs {c.error:.3g}, where the "
        f"best linear code of {c.fit.active} dimensions costs {c.linear_error:.3g}; the weight is "
        f"{weight:.3g}",
        f"divide the weight by 10, or let it find itself (weight='auto:{weight:.3g}')",
        {"error": c.error, "linear_error": c.linear_error, "weight": weight},
    )


def learnt_by_heart(c: Diagnosis) -> Finding | None:
    """Reconstructions that are far better of rows the model has learnt from."""
    if c.fit is None or c.error < max(BY_HEART * c.learnt_error, SMALL * c.spread):
        return None
    return Finding(
        "learnt by heart",
        f"a held-out row costs {c.error:.3g}, a training row {c.learnt_error:.3g}: the networks have learnt "
        f"the {len(c.evidence.data.train)} training rows rather than their law",
        "give it more rows, fewer steps, smaller networks, or input_noise",
        {"error": c.error, "learnt_error": c.learnt_error},
    )


def dead_dimensions(c: Diagnosis) -> Finding | None:
    """Latent dimensions that say nothing about the data."""
    fit = c.fit
    # A posterior with a density switches off what it does not need, and its dead dimensions follow the prior.
    least = 8 if fit is None or fit.kl is None else 2
    if fit is None or not fit.dead or len(fit.dead) <= c.model.prior.latent_dim / least:
        return None
    named = ", ".join(str(number) for number in fit.dead[:8]) + (", …" if len(fit.dead) > 8 else "")
    return Finding(
        "dead dimensions",
        f"{len(fit.dead)} of {c.model.prior.latent} latent dimensions say nothing about the data: number "
        f"{named}",
        f"take latent_dim={max(fit.active, 1)}; what is left out was not used",
        {"dead": len(fit.dead), "latent": c.model.prior.latent_dim},
    )


def holes(c: Diagnosis) -> Finding | None:
    """Regions of the prior without codes, though its moments are met: the decoder invents there."""
    fit = c.fit
    if fit is None or fit.coverage is None or fit.coverage_prior is None:
        return None
    if fit.coverage >= HOLLOW * fit.coverage_prior:
        return None
    if fit.mmd >= FAR and not c.moments_agree:  # then more is wrong than holes
        return None
    return Finding(
        "holes",
        f"only {fit.coverage:.0%} of the prior's draws have a code nearby ({fit.coverage_prior:.0%} "
        f"would), although mean and covariance agree within {max(fit.mean, fit.covariance):.2g}: what is "
        "decoded from the rest was never learnt",
        "take a match that sees more than moments (IMQ), a random encoder (posterior='gaussian'), or "
        "fewer dimensions",
        {"coverage": fit.coverage, "coverage_prior": fit.coverage_prior},
    )


def mode_collapse(c: Diagnosis) -> Finding | None:
    """Samples that are alike: good ones perhaps, of few kinds."""
    if c.evidence.rows < FEW_ROWS:
        return None
    made, best = c.near
    if not (c.variety < ALIKE or made.coverage < POOR * best.coverage) or made.recall > 0.5 * best.recall:
        return None
    return Finding(
        "mode collapse",
        f"samples vary {c.variety:.0%} as much as the data, reach {made.coverage:.0%} of its neighbourhoods "
        f"(training rows: {best.coverage:.0%}), and have {made.recall:.0%} of it among theirs "
        f"({c.evidence.features.name} features, sha256 {c.evidence.features.sha256[:8]}, n = "
        f"{c.evidence.rows}, resize: {c.evidence.features.resize}, data in {c.evidence.data.range})",
        "take a discrepancy that sees the whole sample (MMD, W1 with a penalised critic), or a larger batch",
        {"variety": c.variety, "coverage": made.coverage, "recall": made.recall},
    )


SYMPTOMS: tuple[Symptom, ...] = (
    scale_of_the_data,
    too_few_steps,
    posterior_collapse,
    learnt_by_heart,
    kernel_blind,
    critic_saturated,
    codes_off,
    weight_too_large,
    dead_dimensions,
    holes,
    mode_collapse,
)


def diagnose(checkup: Diagnosis) -> list[Finding]:
    """All findings, causes first: the advice of the first one is what to try next.

    >>> from pushforward.recipes import wae_mmd
    >>> from pushforward.data import open_dataset
    >>> data = open_dataset("digits")
    >>> untrained = Diagnosis(EvaluationContext(wae_mmd(data).model.eval(), data, "pca", rows=100), steps=3)
    >>> diagnose(untrained)[0].words
    'the model has had 3 updates'
    """
    return [finding for symptom in SYMPTOMS if (finding := symptom(checkup)) is not None]


__all__ = ["ROWS", "SYMPTOMS", "Diagnosis", "Finding", "diagnose"]
