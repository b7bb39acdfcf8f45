"""What a player has in training: the optimizer of its own parameters, and the updates that it makes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from pushforward import distributed
from pushforward.errors import ConfigError, DivergedError
from pushforward.models.base import Player, Terms
from pushforward.torch_state import in_layout_of
from pushforward.training.finite import gradient_fault
from pushforward.utils import lazy

Optimizing = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def adam(lr: float, betas: tuple[float, float] = (0.9, 0.999)) -> Optimizing:
    """Adam, fused into one kernel: 1.2 to 1.3 times faster than the default on small networks."""
    return lambda parameters: torch.optim.Adam(parameters, lr=lr, betas=betas, fused=True)


def named(terms: Terms) -> str:
    """Terms as text: "name = value", separated by commas."""
    return ", ".join(f"{name} = {value.item():g}" for name, value in terms.items())


@dataclass(frozen=True)
class Update:
    """The numbers of one update: its terms, over the rows of all processes, and the norm of its gradient.

    Attributes:
        names: The names of the T terms.
        values: The terms and, last, the norm, (T + 1,), on the device of the model until :meth:`cpu`.
    """

    names: tuple[str, ...]
    values: Tensor

    def cpu(self) -> Update:
        """The same numbers on the CPU: a GPU is waited for."""
        return replace(self, values=self.values.cpu())

    @property
    def terms(self) -> dict[str, Tensor]:
        """The terms, by name, each of shape ()."""
        return dict(zip(self.names, self.values[:-1], strict=True))

    @property
    def finite(self) -> bool:
        """Whether the loss and the norm are finite."""
        *terms, norm = self.values.tolist()
        return math.isfinite(sum(terms)) and math.isfinite(norm)


@dataclass
class PlayerState:
    """A player with the optimizer of its own parameters, whose names are found by their identity."""

    player: Player
    optimizing: Optimizing
    names: Mapping[int, str]
    parameters: tuple[nn.Parameter, ...] = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        self.owned = {id(parameter) for parameter in self.player.parameters}
        self.parameters = tuple(p for p in self.player.parameters if p.requires_grad)  # not what a user froze
        self.optimizer = self.optimizing(self.parameters)
        for group in self.optimizer.param_groups:
            group["initial_lr"] = group["lr"]

    def moments(self) -> dict[str, Tensor]:
        """Copies of the optimizer's tensors, by the number of their parameter and their name."""
        return {
            f"{index}.{name}": value.clone()
            for index, found in self.optimizer.state_dict()["state"].items()
            for name, value in found.items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Gives the optimizer back what :meth:`moments` returned.

        Raises:
            ValueError: If a parameter has others than those that the optimizer makes, or of another shape.
        """
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            index, name = key.split(".", 1)
            moments.setdefault(int(index), {})[name] = value.clone()
        # Torch takes whatever it is given, and fails, or not, at the next step.
        for place, found in moments.items():
            if place >= len(self.parameters) or found.keys() != self._names:
                kept = ", ".join(sorted(self._names))
                raise ValueError(
                    f"the optimizer of the player {self.player.name} keeps {kept} of each of its "
                    f"{len(self.parameters)} parameters, found {', '.join(sorted(found))} of number {place}"
                )
            parameter = self.parameters[place]
            for name, value in found.items():
                if value.ndim and value.shape != parameter.shape:
                    wanted = tuple(parameter.shape)
                    raise ValueError(
                        f"{place}.{name} must have the shape {wanted}, found {tuple(value.shape)}"
                    )
                if value.ndim:
                    found[name] = in_layout_of(parameter, value)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})

    @lazy
    def _names(self) -> set[str]:
        """The names of what the optimizer keeps of a parameter, learnt from a step of one like it."""
        like = nn.Parameter(torch.zeros_like(self.parameters[0]))
        like.grad = torch.zeros_like(like)
        optimizer = self.optimizing([like])
        optimizer.step()
        return set(optimizer.state[like])

    def descend(self, losses: Terms, step: int, look: bool = True) -> Update:
        """One optimizer step on the sum of the losses, then the projection of a constrained critic.

        Arguments:
            losses: The named losses.
            step: The number of the step, for messages.
            look: Whether the numbers are checked before the optimizer's step, for which a GPU is waited for.

        Returns:
            The numbers of the update, on the CPU if they have been looked at.

        Raises:
            DivergedError: If the loss or the norm of its gradient is not finite; nothing is updated then.
        """
        loss = torch.stack(list(losses.values())).sum()
        if not loss.requires_grad:
            raise ConfigError(f"the {self.player.name}'s loss depends on none of its parameters")
        for parameter in self.parameters:  # an optimizer's zero_grad would also report to the profiler
            parameter.grad = None
        loss.backward()
        losses = {name: value.detach() for name, value in losses.items()}
        if distributed.size() > 1:  # first, so that all processes find the same
            losses = distributed.average_gradients(self.parameters, losses)
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        # In one tensor, so that they take one copy to the CPU.
        update = Update(tuple(losses), torch.stack([*losses.values(), norm.to(loss)]))
        if look:
            update = update.cpu()
            self._check(update, step)
        self.optimizer.step()
        if self.player.project:
            self.player.project()
        return update

    def _check(self, update: Update, step: int) -> None:
        """Refuses numbers that are not finite."""
        if update.finite:
            return
        terms = named(update.terms)
        if not math.isfinite(sum(update.terms.values())):
            raise DivergedError(f"step {step}: the {self.player.name}'s loss is not finite: {terms}")
        gradients = {self.names[id(p)]: p.grad for p in self.parameters if p.grad is not None}
        fault = gradient_fault(gradients)
        raise DivergedError(f"step {step}: the {self.player.name} diverges, {fault}: {terms}")


__all__ = ["Optimizing", "PlayerState", "Update", "adam"]
