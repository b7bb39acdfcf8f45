"""Several steps whose numbers are looked at once, so that a GPU is not waited for in each of them.

:meth:`Loop.advance <pushforward.training.loop.Loop.advance>` copies the terms of each update to the CPU and
checks them before the optimizer's step. On a GPU each such copy waits for all that has been started there. A
block leaves the numbers on the device, fetches them all at its end, and is undone if one is not finite. Steps
are functions of weights, moments and the step's number: taken again, one by one, they lead to the same step,
and that one is refused as it would have been without the block.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pushforward import distributed
from pushforward.square import Square
from pushforward.training.loop import Loop, terms_of
from pushforward.training.player_state import Update

BLOCKS = {"cuda": 50}  # the most steps of a block, by the type of the device; 1 of all others
SECONDS = 1.0  # that a block takes at most, about: a stop on request waits for its end


class Blocks:
    """Takes the steps of a loop in blocks, which are as long as the time of the last one allows.

    Arguments:
        loop: The loop.
        clock: Tells the time in seconds. How long blocks are depends on it, but not what they come to.
    """

    def __init__(self, loop: Loop, clock: Callable[[], float] = time.monotonic) -> None:
        self.loop = loop
        self.clock = clock
        self.most = BLOCKS.get(loop.device.type, 1)
        self.steps = 1

    def advance(self, most: int) -> tuple[list[dict[str, Tensor]], Square]:
        """At most so many steps, as :func:`advance_block` takes them."""
        if self.most == 1:
            return advance_block(self.loop, 1)
        begun, steps = self.clock(), min(self.steps, most)
        taken, square = advance_block(self.loop, steps)
        affordable = int(SECONDS * steps / max(self.clock() - begun, 1e-6))
        self.steps = distributed.from_first(max(1, min(self.most, affordable)))
        return taken, square


def advance_block(loop: Loop, steps: int) -> tuple[list[dict[str, Tensor]], Square]:
    """Some steps: the terms of each, on the CPU, and the last square that the model saw.

    Weights, terms and errors are those of as many calls of ``loop.advance()``. On the device the state of
    before the block is kept: as much memory as weights and moments take.

    Raises:
        DivergedError: If a term or a gradient is not finite, as by ``loop.advance()``.
    """
    if steps == 1:
        terms, square = loop.advance()
        return [terms], square
    before = loop.state()
    taken: list[list[Update]] = []
    try:
        for _ in range(steps):
            taken.append([])
            square = loop.take_step(taken[-1], look=False)
    except Exception:
        # What is not finite may be an error in the next step; of all others nothing is to be undone.
        if _all_finite(fetch(taken)):
            raise
    else:
        found = fetch(taken)
        if _all_finite(found):
            return [terms_of(updates) for updates in found], square
    loop.restore(*before)
    # The first step that is not finite raises. If none is, it was rounding, which not all GPUs repeat.
    again = [loop.advance() for _ in range(steps)]
    return [terms for terms, _ in again], again[-1][1]


def fetch(taken: Sequence[Sequence[Update]]) -> list[list[Update]]:
    """The numbers of steps on the CPU, by one copy."""
    updates = [update for step in taken for update in step]
    values = torch.cat([update.values for update in updates] or [torch.empty(0)]).cpu()
    parts = iter(values.split([len(update.values) for update in updates]))
    return [
        [replace(update, values=next(parts).to(update.values.dtype)) for update in step] for step in taken
    ]


def _all_finite(taken: Sequence[Sequence[Update]]) -> bool:
    return all(update.finite for step in taken for update in step)


__all__ = ["Blocks", "advance_block", "fetch"]
