"""The overview: one picture of a whole run."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from pushforward.files import write_atomic
from pushforward.report.axes import show_codes, show_curves, write_figure
from pushforward.report.plot_data import PlotData
from pushforward.report.renderers import Renderer

if TYPE_CHECKING:
    from pushforward.evaluation.findings import Findings


def overview(path: Path, plots: PlotData, renderer: Renderer, findings: Findings | None = None) -> Path:
    """Writes samples, reconstructions, interpolations, codes and training curves as one PNG file.

    Arguments:
        path: The file.
        plots: What there is to show.
        renderer: How rows of the run's modality are shown.
        findings: The grades, the cause and the advice that the title tells, if they are known.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 10), layout="constrained")
    title = [plots.title, *(() if findings is None else findings.short)]
    lines = [line for part in title for line in textwrap.wrap(part, 130)]
    figure.suptitle("\n".join(lines), fontsize=11, x=0.01, ha="left")
    left, right = figure.subfigures(1, 2, width_ratios=(1.1, 1))  # type: ignore[misc]
    renderer.draw_rows(left, plots)
    shown = [plots.interpolations is not None, plots.codes is not None, True]
    heights = [height for height, there in zip((1.2, 1, 0.8), shown, strict=True) if there]
    places = iter(right.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    if plots.interpolations is not None:
        renderer.draw_interpolations(next(places), plots.interpolations, plots)
    if plots.codes is not None:
        show_codes(next(places), plots.codes, plots.labels, plots.prior, names=plots.class_names)
    show_curves(next(places), plots.history)
    buffer = io.BytesIO()
    write_figure(figure, buffer, dpi=110, format="png")
    write_atomic(path, buffer.getvalue())
    return path


__all__ = ["overview"]
