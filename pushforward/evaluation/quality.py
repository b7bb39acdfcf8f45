"""How close rows come to held-out rows, next to how close training rows come: numbers without a scale of
their own become shares of what is attainable.
"""

from __future__ import annotations

from dataclasses import dataclass

from pushforward.errors import DataError
from pushforward.evaluation.context import FeatureSet
from pushforward.metrics.frechet import frechet
from pushforward.metrics.precision_recall import Prdc, prdc
from pushforward.metrics.two_sample import classifier_test

NAMES = ("precision", "recall", "coverage")


@dataclass(frozen=True)
class Quality:
    """How close made rows come to given rows in features, next to training rows in their place.

    Attributes:
        found: Precision, recall, density and coverage of made rows.
        best: The same of training rows.
        fd: The Fréchet distance of made rows.
        best_fd: The same of training rows.
        accuracy: How often a small network that was trained on one half of both samples names a row of the
            other half rightly; 0.5 is chance.
        sharpness: The mean sharpness of images over that of given images; None of other rows.
    """

    found: Prdc
    best: Prdc
    fd: float
    best_fd: float
    accuracy: float
    sharpness: float | None

    @classmethod
    def of(cls, made: FeatureSet, training: FeatureSet, given: FeatureSet, seed: int) -> Quality:
        """The quality of made rows, next to training rows, against given rows."""
        try:
            accuracy = classifier_test(made.features, given.features, seed, hidden=64).accuracy
        except DataError:  # fewer than ten different rows are made
            accuracy = 1.0
        fd, best_fd = (frechet(rows.features, given.features).value for rows in (made, training))
        found, best = (prdc(rows.features, given.features) for rows in (made, training))
        return cls(found, best, fd, best_fd, accuracy, _sharpness(made, given))

    @property
    def reached(self) -> float:
        """The smallest share of precision, recall and coverage of training rows that made rows reach."""
        return min(getattr(self.found, name) / max(getattr(self.best, name), 1e-9) for name in NAMES)

    @property
    def excess(self) -> float:
        """By how much the Fréchet distance is above that of training rows, at least 0."""
        return max(self.fd - self.best_fd, 0.0)

    @property
    def words(self) -> str:
        """The numbers, with those of training rows in brackets."""
        pairs = (f"{name} {getattr(self.found, name):.2f} ({getattr(self.best, name):.2f})" for name in NAMES)
        sharp = "" if self.sharpness is None else f"; {self.sharpness:.0%} as sharp as the data"
        right = f"a classifier tells them from data in {self.accuracy:.0%} of cases (50% is chance)"
        return f"{', '.join(pairs)}{sharp}; {right}"


def _sharpness(made: FeatureSet, given: FeatureSet) -> float | None:
    if made.sharpness is None or given.sharpness is None:
        return None
    whole = given.sharpness.mean().item()
    return made.sharpness.mean().item() / whole if whole > 0 else None


__all__ = ["NAMES", "Quality"]
