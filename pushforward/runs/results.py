"""What a judge has said of a run, kept in its folder as ``evaluation.json``.

A run with another sampler is judged in a file of its own, ``evaluation-<sampler>.json``: what reports and
comparisons read as the run's verdict is always that of the model's own prior.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pushforward.evaluation.sections import SECTIONS, VERSION
from pushforward.files import replace_text
from pushforward.runs.latent_samplers import PRIOR


def verdict_name(sampler: str) -> str:
    """The file of a sampler's verdict.

    >>> verdict_name("prior"), verdict_name("mixture")
    ('evaluation.json', 'evaluation-mixture.json')
    """
    return "evaluation.json" if sampler == PRIOR else f"evaluation-{sampler}.json"


def question(step: int, seed: int, rows: int, features: Any, sampler: str = PRIOR) -> dict[str, Any]:
    """All that a figure depends on besides its section; kept figures answer the same question or none."""
    named = features if isinstance(features, str) else type(features).__name__
    asked = {"rows": rows, "features": named}
    return {"judge": VERSION, "step": step, "seed": seed, "sampler": sampler, "asked": asked}


def read_verdict(folder: Path, sampler: str = PRIOR) -> dict[str, Any]:
    """The last verdict of a folder and a sampler; empty if there is none that can be read."""
    try:
        kept = json.loads((folder / verdict_name(sampler)).read_text())
        whole = isinstance(kept["sections"], list) and isinstance(kept["features"]["sha256"], str)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return kept if whole else {}


def answers(kept: Mapping[str, Any], asked: Mapping[str, Any], metrics: Iterable[str]) -> bool:
    """Whether a kept verdict answers a question in all these sections."""
    known = {*metrics} <= {*kept.get("sections", ())}
    return known and all(kept.get(name) == value for name, value in asked.items())


def write_verdict(
    folder: Path, asked: Mapping[str, Any], metrics: Iterable[str], found: Mapping[str, Any]
) -> dict[str, Any]:
    """Keeps what was found; sections found before by the same question and the same features stay."""
    sampler = asked["sampler"]
    kept = read_verdict(folder, sampler)
    if not (answers(kept, asked, ()) and kept["features"] == found["features"]):
        kept = {"sections": []}
    names = sorted({*kept["sections"], *metrics}, key=list(SECTIONS).index)
    before = {name: kept[name] for name in kept["sections"] if name in kept}
    results = finite({"run": str(folder), **asked, "sections": names, **before, **found})
    replace_text(folder / verdict_name(sampler), json.dumps(results, indent=1, allow_nan=False) + "\n")
    result: dict[str, Any] = json.loads(json.dumps(results))  # as it will be read
    return result


def finite(value: Any) -> Any:
    """The same with None in the place of numbers that are none: JSON has no NaN.

    >>> finite({"error": math.nan, "values": (1.0, math.inf)})
    {'error': None, 'values': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
