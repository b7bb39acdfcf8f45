"""Pictures: sheets of images, plots of codes and curves, and one sheet that shows a whole run."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

PAD = 2
Points = list[tuple[str, Tensor]]


def mosaic(images: Tensor, columns: int | None = None, scale: int | None = None) -> np.ndarray:
    """Images (N, C, H, W) in [0, 1] side by side: an array (H', W', 3) of bytes.

    Small images are enlarged by whole numbers so that a sheet can be looked at.

    >>> mosaic(Tensor(6, 1, 8, 8).zero_(), columns=3, scale=1).shape
    (22, 32, 3)
    """
    n, channels, height, width = images.shape
    columns = columns or min(n, math.ceil(math.sqrt(n)))
    scale = scale or max(1, round(32 / max(height, width)))
    pixels = images.detach().cpu().clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    pixels = np.repeat(pixels, 3, axis=3) if channels == 1 else pixels[..., :3]
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    rows = math.ceil(n / columns)
    tall, wide = height * scale + PAD, width * scale + PAD
    sheet = np.full((rows * tall + PAD, columns * wide + PAD, 3), 255, dtype=np.uint8)
    for i, image in enumerate(pixels):
        top, left = PAD + i // columns * tall, PAD + i % columns * wide
        sheet[top : top + tall - PAD, left : left + wide - PAD] = image
    return sheet


def picture(images: Tensor, columns: int | None = None) -> Image:
    """Images (N, C, H, W) in [0, 1] as one picture."""
    from PIL import Image

    return Image.fromarray(mosaic(images, columns))


def pairs(first: Tensor, second: Tensor) -> Tensor:
    """Rows of both in turn: originals beside reconstructions, (2N, \\*)."""
    return torch.stack([first, second], dim=1).flatten(0, 1)


def are_images(shape: tuple[int, ...]) -> bool:
    """Whether rows of this shape can be shown as pictures."""
    return len(shape) == 3 and shape[0] in (1, 3)


@dataclass(frozen=True)
class RunPlots:
    """What there is to look at in a run; models without codes leave out what needs them.

    Attributes:
        title: What stands above it.
        samples: Decoded draws of the prior, (N, \\*).
        originals: Held-out data, (N, \\*).
        prior: Draws of the prior, (N, L).
        history: Logged lines.
        back: Reconstructions of ``originals``.
        paths: Decoded interpolations, (M, steps, \\*).
        traversals: Decoded walks along single dimensions, (M, steps, \\*), and which dimensions.
        codes: Codes of held-out data, (N, L).
        labels: Their labels, for colour.
        by_class: Samples of every class, (K, columns, \\*).
        plane: Axes (L, 2) of the plane in which codes and prior differ most.
        read: What rows of tokens say, of text.
    """

    title: str
    samples: Tensor
    originals: Tensor
    prior: Tensor
    history: list[dict[str, Any]]
    back: Tensor | None = None
    paths: Tensor | None = None
    traversals: tuple[Tensor, list[int]] | None = None
    codes: Tensor | None = None
    labels: Tensor | None = None
    by_class: Tensor | None = None
    plane: Tensor | None = None
    read: Callable[[Tensor], list[str]] | None = None

    @property
    def drawable(self) -> bool:
        """Whether rows are pictures."""
        return are_images(tuple(self.originals.shape[1:]))


def sheet(path: Path, album: RunPlots) -> Path:
    """One picture of a whole run, as PNG: samples, reconstructions, interpolations, codes and curves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 10), layout="constrained")
    figure.suptitle("\n".join(textwrap.wrap(album.title, 130)), fontsize=11, x=0.01, ha="left")
    left, right = figure.subfigures(1, 2, width_ratios=(1.1, 1))  # type: ignore[misc]
    n = min(len(album.originals), 48)
    data, back, paths = ("held-out data", album.originals), album.back, album.paths
    if album.drawable:
        above, below = left.subplots(2, 1)
        if album.by_class is None:
            show_images(above, "samples: decoded draws of the prior", album.samples[:96], 12)
        else:
            words = "samples: a row for every class, a column for every draw beside it"
            show_images(above, words, album.by_class.flatten(0, 1), album.by_class.shape[1])
        if back is None:
            show_images(below, "held-out data", album.originals[:96], 12)
        else:
            beside = pairs(album.originals[:n], back[:n])
            show_images(below, "held-out data, each beside its reconstruction", beside, 12)
    elif album.read:
        above, below = left.subplots(2, 1)
        show_lines(above, "samples: decoded draws of the prior", album.read(album.samples[:22]))
        if back is None:
            show_lines(below, "held-out lines", album.read(album.originals[:22]))
        else:
            words = "held-out lines, each above its reconstruction"
            show_lines(below, words, album.read(pairs(album.originals[:12], back[:12])), every=2)
    else:
        made = [("samples", album.samples), *([] if back is None else [("reconstructions", back)])]
        for axes, (name, rows) in zip(left.subplots(len(made), 1, squeeze=False)[:, 0], made, strict=True):
            show_vectors(axes, f"data and {name}", [data, (name, rows)])
    shown = [paths is not None, album.codes is not None, True]
    heights = [height for height, there in zip((1.2, 1, 0.8), shown, strict=True) if there]
    places = iter(right.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    if paths is not None:
        if album.drawable:
            ends = "one draw of the prior" if album.codes is None else "one held-out image"
            words = f"from {ends} to another, through their codes"
            show_images(next(places), words, paths.flatten(0, 1), paths.shape[1])
        elif album.read:
            words = "from one line to another, through their codes"
            show_lines(next(places), words, album.read(paths[:2].flatten(0, 1)), every=paths.shape[1])
        else:
            show_vectors(next(places), "interpolations", [data, ("paths", paths.flatten(0, 1))])
    if album.codes is not None:
        show_codes(next(places), album.codes, album.labels, album.prior)
    show_curves(next(places), album.history)
    figure.savefig(path, dpi=110, format="png")
    return path


def show_images(axes: Any, caption: str, images: Tensor, columns: int) -> None:
    """A mosaic under its caption."""
    axes.imshow(mosaic(images, columns), interpolation="nearest")
    axes.set_title(caption, fontsize=10, loc="left")
    axes.axis("off")


def show_lines(axes: Any, caption: str, lines: Sequence[str], every: int = 1) -> None:
    """Lines under their caption, with a gap after so many of them if those belong together."""
    gaps = [place + (place // every) * (every > 1) for place in range(len(lines))]
    for gap, line in zip(gaps, lines, strict=True):
        shown = textwrap.shorten(line, 95, placeholder=" …") or "(nothing)"
        # A dollar would begin mathematics.
        axes.text(0, -gap, shown.replace("$", r"\$"), fontsize=7, va="top")
    axes.set_ylim(-gaps[-1] - 1, 0.5)
    axes.set_title(caption, fontsize=10, loc="left")
    axes.axis("off")


def show_vectors(axes: Any, caption: str, points: Points) -> None:
    """Samples in the first two principal directions of the first."""
    for (name, _), values in zip(points, _plane(*(sample for _, sample in points)), strict=True):
        axes.scatter(values[:, 0], values[:, 1], s=6, alpha=0.5, label=name)
    where = " (first two principal directions)" if points[0][1][0].numel() > 2 else ""
    axes.set_title((caption + where).lstrip(), fontsize=10, loc="left")
    axes.legend(fontsize=8)


def show_codes(
    axes: Any, codes: Tensor, labels: Tensor | None, prior: Tensor, plane: Tensor | None = None
) -> None:
    """Codes, coloured by label, on draws of the prior: in its principal directions or in a given plane."""
    if plane is None:
        given, made = _plane(prior, codes)
        where = "in two directions"
    else:
        given, made = (_pad((sample.double() @ plane).numpy()) for sample in (prior, codes))
        where = "in the plane where they differ most"
    axes.scatter(given[:, 0], given[:, 1], s=5, color="0.8", label="draws of the prior")
    if labels is None:
        axes.scatter(made[:, 0], made[:, 1], s=5, color="C0", label="codes of held-out data")
    else:
        for label in labels.unique().tolist()[:20]:
            points = made[(labels == label).cpu().numpy()]
            axes.scatter(points[:, 0], points[:, 1], s=5, color=f"C{label % 10}", label=str(label))
    axes.set_title(f"codes and prior, {where}", fontsize=10, loc="left")
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(fontsize=7, loc="upper right", markerscale=2, labelspacing=0.2)


def show_curves(axes: Any, history: list[dict[str, Any]]) -> None:
    """The formula's terms over steps, and what else is logged of a model with codes."""
    rows = [row for row in history if "terms" in row]
    if not rows:
        axes.axis("off")
        return
    steps = [row["step"] for row in rows]
    curves = {name: [row["terms"].get(name, math.nan) for row in rows] for name in rows[-1]["terms"]}
    if "mmd" in rows[-1].get("diagnostics", {}):
        curves["MMD² of codes"] = [row["diagnostics"].get("mmd", math.nan) for row in rows]
    for name, values in curves.items():
        axes.plot(steps, values, label=name, linewidth=1)
    axes.set_yscale("symlog", linthresh=0.01)
    axes.set_xlabel("step", fontsize=9)
    axes.set_title(", ".join(curves), fontsize=10, loc="left")
    axes.legend(fontsize=8, ncols=4)


def _plane(*samples: Tensor) -> list[np.ndarray]:
    """Samples in their first two principal directions, taken from the first; in one dimension, against 0."""
    flat = [sample.flatten(1).double().cpu().numpy() for sample in samples]
    middle = flat[0].mean(0)
    if flat[0].shape[1] == 1:
        return [_pad(values) for values in flat]
    directions = (
        np.eye(2) if flat[0].shape[1] == 2 else np.linalg.svd(flat[0] - middle, full_matrices=False)[2][:2].T
    )
    return [(values - middle) @ directions for values in flat]


def _pad(values: np.ndarray) -> np.ndarray:
    return np.hstack([values, np.zeros_like(values)]) if values.shape[1] == 1 else values
