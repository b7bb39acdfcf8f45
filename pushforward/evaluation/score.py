"""How close rows from anywhere come to real ones: the metrics of samples, without a model."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pushforward.data.dataset import Dataset, Split
from pushforward.data.rows import take
from pushforward.errors import DataError, check_int
from pushforward.evaluation.context import FeatureSet, feature_set
from pushforward.evaluation.grades import level_of
from pushforward.evaluation.quality import Quality
from pushforward.evaluation.two_samples import FEW, compared
from pushforward.evaluation.two_tables import FEW_ROWS, compared_tables
from pushforward.features.base import Features, Progress
from pushforward.features.open import open_features
from pushforward.metrics.sharpness import has_sharpness
from pushforward.rng import Noise
from pushforward.tables.schema import Schema


def score_rows(
    data: Dataset,
    made: Split,
    reference: bool,
    features: object = "auto",
    n_samples: int = 10_000,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Metrics of made rows against the held-out rows of a data set.

    The training rows fit the features, and are the train reference: what a perfect sampler would score.

    Arguments:
        data: The data set.
        made: The made rows, in the values of the data.
        reference: Whether the training rows are other rows than the held-out ones, and so a reference.
        features: What rows are compared by: see :func:`~pushforward.features.open.open_features`.
        n_samples: Number of rows of each kind, at most, chosen at random.
        seed: Seed of the choice of rows.
        progress: Called with (done, total, words).

    Returns:
        ``n_samples`` and ``range``, ``features``, ``samples``; of images ``sharpness``; of tables of at least
        50 rows ``table``; with a reference also ``reference`` and ``grade``, a word on the samples and the
        numbers behind it.

    Raises:
        ConfigError: If there are no such features.
        DataError: If there are fewer than 20 rows of either kind.
    """
    n_samples = check_int("n_samples", n_samples, least=2)
    for name, rows in (("real", data.test), ("generated", made)):
        if min(len(rows), n_samples) < FEW:
            raise DataError(
                f"expected at least {FEW} {name} rows to compare, found {min(len(rows), n_samples)}"
            )
    images = has_sharpness(data.shape)
    kinds = {"real rows": data.test, "generated rows": made, "training rows": data.train}
    most = {"training rows": min(n_samples, len(made))}
    chosen = {
        words: Noise(seed, "score", words).permutation(len(rows))[: most.get(words, n_samples)]
        for words, rows in kinds.items()
    }

    def shown(by: Features, words: str) -> FeatureSet:
        def make(part: slice) -> Tensor:
            return kinds[words].batch(chosen[words][part]).x

        return feature_set(by, make, images, len(chosen[words]), words, progress)

    by = open_features(features, data, progress)
    given, samples = shown(by, "real rows"), shown(by, "generated rows")
    result: dict[str, Any] = {
        "n_samples": len(samples.features),
        "range": data.range,
        "features": by.card() | {"dimensions": given.features.shape[1]},
        "samples": compared(samples.features, given.features, by, seed),
    }
    if given.sharpness is not None and samples.sharpness is not None:
        result["sharpness"] = {
            "data": given.sharpness.mean().item(),
            "samples": samples.sharpness.mean().item(),
        }
    if isinstance(data.codec, Schema) and min(len(given.features), len(samples.features)) >= FEW_ROWS:
        cells = {words: take(rows.x, chosen[words]) for words, rows in kinds.items()}
        order = Noise(seed, "score", "table").permutation(len(data.train))
        train = take(data.train.x, order) if reference else None
        result["table"] = compared_tables(
            data.codec, cells["generated rows"], cells["real rows"], train, seed
        )
    if reference:
        training = shown(by, "training rows")
        result["reference"] = compared(training.features, given.features, by, seed)
        # Grades were tried with these features, and hold in no others.
        quick = open_features("quick", data)
        quality = Quality.of(
            shown(quick, "generated rows"), shown(quick, "training rows"), shown(quick, "real rows"), seed
        )
        result["grade"] = {"name": "samples", "level": level_of(quality), "words": quality.words}
    return result


__all__ = ["score_rows"]
