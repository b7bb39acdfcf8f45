"""How far one sample is from another.

A discrepancy does not know where it stands: the same object compares images, codes or
features. Made comes first, given second, always.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Discrepancy(nn.Module, ABC):
    """A number ``D(q, p)`` from a sample ``q`` of what is made and a sample ``p`` of what is given.

    Shapes: ``q`` (N, \\*), ``p`` (M, \\*), the value ().

    A discrepancy with parameters is a game: they belong to a critic that moves in its own turn
    to increase :meth:`advantage`, and forward must then be what the model descends.
    """

    turns = 1  # updates of the critic for each update of the model

    @abstractmethod
    def forward(self, q: Tensor, p: Tensor) -> Tensor: ...

    def advantage(self, q: Tensor, p: Tensor) -> Tensor:
        """What a critic climbs, shape (). Discrepancies without a critic have none."""
        raise NotImplementedError(f"{type(self).__name__} has no critic")
