"""Features that several heads read."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn


class Shared(nn.Sequential):
    """Layers whose output several heads read: of one sample it is made once.

    In training, as long as it is asked about the same tensor again and neither weights nor the wish for
    gradients have changed, it gives what it made before. So BatchNorm counts a sample once, layers that draw
    draw once for it, and what several heads descend goes back through the layers together.

    Example:
        >>> trunk = Shared(nn.Linear(2, 3), nn.ReLU())
        >>> x = torch.rand(4, 2)
        >>> trunk(x) is trunk(x), trunk(x) is trunk(x.clone())
        (True, False)
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self._asked: weakref.ref[Tensor] | None = None
        self._state: tuple[Any, ...] = ()
        self._made: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        state = self._now(x) if self.training else ()
        if self._made is not None and self._asked is not None and self._asked() is x and self._state == state:
            return self._made
        made: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        if self.training:
            self._asked, self._state, self._made = weakref.ref(x), state, made
        return made

    def _now(self, x: Tensor) -> tuple[Any, ...]:
        """All that the output depends on, apart from which tensor is asked about."""
        weights = tuple((id(p), p._version, p.requires_grad) for p in self.parameters())
        return x._version, torch.is_grad_enabled(), weights

    def __getstate__(self) -> dict[str, Any]:
        """Without what is remembered: copies and files hold the layers alone."""
        return self.__dict__ | {"_asked": None, "_state": (), "_made": None}


__all__ = ["Shared"]
