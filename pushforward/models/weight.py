"""The weight of a discrepancy: a number, a warm-up, or a multiplier that adapts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from pushforward.discrepancies import IMQ, MMD
from pushforward.distributions import Prior
from pushforward.errors import ConfigError, check_int
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.torch_state import OnCPU, in_double, to_device, with_double
from pushforward.wording import option_name

BOUND = math.log(1e6)  # of an automatic weight, which must not drown the cost when no weight helps


class Weight(OnCPU):
    """A fixed factor of the discrepancy; ``float(weight)`` is its value.

    Its state is a few float64 numbers that Python reads.

    Arguments:
        value: The factor, at least 0.

    Raises:
        ConfigError: If it is negative or not finite.
    """

    def __init__(self, value: float) -> None:
        super().__init__()
        if not (value >= 0 and math.isfinite(value)):
            raise ConfigError(f"{option_name('weight')} must be a number of at least 0, got {value}")
        self.log_value: Tensor
        self.register_buffer("log_value", torch.tensor(value, dtype=torch.float64).log())
        self.as_tensor: Tensor | None = None  # its value on the device, where no number may be read

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"{float(self):g}"

    def __float__(self) -> float:
        return math.exp(self.log_value.item())

    def number(self) -> float | Tensor:
        """Its value, which is a tensor () where Python would wait for a device to read it."""
        return float(self) if self.log_value.device.type == "cpu" else self.log_value.exp()

    def times(self, term: Tensor) -> Tensor:
        """The weight times a term of any shape, in the term's dtype."""
        number = self.number() if self.as_tensor is None else self.as_tensor
        return term * (number.to(term.dtype) if isinstance(number, Tensor) else number)

    def update_state(self, s: Square, step: int, lr_factor: float) -> None:
        """Does nothing: the weight is fixed."""


class WarmUp(Weight):
    """A weight that rises linearly from 0, and then stays: a warm-up.

    A decoder that can ignore codes learns to do so before they carry information; with a low weight at the
    start, they carry it first.

    Arguments:
        value: The final weight.
        steps: Steps until then.

    References:
        | Generating Sentences from a Continuous Space (Bowman et al., 2016), section 3.1
        | https://arxiv.org/abs/1511.06349
    """

    def __init__(self, value: float, steps: int) -> None:
        super().__init__(value)
        self.value = value
        self.steps = check_int("warmup", steps, least=1)
        self.log_value.fill_(-math.inf)

    def update_state(self, s: Square, step: int, lr_factor: float) -> None:
        """Sets the weight to its final value times (step + 1) / steps, at most 1."""
        share = min(1.0, (step + 1) / self.steps)
        self.log_value.copy_(torch.tensor(self.value * share, dtype=torch.float64).log())


class AutoWeight(Weight):
    r"""The Lagrange multiplier of the constraint :math:`Q_Z = P_Z`, found by dual ascent.

    .. math:: \log \lambda \leftarrow \log \lambda
        + \eta \sqrt r\, \mathrm{clip}\!\left(\frac{\bar D}{s} - \tau,\, -1,\, 1\right),
        \qquad \tau = \tfrac14 + 2 r^2

    D is the seven-scale MMD² of a batch of codes in evaluation mode whatever the discrepancy is, so that the
    weight means the same for a kernel, a critic and a KL; :math:`\bar D` is a moving average
    and s the deviation of D under :math:`Q_Z = P_Z` at the batch's size, found by simulation.
    At the end of a schedule, where its factor r of the learning rate is near 0, the constraint is
    :math:`D \le s/4`: a two-sample test of level 5 % would reject 8 % of such batches, and so
    cannot distinguish them from draws of the prior. While the learning rate is high, codes fluctuate and keep
    D above a value that no weight can lower (on MNIST with Adam at 2e-3 about :math:`1.3\,r^2 s`); the
    tolerance allows for it.

    Codes follow the weight with a delay, so it must not rise too fast: while D still falls by itself, by half
    in the memory of its longer average, the weight does not rise. It stays within a million and a
    millionth: where the constraint cannot be met, no weight helps.

    Its numbers go to the device of the model, since no step may wait for codes that are there; they keep
    float64, and stay on the CPU if the device has none.

    Arguments:
        prior: The prior that codes are to follow.
        batch_size: Rows in a batch.
        start: The first weight.
        up: The largest step of :math:`\log\lambda` upwards: 0.008 crosses a decade in 290 steps.
        down: The largest step downwards.
        memory: Steps that the moving average remembers; the longer one remembers four times as many.
        every: Steps between updates; each moves the weight as far as so many steps.
    """

    def __init__(
        self,
        prior: Prior,
        batch_size: int,
        start: float,
        up: float = 0.008,
        down: float = 0.003,
        memory: float = 50,
        every: int = 4,
    ) -> None:
        if not start > 0:
            raise ConfigError(f"{option_name('weight', 'auto')} must start above 0, got {start}")
        super().__init__(start)
        self.gauge = MMD(IMQ(prior.expected_sq_distance))
        self.up, self.down = up, down
        self.memory = memory
        self.every = every
        self.average: Tensor
        self.longer: Tensor
        for name in ("average", "longer"):
            self.register_buffer(name, torch.tensor(math.nan, dtype=torch.float64))
        self.deviation = null_deviation(self.gauge, prior, batch_size)

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"auto, now {float(self):g}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        device = with_double(fn(torch.empty(0, device=self.log_value.device)).device)
        self._buffers = {name: x if x is None else to_device(x, device) for name, x in self._buffers.items()}
        return self

    @torch.no_grad()
    def update_state(self, s: Square, step: int, lr_factor: float) -> None:
        """Every ``every`` steps, changes log λ by the formula, from codes and prior draws of the batch."""
        if step % self.every:
            return
        gap = in_double(self.gauge(s.eval_codes, s.fresh_prior)) / self.deviation
        self.average = _follow(self.average, gap, self.memory / self.every)
        self.longer = _follow(self.longer, gap, 4 * self.memory / self.every)
        excess = (self.average - (0.25 + 2 * lr_factor**2)).clamp(-1, 1)
        rising = self.average >= self.longer / 2
        move = torch.where(excess < 0, self.down * excess, self.up * excess * rising)
        self.log_value = (self.log_value + self.every * lr_factor**0.5 * move).clamp(-BOUND, BOUND)


def _follow(average: Tensor, value: Tensor, memory: float) -> Tensor:
    """A moving average that begins with its first value."""
    return torch.where(average.isnan(), value, average + (value - average) / memory)


@torch.no_grad()
def null_deviation(gauge: MMD, prior: Prior, batch_size: int, draws: int = 64) -> float:
    """The standard deviation of an MMD between two batches of draws of the prior, by simulation.

    Arguments:
        gauge: The MMD.
        prior: Where both batches come from.
        batch_size: Rows of each batch.
        draws: Number of pairs of batches.
    """
    noise = Noise("null deviation")
    values = [
        gauge(*(prior.draw(batch_size, noise(side, i)) for side in ("made", "given"))).cpu().double()
        for i in range(draws)
    ]
    return float(torch.stack(values).std())
