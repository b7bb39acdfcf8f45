"""What one training step costs: operations, memory, and what several processes exchange for it.

All of it is counted while a step is computed, by torch's dispatcher, and does not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry

from pushforward import distributed
from pushforward.discrepancies import Discrepancy
from pushforward.networks.shared_batch import shared_functions
from pushforward.square import Square
from pushforward.training.loop import Loop

# Operations that make a tensor without touching its memory.
UNTOUCHED = frozenset({"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"})


@dataclass(frozen=True)
class StepWork:
    """What one process does in a step of all players.

    Attributes:
        flops: Floating-point operations of matrix products and convolutions, forward and backward.
        moved_bytes: What all operations read and write, each by itself, as without fusion.
        kernels: Number of operations that compute something, each of which a GPU starts by itself.
        exchanges: How often processes wait for each other.
        reduced_bytes: What this process adds to sums over all processes: gradients, above all.
        gathered_bytes: What this process sends to each other one: codes, statistics of batches.
    """

    flops: float
    moved_bytes: float
    kernels: float
    exchanges: float
    reduced_bytes: float
    gathered_bytes: float


@dataclass(frozen=True)
class StepMemory:
    """What one process keeps in memory in a step, in bytes.

    Attributes:
        weights: Weights, and statistics such as those of BatchNorm.
        gradients: Gradients of all players.
        moments: What the optimizers keep of the parameters.
        activations: The most that is kept at a time between a forward and a backward pass.
    """

    weights: int
    gradients: int
    moments: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class StepCost:
    """What a step costs.

    Attributes:
        rows: Rows of the batch that this process computes with.
        parameters: Trained numbers of each player, by its name.
        work: What the process does.
        memory: What it keeps.
    """

    rows: int
    parameters: dict[str, int]
    work: StepWork
    memory: StepMemory


class _Operations(TorchDispatchMode):
    """Adds up operations as they are dispatched.

    ``FlopCounterMode`` also asks which module they belong to, and fails in the double backward of a penalty.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sums = {field.name: 0 for field in fields(StepWork)}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Calls what was called, and counts it."""
        made = func(*args, **(kwargs or {}))
        if func.namespace == "c10d":
            self._exchange(func._overloadpacket.__name__, args)
        elif not func.is_view and func._overloadpacket.__name__ not in UNTOUCHED:
            self.sums["kernels"] += 1
            self.sums["moved_bytes"] += _bytes((args, kwargs)) + _bytes(made)
            count = flop_registry.get(func._overloadpacket)
            if count is not None:
                self.sums["flops"] += count(*args, **(kwargs or {}), out_val=made)
        return made

    def _exchange(self, name: str, args: Sequence[Any]) -> None:
        self.sums["exchanges"] += 1
        if name == "allgather_":
            self.sums["gathered_bytes"] += _bytes(args[1])
        elif name == "allreduce_":
            self.sums["reduced_bytes"] += _bytes(args[0])


def _bytes(tree: Any) -> int:
    return sum(part.numel() * part.element_size() for part in tree_iter(tree) if isinstance(part, Tensor))


class _Saved:
    """A tensor that is kept for the backward pass, and what it counts as long as it is."""

    def __init__(self, tensor: Tensor, kept: _Kept) -> None:
        self.tensor, self.kept = tensor.detach(), kept
        self.storage, size = tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes()
        kept.add(self.storage, size)

    def __del__(self) -> None:
        self.kept.remove(self.storage)


class _Kept:
    """Bytes of the storages that are kept for the backward pass, each once, and the most that there were."""

    def __init__(self, outside: set[int]) -> None:
        self.outside = outside  # storages of weights, which are there anyway
        self.kept: dict[int, list[int]] = {}
        self.now = self.most = 0

    def add(self, storage: int, size: int) -> None:
        users = self.kept.setdefault(storage, [0, size])
        users[0] += 1
        if users[0] == 1 and storage not in self.outside:
            self.now += size
            self.most = max(self.most, self.now)

    def remove(self, storage: int) -> None:
        users = self.kept[storage]
        users[0] -= 1
        if not users[0]:
            del self.kept[storage]
            if storage not in self.outside:
                self.now -= users[1]


@contextmanager
def _counting(model: nn.Module) -> Iterator[tuple[_Operations, _Kept]]:
    state = (*model.parameters(), *model.buffers())
    operations, kept = _Operations(), _Kept({tensor.untyped_storage().data_ptr() for tensor in state})
    with saved_tensors_hooks(lambda tensor: _Saved(tensor, kept), lambda saved: saved.tensor), operations:
        yield operations, kept


def measure_step(loop: Loop) -> StepCost:
    """Counts what a step costs. Steps are undone afterwards.

    Raises:
        DivergedError: If a term or a gradient of the step is not finite.
    """
    tensors, numbers = loop.state()
    try:
        loop.advance()  # the first makes the optimizers' moments
        with _counting(loop.model) as (operations, kept):
            loop.advance()
        states = loop.player_states
        moments = sum(value.nbytes for one in states for value in one.moments().values())
    finally:
        loop.restore(tensors, numbers)
    return StepCost(
        rows=loop.batch_size // distributed.size(),
        parameters={one.player.name: sum(p.numel() for p in one.parameters) for one in states},
        work=StepWork(**operations.sums),
        memory=StepMemory(
            weights=sum(value.nbytes for value in loop.model.state_dict().values()),
            gradients=sum({id(p): p.nbytes for one in states for p in one.parameters}.values()),
            moments=moments,
            activations=kept.most,
        ),
    )


def discrepancies(loop: Loop) -> Callable[[], None] | None:
    """A function that computes the discrepancies between samples of a step once more, with their gradients.

    None if there are none. What it takes is their share of the model's update. Discrepancies of distributions
    in closed form, such as KL, cost little and are left out, and so are the updates of critics.
    """
    model, batch = loop.model, loop.rows(0)
    square = Square(model, batch.x, loop.noise("discrepancies"), batch.y, loop.paired_rows(0))
    with torch.no_grad(), loop.looking(), distributed.sharing(), shared_functions():
        pairs = [
            (D, q.detach(), p.detach())
            for comparison in model.comparisons()
            for D, q, p in comparison.components(square).values()
            if isinstance(D, Discrepancy) and isinstance(q, Tensor) and isinstance(p, Tensor)
        ]

    def compute() -> None:
        with loop.looking(), distributed.sharing(), shared_functions():
            for D, q, p in pairs:
                D(q.requires_grad_(), p).backward()
        model.zero_grad()

    return compute if pairs else None


def measure_discrepancies(loop: Loop) -> StepWork:
    """Counts what :func:`discrepancies` of a step do."""
    compute = discrepancies(loop)
    with _counting(loop.model) as (operations, _):
        if compute is not None:
            compute()
    return StepWork(**operations.sums)


__all__ = ["StepCost", "StepMemory", "StepWork", "discrepancies", "measure_discrepancies", "measure_step"]
