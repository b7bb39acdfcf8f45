"""The results of evaluations, kept in the run's folder as ``evaluation.json``.

Each sampler other than the prior has a file of its own, ``evaluation-<sampler>.json``, and evaluations on
other data are in a folder of their own, ``evaluations``: reports and comparisons always read the results of
the model's own prior on its own data.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pushforward.errors import OutputError
from pushforward.evaluation.registry import METRICS, VERSION
from pushforward.files import make_folder, write_atomic, writing
from pushforward.reading import read_json
from pushforward.report.display import Results
from pushforward.runs.directory import EVALUATIONS
from pushforward.runs.latent_samplers import PRIOR

NAMED_BY = 6  # digits of the sha256 of other data in the name of a file
UNSAFE = r"[^\w.=,-]+"  # in the name of a file


def results_name(sampler: str, data: Mapping[str, Any] | None = None) -> str:
    """The path, in the run's folder, of the file that holds the results of a sampler.

    Arguments:
        sampler: The sampler.
        data: Name and sha256 of the data, if they are not those that the run was trained on.

    >>> results_name("prior"), results_name("gmm")
    ('evaluation.json', 'evaluation-gmm.json')
    >>> results_name("gmm", {"name": "my rows", "sha256": "0123456789"})
    'evaluations/my-rows-012345-gmm.json'
    """
    ending = ".json" if sampler == PRIOR else f"-{sampler}.json"
    if data is None:
        return f"evaluation{ending}"
    return f"{EVALUATIONS}/{re.sub(UNSAFE, '-', data['name'])}-{data['sha256'][:NAMED_BY]}{ending}"


def evaluation_key(
    step: int,
    seed: int,
    n_samples: int,
    features: Any,
    sampler: str = PRIOR,
    data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that the value of a metric depends on; results of equal keys can be kept together.

    ``data`` says what other data the metrics are of, if they are not of those that the run was trained on.
    """
    named = features if isinstance(features, str) else type(features).__name__
    asked = {"n_samples": n_samples, "features": named}
    key = {"version": VERSION, "step": step, "seed": seed, "sampler": sampler, "arguments": asked}
    return key if data is None else key | {"data": dict(data)}


def read_results(folder: Path, sampler: str = PRIOR) -> Results:
    """The results of the last evaluation of a sampler; empty if there are none that can be read."""
    return _results_in(folder / results_name(sampler))


def _results_in(path: Path) -> Results:
    try:
        kept = read_json(path)
        known = isinstance(kept["metrics"], list) and all(
            isinstance(name, str) and name in METRICS for name in kept["metrics"]
        )
        complete = known and isinstance(kept["features"]["sha256"], str)
    except (OSError, ValueError, KeyError, TypeError):
        return Results()
    return Results(kept if complete else {})


def holds(kept: Mapping[str, Any], key: Mapping[str, Any], metrics: Iterable[str]) -> bool:
    """Whether results have this key and all these groups of metrics."""
    known = {*metrics} <= {*kept.get("metrics", ())}
    return known and all(kept.get(name) == value for name, value in key.items())


def write_results(
    folder: Path, key: Mapping[str, Any], metrics: Iterable[str], results: Mapping[str, Any]
) -> Results:
    """Writes results; kept groups of metrics stay if they have the same key and the same features.

    If they cannot be written, a warning says so.

    Returns:
        What was written, as it will be read.
    """
    path = folder / results_name(key["sampler"], key.get("data"))
    kept = _results_in(path)
    if not (holds(kept, key, ()) and kept["features"] == results["features"]):
        kept = Results(metrics=[])
    names = sorted({*kept["metrics"], *metrics}, key=list(METRICS).index)
    before = {name: kept[name] for name in kept["metrics"] if name in kept}
    written = finite({"run": str(folder), **key, "metrics": names, **before, **results})
    text = json.dumps(written, indent=1, allow_nan=False)
    try:
        if folder.is_dir():
            with writing(path.parent):
                make_folder(path.parent)
        write_atomic(path, text + "\n")
    except OutputError as error:  # hours of work may be in them
        warnings.warn(f"{error}; the results are not kept", stacklevel=3)
    return Results(json.loads(text))


def finite(value: Any) -> Any:
    """The same with None in place of NaN and infinity, which JSON does not have.

    >>> finite({"error": math.nan, "values": (1.0, math.inf)})
    {'error': None, 'values': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


__all__ = ["evaluation_key", "finite", "holds", "read_results", "results_name", "write_results"]
