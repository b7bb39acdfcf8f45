"""Numbers brought to the size at which networks learn."""

from __future__ import annotations

from torch import Tensor, nn


class Scaled(nn.Module):
    """Multiplies by a fixed number.

    >>> import torch
    >>> Scaled(2.0)(torch.ones(2))
    tensor([2., 2.])
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def extra_repr(self) -> str:
        return f"{self.factor:g}"

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


__all__ = ["Scaled"]
