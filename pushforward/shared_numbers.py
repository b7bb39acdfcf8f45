"""Random numbers that layers draw by themselves, alike in one process and in several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from pushforward.distributed import in_step, is_sharing, own_slice, size
from pushforward.torch_state import torch_generators, torch_seeded

_generators: list[torch.Generator] = []  # torch's own, of the CPU and of the device of the step
_following: list[Tensor] = []  # their states, from which the next layer of all processes draws
_drawn: dict[int, list[Tensor]] = {}  # those from which layers of this step have drawn, by names of the draws


def seed_layers(seed: int, device: torch.device | str) -> None:
    """Seeds the numbers that layers draw by :func:`drawn_alike`, alike in all processes."""
    global _generators, _following
    _generators = torch_generators(device)
    with torch_seeded(seed, device):
        _following = [generator.get_state() for generator in _generators]
    _drawn.clear()


@contextmanager
def drawn_alike() -> Iterator[None]:
    """Inside a step, and this, torch's own generators draw alike in all processes: what one would draw.

    Elsewhere they draw other numbers in each process. One of those is a name of the draw:
    ``torch.utils.checkpoint`` sets generators back before it computes a layer again, which then finds the
    name, and by it the numbers, that it had.
    """
    global _following
    name = int(torch.empty((), dtype=torch.int64, device="cpu").random_())
    own = [generator.get_state() for generator in _generators]
    begun = _drawn.setdefault(name, _following)
    _set_states(begun)
    try:
        yield
    finally:
        if begun is _following:  # a new draw, unlike one that is made again
            _following = [generator.get_state() for generator in _generators]
        _set_states(own)


def _set_states(states: Sequence[Tensor]) -> None:
    for generator, state in zip(_generators, states, strict=True):
        generator.set_state(state)


def layer_numbers(
    draw: Callable[..., Tensor], *shape: int, device: torch.device, dtype: torch.dtype | None = None
) -> Tensor:
    """Random numbers (N, \\*) of layers that draw by themselves: of this process's rows, among those of all.

    Several processes draw those of the whole batch, all the same, and keep those of their rows: what one
    process would draw.

    Arguments:
        draw: ``torch.rand`` or ``torch.randn``.
        shape: Their shape, whose first number is that of this process's rows.
        device: Where they are.
        dtype: Their type.
    """
    if not in_step():
        return draw(*shape, device=device, dtype=dtype)
    rows = size() * shape[0] if is_sharing() else shape[0]
    with drawn_alike():
        drawn = draw(rows, *shape[1:], device=device, dtype=dtype)
    return drawn[own_slice(rows)] if is_sharing() else drawn


__all__ = ["drawn_alike", "layer_numbers", "seed_layers"]
