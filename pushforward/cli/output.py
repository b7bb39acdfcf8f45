"""What commands print and write."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushforward.console import echo
from pushforward.files import expanded, make_place
from pushforward.interrupts import resumable
from pushforward.launch import launched_rank
from pushforward.wording import near, plural

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.data.shards import Shards
    from pushforward.evaluation.findings import Findings
    from pushforward.runs.run import Run

SHOWN = 12  # lines of text that are printed as well as written


def print_json(result: Any) -> None:
    """Prints a result for programs."""
    echo(json.dumps(result, indent=1))


def finish(run: Run, as_json: bool, evaluate: str, pictures: bool = True) -> None:
    """Says how good a trained run is, which several processes find out together, and where it is.

    Arguments:
        run: The run.
        as_json: Whether to print the results as JSON.
        evaluate: "none", "quick" or "full": see :data:`~pushforward.cli.options.Evaluate`.
        pictures: Whether the overview is drawn again, with what was found.
    """
    overview = run.path / "overview.png"
    results: dict[str, Any] = {}
    findings = None

    def again() -> str:
        return command("resume", run, pictures=None if pictures else False)

    with resumable(lambda: f"while it evaluated; go on with: {again()}"):
        if evaluate == "full":
            results = run.evaluate(progress=True)
        if evaluate != "none":
            findings = run.doctor(progress=True)
            if pictures and run.path.is_dir() and launched_rank() == 0:
                run.overview(findings)
    drawn = {"overview": str(overview)} if overview.exists() else {}
    if as_json:
        said = {} if findings is None else findings_json(findings)
        print_json({"run": str(run.path), "step": run.step} | results | said | drawn)
        return
    if results:
        print_results(results, False)
    if findings is not None:
        print_findings(findings, run)
    echo(", ".join(f"{name}: {near(place)}" for name, place in ({"run": run.path} | drawn).items()))
    for words in run.outdated:
        echo(f"{words}; to evaluate it anew: {command('evaluate', run)}")
    if not results:
        echo(f"all metrics: {command('evaluate', run)}; one page of all: {command('report', run)}")


def findings_json(findings: Findings) -> dict[str, Any]:
    """Grades and findings for programs, in the words of the command line."""
    return {
        "grades": [asdict(grade) for grade in findings.grades],
        "findings": [asdict(one) for one in findings],
    }


def print_findings(findings: Findings, run: Run) -> None:
    """Prints the summary of a run; next to its advice the command that follows it, if one command does."""
    change = dict(findings[0].change) if findings else {}
    follow = ""
    if change.keys() == {"sampler"}:
        follow = command("sample", run, sampler=change["sampler"])
    elif change.keys() == {"steps"}:
        follow = command("resume", run, steps=change["steps"])
    elif not findings:
        follow = f"{command('sample', run)}, or another recipe on the same data and pushforward compare"
    for line in repr(findings).splitlines():
        echo(re.sub("^(try next +).*", lambda found: found[1] + follow, line) if follow else line)


def command(verb: str, run: Run, **options: object) -> str:
    """A command on a run, as it can be typed."""
    from pushforward.runs import config

    return config.command(verb, run.path, run.config, **options)


def file_of(run: Run, name: str, out: Path | None) -> Path:
    """The file that rows are to be written to, after a check that it can be.

    Arguments:
        run: The run that makes the rows.
        name: Name of the file in the run's folder if ``out`` is not given.
        out: The file.
    """
    path = expanded(out or run.path / f"{name}{run.renderer.suffix}")
    run.renderer.check_suffix(path)
    make_place(path)
    return path


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
    out = file_of(run, name, out)
    run.renderer.save(rows if out.suffix == ".npy" else run.scaled(rows), out, columns)
    said_rows(run, name, out, len(rows), rows, as_json, columns)


def said_rows(
    run: Run, name: str, out: Path, n: int, first: Tensor, as_json: bool, columns: int | None = None
) -> None:
    """Says that n rows were written, and shows the first of them if they are lines or a table."""
    if as_json:
        print_json({"run": str(run.path), "file": str(out), "shape": [n, *first.shape[1:]]})
        return
    echo(f"{name} of {run.path}: {(n, *first.shape[1:])} in {out}{run.renderer.note(out)}")
    if out.suffix == run.renderer.suffix:
        echo(run.renderer.text(first[:SHOWN], columns), end="")


def write_pairs(run: Run, name: str, out: Path | None, first: Tensor, second: Tensor, as_json: bool) -> None:
    """Writes rows, each next to what it became: such as held-out rows and their reconstructions."""
    from pushforward.report.images import interleave

    write_rows(run, name, out, interleave(first, second), as_json, run.renderer.pair_columns)


def said(run: Path, out: Path, what: str, count: int, as_json: bool, note: str = "") -> None:
    """Says what was written; ``note`` comes behind the name of the file."""
    if as_json:
        print_json({"run": str(run), "file": str(out), "n": count})
        return
    echo(f"{what} of {count:,} {plural(count, 'row')}: {out}{note}")


def said_shards(run: Path, shards: Shards, what: str, as_json: bool) -> None:
    """Says what was written to a folder of shards, and whether other processes are still writing."""
    if as_json:
        folder = {"folder": str(shards.folder), "n": shards.rows, "shards": len(shards.files)}
        print_json({"run": str(run), **folder, "complete": shards.complete})
        return
    words = "" if shards.complete else "; other processes are still writing"
    rows, files = plural(shards.rows, "row"), plural(len(shards.files), "shard")
    echo(f"{what} of {shards.rows:,} {rows} in {len(shards.files)} {files}: {near(shards.folder)}{words}")


def print_results(
    results: dict[str, Any],
    as_json: bool,
    named: Sequence[str] | None = None,
    findings: Findings | None = None,
) -> None:
    """Prints the results of an evaluation.

    Arguments:
        results: The results.
        as_json: Whether to print them as JSON.
        named: The groups of metrics that were asked for by name; of all others nothing is printed, although
            results of before may be kept with them.
        findings: The summary that programs are given with the results.
    """
    from pushforward.evaluation.registry import default_metrics
    from pushforward.evaluation.table import selected
    from pushforward.report.display import printed

    results = selected(results, named or default_metrics())
    if as_json:
        print_json(results | ({} if findings is None else findings_json(findings)))
        return
    for line in printed(results, named or ()):
        echo(line)


__all__ = [
    "file_of",
    "findings_json",
    "finish",
    "print_findings",
    "print_json",
    "print_results",
    "said",
    "said_rows",
    "said_shards",
    "write_pairs",
    "write_rows",
]
