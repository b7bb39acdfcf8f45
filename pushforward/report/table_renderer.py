"""How rows of a table are shown and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.files import Writer, write_atomic
from pushforward.report.axes import NamedSamples, show_columns, show_lines
from pushforward.report.panels import Panel
from pushforward.report.plot_data import PlotData
from pushforward.report.rendering import Renderer
from pushforward.tables.csv import csv_text, table_cells, table_lines
from pushforward.tables.files import check_written, table_bytes
from pushforward.tables.schema import Schema


class TableRenderer(Renderer):
    """Shows rows (N, C) of cells as rows of a table."""

    modality = "table"
    rows_are = "rows of a table"
    samples_over_data = True
    suffix = ".csv"
    formats = ("csv", "parquet", "npy")
    array_holds = "numbers of cells, not values; a .csv or .parquet file holds values"
    pair_columns = 2
    shown: ClassVar[int] = 16  # rows in a panel

    @property
    def schema(self) -> Schema:
        """The schema of the rows."""
        assert isinstance(self.codec, Schema)
        return self.codec

    def count(self, shown: int, n_held_out: int) -> int:
        """As many samples as held-out rows."""
        return n_held_out

    def draw_rows(self, figure: Any, plots: PlotData) -> None:
        """Draws samples only: how far reconstructions are from their rows is not seen in columns."""
        self.draw_samples(figure, plots, len(plots.samples))

    def draw_samples(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws the distribution of each column of samples and of held-out rows."""
        show_columns(figure, self.schema, plots.held_out, plots.samples[:n])

    def draw_held_out(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws the first held-out rows, one below the other."""
        self._lines(figure.subplots(), "held-out rows", plots.held_out[:n])

    def draw_reconstructions(self, figure: Any, plots: PlotData, n: int) -> None:
        """Draws held-out rows, each above its reconstruction."""
        pairs = plots.pairs(n)
        assert pairs is not None
        self._lines(figure.subplots(), "held-out rows, each above its reconstruction", pairs, every=2)

    def figure_size(self, rows: Tensor, columns: int = 0) -> tuple[float, float]:
        """As high as lines, or as the plots of columns."""
        return (8.0, 0.6 + 0.17 * len(rows)) if columns else (9.0, 2.2 * -(-min(rows.shape[1], 12) // 4))

    def _lines(self, axes: Any, caption: str, rows: Tensor, every: int = 1) -> None:
        lines = table_lines(self.schema.decode(rows))
        show_lines(axes, f"{caption}: {lines[0]}", lines[1:], every=every)

    def draw_interpolations(self, axes: Any, interpolations: Tensor, plots: PlotData) -> None:
        """Draws the rows of the first two paths."""
        caption = "from one row to another, through their codes"
        self._lines(axes, caption, interpolations[:2].flatten(0, 1), interpolations.shape[1])

    def sample_panels(self, plots: PlotData) -> list[Panel]:
        """A table of samples."""
        return [self.example_panel("samples, the first ones drawn", plots.samples)]

    def code_panels(self, reconstructions: Tensor, interpolations: Tensor, plots: PlotData) -> list[Panel]:
        """Tables of reconstructions and interpolations."""
        pairs = plots.pairs(self.shown)
        assert pairs is not None
        return [
            self.example_panel("held-out rows, each above its reconstruction", pairs),
            self.example_panel("from one held-out row to another", interpolations.flatten(0, 1)),
        ]

    def tile(self, caption: str, samples: NamedSamples) -> Panel:
        """The first rows."""
        return self.example_panel(caption, samples[-1][1])

    def example_panel(self, caption: str, rows: Tensor) -> Panel:
        """The first rows, under the names of the columns."""
        return Panel(caption, rows=tuple(map(tuple, table_cells(self.schema.decode(rows[: self.shown])))))

    def text(self, rows: Tensor, columns: int | None = None) -> str:
        """The rows, under the names of the columns."""
        return "".join(f"{line}\n" for line in table_lines(self.schema.decode(rows)))

    def check_suffix(self, path: Path) -> None:
        """Checks the ending of a file: .csv, .parquet, or .npy for cells."""
        check_written(path, ".npy")

    def save(self, rows: Tensor, path: Path, columns: int | None = None) -> None:
        """See :meth:`Renderer.save`; a path that ends in .parquet is written by pandas."""
        self.check_suffix(path)
        if path.suffix == ".npy":
            super().save(rows, path, columns)
        else:
            write_atomic(path, table_bytes(self.schema.decode(rows), path))

    def save_parts(self, parts: Iterator[Tensor], n: int, path: Path, option: str = "n") -> Tensor:
        """See :meth:`Renderer.save_parts`."""
        if path.suffix == ".npy":
            return super().save_parts(parts, n, path, option)
        first = next(parts)
        self.save(torch.cat([first, *parts]), path)
        return first

    def write_parts(self, file: Writer, parts: Iterable[Tensor], n: int, path: Path) -> None:
        """See :meth:`Renderer.write_parts`."""
        if path.suffix == ".npy":
            super().write_parts(file, parts, n, path)
        else:
            file.write(table_bytes(self.schema.decode(torch.cat(list(parts))), path))

    def _content(self, rows: Tensor, columns: int | None) -> bytes:
        return csv_text(self.schema.decode(rows)).encode()


__all__ = ["TableRenderer"]
