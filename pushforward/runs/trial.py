"""Steps of a run that is not begun: of this process by itself, and of one of several that share a batch."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from pushforward import distributed
from pushforward.data import Dataset
from pushforward.discrepancies.pair_sums import LARGE_TILE, MOST_ROWS, TILE
from pushforward.networks.precision import in_precision
from pushforward.out_of_memory import memory_errors
from pushforward.process_group import imitated
from pushforward.recipes import Setup
from pushforward.training.batches import shared_batch
from pushforward.training.checkpoints import Checkpoints
from pushforward.training.loop import Loop
from pushforward.training.step_cost import (
    StepCost,
    StepWork,
    discrepancies,
    measure_discrepancies,
    measure_step,
)
from pushforward.training.trainer import steps_in

SECONDS = 1.5  # in which steps are timed
LARGEST_BATCH = 8192  # over all processes, of the steps from which those of many are extrapolated
Works = list[tuple[int, StepWork]]


class Trial:
    """Computes steps of a run, and undoes them.

    Attributes:
        share: Of a number of processes the rows of a batch that they share; an error if they cannot.

    Arguments:
        build: Builds its model anew.
        dataset: Its data.
        seed: Its seed.
        device: Its device.
        precision: Its precision.
    """

    def __init__(
        self, build: Callable[[], Setup], dataset: Dataset, seed: int, device: str, precision: str
    ) -> None:
        self.build = build
        self.dataset = dataset
        self.seed = seed
        self.device = device
        self.precision = precision
        setup = build()
        training = setup.training
        rows, labelled = training.restrict(dataset.train, seed), setup.model.draws_labelled
        self.share = partial(shared_batch, training.batch_size, rows, labelled)
        self.epochs = training.epochs
        self.batch_size = min(training.batch_size, len(dataset.train))
        with self._loop(1) as loop:
            self.steps_per_epoch = loop.per_epoch
            self.updates = loop.updates  # each draws a batch

    @contextmanager
    def _loop(self, world_size: int, batch_size: int | None = None) -> Iterator[Loop]:
        """The loop of the first of so many processes."""
        batch_size = batch_size or self.batch_size
        setup = self.build()
        rows = self.dataset.train
        if len(rows) < batch_size:  # rows come again where there are too few
            rows = rows.rows(torch.arange(batch_size) % len(rows))
        # Labels and pairs are not restricted, and all labels count as known: what a step costs does not
        # depend on how many there are.
        if rows.y is not None:
            rows = replace(rows, y=rows.y.clamp(min=0))
        training = replace(setup.training, batch_size=batch_size, n_labels=None)
        with (
            nullcontext() if distributed.size() > 1 else imitated(world_size),
            memory_errors(batch_size // world_size, self.dataset.shape, self.device, ["batch_size"]),
        ):
            loop = Loop(setup.model.train(), rows, training, 1_000_000, self.seed, self.device)
            with in_precision(setup.model, self.precision):
                yield loop

    def seconds(self, world_size: int) -> float:
        """Seconds of a step of one of so many processes; those of an exchange only if they are there."""
        with self._loop(world_size) as loop:
            return 1 / steps_in(loop, 25 * SECONDS)[1]

    def cost(self, world_size: int) -> StepCost:
        """What a step costs one of so many processes."""
        with self._loop(world_size) as loop:
            return measure_step(loop)

    def works(self) -> tuple[Works, Works]:
        """What one of so many processes does in a step on a GPU, and what of it discrepancies are.

        Each computes with a whole ``batch_size``. From three numbers of processes those of many follow, but
        for operations that are started: sums over pairs have larger blocks on a GPU, and as many are taken to
        be started as of the largest batch here.
        """
        least = max(2, LARGEST_BATCH // (4 * self.batch_size))
        sizes = (least, 2 * least, 4 * least)
        found = [self._works(size, TILE["cpu"]) for size in sizes]
        kernels = [work.kernels for work in self._works(sizes[-1], LARGE_TILE)]
        whole, part = (
            [(size, replace(work, kernels=count)) for size, work in zip(sizes, works, strict=True)]
            for works, count in zip(zip(*found, strict=True), kernels, strict=True)
        )
        return whole, part

    def _works(self, world_size: int, tile: int) -> tuple[StepWork, StepWork]:
        with self._loop(world_size, world_size * self.batch_size) as loop, MOST_ROWS.held(tile):
            return measure_step(loop).work, measure_discrepancies(loop)

    def discrepancy_seconds(self) -> float:
        """Seconds that the discrepancies between samples take of a step."""
        took = []
        with self._loop(1) as loop:
            compute = discrepancies(loop)
            if compute is None:
                return 0.0
            for _ in range(12):
                begun = time.perf_counter()
                compute()
                if self.device.startswith("cuda"):
                    torch.cuda.synchronize(self.device)
                took.append(time.perf_counter() - begun)
        return statistics.median(took[2:])

    def checkpoint(self) -> tuple[int, float]:
        """Bytes of a checkpoint, and the seconds in which one is written to the disk of temporary files."""
        with self._loop(1) as loop, tempfile.TemporaryDirectory() as folder:
            loop.advance()
            begun = time.perf_counter()
            place = Checkpoints(Path(folder)).write(1, *loop.state())
            took = time.perf_counter() - begun
            return sum(file.stat().st_size for file in place.iterdir()), took


__all__ = ["Trial"]
