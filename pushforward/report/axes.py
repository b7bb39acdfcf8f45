"""What is drawn on the axes of matplotlib: images, lines of text, vectors, codes and training curves."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.console import visible
from pushforward.data.split import UNKNOWN
from pushforward.report.images import mosaic
from pushforward.tables.schema import Schema

MOST_OF_NAME = 20  # characters of a name in a legend
MOST_ROWS = 30  # of images that are named at their left
NamedSamples = list[tuple[str, Tensor]]
"""Samples with the name that the legend gives them."""


def show_images(axes: Any, caption: str, images: Tensor, columns: int, row_names: Sequence[str] = ()) -> None:
    """A grid of images under a caption, with a name at the left of each row if there are names."""
    grid = mosaic(images, columns)
    axes.imshow(grid, interpolation="nearest")
    height = len(grid) / max(len(row_names), 1)
    for row, name in enumerate(row_names if len(row_names) <= MOST_ROWS else ()):
        axes.text(0, (row + 0.5) * height, f"{short(name)} ", fontsize=7, ha="right", va="center")
    _title(axes, caption)
    axes.axis("off")


def show_lines(axes: Any, caption: str, lines: Sequence[str], every: int = 1) -> None:
    """Lines of text under a caption, with a gap after every ``every`` lines if that is more than 1."""
    gaps = [place + (place // every) * (every > 1) for place in range(len(lines))]
    for gap, line in zip(gaps, lines, strict=True):
        shown = textwrap.shorten(line, 95, placeholder=" …") or "(nothing)"
        axes.text(0, -gap, shown, fontsize=7, va="top")
    axes.set_ylim(-gaps[-1] - 1, 0.5)
    _title(axes, caption)
    axes.axis("off")


def show_vectors(axes: Any, caption: str, samples: NamedSamples) -> None:
    """Samples of vectors as points in the first two principal directions of the first sample."""
    for (name, _), points in zip(samples, principal_plane(*(rows for _, rows in samples)), strict=True):
        axes.scatter(points[:, 0], points[:, 1], s=6, alpha=0.5, label=name)
    if samples[0][1][0].numel() == 2:  # a ring is to look like one
        axes.set_aspect("equal", adjustable="datalim")
    where = " (first two principal directions)" if samples[0][1][0].numel() > 2 else ""
    _title(axes, (caption + where).lstrip())
    axes.legend(fontsize=8)


def show_codes(
    axes: Any,
    codes: Tensor,
    labels: Tensor | None,
    prior: Tensor,
    plane: Tensor | None = None,
    names: Sequence[str] = (),
) -> None:
    """Codes, coloured by label, over draws of the prior.

    Arguments:
        axes: Where to draw.
        codes: The codes, (N, L).
        labels: Their labels (N,), or None.
        prior: Draws of the prior, (M, L).
        plane: Axes (L, 2) of the plane to project on; by default the prior's principal directions.
        names: The names of the classes that labels are numbers of.
    """
    if plane is None:
        drawn, encoded = principal_plane(prior, codes)
        where = "in two directions"
    else:
        drawn, encoded = (_second_axis((sample.double() @ plane).numpy()) for sample in (prior, codes))
        where = "in the plane where they differ most"
    axes.scatter(drawn[:, 0], drawn[:, 1], s=5, color="0.8", label="draws of the prior")
    if labels is None:
        axes.scatter(encoded[:, 0], encoded[:, 1], s=5, color="C0", label="codes of held-out data")
    else:
        for label in labels.unique().tolist()[:20]:
            points = encoded[(labels == label).cpu().numpy()]
            axes.scatter(
                points[:, 0], points[:, 1], s=5, color=f"C{label % 10}", label=class_name(label, names)
            )
    _title(axes, f"codes and prior, {where}")
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(fontsize=7, loc="upper right", markerscale=2, labelspacing=0.2)


def show_curves(axes: Any, history: list[dict[str, Any]]) -> None:
    """The terms of the loss over training steps, and the latent MMD² where it is logged."""
    logged = [line for line in history if "terms" in line]
    if not logged:
        axes.axis("off")
        return
    steps = [line["step"] for line in logged]
    curves = {name: [line["terms"].get(name, math.nan) for line in logged] for name in logged[-1]["terms"]}
    if "mmd" in logged[-1].get("diagnostics", {}):
        curves["latent MMD²"] = [line["diagnostics"].get("mmd", math.nan) for line in logged]
    positive = {name: values for name, values in curves.items() if min(values) > 0}
    signed = {name: values for name, values in curves.items() if name not in positive}
    right = axes.twinx() if positive and signed else axes
    drawn = []
    for place, (name, values) in enumerate(curves.items()):
        where, smooth = (axes, values) if name in positive else (right, running_mean(values))
        if smooth is not values:  # estimates around 0 scatter far more than they change
            where.plot(steps, values, color=f"C{place}", linewidth=0.6, alpha=0.25)
        label = f"{name} (right)" if where is not axes else name
        drawn += where.plot(steps, smooth, label=label, color=f"C{place}", linewidth=1)
    if positive:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    if signed:
        right.set_ylim(*robust_limits([value for values in signed.values() for value in values]))
        right.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.set_xlabel("step", fontsize=9)
    above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "frameon": False, "borderaxespad": 0.2}
    axes.legend(handles=drawn, fontsize=8, ncols=4, **above)


def running_mean(values: Sequence[float], share: float = 0.05) -> Sequence[float]:
    """The mean of each value and those around it, a share of all of them.

    >>> running_mean([0.0, 3.0, 0.0, 3.0, 0.0], share=0.6)
    [1.5, 1.0, 2.0, 1.0, 1.5]
    """
    half = int(share * len(values)) // 2
    parts = [values[max(place - half, 0) : place + half + 1] for place in range(len(values))]
    return [sum(part) / len(part) for part in parts]


def robust_limits(values: Sequence[float]) -> tuple[float, float]:
    """Limits of an axis between which nearly all values lie, and 0: a few outliers do not flatten the rest.

    >>> robust_limits([0.0] * 50 + [1.0] * 49 + [1000.0])
    (-0.05..., 1.05...)
    """
    finite = np.asarray([value for value in values if math.isfinite(value)] or [0.0])
    low, high = (float(np.quantile(finite, share)) for share in (0.02, 0.98))
    low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def show_columns(figure: Any, schema: Schema, given: Tensor, made: Tensor, most: int = 12) -> None:
    """Draws for each of the first columns of a table how often its values come in two samples of cells.

    Numbers are shown by their quantiles, so that equal distributions lie on the diagonal; others by bars.
    """
    columns = schema.modelled[:most]
    places = figure.subplots(-(-len(columns) // 4), 4, squeeze=False).flat
    for axes in places:
        axes.set_axis_off()
    for j, (axes, column) in enumerate(zip(places, columns, strict=False)):
        axes.set_axis_on()
        one, two = (rows[:, j].cpu() for rows in (given, made))
        if column.is_ordered:
            levels = torch.linspace(0.01, 0.99, 50)
            axes.plot(one.quantile(levels), two.quantile(levels), ".", markersize=3)
            axes.axline((0, 0), slope=1, color="grey", linewidth=0.5)
        else:
            shares = [rows.long().bincount(minlength=column.n)[:12] / len(rows) for rows in (one, two)]
            for shift, share, name in zip((-0.2, 0.2), shares, ("data", "samples"), strict=True):
                axes.bar(torch.arange(len(share)) + shift, share, 0.4, label=name)
        axes.tick_params(labelsize=6)
        _title(axes, short(column.name))


def write_figure(figure: Any, target: Any, **options: Any) -> None:
    """Renders a figure to a file; every text in it is shown as it is, never as a formula.

    Arguments:
        figure: The figure.
        target: A path or an open file.
        options: What ``savefig`` is called with.
    """
    show_plain_text(figure)
    figure.savefig(target, **options)


def show_plain_text(figure: Any) -> None:
    """Makes every text of a figure be shown as it is, never as a formula.

    Names of data, classes and folders end up in figures, and lines of text: matplotlib would parse what
    stands between two dollars, and cannot draw control characters. The numbers on the axes remain formulas.
    """
    from matplotlib.text import Text

    axes = [axis for one in figure.axes for axis in (one.xaxis, one.yaxis)]
    numbers = {id(text) for axis in axes for tick in axis.get_major_ticks() + axis.get_minor_ticks()
               for text in (tick.label1, tick.label2)}  # fmt: skip
    for text in figure.findobj(Text):
        if id(text) not in numbers:
            text.set_parse_math(False)
            text.set_text(visible(text.get_text()))


def class_name(label: int, names: Sequence[str]) -> str:
    """What a legend calls a class: its name, or its number if it has none.

    >>> class_name(1, ["cat", "dog"]), class_name(1, []), class_name(-1, ["cat", "dog"])
    ('dog', '1', 'unknown')
    """
    if label == UNKNOWN:
        return "unknown"
    return short(names[label]) if label < len(names) else str(label)


def short(name: str) -> str:
    """A name that fits into a legend."""
    return name if len(name) <= MOST_OF_NAME else name[: MOST_OF_NAME - 1] + "…"


def _title(axes: Any, caption: str) -> None:
    axes.set_title(caption, fontsize=10, loc="left")


def principal_plane(*samples: Tensor) -> list[np.ndarray]:
    """Samples in the first two principal directions of the first; in one dimension the second is 0."""
    flat = [sample.flatten(1).double().cpu().numpy() for sample in samples]
    mean = flat[0].mean(0)
    if flat[0].shape[1] == 1:
        return [_second_axis(values) for values in flat]
    directions = (
        np.eye(2) if flat[0].shape[1] == 2 else np.linalg.svd(flat[0] - mean, full_matrices=False)[2][:2].T
    )
    return [(values - mean) @ directions for values in flat]


def _second_axis(values: np.ndarray) -> np.ndarray:
    """Points (N, 2) from values (N, 1) or (N, 2)."""
    return np.hstack([values, np.zeros_like(values)]) if values.shape[1] == 1 else values


__all__ = [
    "NamedSamples",
    "principal_plane",
    "show_codes",
    "show_columns",
    "show_curves",
    "show_images",
    "show_lines",
    "show_plain_text",
    "show_vectors",
    "write_figure",
]  # fmt: skip
