"""Panels: the pictures, plots and tables of lines that a page is made of."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pushforward.reading import read_file
from pushforward.report.axes import show_curves, write_figure

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Panel:
    """A captioned picture, plot or table of a page; exactly one of ``png``, ``svg`` and ``rows`` is given.

    Attributes:
        caption: The line above it.
        png: A PNG file in base64.
        svg: An SVG element.
        kind: "pixels" for PNG that shows images, enlarged without smoothing; "plot" for PNG of a plot.
        rows: Lines of text, in table rows of one or more cells.
    """

    caption: str
    png: str = ""
    svg: str = ""
    kind: str = "pixels"
    rows: tuple[tuple[str, ...], ...] = ()


def image_panel(caption: str, image: Image) -> Panel:
    """A panel that shows a PIL image."""
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return Panel(caption, png=base64.b64encode(buffer.getvalue()).decode())


def file_panel(caption: str, path: Path) -> Panel:
    """A panel that shows a PNG file."""
    return Panel(caption, png=base64.b64encode(read_file(path)).decode(), kind="plot")


def column_panel(caption: str, rows: Tensor, most: int = 20) -> Panel:
    """A panel with mean, standard deviation, least and greatest value of each column of rows (N, D)."""
    flat = rows.flatten(1).double()
    count = flat.shape[1]
    flat = flat[:, :most]
    measures = {"mean": flat.mean(0), "std": flat.std(0), "min": flat.amin(0), "max": flat.amax(0)}
    lines = [("column", *measures)]
    lines += [
        (str(column), *(f"{values[column].item():.4g}" for values in measures.values()))
        for column in range(flat.shape[1])
    ]
    shown = f"the first {most} of {count} columns" if count > most else "columns"
    return Panel(f"{caption}: {shown} over {len(rows):,} rows", rows=tuple(lines))


def line_panel(caption: str, lines: Sequence[str], columns: int = 1) -> Panel:
    """A panel that shows lines of text, ``columns`` of them in each row."""
    return Panel(caption, rows=tuple(zip(*[iter(lines)] * columns, strict=True)))


def plot_panel(caption: str, draw: Callable[[Any], None], size: tuple[float, float] = (7, 4)) -> Panel:
    """A panel that shows a plot as PNG, because thousands of points would make a large SVG.

    Arguments:
        caption: The line above it.
        draw: Draws on the axes that it is called with.
        size: Width and height in inches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    draw(figure.subplots())
    buffer = io.BytesIO()
    write_figure(figure, buffer, format="png", dpi=130)
    return Panel(caption, png=base64.b64encode(buffer.getvalue()).decode(), kind="plot")


def curves_panel(caption: str, history: list[dict[str, Any]]) -> Panel:
    """A panel that shows the training curves as SVG, sharp at any size."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    show_curves(figure.subplots(), history)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "pushforward"}):
        write_figure(figure, buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return Panel(caption, svg=text[text.index("<svg") :])


__all__ = ["Panel", "column_panel", "curves_panel", "file_panel", "image_panel", "line_panel", "plot_panel"]
