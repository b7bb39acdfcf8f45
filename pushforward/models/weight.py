"""The weight of the match: a number, or a multiplier that finds its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.discrepancies import IMQ, MMD
from pushforward.distributions import Prior
from pushforward.errors import ConfigError
from pushforward.randomness import Noise
from pushforward.square import Square


class Weight(nn.Module):
    """A fixed factor of the match, at least 0."""

    def __init__(self, value: float) -> None:
        super().__init__()
        if not (value >= 0 and math.isfinite(value)):
            raise ConfigError(f"weight must be a number of at least 0, got {value}")
        self.log_value: Tensor
        self.register_buffer("log_value", torch.tensor(value, dtype=torch.float64).log())

    def extra_repr(self) -> str:
        return f"{float(self):g}"

    def __float__(self) -> float:
        return math.exp(self.log_value.item())

    def settle(self, s: Square) -> None:
        """A fixed weight stays."""


class AutoWeight(Weight):
    r"""The Lagrange multiplier of the constraint :math:`Q_Z = P_Z`, found by dual ascent.

    .. math:: \log \lambda \leftarrow \log \lambda
        + \eta \, \mathrm{clip}\!\left(\frac{\bar D - \delta}{s}, -1, 1\right)

    D is the seven-scale MMD of a batch of codes whatever the match is, so that the weight means
    the same for a kernel, a critic and a KL. s is its standard deviation under
    :math:`Q_Z = P_Z` at the batch's size, found by simulation, and :math:`\delta = s/4`: a
    two-sample test of level 5 % would reject 8 % of such batches, and so cannot tell them
    from matched ones. :math:`\bar D` is a moving average.

    Arguments:
        prior: The law to be met.
        batch: Rows in a batch.
        start: The first weight.
        rate: The largest step of :math:`\log\lambda`: 0.01 crosses a decade in 230 steps.
        memory: Steps that the moving average remembers.
    """

    def __init__(self, prior: Prior, batch: int, start: float, rate: float = 0.01, memory: int = 50) -> None:
        if not start > 0:
            raise ConfigError(f"weight='auto' must start above 0, got {start}")
        super().__init__(start)
        self.gauge = MMD(IMQ(prior.spread))
        self.rate = rate
        self.memory = memory
        self.average: Tensor
        self.register_buffer("average", torch.zeros((), dtype=torch.float64))
        self.spread = null_deviation(self.gauge, prior, batch)

    def extra_repr(self) -> str:
        return f"auto, now {float(self):g}"

    @torch.no_grad()
    def settle(self, s: Square) -> None:
        gap = self.gauge(s.resting, s.z).double()
        self.average = self.average + (gap - self.average) / self.memory
        excess = (self.average / self.spread - 0.25).clamp(-1, 1)
        self.log_value = self.log_value + self.rate * excess


def null_deviation(gauge: MMD, prior: Prior, batch: int, draws: int = 64) -> float:
    """The standard deviation of a discrepancy between two batches of one law."""
    noise = Noise("null deviation")
    values = [
        gauge(*(prior.draw(batch, noise(side, i)) for side in ("made", "given"))).double()
        for i in range(draws)
    ]
    return float(torch.stack(values).std())
