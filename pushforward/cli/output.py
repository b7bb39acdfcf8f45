"""What commands print and write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushforward.console import echo
from pushforward.interrupts import resumable

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.runs.run import Run

SHOWN = 12  # lines of text that are printed as well as written


def print_json(result: Any) -> None:
    """Prints a result for programs."""
    echo(json.dumps(result, indent=1))


def finish(run: Run, as_json: bool) -> None:
    """Evaluates a trained run, and prints the results and where the run is."""
    with resumable(lambda: f"while it evaluated; go on with: pushforward resume {run.path}"):
        results = run.evaluate(progress=True)
    overview = str(run.path / "overview.png")
    if as_json:
        print_json(results | {"overview": overview})
        return
    print_results(results, False)
    echo(f"run: {run.path}, overview: {overview}")


def write_rows(
    run: Run, name: str, out: Path | None, rows: Tensor, as_json: bool, columns: int | None = None
) -> None:
    """Writes rows to a file: a picture of images, lines of text, an array of vectors.

    Arguments:
        run: The run that made the rows.
        name: Name of the file in the run's folder if ``out`` is not given.
        out: The file.
        rows: The rows.
        as_json: Whether to print the result as JSON.
        columns: Rows to a line of the picture, or to a block of lines.
    """
    out = (out or run.path / f"{name}{run.renderer.suffix}").expanduser()
    run.renderer.save(rows if out.suffix == ".npy" else run.scaled(rows), out, columns)
    if as_json:
        print_json({"run": str(run.path), "file": str(out), "shape": list(rows.shape)})
        return
    echo(f"{name} of {run.path}: {tuple(rows.shape)} in {out}")
    if out.suffix == run.renderer.suffix:
        echo(run.renderer.text(rows[:SHOWN], columns), end="")


def write_samples(
    run: Run, name: str, out: Path | None, n: int, parts: Iterator[Tensor], as_json: bool
) -> None:
    """Writes n samples that come in parts, as :func:`write_rows` does; not all of them are in memory."""
    out = out or run.path / f"{name}{run.renderer.suffix}"
    shown = parts if out.suffix == ".npy" else map(run.scaled, parts)
    first = run.renderer.save_parts(shown, n, out)
    if as_json:
        print_json({"run": str(run.path), "file": str(out), "shape": [n, *first.shape[1:]]})
        return
    echo(f"{name} of {run.path}: {(n, *first.shape[1:])} in {out}")
    if out.suffix == run.renderer.suffix:
        echo(run.renderer.text(first[:SHOWN]), end="")


def write_pairs(run: Run, name: str, out: Path | None, first: Tensor, second: Tensor, as_json: bool) -> None:
    """Writes rows, each next to what it became: such as held-out rows and their reconstructions."""
    from pushforward.report.images import interleave

    write_rows(run, name, out, interleave(first, second), as_json, run.renderer.pair_columns)


def print_results(results: dict[str, Any], as_json: bool, named: Sequence[str] | None = None) -> None:
    """Prints the results of an evaluation.

    Arguments:
        results: The results.
        as_json: Whether to print them as JSON.
        named: The groups of metrics that were asked for by name; of all others nothing is printed, although
            results of before may be kept with them.
    """
    from pushforward.evaluation.registry import default_metrics
    from pushforward.evaluation.table import selected
    from pushforward.report.display import printed

    results = selected(results, named or default_metrics())
    if as_json:
        print_json(results)
        return
    for line in printed(results, named or ()):
        echo(line)


__all__ = ["finish", "print_json", "print_results", "write_pairs", "write_rows", "write_samples"]
