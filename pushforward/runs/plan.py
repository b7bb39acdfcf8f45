"""The plan of a run: what it will cost here, and on GPUs that are not here, as numbers and as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pushforward.reading import size_in_words
from pushforward.training.cost_model import GPU, HOUR, Failures, Link
from pushforward.training.step_cost import StepMemory
from pushforward.wording import plural


@dataclass(frozen=True)
class Prediction:
    """A step of several processes that share a batch, each on a machine like this one.

    Attributes:
        world_size: Number of processes.
        rows: Rows of the batch that each of them computes with.
        computing: Seconds in which each of them computes, measured.
        waiting: Seconds in which they wait for what they exchange, from latency and bandwidth.
        measured: Seconds of a step of so many processes, if they were there.
    """

    world_size: int
    rows: int
    computing: float
    waiting: float
    measured: float | None = None

    @property
    def step(self) -> float:
        """Seconds of a step, predicted."""
        return self.computing + self.waiting


@dataclass(frozen=True)
class Projection:
    """A step of many GPUs, by the model of :mod:`~pushforward.training.cost_model`.

    Attributes:
        world_size: Number of GPUs, each with a process of its own.
        rows: Rows that each of them draws in a step.
        computing: Seconds in which each of them computes.
        waiting: Seconds in which they wait for what they exchange.
        discrepancy: Seconds of ``computing`` that discrepancies between samples take.
    """

    world_size: int
    rows: int
    computing: float
    waiting: float
    discrepancy: float

    @property
    def step(self) -> float:
        """Seconds of a step."""
        return self.computing + self.waiting

    def epoch(self, rows: float) -> float:
        """Seconds of a pass over so many rows."""
        return rows / (self.world_size * self.rows) * self.step


@dataclass(frozen=True)
class Plan:
    """What a run will cost.

    Attributes:
        recipe: The recipe.
        data: Name of the data.
        shape: Shape of a row.
        n_train: Training rows.
        batch_size: Rows of a batch, over all processes.
        steps: Steps of the budget.
        steps_per_epoch: Steps of a pass over the training rows.
        rows_per_step: Rows that a step draws: a batch for each of a critic's updates.
        device: The device.
        threads: Number of threads on a CPU.
        precision: Precision of the networks.
        parameters: Trained numbers of each player, by its name.
        flops_per_row: Operations of matrix products and convolutions of a step, for each row of the batch.
        memory: What one of so many processes keeps in memory.
        discrepancy_share: The share of a step that discrepancies between samples take, here, by one process.
        checkpoint_bytes: Size of a checkpoint.
        checkpoint_seconds: Seconds in which it is written.
        link: Latency and bandwidth between processes.
        link_measured: Whether these were measured, or assumed.
        here: Steps of processes that each have a machine like this one.
        gpu: The GPU of the projection.
        there: Steps of many GPUs.
        epoch_rows: Rows of the projection's epoch.
        failures: What is lost to failures, and to saving against them.
    """

    recipe: str
    data: str
    shape: tuple[int, ...]
    n_train: int
    batch_size: int
    steps: int
    steps_per_epoch: float
    rows_per_step: int
    device: str
    threads: int
    precision: str
    parameters: dict[str, int]
    flops_per_row: float
    memory: dict[int, StepMemory]
    discrepancy_share: float
    checkpoint_bytes: int
    checkpoint_seconds: float
    link: Link
    link_measured: bool
    here: tuple[Prediction, ...]
    gpu: GPU
    there: tuple[Projection, ...]
    epoch_rows: float
    failures: Failures

    def as_json(self) -> dict[str, Any]:
        """All of it as what JSON can hold, times in seconds."""
        found = asdict(self)
        found["memory"] = {str(size): asdict(memory) for size, memory in self.memory.items()}
        return found

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        where = f"threads: {self.threads}" if self.device == "cpu" else self.device
        yield (
            f"{self.recipe} on {self.data}: {self.n_train:,} training rows of shape {self.shape}, batch size "
            f"{self.batch_size}, {self.precision}, {where}"
        )
        yield ""
        players = ", ".join(f"{name} {count:,}" for name, count in self.parameters.items())
        memory, epochs = self.memory[1], self.steps / self.steps_per_epoch
        parts = ", ".join(f"{name} {size_in_words(count)}" for name, count in asdict(memory).items())
        for name, words in {
            "parameters": players,
            "operations": f"{_si(self.flops_per_row)}FLOP per row and step",
            "memory": f"{size_in_words(memory.total)}: {parts}",
            "discrepancy": f"{100 * self.discrepancy_share:.0f} % of a step",
            "checkpoint": f"{size_in_words(self.checkpoint_bytes)}, in {_time(self.checkpoint_seconds)}",
            "budget": f"{self.steps:,} {plural(self.steps, 'step')}, {epochs:.3g} {plural(epochs, 'epoch')}",
        }.items():
            yield f"{name:<13} {words}"
        yield ""
        yield "The same batch, shared by processes, each on a machine like this one:"
        yield from _table(
            ("processes", "rows each", "memory each", "computing", "waiting", "step", "rows/s", "epoch",
             "budget"),
            [
                (
                    f"{one.world_size}", f"{one.rows}", size_in_words(self.memory[one.world_size].total),
                    _time(one.computing), _time(one.waiting), _time(one.step),
                    f"{self.rows_per_step / one.step:,.0f}", _time(self.steps_per_epoch * one.step),
                    _time(self.steps * one.step),
                )
                for one in self.here
            ],
        )  # fmt: skip
        for one in self.here:
            if one.measured is not None:
                yield (
                    f"Measured with {one.world_size} processes: {_time(one.measured)} a step, "
                    f"{one.measured / one.step:.2f} times what was predicted."
                )
        if self.there:
            yield from self._projection()
        yield ""
        yield "Assumptions:"
        for words in self.assumptions:
            yield f"- {words}"

    def _projection(self) -> Iterator[str]:
        yield ""
        yield (
            f"A pass over {self.epoch_rows:,.0f} rows on {self.gpu.name} GPUs, each of which computes with "
            f"{self.batch_size} of a batch:"
        )
        yield from _table(
            ("GPUs", "batch size", "step", "waiting", "discrepancy", "rows/s", "epoch", "GPU hours", "lost",
             "save every"),
            [
                (
                    f"{one.world_size:,}", f"{one.world_size * self.batch_size:,}", _time(one.step),
                    f"{100 * one.waiting / one.step:.0f} %", f"{100 * one.discrepancy / one.step:.0f} %",
                    f"{one.world_size * one.rows / one.step:,.0f}", _time(one.epoch(self.epoch_rows)),
                    f"{one.world_size * one.epoch(self.epoch_rows) / HOUR:,.0f}",
                    _share(self.failures.lost(one.world_size)),
                    _time(self.failures.best_interval(one.world_size)),
                )
                for one in self.there
            ],
        )  # fmt: skip

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the predictions rest on, in sentences."""
        gpu, link, lost = self.gpu, self.link, self.failures
        source = "measured between these processes" if self.link_measured else "assumed"
        return (
            f"Processes here: an exchange takes {_time(link.latency)}, times log2 of their number, and "
            f"{_si(link.bandwidth)}B/s ({source}). Nothing is exchanged while a process computes.",
            f"{gpu.name}: {100 * gpu.reached:.0f} % of {_si(gpu.flops[self.precision])}FLOP/s and of "
            f"{_si(gpu.bandwidth)}B/s are reached, an operation is started in {_time(gpu.launch)}, data are "
            "there in time. Operations are not fused. Exchanges: "
            f"{_time(gpu.link.latency)}, {_si(gpu.link.bandwidth)}B/s.",
            "The batch grows with the number of GPUs. Of a discrepancy of pairs of rows (MMD) each computes "
            "its share of all pairs.",
            f"A process fails every {lost.between / HOUR:,.0f} hours, and goes on {_time(lost.restart)} "
            f"later. Checkpoints are {_time(lost.interval)} apart; those of 'save every' would lose least.",
        )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


def _share(value: float) -> str:
    """A share of the whole, which is all of it at most.

    >>> _share(0.0123), _share(3.5)
    ('1.2 %', 'all')
    """
    return f"{100 * value:.2g} %" if value < 1 else "all"


def _si(value: float) -> str:
    """A number with the prefix that suits it.

    >>> _si(1.5e9), _si(20.0)
    ('1.5 G', '20 ')
    """
    for power, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= power:
            return f"{value / power:.3g} {prefix}"
    return f"{value:.3g} "


def _time(seconds: float) -> str:
    """A time in the unit that suits it.

    >>> [_time(seconds) for seconds in (0.0, 2e-5, 0.0123, 5.0, 300.0, 7200.0, 1e6)]
    ['0 s', '20 µs', '12.3 ms', '5 s', '5 min', '2 h', '11.6 d']
    """
    if seconds == 0:
        return "0 s"
    for least, unit, name in ((86_400 * 3, 86_400, "d"), (3600, 3600, "h"), (60, 60, "min"), (1, 1, "s")):
        if seconds >= least:
            return f"{seconds / unit:,.3g} {name}"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} µs"


__all__ = ["Plan", "Prediction", "Projection"]
