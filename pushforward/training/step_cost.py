"""What one training step costs: its operations, and the bytes that processes exchange for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from pushforward import distributed
from pushforward.errors import ConfigError
from pushforward.training.loop import Loop
from pushforward.wording import option_name


@dataclass(frozen=True)
class StepCost:
    """The cost of one step of all players.

    Attributes:
        parameters: Trained numbers of each player, by its name.
        flops_per_row: Floating-point operations of matrix products and convolutions, forward and backward, of
            all updates of a step, divided by the rows of a batch; without operations element by element.
        moments_bytes: What the optimizers keep of the parameters.
        gradient_bytes: Gradients of all updates of a step.
    """

    parameters: dict[str, int]
    flops_per_row: float
    moments_bytes: int
    gradient_bytes: int


class _Operations(TorchDispatchMode):
    """Adds up operations by torch's formulas.

    ``FlopCounterMode`` also asks which module they belong to, and fails in the double backward of a penalty.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Calls what was called, and counts it if it is a matrix product or a convolution."""
        made = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=made)
        return made


def measure_step(loop: Loop) -> StepCost:
    """Counts the operations and the bytes of a step, which is undone afterwards.

    Raises:
        DivergedError: If a term or a gradient of the step is not finite.
    """
    tensors, numbers = loop.state()
    counter = _Operations()
    try:
        with counter:
            loop.advance()
        moments = sum(
            value.nbytes for player_state in loop.player_states for value in player_state.moments().values()
        )
    finally:
        loop.restore(tensors, numbers)
    rows = loop.batch_size // distributed.size()  # this process counts its own
    return StepCost(
        parameters={
            player_state.player.name: sum(parameter.numel() for parameter in player_state.parameters)
            for player_state in loop.player_states
        },
        flops_per_row=counter.total / rows,
        moments_bytes=moments,
        gradient_bytes=sum(
            player_state.player.updates * sum(parameter.nbytes for parameter in player_state.parameters)
            for player_state in loop.player_states
        ),
    )


def ring_bytes(content: int, world_size: int) -> float:
    """The bytes that each process sends to add up ``content`` bytes in a ring: 2 (W - 1) / W of them.

    Raises:
        ConfigError: If there is no process.

    Example:
        >>> ring_bytes(1000, 1), ring_bytes(1000, 2), ring_bytes(1000, 4)
        (0.0, 1000.0, 1500.0)
    """
    if world_size < 1:
        raise ConfigError(f"{option_name('world_size')} must be at least 1, got {world_size}")
    return 2 * (world_size - 1) / world_size * content


def save_interval(save: float, between_failures: float) -> float:
    """The seconds between checkpoints that lose least, to first order (Young): sqrt(2 save MTBF).

    Arguments:
        save: Seconds that a checkpoint takes.
        between_failures: Mean seconds between failures.

    Raises:
        ConfigError: If either is not a positive number.

    Example:
        >>> save_interval(2.0, 10_000.0)
        200.0
    """
    for name, value in (("save", save), ("between_failures", between_failures)):
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{option_name(name)} must be a positive number, got {value}")
    return math.sqrt(2 * save * between_failures)
