"""How good samples, reconstructions and codes are, in a word and with the numbers behind it.

Each grade compares a measurement with the same one of training rows, or with what a plain method reaches, so
that a reader need not know which value of a metric is a good one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pushforward.evaluation.diagnosis import Diagnosis
from pushforward.evaluation.quality import Quality

Level = Literal["good", "fair", "poor", "unknown"]

# The share of the precision, recall and coverage of training rows that is reached.
GOOD_SHARE, FAIR_SHARE = 0.75, 0.4
# How often a small network tells made rows from data: chance is 0.5.
HARD_TO_TELL, EASY_TO_TELL = 0.65, 0.85
# The sharpness of images over that of the data's; noise makes them sharper, which the shares above notice.
SHARP, BLURRED = 0.5, 0.25
# The squared error over the mean row's.
LARGE_ERROR, HUGE_ERROR = 0.5, 0.8
# The coverage of the prior over what fresh draws reach, and the seven-scale MMD² of codes.
GOOD_COVERAGE, FAIR_COVERAGE = 0.75, 0.5
NEAR, FAR = 0.05, 0.15
# The share of known modes that samples have, and of samples near one.
GOOD_MODES, FAIR_MODES = 0.95, 0.7
# The perplexity of samples of text over that of held-out lines, and the share of copies above what is
# to be expected.
FLUENT, CLUMSY = 1.5, 4.0
FEW_COPIES, MANY_COPIES = 0.1, 0.5
# Of tables: the distance of columns above that of training rows, and the AUC of gradient boosting.
CLOSE_COLUMNS, FAR_COLUMNS = 0.03, 0.1
HARD_FOR_TREES, EASY_FOR_TREES = 0.7, 0.85
FEW_CODES = 20  # below which nothing is said of them


@dataclass(frozen=True)
class Grade:
    """How good one thing is.

    Attributes:
        name: What is graded: "samples", "reconstructions" or "latent fit", how well codes follow the prior.
        level: "good", "fair" or "poor"; or "unknown", where there are too few rows.
        words: The numbers behind it, and what they are compared with.
    """

    name: str
    level: Level
    words: str


def grades(c: Diagnosis) -> list[Grade]:
    """Grades of samples and, of a model that encodes, of reconstructions and codes."""
    return list(_grades(c))


def _grades(c: Diagnosis) -> Iterator[Grade]:
    too_few = f"{c.context.n_samples} held-out rows are too few to compare distributions"
    if c.samples is None:
        yield Grade("samples", "unknown", too_few)
    else:
        also = [part.words for part in (c.modes, c.fluency, c.columns) if part is not None]
        yield Grade("samples", _of_samples(c, c.samples), "; ".join([*also, c.samples.words]))
    if c.fit is not None:
        share = c.error / max(c.spread, 1e-30)
        level = _level(-share, -LARGE_ERROR, -HUGE_ERROR)
        seen = "row" if c.context.modality.is_continuous else f"of {c.context.features.name} features"
        words = f"{share:.0%} of the error of always answering the mean {seen}"
        quality = c.reconstructions
        if quality is not None:
            level = _worst(level_of(quality), level)
        halves = f"halves of {too_few}"  # with its own row a reconstruction is closer than a sample could be
        yield Grade("reconstructions", level, f"{words}; {halves if quality is None else quality.words}")
        fit, level = c.fit, _level(-c.fit.mmd, -NEAR, -FAR)
        chance = ", below it by chance" if fit.mmd < 0 else ""
        words = f"MMD² of codes to the prior {fit.mmd:.3g} (0 is perfect{chance})"
        if fit.prior_coverage is not None and fit.prior_coverage_reference:
            covered = fit.prior_coverage / fit.prior_coverage_reference
            level = _worst(level, _level(covered, GOOD_COVERAGE, FAIR_COVERAGE))
            words += (
                f"; {fit.prior_coverage:.0%} of the prior's draws have a code nearby "
                f"({fit.prior_coverage_reference:.0%})"
            )
        if c.collapsed:
            level = "poor"
            dims = c.model.prior.latent_dim
            words = f"{fit.active_units} of {dims} dimensions carry information about the row; {words}"
        few = c.context.n_samples < FEW_CODES
        yield Grade("latent fit", "unknown" if few else level, words)


def level_of(quality: Quality) -> Level:
    """The grade of rows of that quality."""
    sharpness = 1.0 if quality.sharpness is None else quality.sharpness
    return _worst(
        _level(quality.reached, GOOD_SHARE, FAIR_SHARE),
        _level(sharpness, SHARP, BLURRED),
        _level(-quality.accuracy, -HARD_TO_TELL, -EASY_TO_TELL),
    )


def _level(value: float, good: float, fair: float) -> Level:
    return "good" if value >= good else "fair" if value >= fair else "poor"


def _worst(*levels: Level) -> Level:
    return max(levels, key=("good", "fair", "poor").index)


def samples_level(c: Diagnosis) -> Level | None:
    """The grade of samples alone; None where there are too few rows for one."""
    return None if c.samples is None else _of_samples(c, c.samples)


def _of_samples(c: Diagnosis, quality: Quality) -> Level:
    """The grade of samples: by their quality, and by modes or language where these are known."""
    levels = [level_of(quality)]
    if c.modes is not None:
        levels.append(_level(c.modes.captured / len(c.modes.counts), GOOD_MODES, FAIR_MODES))
        levels.append(_level(c.modes.high_quality, GOOD_SHARE, FAIR_SHARE))
    if c.fluency is not None:
        levels.append(_level(-c.fluency.ratio, -FLUENT, -CLUMSY))
        levels.append(_level(-c.fluency.excess_copies, -FEW_COPIES, -MANY_COPIES))
    if c.columns is not None:
        levels.append(_level(-c.columns.excess, -CLOSE_COLUMNS, -FAR_COLUMNS))
        levels.append(_level(-c.columns.auc, -HARD_FOR_TREES, -EASY_FOR_TREES))
    return _worst(*levels)


__all__ = ["Grade", "Level", "grades", "level_of", "samples_level"]
