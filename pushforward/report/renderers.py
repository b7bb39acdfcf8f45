"""How rows of data are shown and written: one renderer for each modality."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from pushforward.codec import Codec
from pushforward.data.pixels import MOST_PIXELS
from pushforward.errors import ConfigError
from pushforward.report.axes import NamedSamples, show_images, show_lines, show_vectors
from pushforward.report.frames import read_rows, scatter_frames
from pushforward.report.images import mosaic, picture, read_picture
from pushforward.report.panels import Panel, column_panel, image_panel, line_panel, plot_panel
from pushforward.report.plot_data import PlotData
from pushforward.report.rendering import HELD_OUT, RENDERERS, SAMPLES, Renderer
from pushforward.report.table_renderer import TableRenderer
from pushforward.text.vocabulary import Vocabulary
from pushforward.wording import option_name

if TYPE_CHECKING:
    from PIL.Image import Image

PREVIEW_NUMBERS = 10**6  # in a file of samples, at most: 4 MB


class ImageRenderer(Renderer):
    """Shows images (N, C, H, W) of 1 or 3 channels in grids."""

    modality = "image"
    rows_are = "images"
    suffix = ".png"
    shows_grids = True

    def check_count(self, n: int, rows: Tensor, option: str = "n") -> None:
        """Checks the size of a picture of n images: it can be read back only up to 64 megapixels."""
        pixels = n * mosaic(rows[:1]).size // 3
        if pixels > MOST_PIXELS:
            fewer = f"lower {option_name('n')}, or " if option == "n" else ""
            raise ConfigError(
                f"a picture of {n:,} images would have {pixels / 1e6:,.0f} megapixels, at most "
                f"{MOST_PIXELS // 10**6} are written; {fewer}write them to a file that ends in .npy"
            )

    def draw_samples(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws a grid of samples."""
        self._grid(figure, f"samples: {SAMPLES}", plots.samples[:n])

    def draw_held_out(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws a grid of held-out images."""
        self._grid(figure, HELD_OUT, plots.held_out[:n])

    def draw_reconstructions(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws a grid of held-out images, each beside its reconstruction."""
        pairs = plots.pairs(n)
        assert pairs is not None
        self._grid(figure, "held-out data, each beside its reconstruction", pairs)

    def draw_classes(self, figure: Any, plots: PlotData) -> None:
        """Draws a grid of samples with a class in each row."""
        assert plots.by_class is not None
        caption = "samples: one class in each row, one draw of the other code dimensions in each column"
        rows, columns = plots.by_class.flatten(0, 1), plots.by_class.shape[1]
        show_images(figure.subplots(), caption, rows, columns, plots.row_names)

    def draw_traversals(self, figure: Any, plots: PlotData) -> None:
        """Draws each traversal as a row of images, with the number of its dimension."""
        assert plots.traversals is not None
        images, dimensions = plots.traversals
        caption = "traversals of one latent dimension each"
        names = [f"z{number}" for number in dimensions]
        show_images(figure.subplots(), caption, images.flatten(0, 1), images.shape[1], names)

    def figure_size(self, rows: Tensor, columns: int = 0) -> tuple[float, float]:
        """As wide as a page, and as high as the grid needs."""
        height, width, _ = mosaic(rows, columns or columns_of(len(rows)), 1).shape
        return 8.0, 0.4 + 8.0 * height / width

    def _grid(self, figure: Any, caption: str, images: Tensor) -> None:
        show_images(figure.subplots(), caption, images, columns_of(len(images)))

    def draw_interpolations(self, axes: Any, interpolations: Tensor, plots: PlotData) -> None:
        """Draws each path as a row of images."""
        ends = "one draw of the prior" if plots.codes is None else "one held-out image"
        caption = f"from {ends} to another, through their codes"
        show_images(axes, caption, interpolations.flatten(0, 1), interpolations.shape[1])

    def preview_frames(
        self, files: Sequence[Path], scaled: Callable[[Tensor], Tensor], data: Tensor | None
    ) -> list[Image]:
        """The pictures that were written."""
        return [read_picture(file) for file in files]

    def path_frames(self, rows: Sequence[Tensor], data: Tensor | None) -> list[Image]:
        """The images side by side."""
        return [picture(images, len(images)) for images in rows]

    def sample_panels(self, plots: PlotData) -> list[Panel]:
        """A grid of samples, and a grid of samples by class."""
        panels = [image_panel(f"{SAMPLES}, the first ones drawn", picture(plots.samples[:96], 12))]
        if plots.by_class is not None:
            grid = picture(plots.by_class.flatten(0, 1), plots.by_class.shape[1])
            panels.append(image_panel(plots.rows_of_classes, grid))
        return panels

    def code_panels(self, reconstructions: Tensor, interpolations: Tensor, plots: PlotData) -> list[Panel]:
        """Grids of reconstructions, interpolations and latent traversals."""
        pairs = plots.pairs(48)
        assert pairs is not None
        steps = interpolations.shape[1]
        paths = interpolations.flatten(0, 1)[: 8 * steps]
        panels = [
            image_panel("held-out data, each beside its reconstruction", picture(pairs, 12)),
            image_panel("from one held-out image to another", picture(paths, steps)),
        ]
        if plots.traversals is not None:
            images, dimensions = plots.traversals
            numbers = ", ".join(map(str, dimensions))
            caption = f"traversals of one latent dimension each: dimensions {numbers}"
            panels.append(image_panel(caption, picture(images.flatten(0, 1), images.shape[1])))
        return panels

    def tile(self, caption: str, samples: NamedSamples) -> Panel:
        """A grid of the first 64 images."""
        return image_panel(caption, picture(samples[-1][1][:64], 8))

    def example_panel(self, caption: str, rows: Tensor) -> Panel:
        """A strip of the first 16 images, or fewer if they are large."""
        count = max(4, min(16, 1024 // rows.shape[-1]))
        return image_panel(caption, picture(rows[:count], count))

    def _content(self, rows: Tensor, columns: int | None) -> bytes:
        buffer = io.BytesIO()
        picture(rows, columns).save(buffer, format="png")
        return buffer.getvalue()


class VectorRenderer(Renderer):
    """Shows vectors (N, D) as points in two principal directions of the held-out data."""

    modality = "vector"
    rows_are = "vectors"
    suffix = ".npy"
    shows_own_values = True
    samples_over_data = True

    def count(self, shown: int, n_held_out: int) -> int:
        """As many samples as held-out rows."""
        return n_held_out

    n_samples = n_pairs = 1000
    n_paths = 500

    def n_previews(self, size: int) -> int:
        """A thousand, or of wide rows fewer: a million numbers."""
        return max(1, min(1000, PREVIEW_NUMBERS // size))

    def preview_frames(
        self, files: Sequence[Path], scaled: Callable[[Tensor], Tensor], data: Tensor | None
    ) -> list[Image]:
        """The samples as points over the data, with the step that they are of."""
        assert data is not None
        rows = [scaled(read_rows(file, tuple(data.shape[1:]))) for file in files]
        return scatter_frames(data, rows, [f"step {int(file.stem)}" for file in files])

    def path_frames(self, rows: Sequence[Tensor], data: Tensor | None) -> list[Image]:
        """The points of all paths over the data."""
        assert data is not None
        return scatter_frames(data, rows)

    def draw_samples(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws samples over the held-out data."""
        self._over_data(figure, "samples", plots.samples[:n], plots)

    def draw_held_out(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws held-out data."""
        show_vectors(figure.subplots(), HELD_OUT, [(HELD_OUT, plots.held_out[:n])])

    def draw_reconstructions(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws reconstructions over the held-out data."""
        assert plots.reconstructions is not None
        self._over_data(figure, "reconstructions", plots.reconstructions[:n], plots)

    def figure_size(self, rows: Tensor, columns: int = 0) -> tuple[float, float]:
        """That of a scatter plot."""
        return 6.0, 4.5

    def _over_data(self, figure: Any, name: str, rows: Tensor, plots: PlotData) -> None:
        show_vectors(figure.subplots(), f"data and {name}", [(HELD_OUT, plots.held_out), (name, rows)])

    def draw_interpolations(self, axes: Any, interpolations: Tensor, plots: PlotData) -> None:
        """Draws the points of all paths over the held-out data."""
        samples = [(HELD_OUT, plots.held_out), ("interpolations", interpolations.flatten(0, 1))]
        show_vectors(axes, "interpolations", samples)

    def sample_panels(self, plots: PlotData) -> list[Panel]:
        """A scatter plot of samples over held-out data."""
        return [self._panel(f"{SAMPLES}, the first ones drawn", SAMPLES, plots.samples, plots)]

    def code_panels(self, reconstructions: Tensor, interpolations: Tensor, plots: PlotData) -> list[Panel]:
        """Scatter plots of reconstructions and interpolations over held-out data."""
        return [
            self._panel("reconstructions", "reconstructions", reconstructions, plots),
            self._panel("interpolations", "interpolations", interpolations.flatten(0, 1), plots),
        ]

    def tile(self, caption: str, samples: NamedSamples) -> Panel:
        """A scatter plot of all the samples."""
        return plot_panel(caption, lambda axes: show_vectors(axes, "", samples))

    def example_panel(self, caption: str, rows: Tensor) -> Panel:
        """A table of what the columns hold."""
        return column_panel(caption, rows)

    def _panel(self, caption: str, name: str, rows: Tensor, plots: PlotData) -> Panel:
        samples = [(HELD_OUT, plots.held_out), (name, rows)]
        return plot_panel(caption, lambda axes: show_vectors(axes, "", samples))

    def _content(self, rows: Tensor, columns: int | None) -> bytes:
        raise AssertionError("vectors are written as .npy")


class TextRenderer(Renderer):
    """Shows rows (N, T) of tokens as lines of text."""

    modality = "text"
    rows_are = "lines of text"
    suffix = ".txt"
    formats = ("txt", "npy")
    array_holds = "tokens, their numbers in the vocabulary; a .txt file holds lines"
    pair_columns = 2
    in_parts = True
    n_samples, n_pairs = 22, 12
    shown: ClassVar[int] = 24  # table rows of lines in a panel

    def lines(self, rows: Tensor) -> list[str]:
        """The line that each row (N, T) of tokens stands for."""
        assert isinstance(self.codec, Vocabulary)
        return self.codec.lines(rows.reshape(-1, rows.shape[-1]))

    def draw_samples(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws lines of samples."""
        show_lines(figure.subplots(), f"samples: {SAMPLES}", self.lines(plots.samples[:n]))

    def draw_held_out(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws held-out lines."""
        show_lines(figure.subplots(), "held-out lines", self.lines(plots.held_out[:n]))

    def draw_reconstructions(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws held-out lines, each above its reconstruction."""
        pairs = plots.pairs(n)
        assert pairs is not None
        caption = "held-out lines, each above its reconstruction"
        show_lines(figure.subplots(), caption, self.lines(pairs), every=2)

    def figure_size(self, rows: Tensor, columns: int = 0) -> tuple[float, float]:
        """As high as its lines."""
        return 8.0, 0.6 + 0.17 * len(rows)

    def draw_interpolations(self, axes: Any, interpolations: Tensor, plots: PlotData) -> None:
        """Draws the lines of the first two paths."""
        caption = "from one line to another, through their codes"
        lines = self.lines(interpolations[:2].flatten(0, 1))
        show_lines(axes, caption, lines, every=interpolations.shape[1])

    def sample_panels(self, plots: PlotData) -> list[Panel]:
        """A table of samples."""
        return [self._panel(f"{SAMPLES}, the first ones drawn", plots.samples)]

    def code_panels(self, reconstructions: Tensor, interpolations: Tensor, plots: PlotData) -> list[Panel]:
        """Tables of reconstructions and interpolations."""
        pairs = plots.pairs(self.shown)
        assert pairs is not None
        steps = interpolations.shape[1]
        return [
            self._panel("held-out lines, each with its reconstruction", pairs, 2),
            self._panel("from one held-out line to another", interpolations.flatten(0, 1), steps),
        ]

    def tile(self, caption: str, samples: NamedSamples) -> Panel:
        """The first 16 lines."""
        return line_panel(caption, self.lines(samples[-1][1][:16]))

    def example_panel(self, caption: str, rows: Tensor) -> Panel:
        """The first 8 lines."""
        return line_panel(caption, self.lines(rows[:8]))

    def text(self, rows: Tensor, columns: int | None = None) -> str:
        """The lines, with an empty line after every ``columns`` of them."""
        ends = ["\n\n" if columns and place % columns == 0 else "\n" for place in range(1, len(rows) + 1)]
        return "".join(line + end for line, end in zip(self.lines(rows), ends, strict=True))

    def _panel(self, caption: str, rows: Tensor, columns: int = 1) -> Panel:
        return line_panel(caption, self.lines(rows[: self.shown * columns]), columns)

    def _content(self, rows: Tensor, columns: int | None) -> bytes:
        return self.text(rows, columns).encode()


def columns_of(n: int) -> int:
    """Images side by side in a grid of n in a figure: 12, or fewer where rows are then full.

    >>> [columns_of(n) for n in (96, 64, 16, 20, 5)]
    [12, 8, 8, 10, 5]
    """
    return next((columns for columns in (12, 8, 10) if n % columns == 0), min(n, 12))


def renderer_for(modality: str, codec: Codec | None = None) -> Renderer:
    """The renderer of a modality: "image", "vector", "text" or "table"; with the codec of the rows.

    >>> renderer_for("image").suffix
    '.png'
    """
    return RENDERERS[modality](codec)


__all__ = [
    "RENDERERS",
    "ImageRenderer",
    "Renderer",
    "TableRenderer",
    "TextRenderer",
    "VectorRenderer",
    "renderer_for",
]
