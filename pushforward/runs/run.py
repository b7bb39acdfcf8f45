"""A run: a trained model in its folder, and everything that can be asked of it."""

from __future__ import annotations

import math
import tempfile
import warnings
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from pushforward.errors import OutputError
from pushforward.evaluation import diagnose
from pushforward.evaluation.diagnosis import Diagnosis, rows_to_look_at
from pushforward.evaluation.findings import Findings
from pushforward.features.base import Progress
from pushforward.files import write_atomic
from pushforward.metrics.latent_fit import least_gaussian_plane
from pushforward.recipes import RECIPES
from pushforward.report.display import PicturePath, fragment, never_fails, picture_of
from pushforward.report.overview import overview
from pushforward.report.page import run_page
from pushforward.report.plots import RunPlots
from pushforward.report.progress import bar
from pushforward.report.renderers import Renderer, renderer_for
from pushforward.rng import Noise
from pushforward.runs.directory import OVERVIEW
from pushforward.runs.evaluating import Evaluating
from pushforward.runs.latent_explorer import LatentExplorer
from pushforward.runs.text_run import TextRun
from pushforward.runs.trained_model import computes
from pushforward.training.loop import BatchSampler
from pushforward.utils import eval_mode

SHOWN = 1000  # held-out rows that plots show, at most


class Run(Evaluating, LatentExplorer, TextRun):
    """A trained (or partly trained) model and its folder.

    It encodes and decodes (:class:`~pushforward.runs.trained_model.TrainedModel`), samples
    (:class:`~pushforward.runs.sampling.Sampling`), explores its latent space
    (:class:`~pushforward.runs.latent_explorer.LatentExplorer`), reads and writes lines of text
    (:class:`~pushforward.runs.text_run.TextRun`), is evaluated
    (:class:`~pushforward.runs.evaluating.Evaluating`), and reported on, here.

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

    # ------------------------------------------------------------------------------- the doctor

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
        settings, train = self.config["resolved"], self.data.train
        context = self.evaluation_context(rows, seed, features, progress)
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
