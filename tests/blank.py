"""Figures that are left blank, which take longer to render than a few steps to train."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

from pushforward.report import axes

RENDER, PLAIN_TEXT = Figure.savefig, axes.show_plain_text


@contextmanager
def blank_figures() -> Iterator[None]:
    """Figures are composed, and saved as pictures of nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", _save_nothing)
        patch.setattr(
            axes, "show_plain_text", lambda figure: None
        )  # it makes all ticks, to find their labels
        yield


@contextmanager
def rendered_figures() -> Iterator[None]:
    """Figures are rendered as users get them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", RENDER)
        patch.setattr(axes, "show_plain_text", PLAIN_TEXT)
        yield


def _save_nothing(figure: Figure, file: Any, format: str | None = None, **_: Any) -> None:
    if format == "svg":
        file.write("<svg></svg>")
    else:
        Image.new("L", (1, 1)).save(file, format="png")
