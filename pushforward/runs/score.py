"""``pf.score``: how close generated rows come to real ones, from any two sources, without a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pushforward.data.alike import described
from pushforward.data.catalogue import open_every, open_like, opened_like
from pushforward.data.dataset import Dataset
from pushforward.errors import ConfigError, DataError, reason
from pushforward.evaluation.context import chunks
from pushforward.evaluation.score import score_rows
from pushforward.features.base import extract
from pushforward.features.open import open_features
from pushforward.metrics.frechet import Moments, frechet_distance
from pushforward.reading import open_file
from pushforward.report.display import Results
from pushforward.report.progress import bar
from pushforward.runs.results import finite
from pushforward.wording import option_name


def score(
    real: Any,
    generated: Any,
    *,
    train: Any = None,
    features: Any = "auto",
    n_samples: int = 10_000,
    seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    columns: Mapping[str, str] | None = None,
    target: str | None = None,
    progress: bool = False,
) -> Results:
    """Metrics of generated rows against real ones, whoever made them.

    Generated rows are read in the values and, from files, in the size of the real ones. A file of statistics
    (``.npz`` with ``mu`` and ``sigma``, as FID tools write) may stand for either; the only metric is then the
    Fréchet distance, in the features that the statistics are of, which must be named. Tables of at least 50
    rows are also compared by the metrics ``table``: columns, pairs of columns and a classifier; with
    ``train`` each next to training rows, with copying and, with ``target``, use in training.

    Arguments:
        real: Real rows, best such as no model was trained on: a folder, a file, an array, a name of the
            catalogue, or a :class:`~pushforward.data.Dataset`; all of its rows are taken, training and
            held-out.
        generated: Generated rows, of any such kind.
        train: The rows that the generator was trained on, if they are known. They fit the features, and give
            the train reference that is printed next to each metric and a grade. Without them the real rows
            fit the features.
        features: What rows are compared by, as in :meth:`Run.evaluate <pushforward.runs.run.Run.evaluate>`.
        n_samples: Number of rows of each kind, at most, chosen at random.
        seed: Seed of the choice of rows.
        data_dir: Where the catalogue's files are kept.
        image_size: Size to which all images from files are resized.
        columns: Kinds of columns of tables by their names, in the place of those that are inferred.
        target: Name of the column of a table that is predicted, to find what generated rows are worth in
            training; it needs ``train``.
        progress: Whether to show progress on standard error.

    Returns:
        The results, as of an evaluation: a dict that is shown as a table.

    Raises:
        ConfigError: If there are no such features, or none are named that statistics are of.
        DataError: If the rows cannot be compared: other shapes, values or statistics, or fewer than 20 rows.

    Example:
        >>> x = torch.randn(200, 3)
        >>> results = score(x[:100], x[100:] + 5)
        >>> results["samples"]["fd"]["value"] > 50
        True
    """
    reading: dict[str, Any] = {
        "data_dir": data_dir, "image_size": image_size, "columns": columns, "target": target
    }  # fmt: skip
    with bar("scoring", progress) as show, torch.no_grad():
        known = [_statistics(source) for source in (real, generated)]
        if any(known):
            return _of_statistics(real, generated, known, features, data_dir, image_size)
        if train is None:
            opened, rows = open_every(real, later=True, **reading)
            data = described(opened.spec, opened.name, rows, rows)
        else:
            # Values are those of the training rows, so that features and scaling are what a run would have.
            learnt, rows = open_every(train, later=True, **reading)
            held_out = open_like(real, learnt.spec, data_dir=data_dir, later=True)
            data = described(learnt.spec, learnt.name, rows, held_out)
        opened, made = opened_like(generated, data.spec, data_dir=data_dir, later=True)
        for note in opened.notes:  # such as that images were resized, of which sharpness and more depend
            show.say(f"generated: {note}")
        found = score_rows(data, made, train is not None, features, n_samples, seed, show)
    return Results(finite({"real": _named(real), "generated": _named(generated), **found}))


def _named(source: Any) -> str:
    if isinstance(source, (str, os.PathLike)):
        return str(source)
    return source.name if isinstance(source, Dataset) else type(source).__name__


# ------------------------------------------------------------------------------------------- statistics


def _statistics(source: Any) -> Moments | None:
    """Mean and covariance of a file of statistics; None of anything else.

    Raises:
        DataError: If they are not (D,) and (D, D) numbers.
    """
    if (
        not isinstance(source, (str, os.PathLike))
        or Path(source).suffix != ".npz"
        or not Path(source).is_file()
    ):
        return None
    path = Path(source)
    try:
        with open_file(path) as file:
            arrays = np.load(file, allow_pickle=False)
            if not {"mu", "sigma"} <= {*arrays.files}:
                return None
            mean, covariance = (
                torch.from_numpy(np.asarray(arrays[key], np.float64)) for key in ("mu", "sigma")
            )
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path}: expected an .npz file of numpy, found something else: {reason(error)}"
        ) from None
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise DataError(
            f"{path}: expected mu of shape (D,) and sigma of (D, D), found {tuple(mean.shape)} and "
            f"{tuple(covariance.shape)}"
        )
    if not (mean.isfinite().all() and covariance.isfinite().all()):
        raise DataError(f"{path}: expected finite numbers in mu and sigma, found others")
    return Moments(2, mean, covariance)  # a scatter over n - 1 = 1


def _of_statistics(
    real: Any,
    generated: Any,
    known: list[Moments | None],
    features: Any,
    data_dir: Any,
    image_size: int | None,
) -> Results:
    """The Fréchet distance, the only metric that statistics allow."""
    sources = (real, generated)
    rows = next((source for source, found in zip(sources, known, strict=True) if found is None), None)
    if rows is None:
        card = {"name": "those of the statistics", "sha256": "unknown", "resize": "unknown"}
    elif features == "auto":
        raise ConfigError(
            f"{option_name('features')} must be named, those that the statistics are of (such as a "
            ".safetensors file of "
            "Inception weights), got 'auto'"
        )
    else:
        data, every = open_every(rows, data_dir=data_dir, image_size=image_size, later=True)
        by = open_features(features, data)
        made = extract(by, (every.batch(part).x for part in chunks(len(every))))
        known = [Moments.of(made) if found is None else found for found in known]
        card = by.card()
    p, q = known
    assert p is not None
    assert q is not None
    if len(p.mean) != len(q.mean):
        raise DataError(
            f"expected statistics of the same features, found {len(p.mean)} and {len(q.mean)} numbers"
        )
    found = {
        "n_samples": 0 if rows is None else len(every),
        "range": "unknown" if rows is None else data.range,
    }
    return Results(
        finite(
            {"real": _named(real), "generated": _named(generated), **found}
            | {
                "features": card | {"dimensions": len(p.mean)},
                "samples": {"fd": {"value": frechet_distance(q, p)}},
            }
        )
    )


__all__ = ["score"]
