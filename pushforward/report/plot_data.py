"""What a report shows of a run, as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pushforward.report.images import interleave


@dataclass(frozen=True)
class PlotData:
    """What there is to plot of a run; what a model or its data cannot give is None.

    Attributes:
        title: The title of the overview.
        samples: Decoded draws of the prior, (N, \\*).
        held_out: Held-out data, (M, \\*).
        prior: Draws of the prior, (M, L).
        history: The training history.
        reconstructions: Reconstructions of ``held_out``.
        interpolations: Decoded paths between codes, (K, steps, \\*).
        traversals: Decoded traversals of single latent dimensions, (D, steps, \\*), and their dimensions.
        codes: Codes of ``held_out``, (M, L).
        labels: Labels of ``held_out``, (M,).
        by_class: Samples of every class, (classes, columns, \\*).
        class_names: The names of the classes that labels are numbers of.
        row_names: The names of the classes of ``by_class``; empty if they have none.
        plane: Axes (L, 2) of the plane in which codes and prior differ most.
    """

    title: str
    samples: Tensor
    held_out: Tensor
    prior: Tensor
    history: list[dict[str, Any]]
    reconstructions: Tensor | None = None
    interpolations: Tensor | None = None
    traversals: tuple[Tensor, list[int]] | None = None
    codes: Tensor | None = None
    labels: Tensor | None = None
    by_class: Tensor | None = None
    plane: Tensor | None = None
    class_names: tuple[str, ...] = ()
    row_names: tuple[str, ...] = ()

    @property
    def rows_of_classes(self) -> str:
        """What the rows of ``by_class`` are, in words."""
        names = f" (from the top: {', '.join(self.row_names)})" if self.row_names else ""
        return f"one class in each row{names}, one draw of the other code dimensions in each column"

    def pairs(self, n: int) -> Tensor | None:
        """The first n held-out rows in alternation with their reconstructions; None without those."""
        if self.reconstructions is None:
            return None
        return interleave(self.held_out[:n], self.reconstructions[:n])


__all__ = ["PlotData"]
