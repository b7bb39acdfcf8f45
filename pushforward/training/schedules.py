"""Learning rates as functions of where a run stands, so that there is no scheduler state to save.

A schedule maps (epochs done, epochs in all) to the factor of the first learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[float, float], float]


def constant(epoch: float, epochs: float) -> float:
    """1 at every epoch."""
    return 1.0


def cosine(epoch: float, epochs: float, warm_up: float = 0.05, floor: float = 0.02) -> float:
    """A rise over the first 5 % of the run, then half a cosine down to 2 %.

    >>> [round(cosine(e, 100), 3) for e in (0, 2.5, 5, 52.5, 100)]
    [0.0, 0.5, 1.0, 0.51, 0.02]
    """
    done = epoch / epochs
    if done < warm_up:
        return done / warm_up
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min((done - warm_up) / (1 - warm_up), 1)))


def wae_mnist(epoch: float, epochs: float) -> float:
    """The schedule of WAE on MNIST (``manual`` in the official code): divided by 2 at epoch 30, by 5 more at
    50, by 10 more at 100.

    >>> [round(wae_mnist(e, 101), 4) for e in (29, 30, 50, 100)]
    [1.0, 0.5, 0.1, 0.01]
    """
    return 0.5 ** (epoch >= 30) * 0.2 ** (epoch >= 50) * 0.1 ** (epoch >= 100)


def wae_celeba(epoch: float, epochs: float) -> float:
    """The schedule of WAE on CelebA (``manual_smooth`` in the official code): times 100^(-1/E) at the start
    of every epoch, the first included.

    >>> [round(wae_celeba(e, 50), 4) for e in (0, 24, 49)]
    [0.912, 0.1, 0.01]
    """
    return float(100 ** (-(math.floor(epoch) + 1) / epochs))


def step_decay(epoch: float, epochs: float) -> float:
    """The schedule of adversarial auto-encoders: a tenth from epoch 50 on, a hundredth from 1000 on.

    >>> [step_decay(e, 2000) for e in (49, 50, 1000)]
    [1.0, 0.1, 0.01]
    """
    return 0.01 if epoch >= 1000 else 0.1 if epoch >= 50 else 1.0


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "cosine": cosine,
    "step-decay": step_decay,
    "wae-mnist": wae_mnist,
    "wae-celeba": wae_celeba,
}
