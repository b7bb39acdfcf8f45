"""What there is to see of a run, each as a figure of matplotlib."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pushforward.data.split import Batch
from pushforward.errors import ConfigError, OutputError, check_int
from pushforward.metrics.latent_fit import least_gaussian_plane
from pushforward.report.axes import show_codes, show_curves
from pushforward.report.plot_data import PlotData
from pushforward.report.renderers import Renderer, renderer_for
from pushforward.rng import Noise
from pushforward.runs.evaluating import Evaluating
from pushforward.runs.latent_explorer import LatentExplorer
from pushforward.runs.latent_samplers import PRIOR
from pushforward.runs.trained_model import computes
from pushforward.wording import option_name

if TYPE_CHECKING:
    from pushforward.report.figures import NotebookFigure

SHOWN = 1000  # held-out rows that plots show, at most


class Plotting(Evaluating, LatentExplorer):
    """A trained model that is shown in figures."""

    @cached_property
    def renderer(self) -> Renderer:
        """How rows of this run are shown and written."""
        return renderer_for(self.modality, self.codec)

    @property
    def plots(self) -> RunPlots:
        """The figures of the run, such as ``run.plots.samples(16)``: see :class:`RunPlots`."""
        return RunPlots(self)

    @computes
    def plot_data(self, traversals: bool = True) -> PlotData:
        """What reports show: samples, interpolations and, of models with an encoder, reconstructions.

        Arguments:
            traversals: Whether traversals are wanted too; to choose their dimensions takes longest.
        """
        x, y = self._held_out_shown()
        named = f"{self.config['recipe']} on {self.config['data']['name']}"
        grids = self.renderer.shows_grids
        traversed = traversals and grids
        plots = PlotData(
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
                traversals=self._scaled_traversals(ends[:1], label) if traversed else None,
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
            traversals=self._scaled_traversals(means[:1], None if y is None else y[:1])
            if traversed
            else None,
            codes=codes,
            prior=prior,
            plane=least_gaussian_plane(codes, prior, noise)[0],
        )

    def _held_out_shown(self) -> Batch:
        """The held-out rows that plots show, in random order: those of a file may be sorted."""
        return self.data.test.batch(Noise(0, "album").permutation(len(self.data.test))[:SHOWN])

    def _row_names(self) -> tuple[str, ...]:
        """The names of the classes that samples are drawn of; clusters have none."""
        names = self.spec.classes
        return names if self.model.classes_are_labels and len(names) == self.model.classes else ()

    def _scaled_traversals(self, start: Tensor, y: Tensor | None) -> tuple[Tensor, list[int]]:
        rows, dimensions = self._traversals(start, 12, 10, y)
        return self.scaled(rows), dimensions

    def _history_if_there(self) -> list[dict[str, Any]]:
        """The logged lines of training; none, with a warning, if the folder is gone."""
        try:
            return self.history
        except OutputError as error:
            warnings.warn(f"{error}; nothing is said about the course of training", stacklevel=4)
            return []


class RunPlots:
    """The figures of a run, each a figure of matplotlib that a notebook shows and ``savefig`` writes.

    They are drawn without pyplot, so that nothing has to be closed. What the model or the data cannot give
    is an error that says why.

    Arguments:
        run: The run.

    Example:
        >>> import pushforward as pf, tempfile
        >>> run = pf.train("wae-mmd", "digits", steps=2, out=tempfile.mkdtemp(), progress=False)
        >>> figure = run.plots.samples(16)
        >>> figure.savefig(run.path / "samples-16.png")
        >>> run.plots.reconstructions(2000)
        Traceback (most recent call last):
            ...
        pushforward.errors.ConfigError: n must be at most 359, the number of held-out rows shown, got 2000
    """

    def __init__(self, run: Plotting) -> None:
        self.run = run

    def samples(
        self, n: int | None = None, seed: int = 0, label: int | str | None = None, sampler: str = PRIOR
    ) -> NotebookFigure:
        """n samples; by default 96 images, 22 lines of text, or as many points as held-out rows.

        Arguments:
            n: Number of samples.
            seed: Seed of the draws.
            label: The class of all samples, see :meth:`Run.sample`.
            sampler: Distribution of the codes.
        """
        data, renderer = self.run.plot_data(), self.run.renderer
        n = len(data.held_out) if n is None and renderer.samples_over_data else n or renderer.n_samples
        rows = self.run.scaled(self.run.sample_tensor(n, seed, label, sampler))
        figure = self._figure(rows)
        renderer.draw_samples(figure, replace(data, samples=rows), n)
        return figure

    def by_class(self) -> NotebookFigure:
        """Samples of every class, one class in each row.

        Raises:
            ConfigError: If the model has no classes, or the data are no images.
        """
        if not self.run.model.classes:
            raise ConfigError(f"{self.run.config['recipe']} has no classes to sample from")
        data = self.run.plot_data()
        rows = data.samples if data.by_class is None else data.by_class.flatten(0, 1)
        figure = self._figure(rows, 10)
        self.run.renderer.draw_classes(figure, data)
        return figure

    def reconstructions(self, n: int | None = None) -> NotebookFigure:
        """The first n held-out rows (of a fixed order at random) with their reconstructions.

        Raises:
            ConfigError: If the model has no encoder, or there are fewer rows.
        """
        self.run.need_encoder()
        data, renderer = self.run.plot_data(), self.run.renderer
        most = len(data.held_out)
        n = min(renderer.n_pairs, most) if n is None else check_int("n", n, least=1)
        if n > most:
            raise ConfigError(
                f"{option_name('n')} must be at most {most}, the number of held-out rows shown, got {n}"
            )
        pairs = data.pairs(n)
        assert pairs is not None
        figure = self._figure(pairs, renderer.pair_columns if self.run.modality == "table" else 0)
        renderer.draw_reconstructions(figure, data, n)
        return figure

    def interpolations(self) -> NotebookFigure:
        """Decoded paths between codes of held-out rows; without an encoder, between draws of the prior."""
        data = self.run.plot_data()
        assert data.interpolations is not None
        paths = data.interpolations
        shown = paths.flatten(0, 1) if self.run.renderer.shows_grids else paths[:2].flatten(0, 1)
        figure = self._figure(shown, paths.shape[1])
        self.run.renderer.draw_interpolations(figure.subplots(), paths, data)
        return figure

    def traversals(self) -> NotebookFigure:
        """Decoded traversals of single latent dimensions, those first that change images the most.

        Raises:
            ConfigError: If the data are no images.
        """
        data = self.run.plot_data()
        rows, columns = (
            (data.samples, 0)
            if data.traversals is None
            else (data.traversals[0].flatten(0, 1), data.traversals[0].shape[1])
        )
        figure = self._figure(rows, columns)
        self.run.renderer.draw_traversals(figure, data)
        return figure

    def codes(self) -> NotebookFigure:
        """Codes of held-out rows, coloured by label, over draws of the prior.

        In more than two dimensions they are shown twice: in the principal directions of the prior, and in the
        plane where their mean and covariance differ most from the prior's.

        Raises:
            ConfigError: If the model has no encoder.
        """
        self.run.need_encoder()
        data = self.run.plot_data()
        assert data.codes is not None
        planes = [None] if data.plane is None or data.codes.shape[1] <= 2 else [None, data.plane]
        figure = _new_figure(5.5 * len(planes), 4.6)
        for axes, plane in zip(figure.subplots(1, len(planes), squeeze=False)[0], planes, strict=True):
            show_codes(axes, data.codes, data.labels, data.prior, plane, data.class_names)
        return figure

    def history(self) -> NotebookFigure:
        """The terms of the loss over the steps of training.

        Raises:
            OutputError: If the run's folder is gone.
        """
        figure = _new_figure(8, 3.6)
        show_curves(figure.subplots(), self.run.history)
        return figure

    def _figure(self, rows: Tensor, columns: int = 0) -> NotebookFigure:
        return _new_figure(*self.run.renderer.figure_size(rows, columns))


def _new_figure(width: float, height: float) -> NotebookFigure:
    from pushforward.report.figures import new_figure  # which imports matplotlib

    return new_figure(width, height)


__all__ = ["SHOWN", "Plotting", "RunPlots"]
