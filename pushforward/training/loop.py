"""The training loop: at each step every player makes its updates, and only its own parameters have gradients.

It knows players and never a formula. All that a step does is a function of the weights, the
optimizers' moments and the step's number, so a run can stop anywhere and be resumed bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pushforward import distributed, shared_numbers
from pushforward.data.dataset import Batch, Split
from pushforward.errors import DivergedError
from pushforward.models.base import Model
from pushforward.networks.shared_batch import shared_functions
from pushforward.rng import Noise
from pushforward.square import Known, Square
from pushforward.torch_state import torch_seeded
from pushforward.training.alike import check_alike
from pushforward.training.batches import BatchSampler, shared_batch
from pushforward.training.finite import batch_rows
from pushforward.training.placement import source_of
from pushforward.training.player_state import Optimizing, PlayerState, Update
from pushforward.training.schedules import SCHEDULES
from pushforward.utils import changed


@dataclass(frozen=True)
class Training:
    """How a model is trained, apart from what it is.

    Attributes:
        batch_size: Rows in a batch, over all processes.
        optimizers: How to make the optimizer of each player, by its name.
        schedule: A name in :data:`~pushforward.training.schedules.SCHEDULES`.
        epochs: Passes over the data when no budget is given.
        pretrain: Rows in a batch while the encoder's moments are fitted to the prior's, before
            the first step; 0 for no fitting.
        n_labels: How many labels the model sees, as many of each class; None for all.
        paired_fraction: The share of known counterparts of rows that the model sees.
    """

    batch_size: int
    optimizers: Mapping[str, Optimizing]
    schedule: str = "constant"
    epochs: float = 20
    pretrain: int = 0
    n_labels: int | None = None
    paired_fraction: float = 0.0

    def restrict(self, data: Split, seed: int) -> Split:
        """The rows with as many labels and pairs as the model may see; which ones is a function of the seed.

        Raises:
            DataError: If there are fewer.
        """
        if self.n_labels is not None:
            data = data.keep_labels(self.n_labels, Noise(seed, "labels"))
        paired = data.paired is not None or self.paired_fraction
        return data.keep_pairs(self.paired_fraction, Noise(seed, "pairs")) if paired else data


class Loop:
    """The training of a model from step 0 to step ``total``.

    Arguments:
        model: The model to train.
        data: Rows to learn from.
        training: How to train it.
        total: Steps in the whole run.
        seed: What every random number is derived from.
        device: The device of the model.

    Attributes:
        rollbacks: How often training went back to an earlier step. Random numbers of steps, and the order of
            rows, are derived from it too, so that what comes after a rollback is not what came before.
    """

    def __init__(
        self,
        model: Model,
        data: Split,
        training: Training,
        total: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.model = model.to(device)
        self.data = data = training.restrict(data, seed)
        self.batch_size = shared_batch(training.batch_size, data, model.draws_labelled, distributed.size())
        self.total = total
        self.seed = seed
        self.device = torch.device(device)
        self.schedule = SCHEDULES[training.schedule]
        self.step = 0
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        self.player_states = [
            PlayerState(player, training.optimizers[player.name], names)
            for player in model.players()
            if any(parameter.requires_grad for parameter in player.parameters)
        ]
        # By whether their labels are known.
        self.sources = {False: source_of(data, self.device)}
        if any(player_state.player.labelled for player_state in self.player_states):
            self.sources[True] = source_of(data.labelled(), self.device)
        self.rollbacks = 0
        self.updates = max(player_state.player.updates for player_state in self.player_states)
        self.norms = [
            (module, guardian(model, name))
            for name, module in model.named_modules()
            if isinstance(module, _BatchNorm) and module.track_running_stats
        ]

    @property
    def rollbacks(self) -> int:
        """How often training went back."""
        return self._rollbacks

    @rollbacks.setter
    def rollbacks(self, count: int) -> None:
        self._rollbacks = count
        self.noise = Noise(self.seed, "rollback", count) if count else Noise(self.seed)
        order = self.noise("order")
        self.sampler = BatchSampler(len(self.data), self.batch_size, order)
        if True in self.sources:
            self.labelled = BatchSampler(len(self.sources[True].rows), self.batch_size, order("labelled"))

    @property
    def per_epoch(self) -> float:
        """Steps in one pass over the data."""
        return self.sampler.per_epoch / self.updates

    def rows(self, draw: int, labelled: bool = False) -> Batch:
        """This process's rows of the batch number ``draw`` of the whole run, of all or those with a label."""
        sampler = self.labelled if labelled else self.sampler
        source = self.sources[labelled]
        return source.take(sampler.own_index(draw), lambda: sampler.own_index(draw + 1))

    def row_numbers(self, draw: int, labelled: bool = False) -> Tensor:
        """Which training rows the batch number ``draw`` holds, over all processes."""
        if not labelled:
            return self.sampler.index(draw)
        assert self.data.y is not None
        return (self.data.y >= 0).nonzero().flatten()[self.labelled.index(draw)]

    def paired_rows(self, draw: int) -> Tensor | None:
        """The counterparts of this process's rows of the batch number ``draw``, if any row has one."""
        return self.sources[False].paired_rows(self.sampler.own_index(draw))

    def known(self, draw: int, labelled: bool = False) -> Known:
        """What is known on the CPU of the batch number ``draw``, over all processes that share it."""
        numbers = self.row_numbers(draw, labelled)
        numbers = numbers if distributed.is_sharing() else numbers[distributed.own_slice(len(numbers))]
        y = None if self.data.y is None else self.data.y[numbers]
        return Known(y, None if labelled else self.data.paired_rows(numbers))

    def close(self) -> None:
        """Ends threads that read rows; another step starts them again."""
        for source in self.sources.values():
            source.close()

    def advance(self) -> tuple[dict[str, Tensor], Square]:
        """One step of every player: the terms it descended, and the last square the model saw.

        Raises:
            DivergedError: If a term or a gradient is not finite. Its player has not been
                updated then; the players before it have.
        """
        updates: list[Update] = []
        square = self.take_step(updates)
        return terms_of(updates), square

    def take_step(self, updates: list[Update], look: bool = True) -> Square:
        """One step of every player: the last square the model saw.

        Arguments:
            updates: The numbers of each update are appended to it.
            look: Whether numbers are checked before each update. If not, they stay on the device, and
                nothing waits for it.

        Raises:
            DivergedError: As :meth:`advance`, if numbers are checked.
        """
        noise = self.noise("step", self.step)
        seed = noise("modules").integer()
        if distributed.size() > 1:
            shared_numbers.seed_layers(seed, self.device)
            # Layers that draw by themselves, unlike ours, must not draw the same for other rows.
            seed = noise("modules", distributed.rank()).integer()
        with torch_seeded(seed, self.device), distributed.sharing(), shared_functions():
            return self._take_step(noise, updates, look)

    def _take_step(self, noise: Noise, updates: list[Update], look: bool) -> Square:
        factor = self.schedule(self.step / self.per_epoch, self.total / self.per_epoch)
        seen: Square | None = None
        for player_state in self.player_states:
            for group in player_state.optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            for update in range(player_state.player.updates):
                draw = self.step * self.updates + update
                labelled = player_state.player.labelled
                x, y = self.rows(draw, labelled)
                paired = None if labelled else self.paired_rows(draw)
                own = noise(update).rows(distributed.rank() * len(x))
                square = Square(self.model, x, own, y, paired, partial(self.known, draw, labelled))
                with self.updating(player_state):
                    losses = player_state.player.loss(square)
                    try:
                        updates.append(player_state.descend(losses, self.step, look))
                    except DivergedError as error:
                        rows = batch_rows(whole(square), self.row_numbers(draw, labelled))
                        raise DivergedError(f"{error}; {rows}") from None
            seen = seen or square
        assert seen is not None
        with frozen_batch_stats(norm for norm, _ in self.norms):
            self.model.update_state(seen, self.step, factor)
        self.step += 1
        return seen

    def whole(self, square: Square) -> Square:
        """The square of the rows of all processes of a step that has been taken; all processes call it."""
        with distributed.sharing():
            return whole(square)

    def check_same(self) -> None:
        """Checks that all processes hold the same weights and buffers.

        Raises:
            ProcessError: If they do not.
        """
        check_alike(self.model, self.step)

    def looking(self) -> AbstractContextManager[None]:
        """Inside, no BatchNorm keeps statistics of what the model is only looked at with."""
        return frozen_batch_stats(norm for norm, _ in self.norms)

    @contextmanager
    def updating(self, player_state: PlayerState) -> Iterator[None]:
        """Only this player's parameters have gradients, and only its BatchNorms keep statistics."""
        if len(self.player_states) == 1:
            yield
            return
        others = [
            p for other in self.player_states for p in other.parameters if id(p) not in player_state.owned
        ]
        norms = (norm for norm, parameter in self.norms if parameter not in player_state.owned)
        with changed(others, "requires_grad", False), frozen_batch_stats(norms):
            yield

    def state(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
        """All that the next step depends on: copies of tensors, by file and name, and plain numbers."""
        tensors = {"model": {name: value.detach().clone() for name, value in self.model.state_dict().items()}}
        for player_state in self.player_states:
            tensors[f"optimizer-{player_state.player.name}"] = player_state.moments()
        return tensors, {"step": self.step, "total": self.total, "rollbacks": self.rollbacks}

    def restore(self, tensors: Mapping[str, Mapping[str, Tensor]], numbers: Mapping[str, Any]) -> None:
        """Continues from what :meth:`state` returned: weights, optimizers' moments, and numbers.

        Raises:
            RuntimeError: If the weights do not fit the model.
            ValueError: If the moments do not fit their optimizer.
            KeyError: If a file or a number is missing.
        """
        self.model.load_state_dict(dict(tensors["model"]))
        for player_state in self.player_states:
            player_state.restore(tensors[f"optimizer-{player_state.player.name}"])
        self.step = int(numbers["step"])
        self.total = int(numbers["total"])
        self.rollbacks = int(numbers["rollbacks"])


def terms_of(updates: Iterable[Update]) -> dict[str, Tensor]:
    """The terms of a step, by name: of a player with several updates those of the last."""
    return {name: value for update in updates for name, value in update.terms.items()}


def whole(square: Square) -> Square:
    """The square of the rows of all processes, with the samples that this one has computed.

    Elsewhere than in a step of several processes it is the square itself.
    """
    if not distributed.is_sharing():
        return square
    with torch.no_grad():
        own = {name: value for name, value in vars(square).items() if isinstance(value, Tensor)}
        gathered = dict(zip(own, distributed.gather_replicated(*own.values()), strict=True))
    start = distributed.rank() * len(square.x)
    found = Square(square.model, gathered["x"], square.noise.rows(square.noise.start - start))
    vars(found).update(gathered)
    return found


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """Inside, BatchNorm layers normalise by each batch, as in training, and keep no statistics of it."""
    norms = [one for one in module.modules() if isinstance(one, _BatchNorm) and not one.training]
    keeping = (norm for norm in norms if norm.track_running_stats)
    with changed(norms, "training", True), frozen_batch_stats(keeping):
        yield


def frozen_batch_stats(norms: Iterable[_BatchNorm]) -> AbstractContextManager[None]:
    """Inside, these BatchNorms update no running statistics; they still use those of the batch."""
    return changed(norms, "track_running_stats", False)


def guardian(model: nn.Module, name: str) -> int | None:
    """The identity of the parameter that decides whose a module is: the first in or nearest around it."""
    while name:
        first = next(model.get_submodule(name).parameters(), None)
        if first is not None:
            return id(first)
        name = name.rpartition(".")[0]
    return None
