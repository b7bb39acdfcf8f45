"""What a run will cost, before it is begun: :func:`plan` measures steps and extrapolates from them."""

from __future__ import annotations

import inspect
import math
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from typing import Any, Literal

import torch

from pushforward.data import open_dataset
from pushforward.distributed import average, size, wait
from pushforward.errors import ConfigError, check_int, nearest
from pushforward.launch import launched_rank, launched_size
from pushforward.models import Model
from pushforward.options import checked
from pushforward.process_group import joined
from pushforward.report.progress import bar
from pushforward.runs.budget import Budget
from pushforward.runs.devices import find_device, find_precision, find_threads
from pushforward.runs.plan import Plan, Prediction, Projection
from pushforward.runs.setups import ModelSource
from pushforward.runs.trial import Trial
from pushforward.torch_state import plain_torch
from pushforward.torch_state import threads as torch_threads
from pushforward.training.cost_model import GPUS, HOUR, Failures, Link, extrapolated
from pushforward.training.trainer import PATIENCE, SHARE
from pushforward.wording import option_name

READING = {
    name for name, one in inspect.signature(open_dataset).parameters.items() if one.kind is one.KEYWORD_ONLY
} - {"progress", "codec"}
USUAL = (1, 2, 4, 8)  # processes
RANGES: dict[str, dict[str, float]] = {  # where what is said of machines means something
    "latency": {"ge": 1e-9, "le": 3600},  # seconds
    "bandwidth": {"ge": 1, "le": 1e15},  # bytes a second
    "world_size": {"ge": 1},  # divides the batch
    "gpus": {"ge": 1, "le": 10**6},
    "epoch_rows": {"ge": 1, "le": 1e18},
    "mtbf_hours": {"ge": 1, "le": 1e12},
}
LARGE = 2**20  # numbers of the exchange that shows the bandwidth


@plain_torch()
def plan(
    recipe: str | Model,
    data: Any,
    *,
    preset: str = "small",
    seed: int = 0,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    world_size: int | Sequence[int] | None = None,
    latency: float = 1e-4,
    bandwidth: float = 1.25e9,
    gpu: Literal["a100", "h100", "h200"] = "h100",
    gpus: int | Sequence[int] = (8, 64, 1024),
    epoch_rows: float = 1e9,
    mtbf_hours: float = 50_000.0,
    device: str | torch.device = "auto",
    threads: int | None = None,
    precision: Literal["fp32", "bf16", "auto"] = "fp32",
    progress: bool = True,
    **options: Any,
) -> Plan:
    """Says what training would cost: memory, time, what processes exchange, and work lost to failures.

    Steps are computed and undone; nothing is written. What one of several processes would compute is computed
    by this one, with its share of a batch, and is timed; what they would exchange is counted, and its time
    follows from latency and bandwidth (:class:`~pushforward.training.cost_model.Link`). Started by
    ``torchrun``, the processes that are there are measured as well, and so is what passes between them.

    Arguments:
        recipe: The name of a recipe, or a model of your own.
        data: Whatever :func:`~pushforward.train` takes.
        preset: The settings of options that are not given.
        seed: The seed.
        steps: Budget in updates of the model.
        epochs: Budget in passes over the data.
        minutes: Budget in time: as many steps as one process by itself takes in it.
        world_size: Numbers of processes that share a batch, each on a machine like this one; by default those
            of 1, 2, 4 and 8 that divide it.
        latency: Seconds of the smallest exchange between two processes, where they cannot be measured.
        bandwidth: Bytes that a process sends in a second, where that cannot be measured: 10 Gbit/s.
        gpu: The kind of GPU of the projection: "a100", "h100" or "h200".
        gpus: Numbers of GPUs of the projection, each of which computes with a whole ``batch_size``.
        epoch_rows: Rows, such as images, of the projection's epoch.
        mtbf_hours: Mean hours between failures of one process, with its GPU and its share of the machine.
        device: "auto", "cpu", "cuda", ...
        threads: Number of threads on a CPU.
        precision: "fp32", "bf16" or "auto".
        progress: Whether to show progress on standard error.
        options: How data are read, as in :func:`~pushforward.open_dataset`, and options of the recipe.

    Returns:
        The plan, which prints as tables.

    Raises:
        ConfigError: If an option is not allowed, or a number of processes does not divide the batch.
        DataError: If the data cannot be read.
        OutOfMemoryError: If a step does not fit into memory.

    Example:
        >>> found = plan("wae-mmd", "digits", latent_dim=4, world_size=[1, 2], threads=1, progress=False)
        >>> [one.rows for one in found.here], found.parameters["model"] > 10_000
        ([100, 50], True)
    """
    budget = Budget(steps, epochs, minutes)
    asked = {"latency": latency, "bandwidth": bandwidth, "epoch_rows": epoch_rows, "mtbf_hours": mtbf_hours}
    for name, value in asked.items():
        checked(name, value, float, RANGES[name])
    if epoch_rows != round(epoch_rows):
        raise ConfigError(f"{option_name('epoch_rows')} must be a whole number, got {epoch_rows}")
    if gpu not in GPUS:
        raise ConfigError(f"unknown {option_name('gpu')} {gpu!r}: {nearest(gpu, GPUS)}")
    sizes_asked, gpu_counts = _counts("world_size", world_size), _counts("gpus", gpus)
    seed = check_int("seed", seed, least=0)
    threads = find_threads(threads)
    device = find_device(device)
    used = find_precision(precision, device)
    reading = {name: options.pop(name) for name in READING & options.keys()}
    model = ModelSource(recipe, preset, options)
    progress = progress and launched_rank() == 0
    with bar("reading", progress) as show:
        dataset = open_dataset(data, progress=show, **reading)
    trial = Trial(lambda: deepcopy(model).setup(dataset.spec, seed), dataset, seed, device, used)
    sizes = _sizes(sizes_asked, trial)
    with torch_threads.held(threads), bar("measuring", progress) as show:
        compute = {}
        for place, one in enumerate(sizes):
            show(place, len(sizes), f"steps of one of {one} processes")
            compute[one] = trial.seconds(one)
        show(len(sizes), len(sizes))
        costs = {one: trial.cost(one) for one in sizes}
        works, parts = trial.works() if gpu_counts else ([], [])
        discrepancy = trial.discrepancy_seconds()
        checkpoint = trial.checkpoint()
        link, together = Link(latency, bandwidth), {}
        with joined():
            if size() > 1:
                link, together = _measured_link(device), {size(): trial.seconds(size())}
    here = tuple(
        Prediction(
            one, trial.batch_size // one, compute[one], link.seconds(costs[one].work, one), together.get(one)
        )
        for one in sizes
    )
    made = GPUS[gpu]
    in_time = None if budget.minutes is None else 60 * budget.minutes / compute[1]
    in_epochs = (budget.epochs or trial.epochs) * trial.steps_per_epoch
    rows_per_step = trial.updates * trial.batch_size
    there = []
    for count in gpu_counts:
        work, part = extrapolated(works, count), extrapolated(parts, count)
        waiting = made.link.seconds(work, count)
        there.append(
            Projection(count, rows_per_step, made.seconds(work, used), waiting, made.seconds(part, used))
        )
    return Plan(
        recipe=model.name,
        data=dataset.name,
        shape=dataset.shape,
        n_train=len(dataset.train),
        batch_size=trial.batch_size,
        steps=budget.steps or max(1, round(in_time or in_epochs)),
        steps_per_epoch=trial.steps_per_epoch,
        rows_per_step=rows_per_step,
        device=device,
        threads=threads,
        precision=used,
        parameters=costs[1].parameters,
        flops_per_row=costs[1].work.flops / costs[1].rows,
        memory={one: cost.memory for one, cost in costs.items()},
        discrepancy_share=discrepancy / compute[1],
        checkpoint_bytes=checkpoint[0],
        checkpoint_seconds=checkpoint[1],
        link=link,
        link_measured=bool(together),
        here=here,
        gpu=made,
        there=tuple(there),
        epoch_rows=epoch_rows,
        failures=Failures(mtbf_hours * HOUR, checkpoint[1], max(PATIENCE, SHARE * checkpoint[1])),
    )


def _counts(name: str, asked: int | Sequence[int] | None) -> list[int]:
    """One or several numbers of processes, checked; none of None."""
    several = [] if asked is None else asked if isinstance(asked, Sequence) else [asked]
    return [checked(name, count, int, RANGES[name]) for count in several]


def _sizes(asked: Sequence[int], trial: Trial) -> list[int]:
    """The numbers of processes, 1 among them.

    Raises:
        ConfigError: If one does not divide the batch.
    """
    for one in (launched_size(), *asked):
        trial.share(one)
    usual = []
    for one in USUAL:
        with suppress(ConfigError):
            trial.share(one)
            usual.append(one)
    return sorted({1, launched_size(), *(asked or usual)})


def _measured_link(device: str) -> Link:
    """What passes between the processes that are there, from a smallest and a large sum."""
    least, large = _exchange_seconds(1, device), _exchange_seconds(LARGE, device)
    latency = least / math.ceil(math.log2(size()))
    return Link(latency, 2 * (size() - 1) / size() * 4 * LARGE / max(large - least, 1e-9))


def _exchange_seconds(numbers: int, device: str, times: int = 20) -> float:
    """Seconds in which processes average so many float32 numbers: the median of several times."""
    x, took = torch.zeros(numbers, device=device), []
    for _ in range(3 + times):  # the first ones connect
        wait()
        begun = time.perf_counter()
        average(x)
        if x.is_cuda:
            torch.cuda.synchronize(x.device)
        took.append(time.perf_counter() - begun)
    return statistics.median(took[3:])


__all__ = ["plan"]
