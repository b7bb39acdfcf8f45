"""A fair comparison: recipes, data sets and seeds on equal budgets, by one judge, with intervals."""

from __future__ import annotations

import inspect
import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pushforward.data import open_dataset
from pushforward.errors import ConfigError, InterruptedRunError, check_int, nearest
from pushforward.evaluation.sections import USUAL, check_sections
from pushforward.evaluation.table import FLOOR, SAMPLES, TABLE, MetricSpec, extractor, written
from pushforward.features.base import open_features
from pushforward.files import replace_text
from pushforward.metrics.uncertainty import mean_interval
from pushforward.recipes import RECIPES
from pushforward.report.page import curves, image_plate, line_plate, plot_plate, render
from pushforward.report.pictures import picture, show_vectors
from pushforward.report.progress import bar
from pushforward.rng import Noise
from pushforward.runs.api import load, train
from pushforward.runs.run import Run

LINES = 16  # of text that are shown of each run


@dataclass(frozen=True)
class Case:
    """A recipe with arguments of its own, as in ``wae-mmd`` or ``wae-mmd:weight=auto,latent_dim=16``."""

    recipe: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Case:
        """A case from its name.

        Raises:
            ConfigError: If what follows the colon is no list of settings.

        >>> Case.parse("wae-mmd:weight=auto,latent_dim=16")
        Case(recipe='wae-mmd', arguments={'weight': 'auto', 'latent': 16})
        """
        recipe, _, rest = text.partition(":")
        arguments = {}
        for part in rest.split(",") if rest else []:
            name, equals, value = part.partition("=")
            if not (name and equals and value):
                raise ConfigError(f"{text!r}: expected recipe:name=value,name=value, found {part!r}")
            arguments[name.strip().replace("-", "_")] = _value(value.strip())
        return cls(recipe, arguments)

    def check(self) -> None:
        """Refuses what is no setting of the recipe: seeds, budgets and data are the same for all.

        Raises:
            ConfigError: If there is no such recipe, or it has no such setting.
        """
        if self.recipe not in RECIPES:
            raise ConfigError(
                f"{self.recipe!r} is no recipe and no folder of a run: {nearest(self.recipe, RECIPES)}"
            )
        known = [name for name in inspect.signature(RECIPES[self.recipe]).parameters if name != "data"]
        for name in self.arguments:
            if name not in known:
                raise ConfigError(f"{self.recipe} has no setting {name!r}: {nearest(name, known)}")

    def __str__(self) -> str:
        rest = ",".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.recipe}:{rest}" if rest else self.recipe


@dataclass(frozen=True)
class Cell:
    """One cell of a table: its text, and whether no other row is clearly better."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Figures of cases, with means and 95 % intervals over seeds."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str

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
class Compared:
    """One run of a comparison: which case and seed, and what the judge said."""

    case: str
    data: str
    seed: int
    run: Run
    results: Mapping[str, Any]


class Comparison:
    """Judged runs side by side.

    Attributes:
        path: The folder of ``comparison.json``, ``comparison.md`` and ``report.html``.
        runs: What was compared, in order.
    """

    def __init__(self, path: Path, runs: Sequence[Compared]) -> None:
        self.path = path
        self.runs = tuple(runs)

    def __repr__(self) -> str:
        return f"Comparison({str(self.path)!r}: {len(self.runs)} runs)"

    @property
    def tables(self) -> dict[str, Table]:
        """A table for every data set, by its name."""
        return {name: table(runs) for name, runs in self.groups.items()}

    @property
    def groups(self) -> dict[str, list[Compared]]:
        """The runs on every data set, by its name; sets of one name are told apart by their sha256."""
        sets = {one.run.config["data"]["sha256"]: one.data for one in self.runs}
        named = {
            sha: name if [*sets.values()].count(name) == 1 else f"{name} (sha256 {sha[:8]})"
            for sha, name in sets.items()
        }
        return {
            title: [one for one in self.runs if one.run.config["data"]["sha256"] == sha]
            for sha, title in named.items()
        }

    def save(self) -> None:
        """Writes figures, tables and the page."""
        about = [
            {
                "case": one.case,
                "data": one.data,
                "seed": one.seed,
                "run": str(one.run.path),
                "verdict": one.results,
            }
            for one in self.runs
        ]
        replace_text(self.path / "comparison.json", json.dumps(about, indent=1) + "\n")
        parts = [f"## {name}\n\n{found.markdown()}\n\n{found.note}\n" for name, found in self.tables.items()]
        replace_text(self.path / "comparison.md", "\n".join(parts))
        replace_text(self.path / "report.html", self._page())

    def _page(self) -> str:
        groups = []
        for name, runs in self.groups.items():
            found = table(runs)
            cases = dict.fromkeys(one.case for one in runs)
            first = [next(one for one in runs if one.case == case) for case in cases]
            groups.append(
                {
                    "data": name,
                    "table": found,
                    "sheets": [_data_sheet(first[0].run), *(_sheet(one) for one in first)],
                    "curves": [curves(one.case, one.run.history) for one in first],
                }
            )
        shown = {name for found in self.tables.values() for name in found.head}
        steps = sorted({one.run.step for one in self.runs})
        budget = f"{steps[0]} steps each" if len(steps) == 1 else f"{steps[0]} to {steps[-1]} steps"
        return render(
            "comparison.html",
            title="Comparison of " + ", ".join(dict.fromkeys(one.case for one in self.runs)),
            meaning=f"{len(self.runs)} runs, {budget}. In bold: the best mean of a column, and means that "
            "both intervals do not tell from it.",
            groups=groups,
            words=[(figure.name, figure.words) for figure in TABLE if figure.name in shown],
            runs=[
                {"path": one.run.path.name, "step": one.run.step, "meaning": one.run.config["meaning"]}
                for one in self.runs
            ],
        )


def compare(
    what: str | os.PathLike[str] | Run | Sequence[str | os.PathLike[str] | Run],
    data: Any = None,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    out: str | os.PathLike[str] = "runs/comparison",
    rows: int = 10_000,
    features: Any = "auto",
    metrics: Sequence[str] = USUAL,
    progress: bool = True,
    **arguments: Any,
) -> Comparison:
    """Trains every recipe on every data set with every seed, judges all alike, and puts them side by side.

    What is finished is not done again: the same call goes on where it was stopped, and a call with one more
    recipe trains that one alone.

    Arguments:
        what: Names of recipes, with settings of their own as in ``"wae-mmd:weight=auto,latent_dim=16"``; or runs
            and folders of runs, which are judged as they are.
        data: What to learn from, as in :func:`pushforward.train`; a list is several data sets. Not needed for
            runs.
        seeds: One run for each. At least three, for an interval worth the name.
        out: The folder of the comparison, and of the runs it trains.
        rows: At most so many held-out rows, and as many samples, in every judgement.
        features: What samples are compared by, as in :meth:`pushforward.Run.evaluate`; one for all.
        sections: Which questions are asked.
        progress: Whether to show progress on standard error.
        arguments: Everything else that :func:`pushforward.train` takes, the same for all: above all the
            budget, ``steps``, ``epochs`` or ``minutes``.

    Raises:
        ConfigError: If there is nothing to compare, or a recipe is given without data.

    Example:
        >>> import tempfile
        >>> found = compare(["wae-mmd", "ae"], "digits", seeds=[0], steps=10, out=tempfile.mkdtemp(),
        ...                 features="pca", progress=False)
        >>> [row[0].text for row in found.tables["digits"].rows]
        ['wae-mmd', 'ae', 'training rows']
    """
    folder = Path(out)
    what = [what] if isinstance(what, (str, os.PathLike, Run)) else what
    check_sections(metrics)
    if not what:
        raise ConfigError("nothing to compare: name recipes, or folders of runs")
    if not seeds:
        raise ConfigError("a comparison needs at least one seed")
    seeds = [check_int("seed", seed, least=0) for seed in seeds]
    if len({*seeds}) < len(seeds):
        raise ConfigError(f"every seed is wanted once, got {', '.join(map(str, seeds))}")
    jobs = [one if _is_run(one) else Case.parse(str(one)) for one in what]
    cases = [job for job in jobs if isinstance(job, Case)]
    for case in cases:
        case.check()
    if cases and data is None:
        raise ConfigError(f"{str(cases[0])!r} is no folder of a run; to train the recipe, say on which data")
    opened = {name: arguments.get(name) for name in ("data_dir", "size")}
    with bar("reading", progress) as show:
        sources = data if isinstance(data, list) else [data] if cases else []
        sets = [open_dataset(source, **opened, progress=show) for source in sources]
        for dataset in sets:  # what cannot be had is said before anything is trained
            open_features(features, dataset, show)
    total = len(what) - len(cases) + len(cases) * len(sets) * len(seeds)
    runs: list[Compared] = []

    def add(run: Run, case: str) -> None:
        results = run.judged(rows, 0, features, metrics, progress)
        runs.append(Compared(case, run.config["data"]["name"], run.config["seed"], run, results))

    def begin(words: str) -> None:
        with bar("comparing", progress) as show:
            show.say(f"{len(runs) + 1} of {total}: {words}")

    for job in jobs:
        if isinstance(job, Run):
            add(job, _label(job))
        elif not isinstance(job, Case):
            begin(str(job))
            run = load(job)
            add(run, _label(run))
        else:
            for dataset in sets:
                for seed in seeds:
                    begin(f"{job} on {dataset.name}, seed {seed}")
                    slug = re.sub(r"[^\w.=,-]+", "-", f"{dataset.name}-{job}-{seed}")
                    options = {**arguments, **job.arguments, "seed": seed, "out": folder / slug}
                    try:
                        run = train(job.recipe, dataset, progress=progress, **options)
                    except InterruptedRunError as error:
                        words = f"stopped in {folder / slug}; the same comparison again goes on there"
                        raise InterruptedRunError(words) from error
                    add(run, str(job))
    folder.mkdir(parents=True, exist_ok=True)
    found = Comparison(folder, runs)
    found.save()
    return found


ALIKE: Mapping[str, Callable[[Compared], Any]] = {
    "features": lambda one: one.results["features"],
    "rows": lambda one: one.results["rows"],
    "range": lambda one: one.results["range"],
}
"""What must be the same for all runs of a table."""


def table(runs: Sequence[Compared]) -> Table:
    """Means and 95 % intervals over seeds of runs on one data set, and training rows in the place of samples.

    In bold on the page: the best mean of a column, and every mean that is no further from it than the root
    of the sum of both intervals' squares.

    Raises:
        ConfigError: If the runs were not judged alike, or one of them is there twice.
    """
    for what, read in ALIKE.items():
        if len({str(read(one)) for one in runs}) > 1:
            raise ConfigError(f"the runs cannot stand in one table: they differ in {what}")
    if len({(one.case, one.seed) for one in runs}) < len(runs):
        raise ConfigError("the runs cannot stand in one table: a recipe is there twice with one seed")
    cases = list(dict.fromkeys(one.case for one in runs))
    columns = [figure for figure in TABLE if any(figure.of(one.results) for one in runs)]
    means: dict[tuple[str, str], tuple[float, float]] = {}
    for case in cases:
        for figure in columns:
            values = [found[0] for one in runs if one.case == case and (found := figure.of(one.results))]
            if values:
                means[case, figure.name] = mean_interval(values)
    seeds = {case: sum(one.case == case for one in runs) for case in cases}
    rows = [
        (Cell(case), Cell(str(seeds[case])), *(_cell(means, case, figure, cases) for figure in columns))
        for case in cases
    ]
    results = runs[0].results
    few = results.get("floor", results)["rows"]
    named = "training rows" if few == results["rows"] else f"only {few} training rows"
    rows.append(
        (Cell(named), Cell(""), *(_reference(figure, "training lines", results) for figure in columns))
    )
    copied = [_reference(figure, "copying", results) for figure in columns]
    last = "the last row: training rows in the place of samples"
    if any(cell.text for cell in copied):
        rows.append((Cell("copying"), Cell(""), *copied))
        last = "the last rows: training rows in the place of samples, and copies in that of moved lines"
    interval = "± is a 95 % interval over seeds (Student's t)" if max(seeds.values()) > 1 else "one seed"
    note = f"{extractor(runs[0].results)}; {interval}; {last}."
    return Table(("recipe", "seeds", *(figure.name for figure in columns)), tuple(rows), note)


def _cell(
    means: Mapping[tuple[str, str], tuple[float, float]], case: str, figure: MetricSpec, cases: Sequence[str]
) -> Cell:
    if (case, figure.name) not in means:
        return Cell("")
    value, half = means[case, figure.name]
    others = [means[other, figure.name] for other in cases if (other, figure.name) in means]
    best, best_half = min(others, key=lambda other: figure.worse(other[0]))
    gap = figure.worse(value) - figure.worse(best)
    near = gap <= math.hypot(half, best_half) if math.isfinite(half + best_half) else gap == 0
    return Cell(written(value, half), figure.better != 0 and len(others) > 1 and near)


def _reference(figure: MetricSpec, word: str, results: Mapping[str, Any]) -> Cell:
    """What training rows in the place of samples, or whatever the word says, score by a figure."""
    at_best = dict(zip(SAMPLES, FLOOR, strict=True))
    found = at_best[figure].of(results) if figure in at_best and word != "copying" else None
    value = figure.next_to(word, results) if found is None else found[0]
    return Cell("" if value is None else f"{value:.3g}")


def _is_run(one: str | os.PathLike[str] | Run) -> bool:
    return isinstance(one, (Run, os.PathLike)) or (Path(one) / "config.json").exists()


def _label(run: Run) -> str:
    """A run by its recipe, what differs from its defaults, and how long it was trained."""
    return f"{Case(run.config['recipe'], run.config['arguments'])}, {run.step} steps"


def _sheet(one: Compared) -> Any:
    rows = one.run.sample(64)
    caption = f"{one.case}: samples, seed {one.seed}"
    if one.run.drawable:
        return image_plate(caption, picture(rows, 8))
    if one.run.vocabulary:
        return line_plate(caption, one.run.lines(rows[:LINES]))
    given = one.run.data.test.subsample(1000, Noise(0, "album")).x
    made = one.run.sample(len(given))
    return plot_plate(
        caption, lambda axes: show_vectors(axes, "", [("held-out data", given), ("samples", made)])
    )


def _data_sheet(run: Run) -> Any:
    given = run.data.test.subsample(1000, Noise(0, "album")).x
    if run.drawable:
        return image_plate("held-out data", picture(given[:64], 8))
    if run.vocabulary:
        return line_plate("held-out data", run.lines(given[:LINES]))
    return plot_plate("held-out data", lambda axes: show_vectors(axes, "", [("held-out data", given)]))


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(text.lower(), text)


__all__ = ["Case", "Cell", "Compared", "Comparison", "Table", "compare", "table"]
