"""Losses that are compiled while a model is trained, by ``torch.compile``; everything else stays as it is.

The loss of a player is one function of tensors: the rows of its batch and the random numbers that were
derived for them. Compiled as a whole, with networks, costs and discrepancies, it becomes one program, whose
elementwise operations are fused, and on a GPU one CUDA graph forward and one back. Optimizers are not
compiled, nor is a model in evaluation mode: samples, metrics and loaded runs do not know of it.

Some losses are no such program: those of networks of text, whose lengths are those of the lines at hand,
losses that choose rows by their labels, and networks that change numbers of Python at each step. A trial
before the first step finds them, and they are computed as they would be otherwise.
"""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import copy, deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pushforward import distributed
from pushforward.distributions import Distribution
from pushforward.errors import ConfigError, reason
from pushforward.models.base import Player, Terms
from pushforward.models.weight import Weight
from pushforward.networks.once import SHARED_LAYERS
from pushforward.rng import Noise
from pushforward.square import Networks, Square
from pushforward.torch_state import to_device, torch_seeded
from pushforward.training.loop import Loop
from pushforward.wording import option_name

# Numbers that layers draw are those of torch's own generator.
OPTIONS: dict[str, dict[str, Any]] = {
    "cpu": {"fallback_random": True},
    "cuda": {"fallback_random": True, "triton.cudagraphs": True},
}


Method = Callable[..., np.ndarray]
Loss = Callable[[Square], Terms]
# With the tensor that stands for each in a program.
Weights = list[tuple[Weight, Tensor]]


class Draw(NamedTuple):
    """Random numbers of one step: numpy's method, the place, and the shape."""

    method: Method
    place: tuple[object, ...]
    shape: tuple[int, ...]

    def of(self, noise: Noise, device: torch.device) -> Tensor:
        """The numbers themselves, on a device."""
        return to_device(noise(*self.place)._draw(self.method, self.shape), device)


class Recording(Noise):
    """Random numbers of a place, which keep a list of what was drawn.

    >>> noise = Recording(Noise(0)("step", 7), [])
    >>> _ = noise("prior").normal(4, 2)
    >>> [(draw.place, draw.shape) for draw in noise.draws]
    [(('prior',), (4, 2))]
    """

    def __init__(self, noise: Noise, draws: list[Draw], place: tuple[object, ...] = ()) -> None:
        super().__init__(*noise.key, start=noise.start)
        self.draws = draws
        self.place = place

    def __call__(self, *place: object) -> Recording:
        """The numbers of a place inside this one."""
        return Recording(super().__call__(*place), self.draws, (*self.place, *place))

    def rows(self, start: int) -> Recording:
        """The same numbers, beginning at row ``start``."""
        return Recording(super().rows(start), self.draws, self.place)

    def _draw(self, method: Method, shape: tuple[int, ...]) -> Tensor:
        self.draws.append(Draw(method, self.place, shape))
        return super()._draw(method, shape)


class Drawn(Noise):
    """Random numbers that were drawn before they are asked for: a program takes tensors."""

    def __init__(self, values: dict[Draw, Tensor], place: tuple[object, ...] = ()) -> None:
        self.values = values
        self.place = place
        self.start = 0

    def __call__(self, *place: object) -> Drawn:
        """The numbers of a place inside this one."""
        return Drawn(self.values, (*self.place, *place))

    def rows(self, start: int) -> Drawn:
        """The same numbers: there is one process."""
        return self

    def _draw(self, method: Method, shape: tuple[int, ...]) -> Tensor:
        return self.values[Draw(method, self.place, shape)]


class CompiledLoss:
    """The loss of a player, compiled: from a :class:`Square` to terms.

    A loss that depends on its batch in ways that no program of fixed shapes can is left as it is.

    Arguments:
        player: The player.
        weights: The weights of its terms: numbers that change, and would be constants of the program.
        device: Where it is computed.
        say: Takes a line that says why the loss is not compiled.

    Attributes:
        replayed: Whether the program is a CUDA graph, which writes its results to the same memory each time.
    """

    def __init__(
        self, player: Player, weights: Sequence[Weight], device: torch.device, say: Callable[[str], object]
    ) -> None:
        self.player = player
        # A CUDA graph reads a tensor that a module holds where it lies: at another place it is recorded anew.
        self.weights = [(weight, torch.empty((), dtype=torch.float64, device=device)) for weight in weights]
        self.say = say
        self.replayed = device.type == "cuda"
        self.draws: dict[tuple[object, ...], list[Draw]] = {}
        self.program: Loss | None = program_of(player.loss, options=OPTIONS[device.type])

    def __call__(self, square: Square) -> Terms:
        """The terms of a square.

        Raises:
            ConfigError: If the loss cannot be compiled, but was at an earlier step.
        """
        if self.program is None:
            return self.player.loss(square)
        shapes = tuple(None if rows is None else rows.shape for rows in (square.x, square.y, square.paired))
        begun, new = bool(self.draws), shapes not in self.draws
        if new:
            try:
                copies = deepcopy((self.player.loss, square.model, self.weights))
            except (TypeError, RuntimeError) as error:
                return self._uncompiled(square, begun, f"the model cannot be copied: {reason(error):.100}")
        try:
            if new:
                self.draws[shapes] = try_out(*copies, square)
            with (
                compiling() if new else nullcontext(),
                tensors_only(square, self.draws[shapes], self.weights),
            ):
                return self._replay(square) if self.replayed else self.program(square)
        except failures() as error:
            return self._uncompiled(square, begun, why(error))

    def _uncompiled(self, square: Square, begun: bool, why: str) -> Terms:
        """The terms as they are without ``--compile``, from the first step on or not at all."""
        if begun:
            raise ConfigError(
                f"the loss of the {self.player.name} cannot be compiled for a later step ({why}): its rows "
                f"have another shape, or a network has changed; resume with {option_name('compile', False)}"
            )
        self.say(f"the loss of the {self.player.name} is not compiled: {why}")
        self.program = None
        return self.player.loss(square)

    def _replay(self, square: Square) -> Terms:
        """The terms, with copies of what the square holds: the next replay overwrites it."""
        assert self.program is not None
        torch.compiler.cudagraph_mark_step_begin()
        given = set(vars(square))
        terms = self.program(square)
        for name in vars(square).keys() - given:
            setattr(square, name, copied(vars(square)[name]))
        return terms


@contextmanager
def tensors_only(square: Square, draws: Sequence[Draw], weights: Weights) -> Iterator[None]:
    """Inside, random numbers and weights are tensors: numbers would be constants of a program."""
    noise = square.noise
    square.noise = Drawn({draw: draw.of(noise, square.x.device) for draw in draws})
    for weight, number in weights:
        weight.as_tensor = number.fill_(weight.number())
    try:
        yield
    finally:
        square.noise = noise
        for weight, _ in weights:
            weight.as_tensor = None


def try_out(loss: Loss, model: Networks, weights: Weights, square: Square) -> list[Draw]:
    """The random numbers that a loss takes; it is computed a few times, and generators are as they were.

    The compiler follows it without translating it. What changes in between and is no tensor, wherever it is,
    would be a constant of a program: then the second program would be another one than the first.

    Arguments:
        loss: A copy of the loss.
        model: The copy of the model that it is the loss of.
        weights: The weights of this copy.
        square: The rows, and the random numbers, of a step.

    Raises:
        TorchDynamoException: If the loss is no program, or is not the same one each time.
    """
    from torch._dynamo import config

    draws: list[Draw] = []
    program = program_of(loss, backend="eager")
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch_seeded(0, square.x.device), compiling():
            loss(Square(model, square.x, Recording(square.noise, draws), square.y, square.paired))
            for _ in range(2):
                again = Square(model, square.x, square.noise, square.y, square.paired)
                with config.patch(error_on_recompile=True), tensors_only(again, draws, weights):
                    program(again)
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
    return draws


def program_of(function: Callable[..., Any], **how: Any) -> Callable[..., Any]:
    """A function that becomes one program when it is called, or fails.

    Of each shape of rows there is one, so that it does not depend on which shapes came before.

    Arguments:
        function: The function.
        how: How it is translated, as ``torch.compile`` takes it.
    """

    def own(*arguments: Any) -> Any:
        return function(*arguments)

    # Torch counts the programs of a piece of code, up to a limit: those of other runs shall not count.
    own.__code__ = own.__code__.replace()
    return torch.compile(own, fullgraph=True, dynamic=False, **how)


def copied(value: Any) -> Any:
    """A tensor, or a distribution of tensors, in memory of its own; anything else as it is."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, Distribution):
        twin = copy(value)
        vars(twin).update({name: copied(part) for name, part in vars(value).items()})
        return twin
    return value


def failures() -> tuple[type[Exception], ...]:
    """The errors of a compiler that cannot make a program; importing them takes a second."""
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException
    from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

    return TorchDynamoException, FailOnRecompileLimitHit, GuardOnDataDependentSymNode


# What no single program can be made of, by words of torch about it.
REASONS = {
    "data-dependent": "what it computes depends on the values of the batch",
    "RNN, GRU, or LSTM": "it has a recurrent network",
    SHARED_LAYERS: "two networks share layers, which are computed once for both",
    "guard failure": "something that is no tensor changes at each step",
}


def why(error: Exception) -> str:
    """Why a loss is no program, and where, in plain words; then in those of torch."""
    said = str(error).lower()
    known = (reason for words, reason in REASONS.items() if words.lower() in said)
    plain = next(known, "it does something that the compiler does not know")
    place = (getattr(error, "real_stack", None) or [None])[-1]
    where = f", in {place.name} ({Path(place.filename).name}, line {place.lineno})" if place else ""
    return f"{plain}{where}; torch.compile: {cause(error)}"


def cause(error: Exception) -> str:
    """What a compiler says of its failure, without the explanation and the advice that follow."""
    lines = str(getattr(error, "inner_exception", error)).splitlines() or [type(error).__name__]
    # Of a program that does not fit any more it says first which one, and then why.
    number = next((number for number, line in enumerate(lines[:-1], 1) if "guard failure" in line), 0)
    words = " ".join(lines[number].partition("(HINT")[0].split())
    return re.sub(r"^- \d+/\d+: ", "", words)


def compile_losses(loop: Loop, say: Callable[[str], object] = print) -> None:
    """Lets the losses of a loop's players be compiled.

    Arguments:
        loop: The loop.
        say: Takes a line of each loss that cannot be.
    """
    weights = [one.weight for one in loop.model.comparisons() if isinstance(one.weight, Weight)]
    for state in loop.player_states:
        loss = CompiledLoss(state.player, weights, loop.device, say)
        state.player = replace(state.player, loss=loss)


@contextmanager
def compiling() -> Iterator[None]:
    """Inside, torch does not warn of its own modules."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"torch\b")
        yield


def check_compiler(device: torch.device | str) -> None:
    """Compiles a function for a device.

    Raises:
        ConfigError: If that fails, as without a compiler, or if several processes train together.
    """
    # Discrepancies, BatchNorm and dropout of several processes exchange numbers in the middle of a loss.
    if distributed.size() > 1:
        raise ConfigError(
            f"{option_name('compile', True)} is for one process, got {distributed.size()}: use "
            f"{option_name('compile', False)}"
        )
    if torch.device(device).type not in OPTIONS:
        raise ConfigError(
            f"{option_name('compile', True)} is for the devices {' and '.join(OPTIONS)}, got {device}"
        )
    try:
        with compiling():
            options = OPTIONS[torch.device(device).type]
            program_of(nn.functional.gelu, options=options)(torch.zeros(2, device=device))
    except Exception as error:  # whatever a compiler, or the lack of one, comes to
        raise ConfigError(
            f"{option_name('compile', True)} needs a compiler for {device}, such as g++ for a CPU or Triton "
            f"for a GPU: {cause(error):.200}"
        ) from error


__all__ = ["check_compiler", "compile_losses"]
