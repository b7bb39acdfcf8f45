"""The measurements behind the diagnosis of a run, and what a finding is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward.data.dataset import Centres
from pushforward.discrepancies import IMQ, MMD, Adversarial, Discrepancy
from pushforward.distributions import Prior
from pushforward.evaluation.column_fit import ColumnFit
from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.fluency import Fluency
from pushforward.evaluation.quality import Quality
from pushforward.features.base import PCA
from pushforward.metrics.frechet import frechet
from pushforward.metrics.latent_fit import LatentFit, latent_fit
from pushforward.metrics.modes import Modes, point_modes
from pushforward.models.weight import null_deviation
from pushforward.parts import together
from pushforward.rng import Noise
from pushforward.training.loop import batch_statistics

ROWS = 2000  # that a checkup looks at, at most: enough for every threshold
VALUES = 4_000_000  # that these rows have in all, at most, so that large images are not a matter of minutes
LEAST_ROWS = 300
FEW_ROWS = 50  # held-out rows, below which nothing is said of samples
AGREE = 0.3  # of the prior's deviation and variance: the largest gap of means and covariances


@dataclass(frozen=True)
class Finding:
    """One likely cause of bad samples.

    Attributes:
        name: Name of the condition.
        words: What was measured, with its numbers.
        advice: What to try next.
        numbers: The numbers behind it.
        change: The advice as options to train again with; or ``steps``, to train on to; or ``sampler``, to
            sample with.
        conclusive: Whether it leaves nothing to say about what comes after it in the order of causes.
    """

    name: str
    words: str
    advice: str
    numbers: Mapping[str, float]
    change: Mapping[str, Any] = field(default_factory=dict)
    conclusive: bool = False


def rows_to_look_at(values: int) -> int:
    """How many held-out rows of so many values a checkup looks at.

    >>> rows_to_look_at(28 * 28), rows_to_look_at(105 * 105)
    (2000, 362)
    """
    return max(min(ROWS, VALUES // values), LEAST_ROWS)


class Diagnosis:
    """The measurements that symptoms are read from, each made when it is first asked for.

    Arguments:
        context: The model, its data, and samples of both.
        history: The run's logged lines; without them nothing is said about the course of training.
        steps: Updates so far.
        batch_size: Rows in a batch.
        usual_steps: Updates that the recipe takes if no budget is given; 0 where it is not known.
        usual_weight: Weight of the discrepancy that the recipe takes by itself; infinite if it is not known.
        samplers: Densities that can be fitted to the codes and replace the prior, by name.
        changed: The recipe's own values of options of its players that the run has changed.
    """

    def __init__(
        self,
        context: EvaluationContext,
        history: Sequence[Mapping[str, Any]] = (),
        steps: int = 0,
        batch_size: int = 100,
        usual_steps: int = 0,
        usual_weight: float = math.inf,
        samplers: Mapping[str, Callable[[], Prior]] | None = None,
        changed: Mapping[str, Any] | None = None,
    ) -> None:
        self.context = context
        self.model = context.model
        self.history = [line for line in history if "terms" in line]
        self.steps = steps
        self.batch_size = batch_size
        self.usual_steps = usual_steps
        self.usual_weight = usual_weight
        self.samplers, self.changed = samplers or {}, changed or {}
        self.noise = Noise(context.seed, "checkup")

    @together
    def fit(self) -> LatentFit | None:
        """How far the codes are from the prior; None of a model without an encoder."""
        if not self.model.has_encoder:
            return None
        encoded = self.context.encoded
        return latent_fit(encoded.codes, self.model.prior, self.context.seed, (), encoded.distributions)

    @together
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of every value that varies, over training rows, (D,) each."""
        x = self.seen(self.context.data.train.subsample(10_000, self.noise("values")).x).double()
        deviations = x.std(0)
        varies = deviations > 1e-9 * x.abs().max()
        return x.mean(0)[varies], deviations[varies]

    @property
    def collapsed(self) -> bool:
        """Whether codes carry next to no information about the data."""
        most = min(1.0, self.model.prior.latent_dim / 4)
        return self.fit is not None and self.fit.active_units <= most

    @property
    def values(self) -> Tensor:
        """The standard deviation of every value that varies, (D,)."""
        return self.moments[1]

    @together
    def seen(self) -> Callable[[Tensor], Tensor]:
        """Makes of rows numbers (N, D) that errors are measured in, values or, of text, features."""
        if self.context.modality.is_continuous:
            return lambda x: x.flatten(1)
        features = self.context.features

        def seen(x: Tensor) -> Tensor:
            with torch.inference_mode():
                made: Tensor = features(x.to(self.context.device))
            return made.cpu()

        return seen

    @together
    def error(self) -> float:
        """The mean squared error of a held-out row."""
        back = self.context.encoded.lines
        if back is None:
            return self.context.encoded.errors.mean().item()
        given = self.context.data.test.x[self.context.order]
        return (self.seen(back) - self.seen(given)).square().sum(1).mean().item()

    @together
    def training_error(self) -> float:
        """The mean squared error of a training row."""
        data, seen = self.context.data, self.seen
        order = self.noise("training rows").permutation(len(data.train))[: self.context.n_samples]

        def error(part: slice) -> float:
            x, y = self.context.batch(data.train, order[part])
            back = self.model.decode(self.model.encode(x, y=y), y)
            return (seen(back) - seen(x)).square().sum().item()

        with torch.inference_mode():
            return sum(self.context.map(error, rows=len(order))) / len(order)

    @together
    def linear_error(self) -> float:
        """The squared error of held-out rows of the best linear code with a dimension for each active unit.

        Infinite for text, which has no linear code.
        """
        assert self.fit is not None
        return self._linear_error(self.fit.active_units)

    def _linear_error(self, dimensions: int) -> float:
        """The squared error of held-out rows of the best linear code of so many dimensions."""
        data = self.context.data
        if not self.context.modality.is_continuous:
            return math.inf
        pca = PCA.quick(data, max(min(dimensions, math.prod(data.shape)), 1))
        axes = pca.directions / pca.directions.norm(dim=0)

        def error(part: slice) -> float:
            flat = data.test.batch(self.context.order[part]).x.flatten(1) - pca.mean
            return (flat.square().sum() - (flat @ axes).square().sum()).item()

        return sum(self.context.map(error)) / self.context.n_samples

    @together
    def spread(self) -> float:
        """The squared error of the mean row, that of a decoder without information."""
        return float(self.values.square().sum())

    @together
    def samples(self) -> Quality | None:
        """The quality of samples; None of so few held-out rows that nothing can be said."""
        c = self.context
        if c.n_samples < FEW_ROWS:
            return None
        return Quality.of(c.samples, c.learnt, c.given, c.seed)

    @together
    def reconstructions(self) -> Quality | None:
        """The quality of reconstructions, against other rows (:attr:`EvaluationContext.unpaired`).

        None of a model without an encoder, or of few held-out rows.
        """
        c, half = self.context, self.context.n_samples // 2
        if not self.model.has_encoder or half < FEW_ROWS:
            return None
        made, given = c.unpaired
        return Quality.of(made, c.learnt.rows(slice(half)), given, c.seed)

    @together
    def modes(self) -> Modes | None:
        """Which of the known modes samples have; None of data whose modes are not points."""
        known = self.context.data.modes
        if not isinstance(known, Centres):
            return None
        return point_modes(torch.cat([x.cpu() for x in self.context.drawn()]), known.points, known.std)

    @together
    def fluency(self) -> Fluency | None:
        """How samples of text read; None of other data."""
        return Fluency.of(self.context)

    @together
    def columns(self) -> ColumnFit | None:
        """How close columns of samples come to those of the data; None of data that are no table."""
        return ColumnFit.of(self.context)

    @together
    def decoded_share(self) -> float | None:
        """How much of the distance of samples from data is there already in reconstructions, in [0, 1].

        Both are Fréchet distances, less that of as many training rows.
        """
        if self.samples is None or self.reconstructions is None:
            return None
        return min(self.reconstructions.excess / max(self.samples.excess, 1e-30), 1.0)

    @together
    def fitted(self) -> tuple[str, float] | None:
        """The density fitted to the codes from which samples are nearest to the data, and their Fréchet
        distance.
        """
        distances = {
            name: frechet(
                self.context.samples_of(fit(), f"samples of a {name}").features,
                self.context.given.features,
            ).value
            for name, fit in self.samplers.items()
        }
        return min(distances.items(), key=lambda item: item[1]) if distances else None

    @together
    def wider_error(self) -> float:
        """The squared error of the best linear code with twice as many dimensions, over that with as many."""
        if not math.isfinite(self.linear_error):
            return 1.0
        assert self.fit is not None
        return self._linear_error(2 * self.fit.active_units) / max(self.linear_error, 1e-30)

    @together
    def variety(self) -> float:
        """The total variance of samples' features over that of held-out rows."""
        made, given = (
            shown.features.double().var(0).sum() for shown in (self.context.samples, self.context.given)
        )
        return (made / given.clamp_min(1e-30)).item()

    @together
    def gauge(self) -> float:
        """The codes' seven-scale MMD² in a batch's null deviations."""
        assert self.fit is not None
        mmd = MMD(IMQ(self.model.prior.expected_sq_distance))
        return self.fit.mmd / null_deviation(mmd, self.model.prior, min(self.batch_size, 500))

    @together
    def moments_agree(self) -> bool:
        """Whether the codes have the prior's mean and covariance."""
        assert self.fit is not None
        variance = self.model.prior.variance
        return self.fit.mean < AGREE * variance**0.5 and self.fit.covariance < AGREE * variance

    @together
    def kernel(self) -> tuple[float, float] | None:
        """The value of an MMD for codes half as wide as the prior, in null deviations of a batch; and the
        mean value of its kernel between codes and draws, over that between draws.
        """
        discrepancy = self.model.discrepancy
        if not isinstance(discrepancy, MMD) or self.fit is None:
            return None
        prior, n = self.model.prior, min(self.batch_size, 500)
        deviation = null_deviation(discrepancy, prior, n)
        wide, draws = (prior.draw(2000, self.noise("kernel", side)) for side in (0, 1))
        seen = (discrepancy(wide / 2, draws) - discrepancy(wide, draws)).item()
        codes = self.context.encoded.codes[:2000]
        across, within = (discrepancy.kernel.sum(rows, draws).item() / len(rows) for rows in (codes, wide))
        return seen / max(deviation, 1e-12), across / max(within, 1e-30)

    @together
    def critic(self) -> float | None:
        """Accuracy of the critic on the two held-out samples that the model compares; 0.5 is chance.

        None of a model without a critic, or with one that classifies no rows.
        """
        discrepancy = self.model.discrepancy
        if not isinstance(discrepancy, Discrepancy):
            return None
        as_trained = discrepancy if self.model.has_encoder else self.model  # samples as the critic knows them

        def shares(part: slice) -> dict[str, float]:
            found = {}
            pair = self.model.pair(self.context.square(part))
            for name, (component, q, p) in discrepancy.components(*pair).items():
                if not isinstance(component, Adversarial) or component.boundary is None:
                    continue
                made = component.critic(q) < component.boundary
                given = component.critic(p) > component.boundary
                sides = made.double().mean() + given.double().mean()
                share = (part.stop - part.start) / self.context.n_samples
                found[name] = sides.item() / 2 * share
            return found

        with torch.inference_mode(), batch_statistics(as_trained):
            found = self.context.map(shares)
        return max((sum(right[name] for right in found) for name in found[0]), default=None)

    @together
    def late_fall(self) -> float:
        """The share of the fall of the reconstruction term that fell in the last quarter of the run."""
        name = "reconstruction"
        costs = [line["terms"][name] for line in self.history if name in line["terms"]]
        if len(costs) < 16:
            return 0.0
        eighth = len(costs) // 8
        first, before, now = costs[0], costs[-3 * eighth : -2 * eighth], costs[-eighth:]
        fallen = first - sum(now) / eighth
        return (sum(before) - sum(now)) / eighth / fallen if fallen > 0 else 0.0


__all__ = ["FEW_ROWS", "Diagnosis", "Finding", "rows_to_look_at"]
