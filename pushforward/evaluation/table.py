"""How results are printed: the lines of one evaluation, and what must be said next to every score."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pushforward.evaluation.registry import METRICS, MetricSpec, look_up


def columns() -> tuple[MetricSpec, ...]:
    """The columns of a comparison, from left to right."""
    specs = [spec for group in METRICS.values() for spec in group.specs if spec.column is not None]
    return tuple(sorted(specs, key=lambda spec: spec.column or 0))


def written(value: float, error: float = math.nan) -> str:
    """A value with as many digits as its error allows: one of the error's, or two if the first is a 1.

    >>> written(11.28341, 0.0512), written(0.00123456), written(3, 0.0), written(1234.5, 20)
    ('11.28 ± 0.05', '0.001235', '3', '1230 ± 20')
    """
    if not math.isfinite(error) or error <= 0:
        return f"{value:.4g}"
    place = math.floor(math.log10(error))
    if error / 10**place < 1.95:  # a leading 1 gets a second digit
        place -= 1
    digits = max(0, -place)
    shown = [round(number, -place) for number in (value, error)]
    return " ± ".join(f"{number:.{digits}f}" for number in shown)


def extractor(results: Mapping[str, Any]) -> str:
    """What must be said next to every score: features, samples, resizing, range, and a sampler.

    >>> card = {"name": "pixels", "sha256": "e3b0c4429", "resize": "none", "dimensions": 64}
    >>> extractor({"n_samples": 10, "range": "[0, 1]", "features": card})
    'features: pixels (64 numbers, sha256 e3b0c442); n = 10; resize: none; data: [0, 1]'
    """
    card = results["features"]
    about = [f"{card['dimensions']} numbers", f"sha256 {card['sha256'][:8]}"]
    if "accuracy" in card:
        about.append(f"trained on {card['data']}, accuracy {card['accuracy']:.3f}")
    sampler = results.get("sampler", "prior")
    return (
        f"features: {card['name']} ({', '.join(about)}); n = {results['n_samples']}; "
        f"resize: {card['resize']}; data: {results['range']}"
        + ("" if sampler == "prior" else f"; samples decoded from a {sampler} fitted to training codes")
    )


def lines(results: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Every metric of the results: name, value, and what it is."""
    for group in METRICS.values():
        for spec in group.specs:
            if (found := spec.of(results)) is None:
                continue
            word, path = spec.beside or ("", ())
            value = look_up(results, path) if path else None
            shown = f"{value:.4g}" if isinstance(value, float) else value
            shown = ", ".join(value) if isinstance(value, list) else shown
            yield (
                spec.name,
                written(*found) + _reference(spec, results),
                spec.explanation + (f"; {word} {shown}" if shown else ""),
            )


def sentences(results: Mapping[str, Any], named: Sequence[str] = ()) -> Iterator[str]:
    """What is printed below the metrics: sums, tests and tables of single groups.

    Arguments:
        results: The results.
        named: The groups that were asked for by name: of these alone it is said that they are missing.
    """
    for name in named:
        if name not in results:
            yield f"{name}: not available for this model or its data"
    for name, group in METRICS.items():
        if group.sentences is not None and name in results:
            yield from group.sentences(results[name])


def selected(results: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The results of these groups of metrics, with the references that they are printed next to, if known.

    >>> sorted(selected({"n_samples": 9, "samples": {}, "reference": {}, "latent": {}}, ["samples"]))
    ['n_samples', 'reference', 'samples']
    """
    beside = {spec.reference[0] for name in names for spec in METRICS[name].specs if spec.reference}
    return {key: found for key, found in results.items() if key not in METRICS or key in {*names, *beside}}


def _reference(spec: MetricSpec, results: Mapping[str, Any]) -> str:
    found = spec.reference_of(results)
    if found is None:
        return ""
    n = look_up(results, ("reference", "n_samples"))
    few = f", {n} rows" if n is not None and n != results["n_samples"] else ""
    return f"  (train reference{few}: {written(*found)})"


__all__ = ["columns", "extractor", "lines", "selected", "sentences", "written"]
