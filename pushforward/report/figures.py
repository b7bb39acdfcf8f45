"""Figures that notebooks show by themselves, without pyplot."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure

from pushforward.report.axes import show_plain_text


class NotebookFigure(Figure):
    """A figure of matplotlib that a notebook shows as a picture.

    It is not one of pyplot's: nothing has to be closed, and a notebook shows it where a cell returns it and
    not once more at the cell's end. Its texts are never read as formulas.
    """

    def draw(self, renderer: Any) -> None:
        """Draws it."""
        show_plain_text(self)
        super().draw(renderer)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()


def new_figure(width: float, height: float) -> NotebookFigure:
    """An empty figure of so many inches."""
    return NotebookFigure(figsize=(width, height), layout="constrained")


__all__ = ["NotebookFigure", "new_figure"]
