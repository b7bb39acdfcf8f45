"""The square: the six samples that a batch gives rise to, each computed on first use.

.. code-block:: text

                  X                 Z
       given      x                 z               the data, the prior
       made       Gz  = G(z)        Ex  = E(x)      outputs of the networks
       back       GEx = G(E(x))     EGz = E(G(z))   reconstructions

``Gz`` and ``GEx`` are the decoder's outputs; the cost maps them to
data (:meth:`~pushforward.costs.Cost.point`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from pushforward.distributed import gather_replicated
from pushforward.distributions import Distribution, Gaussian, moments
from pushforward.rng import Noise
from pushforward.utils import eval_mode, lazy


class Networks(Protocol):
    """What a square asks of a model: its networks, and how codes are decoded."""

    prior: Any
    encoder: Any
    cost: Any

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Decodes codes (N, L), given labels (N,) where the decoder is conditional."""


class Known(NamedTuple):
    """What is known of the rows of all processes' batch on the CPU, where they are chosen by it.

    Attributes:
        y: Their labels, (N,), or None.
        paired: Their counterparts, (N, \\*), or None.
    """

    y: Tensor | None
    paired: Tensor | None


class Square:
    """One batch and what a model computes from it, each once.

    Arguments:
        model: The model whose prior, encoder and decoder are used.
        x: Given data, shape (N, \\*).
        noise: The source of every random number of this square.
        y: Labels, shape (N,), or None; -1 is "unknown".
        paired: Counterparts of the rows under the other of two labels, (N, \\*), or None; -1 where none is
            known.
        known: Reads labels and counterparts on the CPU; if None, they are copied from the device.
    """

    def __init__(
        self,
        model: Networks,
        x: Tensor,
        noise: Noise,
        y: Tensor | None = None,
        paired: Tensor | None = None,
        known: Callable[[], Known] | None = None,
    ) -> None:
        self.model = model
        self.x = x
        self.y = y
        self.paired = paired
        self.noise = noise
        self._known = known

    @lazy
    def known(self) -> Known:
        """Labels and counterparts of all processes' rows, on the CPU, so that shapes may depend on them.

        In a step the loop knows them, and no device is waited for.
        """
        if self._known is not None:
            return self._known()
        return Known(
            *(None if rows is None else gather_replicated(rows)[0].cpu() for rows in (self.y, self.paired))
        )

    @lazy
    def p(self) -> Distribution:
        """The prior of N rows."""
        return self.model.prior(len(self.x))

    @lazy
    def q(self) -> Distribution:
        """The encoder's distribution of the code of every row of ``x``."""
        return self.model.encoder(self.x, self.y)

    @lazy
    def z(self) -> Tensor:
        """Given codes, (N, L), which are draws of the prior."""
        return self.p.rsample(self.noise("prior"))

    @lazy
    def Ex(self) -> Tensor:
        """Made codes, (N, L), one draw of the code of every row of ``x``."""
        return self.q.rsample(self.noise("encoder"))

    @lazy
    def moments(self) -> Gaussian:
        """The Gaussian with the moments of every row's code, without gradient."""
        return moments(self.q, self.noise("encoder"))

    @lazy
    def eval_codes(self) -> Tensor:
        """Made codes, (N, L), of the encoder in evaluation mode, with BatchNorm's running statistics.

        In training BatchNorm gives every batch the same moments, so that its rows are not
        independent and their discrepancy from the prior reads too small, even below 0.
        """
        with eval_mode(self.model.encoder) as encoder, torch.no_grad():
            return encoder(self.x, self.y).rsample(self.noise("encoder"))

    @lazy
    def fresh_prior(self) -> Tensor:
        """Further draws of the prior, (N, L), that no loss has seen, for diagnostics of codes."""
        return self.p.rsample(self.noise("fresh"))

    @lazy
    def Gz(self) -> Tensor:
        """Made data, (N, \\*), which are decoded draws of the prior."""
        return self.model.generate(self.z, self.y)

    @lazy
    def GEx(self) -> Tensor:
        """The data back, (N, \\*), which are decoded codes of ``x``."""
        return self.model.generate(self.Ex, self.y)

    @lazy
    def EGz(self) -> Tensor:
        """The codes back, (N, L), which are codes of decoded draws of the prior."""
        made = self.model.encoder(self.model.cost.point(self.Gz), self.y)
        return made.rsample(self.noise("encoder", "back"))
