"""Comparisons: recipes on the same data, with the same budget and evaluation, and intervals over seeds."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from pushforward.data import open_dataset
from pushforward.data.dataset import Dataset
from pushforward.errors import ConfigError, InterruptedRunError, check_int
from pushforward.evaluation import check_metrics
from pushforward.evaluation.table import columns
from pushforward.features.open import open_features
from pushforward.files import check_place, make_folder, write_atomic, writing
from pushforward.interrupts import resumable, stop_on_signals
from pushforward.report.display import fragment, never_fails
from pushforward.report.page import render
from pushforward.report.panels import Panel, curves_panel
from pushforward.report.progress import bar
from pushforward.rng import Noise
from pushforward.runs.api import load, train
from pushforward.runs.cases import Case
from pushforward.runs.directory import RunDirectory, absolute
from pushforward.runs.other_data import READING
from pushforward.runs.plots import SHOWN
from pushforward.runs.run import Run
from pushforward.runs.tables import ComparedRun, Table, table
from pushforward.wording import option_name, plural


class RunComparison:
    """The result of :func:`compare`: evaluated runs side by side.

    Attributes:
        path: The folder of ``comparison.json``, ``comparison.md`` and ``report.html``.
        runs: The compared runs, in order.
    """

    def __init__(self, path: Path, runs: Sequence[ComparedRun]) -> None:
        self.path = path
        self.runs = tuple(runs)

    def __repr__(self) -> str:
        tables = "".join(f"\n{name}\n{table!r}" for name, table in self.tables.items())
        return f"RunComparison({str(self.path)!r}: {self._count}){tables}"

    @never_fails
    def _repr_html_(self) -> str:
        tables = [{"title": name, "table": table} for name, table in self.tables.items()]
        return fragment(f"comparison of {self._count}", str(self.path / "report.html"), tables=tables)

    @property
    def _count(self) -> str:
        return f"{len(self.runs)} {plural(len(self.runs), 'run')}"

    @property
    def tables(self) -> dict[str, Table]:
        """A table for every data set, by its name."""
        return {name: table(runs) for name, runs in self.groups.items()}

    @property
    def groups(self) -> dict[str, list[ComparedRun]]:
        """The runs on every data set, by its name; data sets with the same name get their sha256 in it."""
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
        """Writes ``comparison.json``, ``comparison.md`` and ``report.html``."""
        about = [
            {
                "case": one.case,
                "data": one.data,
                "seed": one.seed,
                "run": str(one.run.path),
                "results": one.results,
            }
            for one in self.runs
        ]
        write_atomic(self.path / "comparison.json", json.dumps(about, indent=1) + "\n")
        parts = [f"## {name}\n\n{found.markdown()}\n\n{found.note}\n" for name, found in self.tables.items()]
        write_atomic(self.path / "comparison.md", "\n".join(parts))
        write_atomic(self.path / "report.html", self._page())

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
                    "samples": [_data_panel(first[0].run), *(_samples_panel(one) for one in first)],
                    "curves": [curves_panel(one.case, one.run.history) for one in first],
                }
            )
        shown = {name for found in self.tables.values() for name in found.head}
        steps = sorted({one.run.step for one in self.runs})
        budget = f"{steps[0]} {plural(steps[0], 'step')} each"
        if len(steps) > 1:
            budget = f"{steps[0]} to {steps[-1]} steps"
        return render(
            "comparison.html",
            title="Comparison of " + ", ".join(dict.fromkeys(one.case for one in self.runs)),
            description=f"{self._count}, {budget}. In bold: the best mean of each column, and means "
            "that do not differ from it significantly.",
            groups=groups,
            words=[(metric.name, metric.explanation) for metric in columns() if metric.name in shown],
            runs=[
                {
                    "path": one.run.path.name,
                    "step": one.run.step,
                    "description": one.run.config["description"],
                }
                for one in self.runs
            ],
        )


@stop_on_signals()
@resumable(lambda: "in a comparison; the same comparison goes on")
def compare(
    what: str | os.PathLike[str] | Run | Sequence[str | os.PathLike[str] | Run],
    data: Any = None,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    out: str | os.PathLike[str] = "runs/comparison",
    n_samples: int = 10_000,
    features: Any = "auto",
    metrics: Sequence[str] | None = None,
    progress: bool = True,
    **arguments: Any,
) -> RunComparison:
    """Trains every recipe on every data set with every seed, and evaluates all runs alike.

    Finished runs are not trained again: the same call continues a comparison that was stopped, and a call
    with one more recipe trains only that one.

    Arguments:
        what: Names of recipes, with options of their own as in ``"wae-mmd:weight=auto,latent_dim=16"``; or
            runs and folders of runs, which are evaluated as they are.
        data: The data, as in :func:`pushforward.train`; a list is several data sets. Runs need them only
            if they were trained on data in memory.
        seeds: One run is trained with each. Use at least three for a meaningful interval.
        out: The folder of the comparison and of the runs that it trains.
        n_samples: Number of held-out rows, at most, and of samples in every evaluation.
        features: The features in which samples are compared with data, as in
            :meth:`pushforward.Run.evaluate`; the same for all runs.
        metrics: Names of groups of metrics.
        progress: Whether to show progress on standard error.
        arguments: Other arguments of :func:`pushforward.train`, the same for all runs: above all ``preset``
            and the budget, ``steps``, ``epochs`` or ``minutes``.

    Raises:
        ConfigError: If there is nothing to compare, or a recipe is given without data.

    Example:
        >>> import tempfile
        >>> found = compare(["wae-mmd", "ae"], "digits", seeds=[0], steps=10, out=tempfile.mkdtemp(),
        ...                 features="pca", progress=False)
        >>> [row[0].text for row in found.tables["digits"].rows]
        ['wae-mmd', 'ae', 'train reference']
    """
    folder = absolute(out)
    check_place(folder, folder=True)
    what = [what] if isinstance(what, (str, os.PathLike, Run)) else what
    check_metrics(metrics or ())
    jobs = _jobs(what, data)
    seeds = _checked_seeds(seeds)
    opened = {name: value for name, value in arguments.items() if name in READING}
    with bar("reading", progress) as show:
        sources = data if isinstance(data, list) else [] if data is None else [data]
        sets = [open_dataset(source, **opened, progress=show) for source in sources]
        for name in ("test", "group"):  # the data sets have their splits
            arguments.pop(name, None)
        for dataset in sets:  # an error of the features is raised before anything is trained
            open_features(features, dataset, show)
    planned: list[tuple[str, Callable[[], Run], str | None]] = []
    for job in jobs:
        if isinstance(job, Run):
            planned.append((str(job.path), partial(_same, job), None))
        elif isinstance(job, Path):
            planned.append((str(job), partial(_loaded, job, sets), None))
        else:
            for dataset in sets:
                for seed in seeds:
                    words = f"{job} on {dataset.name}, seed {seed}"
                    options = {"progress": progress, **arguments, **job.arguments, "seed": seed}
                    planned.append((words, partial(_train, job, dataset, folder, options), str(job)))
    runs: list[ComparedRun] = []
    for number, (words, obtain, case) in enumerate(planned, start=1):
        with bar("comparing", progress) as show:
            show.say(f"{number} of {len(planned)}: {words}")
        run = obtain()
        results = run.evaluate_once(n_samples, 0, features, metrics, progress)
        name, seed = run.config["data"]["name"], run.config["seed"]
        runs.append(ComparedRun(case or _label(run), name, seed, run, results))
    with writing(folder):
        make_folder(folder)
    found = RunComparison(folder, runs)
    found.save()
    return found


def _jobs(what: Sequence[str | os.PathLike[str] | Run], data: Any) -> list[Run | Path | Case]:
    """What is compared: runs, folders of runs, and recipes to train.

    Raises:
        ConfigError: If there is nothing to compare, an unknown recipe or option, or a recipe without data.
    """
    if not what:
        raise ConfigError("compare needs at least one recipe or folder of a run")
    jobs: list[Run | Path | Case] = []
    for one in what:
        if isinstance(one, Run):
            jobs.append(one)
        elif isinstance(one, os.PathLike) or (Path(one) / "config.json").exists():
            jobs.append(Path(one))
        else:
            jobs.append(Case.parse(one))
    cases = [job for job in jobs if isinstance(job, Case)]
    for case in cases:
        case.check()
    if cases and data is None:
        raise ConfigError(
            f"{str(cases[0])!r} is not the folder of a run; to train the recipe, give {option_name('data')}"
        )
    return jobs


def _checked_seeds(seeds: Sequence[int]) -> list[int]:
    if not seeds:
        raise ConfigError(f"{option_name('seeds')} must have at least one seed")
    checked = [check_int("seed", seed, least=0) for seed in seeds]
    if len({*checked}) < len(checked):
        raise ConfigError(
            f"{option_name('seeds')} must differ from each other, got {', '.join(map(str, checked))}"
        )
    return checked


def _same(run: Run) -> Run:
    return run


def _loaded(path: Path, sets: Sequence[Dataset]) -> Run:
    """The run of a folder, with its data if they are among those that were given."""
    sha256 = RunDirectory(path).config()["data"]["sha256"]
    return load(path, next((dataset for dataset in sets if dataset.fingerprint == sha256), None))


def _train(case: Case, dataset: Dataset, folder: Path, options: Mapping[str, Any]) -> Run:
    """A trained run of a case, in a folder of its own within the folder of the comparison."""
    slug = re.sub(r"[^\w.=,-]+", "-", f"{dataset.name}-{case}-{options['seed']}")
    try:
        return train(case.recipe, dataset, out=folder / slug, **options)
    except InterruptedRunError as error:
        words = f"stopped in {folder / slug}; run the same comparison again to continue"
        raise InterruptedRunError(words) from error


def _label(run: Run) -> str:
    """A run by its recipe, what differs from its defaults, and how long it was trained."""
    return f"{Case(run.config['recipe'], run.config['arguments'])}, {run.step} {plural(run.step, 'step')}"


def _samples_panel(one: ComparedRun) -> Panel:
    renderer = one.run.renderer
    held_out = _held_out(one.run)
    samples = one.run.scaled(one.run.sample(renderer.count(64, len(held_out))))
    caption = f"{one.case}: samples, seed {one.seed}"
    return renderer.tile(caption, [("held-out data", held_out), ("samples", samples)])


def _data_panel(run: Run) -> Panel:
    return run.renderer.tile("held-out data", [("held-out data", _held_out(run))])


def _held_out(run: Run) -> Tensor:
    return run.data.test.subsample(SHOWN, Noise(0, "album")).x


__all__ = ["RunComparison", "compare"]
