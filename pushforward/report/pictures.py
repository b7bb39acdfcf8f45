"""Pictures: sheets of images, and one sheet that shows a whole run."""

from __future__ import annotations

import math
import textwrap
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


def sheet(
    path: Path,
    title: str,
    samples: Tensor,
    originals: Tensor,
    back: Tensor,
    paths: Tensor,
    codes: Tensor,
    labels: Tensor | None,
    prior: Tensor,
    history: list[dict[str, Any]],
) -> Path:
    """One picture of a whole run: samples, reconstructions, interpolations, codes and curves.

    Arguments:
        path: Where it is written, as PNG.
        title: What stands above it.
        samples: Decoded draws of the prior, (N, \\*).
        originals: Held-out data, (N, \\*).
        back: Their reconstructions.
        paths: Decoded interpolations, (M, steps, \\*).
        codes: Codes of held-out data, (N, L).
        labels: Their labels, for colour.
        prior: As many draws of the prior.
        history: Logged terms.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 10), layout="constrained")
    figure.suptitle("\n".join(textwrap.wrap(title, 130)), fontsize=11, x=0.01, ha="left")
    left, right = figure.subfigures(1, 2, width_ratios=(1.1, 1))  # type: ignore[misc]
    above, below = left.subplots(2, 1)
    between, cloud, curves = right.subplots(3, 1, height_ratios=(1.2, 1, 0.8))
    if are_images(tuple(originals.shape[1:])):
        n = min(len(originals), 48)
        panels = (
            (above, "samples: decoded draws of the prior", mosaic(samples[:96], columns=12)),
            (
                below,
                "held-out data, each beside its reconstruction",
                mosaic(pairs(originals[:n], back[:n]), columns=12),
            ),
            (
                between,
                "from one held-out image to another, through their codes",
                mosaic(paths.flatten(0, 1), columns=paths.shape[1]),
            ),
        )
        for axes, caption, image in panels:
            axes.imshow(image, interpolation="nearest")
            axes.set_title(caption, fontsize=10, loc="left")
            axes.axis("off")
    else:
        _vectors(above, "data and samples", [("held-out data", originals), ("samples", samples)])
        _vectors(below, "data and reconstructions", [("held-out data", originals), ("reconstructions", back)])
        _vectors(between, "interpolations", [("held-out data", originals), ("paths", paths.flatten(0, 1))])
    _codes(cloud, codes, labels, prior)
    _curves(curves, history)
    figure.savefig(path, dpi=110, format="png")
    return path


def _plane(*samples: Tensor) -> list[np.ndarray]:
    """Samples in their first two principal directions, taken from the first; in one dimension, against 0."""
    flat = [sample.flatten(1).double().cpu().numpy() for sample in samples]
    middle = flat[0].mean(0)
    if flat[0].shape[1] == 1:
        return [np.hstack([values, np.zeros_like(values)]) for values in flat]
    directions = (
        np.eye(2) if flat[0].shape[1] == 2 else np.linalg.svd(flat[0] - middle, full_matrices=False)[2][:2].T
    )
    return [(values - middle) @ directions for values in flat]


def _vectors(axes: Any, caption: str, points: Points) -> None:
    for (name, _), values in zip(points, _plane(*(sample for _, sample in points)), strict=True):
        axes.scatter(values[:, 0], values[:, 1], s=6, alpha=0.5, label=name)
    axes.set_title(f"{caption} (first two principal directions)", fontsize=10, loc="left")
    axes.legend(fontsize=8)


def _codes(axes: Any, codes: Tensor, labels: Tensor | None, prior: Tensor) -> None:
    given, made = _plane(prior, codes)
    axes.scatter(given[:, 0], given[:, 1], s=5, color="0.8", label="draws of the prior")
    if labels is None:
        axes.scatter(made[:, 0], made[:, 1], s=5, color="C0", label="codes of held-out data")
    else:
        axes.scatter(
            made[:, 0], made[:, 1], s=5, c=labels.cpu().numpy(), cmap="tab10", label="codes, by label"
        )
    axes.set_title("codes and prior, in two directions", fontsize=10, loc="left")
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(fontsize=8, loc="upper right")


def _curves(axes: Any, history: list[dict[str, Any]]) -> None:
    rows = [row for row in history if "terms" in row]
    steps = [row["step"] for row in rows]
    if not steps:
        axes.axis("off")
        return
    for name in rows[-1]["terms"]:
        axes.plot(steps, [row["terms"].get(name, math.nan) for row in rows], label=name, linewidth=1)
    axes.plot(steps, [row["signs"]["mmd"] for row in rows], label="MMD² of codes", linewidth=1)
    axes.set_yscale("symlog", linthresh=0.01)
    axes.set_xlabel("step", fontsize=9)
    axes.set_title("terms of the formula, and the codes' MMD² from the prior", fontsize=10, loc="left")
    axes.legend(fontsize=8, ncols=4)
