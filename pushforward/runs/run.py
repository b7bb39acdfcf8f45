"""A run: a trained model in its folder, and everything that can be asked of it."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from pushforward.distributions import Prior
from pushforward.errors import OutputError
from pushforward.evaluation import default_metrics, diagnose, evaluate
from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.diagnosis import Diagnosis, rows_to_look_at
from pushforward.evaluation.findings import Findings
from pushforward.features.base import Progress
from pushforward.features.open import open_features
from pushforward.files import write_atomic
from pushforward.metrics.latent_fit import least_gaussian_plane
from pushforward.recipes import RECIPES
from pushforward.report.display import PicturePath, Results, fragment, never_fails, picture_of
from pushforward.report.overview import overview
from pushforward.report.page import run_page
from pushforward.report.plots import RunPlots
from pushforward.report.progress import bar, longest
from pushforward.report.renderers import Renderer, renderer_for
from pushforward.rng import Noise
from pushforward.runs.directory import OVERVIEW
from pushforward.runs.latent_explorer import LatentExplorer
from pushforward.runs.latent_samplers import PRIOR, SAMPLERS
from pushforward.runs.results import evaluation_key, holds, read_results, results_name, write_results
from pushforward.runs.sampling import Sampling
from pushforward.runs.text_run import TextRun
from pushforward.runs.trained_model import computes
from pushforward.training.loop import BatchSampler
from pushforward.utils import eval_mode

LONG = 10.0  # seconds of an evaluation, from which on it is said what took them
SHOWN = 1000  # held-out rows that plots show, at most


class Run(Sampling, LatentExplorer, TextRun):
    """A trained (or partly trained) model and its folder.

    It encodes and decodes (:class:`~pushforward.runs.trained_model.TrainedModel`), samples
    (:class:`~pushforward.runs.sampling.Sampling`), explores its latent space
    (:class:`~pushforward.runs.latent_explorer.LatentExplorer`), reads and writes lines of text
    (:class:`~pushforward.runs.text_run.TextRun`), and is evaluated and reported on, here.

    Attributes:
        path: The folder.
        config: The configuration, as written in ``config.json``.
        model: The model, in evaluation mode.
        step: Number of training steps taken.
        codec: The vocabulary of runs on text; else None.
    """

    @cached_property
    def renderer(self) -> Renderer:
        """How rows of this run are shown and written."""
        return renderer_for(self.modality, self.codec)

    # ------------------------------------------------------------------------------- evaluation

    @computes
    def evaluate(
        self,
        n_samples: int = 10_000,
        seed: int = 0,
        features: Any = "auto",
        metrics: Sequence[str] | None = None,
        progress: bool = False,
        sampler: str = PRIOR,
    ) -> Results:
        """Computes metrics on held-out rows, and writes them to ``evaluation.json``.

        With a sampler other than the prior the file is ``evaluation-<sampler>.json``.

        Arguments:
            n_samples: Number of held-out rows, at most, and of samples.
            seed: Seed of the choice of rows, and of samples and codes.
            features: The features in which samples are compared with data: "auto" (a classifier where the
                data have labels, else PCA), "pixels", "pca", "classifier", "inception", the folder of a
                classifier, a ``.safetensors`` file of Inception weights, or a module.
            metrics: Names of groups of metrics; by default all but "likelihood", "ais", "parzen" and
                "disentanglement", which take longer.
            progress: Whether to show progress on standard error.
            sampler: Distribution of the codes that samples are decoded from: see :meth:`sampler`. The codes
                of held-out rows are compared with the prior all the same.

        Returns:
            The results by group of metrics, as written to the file: a dict that is shown as a table.
        """
        prior = self.sampler(sampler, progress)
        with bar("evaluating", progress) as show, eval_mode(self.model):
            context = self.evaluation_context(n_samples, seed, features, show, prior)
            parts: dict[str, float] = {}
            results = evaluate(context, metrics, parts.__setitem__)
            if sum(parts.values()) > LONG:
                show.say(f"evaluated in {longest(parts)}")
        key = evaluation_key(self.step, seed, n_samples, features, sampler)
        return write_results(self.path, key, metrics or default_metrics(), results)

    def evaluate_once(
        self,
        n_samples: int = 10_000,
        seed: int = 0,
        features: Any = "auto",
        metrics: Sequence[str] | None = None,
        progress: bool = False,
    ) -> Results:
        """The last evaluation if it has these metrics at this step with these arguments; else a new one."""
        kept = read_results(self.path)
        names = metrics or default_metrics()
        if holds(kept, evaluation_key(self.step, seed, n_samples, features), names):
            current = open_features(features, self.data)  # the classifier of a name may have changed
            if current.sha256 == kept["features"]["sha256"]:
                return kept
        return self.evaluate(n_samples, seed, features, metrics, progress)

    def evaluation_context(
        self,
        n_samples: int = 10_000,
        seed: int = 0,
        features: Any = "auto",
        progress: Progress | None = None,
        prior: Prior | None = None,
    ) -> EvaluationContext:
        """The model and data as metrics see them."""
        sizes = (self.config["resolved"]["batch_size"], 1000)
        return EvaluationContext(self.model, self.data, features, n_samples, seed, sizes, progress, prior)

    @computes
    def doctor(self, seed: int = 0, features: Any = "quick", progress: bool = False) -> Findings:
        """How good the run is, and what explains bad samples (:func:`pushforward.evaluation.diagnose`).

        Arguments:
            seed: Seed of the choice of rows, and of samples and codes.
            features: The features in which samples are compared with data, see :meth:`evaluate`; grades and
                findings were tried with "quick": the words of text, elsewhere the first 8 principal
                directions.
            progress: Whether to show progress on standard error.

        Returns:
            The findings, causes first, as a list with the grades; ``print`` shows them as a summary.
        """
        with bar("examining", progress) as show, eval_mode(self.model):
            return diagnose(self.diagnosis(seed, features, show))

    def diagnosis(
        self, seed: int = 0, features: Any = "quick", progress: Progress | None = None
    ) -> Diagnosis:
        """The measurements that findings and grades are read from."""
        rows = rows_to_look_at(math.prod(self.shape))
        context = self.evaluation_context(rows, seed, features, progress)
        settings, train = self.config["resolved"], self.data.train
        updates = max(player.updates for player in self.model.players())
        per_epoch = BatchSampler(train, settings["batch_size"], Noise(0)).per_epoch / updates
        recipe, weight = RECIPES.get(self.config["recipe"]), math.inf
        changed: dict[str, Any] = {}
        if recipe is not None and self.config["preset"] is not None:
            usual = recipe.settings(**recipe.presets[self.config["preset"]](self.spec))
            weight = getattr(usual, "weight", math.inf)
            own = {name: getattr(usual, name, None) for name in ("lr", "critic_lr", "n_critic")}
            changed = {name: value for name, value in own.items() if settings.get(name) not in (None, value)}
        return Diagnosis(
            context,
            self._history_if_there(),
            self.step,
            settings["batch_size"],
            math.ceil(settings["epochs"] * per_epoch),
            weight if isinstance(weight, (int, float)) else math.inf,
            {"gmm": lambda: self.sampler("gmm")} if self.model.has_encoder else {},
            changed,
        )

    def _history_if_there(self) -> list[dict[str, Any]]:
        """The logged lines of training; none, with a warning, if the folder is gone."""
        try:
            return self.history
        except OutputError as error:
            warnings.warn(f"{error}; nothing is said about the course of training", stacklevel=4)
            return []

    @property
    def outdated(self) -> list[str]:
        """What the folder holds of an earlier step, such as an evaluation of before the run was extended."""
        steps = {results_name(name): read_results(self.path, name).get("step") for name in (PRIOR, *SAMPLERS)}
        return [
            f"{name} is of step {step}, the run is at step {self.step}"
            for name, step in steps.items()
            if step not in (None, self.step)
        ]

    # ------------------------------------------------------------------------------- reports

    @computes
    def report(self, features: Any = "auto", progress: bool = False) -> Path:
        """Writes ``report.html``, one self-contained page of the whole run; returns its path.

        If it cannot be written to the run's folder, it is written to one for temporary files, with a warning.
        """
        results = self.evaluate_once(features=features, progress=progress)
        findings = self.doctor(progress=progress)
        page = run_page(self.plots(), self.renderer, results, findings, self.config)
        place = self.path / "report.html"
        try:
            write_atomic(place, page)
        except OutputError as error:
            place = Path(tempfile.mkdtemp(prefix="pushforward-")) / place.name
            write_atomic(place, page)
            warnings.warn(f"{error}; the report is {place}", stacklevel=2)
        return place

    @computes
    def overview(self, findings: Findings | bool = True) -> PicturePath:
        """Writes ``overview.png``, one picture of the whole run; returns its path, shown as the picture.

        Arguments:
            findings: What :meth:`doctor` returned, whose grades the title tells; True asks it, False leaves
                the grades out.
        """
        shown = (self.doctor() if findings else None) if isinstance(findings, bool) else findings
        return PicturePath(overview(self.path / OVERVIEW, self.plots(), self.renderer, shown))

    @never_fails
    def _repr_html_(self) -> str:
        config, overview = self.config, self.path / OVERVIEW
        shown = picture_of(overview, "overview")
        if not shown:
            own = self.renderer.shows_own_values
            samples = self.sample_tensor(1000) if own else self.scaled(self.sample_tensor(16))
            shown = [self.renderer.example_panel(f"samples at step {self.step}", samples)]
        budget = "" if config["total_steps"] is None else f" of {config['total_steps']}"
        facts = [("folder", str(self.path)), ("step", f"{self.step}{budget}"), ("seed", str(config["seed"])),
                 ("data", f"{config['data']['name']} {self.shape}, {self.spec.range}")]  # fmt: skip
        title = f"{config['recipe']} on {config['data']['name']}"
        notes = [{"words": words} for words in self.outdated]
        return fragment(title, config["description"], facts=facts, panels=shown, notes=notes)

    @computes
    def plots(self) -> RunPlots:
        """What reports show: samples, interpolations and, of models with an encoder, reconstructions."""
        order = Noise(0, "album").permutation(len(self.data.test))[:SHOWN]
        x, y = self.data.test.batch(order)
        named = f"{self.config['recipe']} on {self.config['data']['name']}"
        grids = self.renderer.shows_grids
        plots = RunPlots(
            title=f"{named}: step {self.step}, {self.config['description']}",
            samples=self.scaled(self.sample_tensor(self.renderer.count(96, len(x)))),
            held_out=x,
            prior=self.model.prior(len(x)).rsample(Noise(0, "sheet")).detach().cpu(),
            history=self._history_if_there(),
            labels=y,
            by_class=self.scaled(self.by_class()) if self.model.classes and grids else None,
            class_names=self.spec.classes,
            row_names=self._row_names(),
        )
        half = min(6, len(x) // 2)
        labels = None if y is None or not self.model.n_conditions else y[:half]
        label = None if labels is None else labels[:1]
        if not self.model.has_encoder:
            ends = self.sample_codes(2 * half)
            return replace(
                plots,
                interpolations=self.scaled(self._paths(ends[:half], ends[half:], 10, None, labels)),
                traversals=self._scaled_traversals(ends[:1], label) if grids else None,
            )
        # Codes are drawn, as draws of the prior are; reconstructions are of the posteriors' means.
        noise = Noise(0, "sheet")
        drawn = self._map(lambda x, y: self.model.encode(x, noise, y), x, y)
        means = self._encode(x, y)
        codes, prior = self.view(drawn), self.view(plots.prior)
        return replace(
            plots,
            reconstructions=self.scaled(self._decode(means, y)),
            interpolations=self.scaled(self._paths(means[:half], means[half : 2 * half], 10, None, labels)),
            traversals=self._scaled_traversals(means[:1], None if y is None else y[:1]) if grids else None,
            codes=codes,
            prior=prior,
            plane=least_gaussian_plane(codes, prior, noise)[0],
        )

    def _row_names(self) -> tuple[str, ...]:
        """The names of the classes that samples are drawn of; clusters have none."""
        names = self.spec.classes
        return names if self.model.classes_are_labels and len(names) == self.model.classes else ()

    def _scaled_traversals(self, start: Tensor, y: Tensor | None) -> tuple[Tensor, list[int]]:
        rows, dimensions = self._traversals(start, 12, 10, y)
        return self.scaled(rows), dimensions


__all__ = ["Run"]
