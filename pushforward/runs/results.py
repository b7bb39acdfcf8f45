"""The results of evaluations, kept in the run's folder as ``evaluation.json``.

Each sampler other than the prior has a file of its own, ``evaluation-<sampler>.json``: reports and
comparisons always read the results of the model's own prior.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pushforward.errors import OutputError
from pushforward.evaluation.registry import METRICS, VERSION
from pushforward.files import write_atomic
from pushforward.reading import read_json
from pushforward.report.display import Results
from pushforward.runs.latent_samplers import PRIOR


def results_name(sampler: str) -> str:
    """The name of the file that holds the results of a sampler.

    >>> results_name("prior"), results_name("gmm")
    ('evaluation.json', 'evaluation-gmm.json')
    """
    return "evaluation.json" if sampler == PRIOR else f"evaluation-{sampler}.json"


def evaluation_key(
    step: int, seed: int, n_samples: int, features: Any, sampler: str = PRIOR
) -> dict[str, Any]:
    """Everything that the value of a metric depends on; results of equal keys can be kept together."""
    named = features if isinstance(features, str) else type(features).__name__
    asked = {"n_samples": n_samples, "features": named}
    return {"version": VERSION, "step": step, "seed": seed, "sampler": sampler, "arguments": asked}


def read_results(folder: Path, sampler: str = PRIOR) -> Results:
    """The results of the last evaluation of a sampler; empty if there are none that can be read."""
    try:
        kept = read_json(folder / results_name(sampler))
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
    kept = read_results(folder, key["sampler"])
    if not (holds(kept, key, ()) and kept["features"] == results["features"]):
        kept = Results(metrics=[])
    names = sorted({*kept["metrics"], *metrics}, key=list(METRICS).index)
    before = {name: kept[name] for name in kept["metrics"] if name in kept}
    written = finite({"run": str(folder), **key, "metrics": names, **before, **results})
    text = json.dumps(written, indent=1, allow_nan=False)
    try:
        write_atomic(folder / results_name(key["sampler"]), text + "\n")
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
