"""A run: a trained model in its folder, and everything that can be asked of it."""

from __future__ import annotations

import math
import tempfile
import warnings
from pathlib import Path
from typing import Any

from pushforward.distributed import is_first
from pushforward.errors import OutputError
from pushforward.evaluation import diagnose
from pushforward.evaluation.diagnosis import Diagnosis, rows_to_look_at
from pushforward.evaluation.findings import Findings
from pushforward.features.base import Progress
from pushforward.files import write_atomic
from pushforward.parts import once, shared_out
from pushforward.recipes import RECIPES
from pushforward.report.display import PicturePath, fragment, never_fails, picture_of
from pushforward.report.overview import overview
from pushforward.report.page import run_page
from pushforward.report.progress import bar
from pushforward.runs.animation import Animated
from pushforward.runs.directory import OVERVIEW
from pushforward.runs.sharded_run import ShardedRun
from pushforward.runs.text_run import TextRun
from pushforward.runs.trained_model import computes
from pushforward.training.batches import batches_per_epoch
from pushforward.utils import eval_mode


class Run(Animated, ShardedRun, TextRun):
    """A trained (or partly trained) model and its folder.

    It encodes and decodes (:class:`~pushforward.runs.trained_model.TrainedModel`), samples
    (:class:`~pushforward.runs.sampling.Sampling`, and into folders of shards:
    :class:`~pushforward.runs.sharded_run.ShardedRun`), explores its latent space
    (:class:`~pushforward.runs.latent_explorer.LatentExplorer`), reads and writes lines of text
    (:class:`~pushforward.runs.text_run.TextRun`), is evaluated
    (:class:`~pushforward.runs.evaluating.Evaluating`), shown in figures
    (:class:`~pushforward.runs.plots.Plotting`) and in motion
    (:class:`~pushforward.runs.animation.Animated`), and reported on, here.

    Attributes:
        path: The folder.
        config: The configuration, as written in ``config.json``.
        model: The model, in evaluation mode.
        step: Number of training steps taken.
        codec: The vocabulary of runs on text; else None.
    """

    # ------------------------------------------------------------------------------- the doctor

    @computes
    @shared_out()
    def doctor(self, seed: int = 0, features: Any = "quick", progress: bool = False) -> Findings:
        """How good the run is, and what explains bad samples (:func:`pushforward.evaluation.diagnose`).

        Several processes share the work out, as that of :meth:`evaluate`.

        Arguments:
            seed: Seed of the choice of rows, and of samples and codes.
            features: The features in which samples are compared with data, see :meth:`evaluate`; grades and
                findings were tried with "quick": the words of text, elsewhere the first 8 principal
                directions.
            progress: Whether to show progress on standard error.

        Returns:
            The findings, causes first, as a list with the grades; ``print`` shows them as a summary.
        """
        named = features if isinstance(features, str) else type(features).__name__
        self.check_agreed("an evaluation", {"step": self.step, "seed": seed, "features": named})
        with bar("examining", progress and is_first()) as show, eval_mode(self.model):
            return diagnose(self.diagnosis(seed, features, show))

    def diagnosis(
        self, seed: int = 0, features: Any = "quick", progress: Progress | None = None
    ) -> Diagnosis:
        """The measurements that findings and grades are read from."""
        rows = rows_to_look_at(math.prod(self.shape))
        settings, train = self.config["resolved"], self.data.train
        context = self.evaluation_context(rows, seed, features, progress)
        updates = max(player.updates for player in self.model.players())
        per_epoch = batches_per_epoch(len(train), settings["batch_size"]) / updates
        recipe, weight = RECIPES.get(self.config["recipe"]), math.inf
        changed: dict[str, Any] = {}
        if recipe is not None and self.config["preset"] is not None:
            usual = recipe.settings(**recipe.presets[self.config["preset"]](self.spec))
            weight = getattr(usual, "weight", math.inf)
            own = {name: getattr(usual, name, None) for name in ("lr", "critic_lr", "n_critic")}
            changed = {name: value for name, value in own.items() if settings.get(name) not in (None, value)}
        return Diagnosis(
            context,
            once(self._history_if_there),
            self.step,
            settings["batch_size"],
            math.ceil(settings["epochs"] * per_epoch),
            weight if isinstance(weight, (int, float)) else math.inf,
            {"gmm": lambda: self.sampler("gmm")} if self.model.has_encoder else {},
            changed,
        )

    # ------------------------------------------------------------------------------- reports

    @computes
    @shared_out()
    def report(self, features: Any = "auto", progress: bool = False) -> Path:
        """Writes ``report.html``, one self-contained page of the whole run; returns its path.

        If it cannot be written to the run's folder, it is written to one for temporary files, with a warning.
        Several processes share out the evaluation, as that of :meth:`evaluate`, and the first writes.
        """
        progress = progress and is_first()
        results = self.evaluate_once(features=features, progress=progress)
        findings = self.doctor(progress=progress)

        def write() -> str:
            page = run_page(self.plot_data(), self.renderer, results, findings, self.config)
            place = self.path / "report.html"
            try:
                write_atomic(place, page)
            except OutputError as error:
                place = Path(tempfile.mkdtemp(prefix="pushforward-")) / place.name
                write_atomic(place, page)
                warnings.warn(f"{error}; the report is {place}", stacklevel=2)
            return str(place)

        return Path(once(write))

    @computes
    def overview(self, findings: Findings | bool = True) -> PicturePath:
        """Writes ``overview.png``, one picture of the whole run; returns its path, shown as the picture.

        Arguments:
            findings: What :meth:`doctor` returned, whose grades the title tells; True asks it, False leaves
                the grades out.
        """
        shown = (self.doctor() if findings else None) if isinstance(findings, bool) else findings
        plots = self.plot_data(traversals=False)
        return PicturePath(overview(self.path / OVERVIEW, plots, self.renderer, shown))

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


__all__ = ["Run"]
