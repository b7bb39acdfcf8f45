"""The groups of metrics that an evaluation computes, and the rows that tables print of them.

A group is a function of an :class:`~pushforward.evaluation.context.EvaluationContext` that returns metrics by
name, or None where the model or its data do not have them. It is registered in its own file, together with
the rows of tables (:class:`MetricSpec`) that show its metrics: a new file in ``evaluation/groups`` is all
that a new metric needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from pushforward.errors import ConfigError, nearest
from pushforward.evaluation.context import EvaluationContext

VERSION = 3  # raised when a metric of the same model changes, so that stored results are computed again


@dataclass(frozen=True)
class MetricSpec:
    """One number of the results (:func:`evaluate`), and how tables show it.

    Attributes:
        name: Its name in every table.
        path: Where it is in the results; an estimate's value and error are one level deeper.
        explanation: What it is and in which unit.
        better: 1 if more is better, -1 if less is, 0 if it should be near another value, or if the values of
            two models need not be comparable.
        beside: What is printed next to it: a word, and where it is in the results.
        column: The place of its column in tables of comparisons, from the left; None if it has none.
        reference: Where the same metric of training rows is in the results, if it is computed.
    """

    name: str
    path: tuple[str, ...]
    explanation: str
    better: int = 0
    beside: tuple[str, tuple[str, ...]] | None = None
    column: int | None = None
    reference: tuple[str, ...] | None = None

    def of(self, results: Mapping[str, Any]) -> tuple[float, float] | None:
        """Value and standard error (NaN where none is known), or None if the results do not have it."""
        return _estimate(look_up(results, self.path))

    def reference_of(self, results: Mapping[str, Any]) -> tuple[float, float] | None:
        """The same of training rows in place of samples (the train reference), or None."""
        return None if self.reference is None else _estimate(look_up(results, self.reference))

    def next_to(self, word: str, results: Mapping[str, Any]) -> float | None:
        """The number that is printed next to it under that word, if there is one."""
        found = look_up(results, self.beside[1]) if self.beside and self.beside[0] == word else None
        return float(found) if isinstance(found, (int, float)) else None

    def worse(self, value: float) -> float:
        """A number that grows as the metric gets worse; unbiased estimates of distances below 0 count as
        0.
        """
        return max(value, 0.0) if self.better < 0 else -self.better * value


def look_up(results: Any, path: tuple[str, ...]) -> Any:
    """What is at a path of nested results, or None."""
    for step in path:
        if not isinstance(results, Mapping) or step not in results:
            return None
        results = results[step]
    return results


def _estimate(found: Any) -> tuple[float, float] | None:
    value, error = (found["value"], found.get("error")) if isinstance(found, Mapping) else (found, None)
    return None if value is None else (float(value), math.nan if error is None else float(error))


Compute = Callable[[EvaluationContext], dict[str, Any] | None]
Sentences = Callable[[Mapping[str, Any]], Iterator[str]]


@dataclass(frozen=True)
class MetricGroup:
    """A group of metrics.

    Attributes:
        name: Its name in the results and for ``metrics=``.
        compute: Computes it.
        order: Its place among all groups.
        default: Whether it is computed unless other groups are named.
        specs: The rows of tables that show its metrics.
        sentences: Lines that are printed below the table, from the group's results.
    """

    name: str
    compute: Compute
    order: int
    default: bool
    specs: tuple[MetricSpec, ...]
    sentences: Sentences | None = None


METRICS: dict[str, MetricGroup] = {}


def metric_group(
    name: str,
    order: int,
    *specs: MetricSpec,
    default: bool = False,
    sentences: Sentences | None = None,
) -> Callable[[Compute], Compute]:
    """Registers a function as a group of metrics: see :class:`MetricGroup`.

    Raises:
        ValueError: If there is a group of this name already.
    """

    def register(compute: Compute) -> Compute:
        if name in METRICS:
            raise ValueError(f"there is a group of metrics {name!r} already")
        METRICS[name] = MetricGroup(name, compute, order, default, specs, sentences)
        for key in sorted(METRICS, key=lambda key: METRICS[key].order):
            METRICS[key] = METRICS.pop(key)
        return compute

    return register


def default_metrics() -> tuple[str, ...]:
    """The names of the groups that are computed unless others are named."""
    return tuple(name for name, group in METRICS.items() if group.default)


def check_metrics(names: Sequence[str]) -> None:
    """Checks names of groups of metrics.

    Raises:
        ConfigError: If there is no group of one of these names.
    """
    for name in names:
        if name not in METRICS:
            raise ConfigError(f"unknown metrics {name!r}: {nearest(name, METRICS)}")


def evaluate(
    context: EvaluationContext,
    metrics: Sequence[str] | None = None,
    took: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Computes metrics of a model in evaluation mode.

    Arguments:
        context: The model, its data and the features.
        metrics: Names of groups of metrics; by default those of :func:`default_metrics`.
        took: Called with the name of each part, the features first, and the seconds that it took.

    Returns:
        ``n_samples`` and ``range`` of the data; ``features``: what samples were compared by, with name,
        sha256 and resizing; and by name each of the groups that the model and its data allow.

    Raises:
        ConfigError: If there is no such group.
    """
    names = default_metrics() if metrics is None else metrics
    check_metrics(names)
    begun = monotonic()

    def done(part: str) -> None:
        nonlocal begun
        before, begun = begun, monotonic()
        if took:
            took(part, begun - before)

    result: dict[str, Any] = {
        "n_samples": context.n_samples,
        "range": context.data.range,
        "features": context.features.card() | {"dimensions": context.given.features.shape[1]},
    }
    done("features")
    for name in names:
        if (found := METRICS[name].compute(context)) is not None:
            result[name] = found
        done(name)
    return result


__all__ = [
    "METRICS",
    "VERSION",
    "MetricGroup",
    "MetricSpec",
    "check_metrics",
    "default_metrics",
    "evaluate",
    "look_up",
    "metric_group",
]
