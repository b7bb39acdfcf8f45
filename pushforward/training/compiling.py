"""Losses that are compiled while a model is trained, by ``torch.compile``; everything else stays as it is.

The loss of a player is one function of tensors: the rows of its batch and the random numbers that were
derived for them. Compiled as a whole, with networks, costs and discrepancies, it becomes one program, whose
elementwise operations are fused, and on a GPU one CUDA graph forward and one back. Optimizers are not
compiled, nor is a model in evaluation mode: samples, metrics and loaded runs do not know of it.

Some losses are no such program: those of networks of text, whose lengths are those of the lines at hand, and
losses that choose rows by their labels. They are computed as they would be otherwise.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import copy, deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pushforward import distributed
from pushforward.distributions import Distribution
from pushforward.errors import ConfigError, listed, reason
from pushforward.models.base import Player, Terms
from pushforward.models.weight import Weight
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.torch_state import to_device, torch_seeded
from pushforward.training.loop import Loop
from pushforward.wording import option_name

# Numbers that layers draw are those of torch's own generator.
OPTIONS: dict[str, dict[str, Any]] = {
    "cpu": {"fallback_random": True},
    "cuda": {"fallback_random": True, "triton.cudagraphs": True},
}


Method = Callable[..., np.ndarray]


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
        self.device = device
        self.say = say
        self.replayed = device.type == "cuda"
        self.draws: dict[tuple[object, ...], list[Draw]] = {}
        self.program: Callable[[Square], Terms] | None = program_of(player.loss, device)

    def __call__(self, square: Square) -> Terms:
        """The terms of a square.

        Raises:
            ConfigError: If the loss cannot be compiled, but was at an earlier step.
        """
        if self.program is None:
            return self.player.loss(square)
        shapes = tuple(None if rows is None else rows.shape for rows in (square.x, square.y, square.paired))
        begun, new = bool(self.draws), shapes not in self.draws
        model: Any
        if new:
            try:
                loss, model = deepcopy((self.player.loss, square.model))
            except (TypeError, RuntimeError) as error:
                return self._uncompiled(square, begun, f"the model cannot be copied: {reason(error):.100}")
            numbers = numbers_of(model)
            self.draws[shapes] = draws_of(
                loss, Square(model, square.x, square.noise, square.y, square.paired)
            )
            if changed := [name for name, number in numbers_of(model).items() if numbers.get(name) != number]:
                what = f"{listed(changed, 3)} changes at each step and is no tensor"
                return self._uncompiled(square, begun, what)
        try:
            with compiling() if new else nullcontext(), self._tensors_only(square, self.draws[shapes]):
                return self._replay(square) if self.replayed else self.program(square)
        except failures() as error:
            return self._uncompiled(square, begun, f"torch.compile: {cause(error)}")

    @contextmanager
    def _tensors_only(self, square: Square, draws: Sequence[Draw]) -> Iterator[None]:
        """Inside, random numbers and weights are tensors: numbers would be constants of a program."""
        noise = square.noise
        square.noise = Drawn({draw: draw.of(noise, self.device) for draw in draws})
        for weight, number in self.weights:
            weight.as_tensor = number.fill_(weight.number())
        try:
            yield
        finally:
            square.noise = noise
            for weight, _ in self.weights:
                weight.as_tensor = None

    def _uncompiled(self, square: Square, begun: bool, why: str) -> Terms:
        """The terms as they are without ``--compile``, from the first step on or not at all."""
        if begun:
            raise ConfigError(
                f"the loss of the {self.player.name} cannot be compiled for a later step ({why}): its rows "
                f"have another shape, or a network has changed; resume with {option_name('compile', False)}"
            )
        self.say(f"the loss of the {self.player.name} is not compiled ({why})")
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


def draws_of(loss: Callable[[Square], Terms], square: Square) -> list[Draw]:
    """The random numbers that a loss takes; it is computed once, and generators are as they were."""
    draws: list[Draw] = []
    square.noise = Recording(square.noise, draws)
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch_seeded(0, square.x.device):
            loss(square)
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
    return draws


def numbers_of(model: nn.Module) -> dict[str, object]:
    """What the modules of a model hold besides tensors and modules: a program takes it for constants.

    >>> numbers_of(nn.Dropout(0.2))["p"]
    0.2
    """
    return {
        f"{place}.{name}" if place else name: plain(value)
        for place, module in model.named_modules()
        for name, value in vars(module).items()
    }


def plain(value: object, depth: int = 3) -> object:
    """A value without its tensors and other objects, which can be compared.

    >>> plain({"calls": [1, torch.ones(3)]})
    {'calls': [1, <class 'torch.Tensor'>]}
    """
    if value is None or isinstance(value, int | float | str):
        return value
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [plain(part, depth - 1) for part in value]
    if depth and isinstance(value, Mapping):
        return {str(key): plain(part, depth - 1) for key, part in value.items()}
    return type(value)


def program_of(function: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """A function that becomes one program when it is called, or fails.

    Of each shape of rows there is one, so that it does not depend on which shapes came before.
    """

    def own(*arguments: Any) -> Any:
        return function(*arguments)

    # Torch counts the programs of a piece of code, up to a limit: those of other runs shall not count.
    own.__code__ = own.__code__.replace()
    return torch.compile(own, fullgraph=True, dynamic=False, options=OPTIONS[device.type])


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


def cause(error: Exception) -> str:
    """What a compiler says of its failure, without the explanation and the advice that follow."""
    return str(getattr(error, "inner_exception", error)).partition("\n")[0] or type(error).__name__


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
            program_of(nn.functional.gelu, torch.device(device))(torch.zeros(2, device=device))
    except Exception as error:  # whatever a compiler, or the lack of one, comes to
        raise ConfigError(
            f"{option_name('compile', True)} needs a compiler for {device}, such as g++ for a CPU or Triton "
            f"for a GPU: {cause(error):.200}"
        ) from error


__all__ = ["check_compiler", "compile_losses"]
