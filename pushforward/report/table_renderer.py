"""How rows of a table are shown and written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.files import write_atomic
from pushforward.report.axes import NamedSamples, show_columns, show_lines
from pushforward.report.panels import Panel
from pushforward.report.plots import RunPlots
from pushforward.report.rendering import Renderer
from pushforward.tables.csv import csv_text, table_cells, table_lines
from pushforward.tables.files import check_written, table_bytes
from pushforward.tables.schema import Schema


class TableRenderer(Renderer):
    """Shows rows (N, C) of cells as rows of a table."""

    modality = "table"
    suffix = ".csv"
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

    def draw_rows(self, figure: Any, plots: RunPlots) -> None:
        """Draws the distribution of each column of samples and of held-out rows."""
        show_columns(figure, self.schema, plots.held_out, plots.samples)

    def draw_interpolations(self, axes: Any, interpolations: Tensor, plots: RunPlots) -> None:
        """Draws the rows of the first two paths."""
        caption = "from one row to another, through their codes"
        lines = table_lines(self.schema.decode(interpolations[:2].flatten(0, 1)))
        show_lines(axes, f"{caption}: {lines[0]}", lines[1:], every=interpolations.shape[1])

    def sample_panels(self, plots: RunPlots) -> list[Panel]:
        """A table of samples."""
        return [self.example_panel("samples, the first ones drawn", plots.samples)]

    def code_panels(self, reconstructions: Tensor, interpolations: Tensor, plots: RunPlots) -> list[Panel]:
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

    def save_parts(self, parts: Iterator[Tensor], n: int, path: Path) -> Tensor:
        """See :meth:`Renderer.save_parts`."""
        if path.suffix == ".npy":
            return super().save_parts(parts, n, path)
        first = next(parts)
        self.save(torch.cat([first, *parts]), path)
        return first

    def _content(self, rows: Tensor, columns: int | None) -> bytes:
        return csv_text(self.schema.decode(rows)).encode()


__all__ = ["TableRenderer"]
