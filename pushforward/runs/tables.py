"""Tables of comparisons: means and confidence intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushforward.errors import ConfigError
from pushforward.evaluation.registry import MetricSpec
from pushforward.evaluation.table import columns, extractor, written
from pushforward.metrics.uncertainty import mean_interval
from pushforward.report.display import fragment, never_fails
from pushforward.runs.run import Run


@dataclass(frozen=True)
class Cell:
    """One cell of a table: its text, and whether it is printed in bold because no other is clearly better."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Metrics of cases: means and 95 % confidence intervals over seeds.

    Attributes:
        head: The titles of the columns.
        rows: The rows of cells.
        note: What the table was computed on and how to read it.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str

    def __repr__(self) -> str:
        return f"{self.text()}\n{self.note}"

    @never_fails
    def _repr_html_(self) -> str:
        return fragment("", tables=[{"table": self}])

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [
            self.head,
            tuple("---" for _ in self.head),
            *(tuple(c.text for c in row) for row in self.rows),
        ]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def text(self) -> str:
        """The table in columns of even width."""
        lines = [self.head, *(tuple(cell.text for cell in row) for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        return "\n".join(
            "  ".join(f"{word:<{w}}" for word, w in zip(line, widths, strict=True)).rstrip() for line in lines
        )


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Attributes:
        case: The recipe and its arguments, as it is called in tables.
        data: Name of the data set.
        seed: Seed of the run.
        run: The run.
        results: The results of its evaluation.
    """

    case: str
    data: str
    seed: int
    run: Run
    results: Mapping[str, Any]


ALIKE: Mapping[str, Callable[[ComparedRun], Any]] = {
    "features": lambda one: one.results["features"],
    "n_samples": lambda one: one.results["n_samples"],
    "range": lambda one: one.results["range"],
}
"""What must be the same for all runs of a table, by name."""


def table(runs: Sequence[ComparedRun]) -> Table:
    """Means and 95 % confidence intervals over seeds of runs on one data set, and the train reference.

    In bold on the page are the best mean of a column and every mean that differs from it by no more than the
    root of the sum of both intervals' squares.

    Raises:
        ConfigError: If the runs were not evaluated alike, or one of them is there twice.
    """
    for what, read in ALIKE.items():
        if len({str(read(one)) for one in runs}) > 1:
            raise ConfigError(f"the runs cannot be put in one table: they differ in {what}")
    if len({(one.case, one.seed) for one in runs}) < len(runs):
        raise ConfigError("the runs cannot be put in one table: a recipe is there twice with the same seed")
    cases = list(dict.fromkeys(one.case for one in runs))
    shown = [metric for metric in columns() if any(metric.of(one.results) for one in runs)]
    means: dict[tuple[str, str], tuple[float, float]] = {}
    for case in cases:
        for metric in shown:
            values = [found[0] for one in runs if one.case == case and (found := metric.of(one.results))]
            if values:
                means[case, metric.name] = mean_interval(values)
    seeds = {case: sum(one.case == case for one in runs) for case in cases}
    rows = [
        (Cell(case), Cell(str(seeds[case])), *(_cell(means, case, metric, cases) for metric in shown))
        for case in cases
    ]
    results = runs[0].results
    n_reference = results.get("reference", results)["n_samples"]
    few = "" if n_reference == results["n_samples"] else f" ({n_reference} rows)"
    rows.append(
        (
            Cell(f"train reference{few}"),
            Cell(""),
            *(_reference(metric, "training lines", results) for metric in shown),
        )
    )
    copied = [_reference(metric, "copying", results) for metric in shown]
    last = "train reference: the same metrics of training rows in place of samples"
    if any(cell.text for cell in copied):
        rows.append((Cell("copying"), Cell(""), *copied))
        last += "; copying: of unchanged lines in place of transferred lines"
    interval = "± is a 95 % interval over seeds (Student's t)" if max(seeds.values()) > 1 else "one seed"
    note = f"{extractor(runs[0].results)}; {interval}; {last}."
    return Table(("recipe", "seeds", *(metric.name for metric in shown)), tuple(rows), note)


def _cell(
    means: Mapping[tuple[str, str], tuple[float, float]], case: str, metric: MetricSpec, cases: Sequence[str]
) -> Cell:
    if (case, metric.name) not in means:
        return Cell("")
    value, half = means[case, metric.name]
    others = [means[other, metric.name] for other in cases if (other, metric.name) in means]
    best, best_half = min(others, key=lambda other: metric.worse(other[0]))
    gap = metric.worse(value) - metric.worse(best)
    near = gap <= math.hypot(half, best_half) if math.isfinite(half + best_half) else gap == 0
    return Cell(written(value, half), metric.better != 0 and len(others) > 1 and near)


def _reference(metric: MetricSpec, word: str, results: Mapping[str, Any]) -> Cell:
    """The value of a metric for training rows in place of samples, or for what the word names."""
    found = metric.reference_of(results) if word != "copying" else None
    value = metric.next_to(word, results) if found is None else found[0]
    return Cell("" if value is None else f"{value:.3g}")


__all__ = ["Cell", "ComparedRun", "Table", "table"]
