r"""How long a step takes on machines that are not there: a model of time with its assumptions as numbers.

A GPU starts operations (kernels) one after another, computes, and reads and writes its memory, while the next
ones are started; processes then wait for what they exchange:

.. math:: t = \max\Bigl(k\,\tau,\ \frac{F}{u\,P} + \frac{M}{u\,B}\Bigr) + t_{\text{exchange}}

with k kernels of :math:`\tau` seconds each, F floating-point operations at a peak of P a second, M bytes at
a bandwidth of B, and the share u of both that is reached. For what W processes exchange see :class:`Link`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from pushforward.errors import ConfigError
from pushforward.training.step_cost import StepWork
from pushforward.wording import option_name

HOUR = 3600.0


def check_positive(**values: float) -> None:
    """Checks that values are positive numbers.

    Raises:
        ConfigError: If one is not.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{option_name(name)} must be a positive number, got {value}")


@dataclass(frozen=True)
class Link:
    r"""What passes between processes, and how fast.

    .. math:: t_{\text{exchange}} = n\,\ell\,\lceil\log_2 W\rceil
        + \frac{2 (W - 1)}{W} \frac{S}{B} + (W - 1) \frac{G}{B}

    for n exchanges, S bytes that are summed in a ring and G that each process sends to each other one.

    Attributes:
        latency: Seconds :math:`\ell` of the smallest exchange of two processes.
        bandwidth: Bytes B a second that a process sends.

    Raises:
        ConfigError: If one is not positive.
    """

    latency: float
    bandwidth: float

    def __post_init__(self) -> None:
        check_positive(latency=self.latency, bandwidth=self.bandwidth)

    def seconds(self, work: StepWork, world_size: int) -> float:
        """Seconds that one of so many processes waits for its exchanges.

        >>> work = StepWork(0, 0, 0, exchanges=2, reduced_bytes=1000, gathered_bytes=0)
        >>> Link(latency=1.0, bandwidth=500.0).seconds(work, 4)
        7.0
        """
        others = world_size - 1
        sent = 2 * others / world_size * work.reduced_bytes + others * work.gathered_bytes
        return work.exchanges * self.latency * math.ceil(math.log2(world_size)) + sent / self.bandwidth


@dataclass(frozen=True)
class GPU:
    """What a GPU can do, and what of it eager PyTorch reaches.

    Attributes:
        name: Its name.
        flops: Peak of dense floating-point operations a second, by precision.
        bandwidth: Bytes a second of its memory.
        memory: Bytes of its memory.
        link: Between GPUs of different machines.
        reached: The share of ``flops`` and of ``bandwidth`` that is reached.
        launch: Seconds in which Python starts a kernel.
    """

    name: str
    flops: dict[str, float]
    bandwidth: float
    memory: float
    link: Link
    reached: float = 0.4
    launch: float = 25e-6

    def seconds(self, work: StepWork, precision: str) -> float:
        """Seconds in which the GPU does the work of a step, without waiting for others."""
        computing = work.flops / self.flops[precision] + work.moved_bytes / self.bandwidth
        return max(work.kernels * self.launch, computing / self.reached)


INFINIBAND = Link(latency=20e-6, bandwidth=25e9)  # NCCL with one adapter of 200 Gbit/s for each GPU
# As NVIDIA states them: A100 80GB SXM, H100 SXM, H200 SXM; fp32 without TF32, bf16 without sparsity.
GPUS = {
    "a100": GPU("A100", {"fp32": 19.5e12, "bf16": 312e12}, 2.04e12, 80e9, INFINIBAND),
    "h100": GPU("H100", {"fp32": 67e12, "bf16": 989e12}, 3.35e12, 80e9, INFINIBAND),
    "h200": GPU("H200", {"fp32": 67e12, "bf16": 989e12}, 4.8e12, 141e9, INFINIBAND),
}


@dataclass(frozen=True)
class Failures:
    r"""What is lost to failures, and to saving against them.

    With a failure in :math:`M` seconds of one process, W of them have one in M / W. Each loses half of an
    interval between checkpoints, and the time of the restart; saving takes its share of every interval.

    Attributes:
        between: Mean seconds between failures of one process.
        save: Seconds of a checkpoint.
        interval: Seconds between two of them.
        restart: Seconds from a failure to the next step.

    Raises:
        ConfigError: If one is not positive.
    """

    between: float
    save: float
    interval: float
    restart: float = 300.0

    def __post_init__(self) -> None:
        check_positive(**asdict(self))

    def lost(self, world_size: int) -> float:
        """The expected share of time that is lost, of so many processes.

        >>> Failures(between=64_000.0, save=1.0, interval=100.0, restart=50.0).lost(64)
        0.11
        """
        return self.save / self.interval + (self.interval / 2 + self.restart) * world_size / self.between

    def best_interval(self, world_size: int) -> float:
        """Seconds between checkpoints that lose least, to first order: sqrt(2 save between / W).

        Source: A first order approximation to the optimum checkpoint interval, Young, 1974,
        https://doi.org/10.1145/361147.361115

        >>> Failures(between=20_000.0, save=2.0, interval=60.0).best_interval(2)
        200.0
        """
        return math.sqrt(2 * self.save * self.between / world_size)


def extrapolated(works: Sequence[tuple[int, StepWork]], world_size: int) -> StepWork:
    """The work of one of so many processes, from that of fewer: the polynomial in their number through it.

    With as many rows for each process, rows over all of them grow with their number, and pairs of rows with
    its square: three points are enough.

    Arguments:
        works: Numbers of processes, and the work of each of them.
        world_size: The number asked for.

    >>> square = [(w, StepWork(3 + w + 2 * w**2, 0, 0, 0, 0, 0)) for w in (2, 4, 8)]
    >>> extrapolated(square, 100).flops
    20103.0
    """
    factors = [
        math.prod((world_size - other) / (here - other) for other, _ in works if other != here)
        for here, _ in works
    ]
    sums = {
        field.name: sum(
            factor * getattr(work, field.name) for factor, (_, work) in zip(factors, works, strict=True)
        )
        for field in fields(StepWork)
    }
    return StepWork(**sums)


__all__ = ["GPU", "GPUS", "HOUR", "Failures", "Link", "check_positive", "extrapolated"]
