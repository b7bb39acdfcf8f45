"""The training of a run in its folder, from where it stands to its end."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict
from typing import Any

from pushforward.data.dataset import Dataset
from pushforward.distributed import from_first, is_first
from pushforward.errors import CheckpointError, ConfigError, OutputError
from pushforward.files import make_folder, writing
from pushforward.interrupts import resumable
from pushforward.networks.precision import in_precision
from pushforward.out_of_memory import memory_errors
from pushforward.recipes import Setup
from pushforward.report.images import is_whole_png
from pushforward.report.progress import Bar, bar
from pushforward.runs.budget import Budget, Extension
from pushforward.runs.config import command
from pushforward.runs.directory import CLEARING, OVERVIEW, RunDirectory, copies
from pushforward.runs.run import Run
from pushforward.torch_state import threads
from pushforward.training.compiling import check_compiler, compile_losses
from pushforward.training.loop import Loop
from pushforward.training.pretrain import match_moments
from pushforward.training.trainer import Trainer, steps_in
from pushforward.utils import eval_mode
from pushforward.wording import option_name, plural

SMALL_BUDGET = 0.2  # of the steps that a recipe takes by itself
LARGE_SIDE = 64  # of images; a step takes longer with the number of pixels


def run_to_end(
    directory: RunDirectory,
    config: dict[str, Any],
    setup: Setup,
    dataset: Dataset,
    budget: Budget,
    device: str,
    progress: bool,
    extension: Extension | None = None,
    pictures: bool = True,
) -> Run:
    """Trains what is left of a run, on as many threads as it began with.

    Arguments:
        directory: The run's folder, whose lock is held.
        config: The configuration, without ``total_steps`` if the run has not begun.
        setup: The model, and how it is trained.
        dataset: The data.
        budget: How long to train a run that has not begun.
        device: The device.
        progress: Whether to show progress on standard error.
        extension: How much longer to train than the budget says.
        pictures: Whether to write pictures, or lines, of samples, and an overview.

    Raises:
        ConfigError: If the extended run would be shorter.
        InterruptedRunError: If a signal asked to stop; it says how to go on.
    """
    model, training = setup.model, setup.training
    with _memory(setup, dataset, device):
        loop = Loop(model, dataset.train, training, 1, config["seed"], device)
    begun = config["total_steps"] is not None
    if config.pop(CLEARING, False):  # the process that began it was killed
        directory.begin(config, dataset.codec)
    trainer: Trainer | None = None

    def again(**options: object) -> str:
        return command("resume", directory.path, config, pictures=None if pictures else False, **options)

    def where() -> str:
        if config["total_steps"] is None:
            return "before the first step; the same command begins again"
        saved = "" if trainer is None or trainer.saved in (loop.step, None) else f", saved at {trainer.saved}"
        steps = f"at step {loop.step} of {config['total_steps']}{saved}"
        return f"{steps}; go on with: {again()}"

    with (
        resumable(where),
        bar(f"{config['recipe']} on {dataset.name}", progress) as show,
        threads.held(config["threads"]),
        closing(loop),
        _memory(setup, dataset, device),
        in_precision(model, config["precision"]),
    ):
        for line in (*dataset.notes, _summary(setup, dataset), setup.description):
            show.say(line)
        run = Run(directory.path, config, model, dataset)  # which puts the model in evaluation mode
        model.train()
        checkpoints = directory.checkpoints(config)
        newest = from_first(max(checkpoints.steps(), default=0))
        resumed = begun and newest > 0
        finished = newest == config["total_steps"] and extension is None
        if config["compile"] and not finished:
            if begun:
                check_compiler(device)  # that of a new run was tried before there was a folder
            show.say("compiling the losses: the first steps take longer")
            compile_losses(loop, show.say)
        if resumed:
            loop.total = config["total_steps"]
        else:
            _fit_moments(setup, loop, show)
            loop.total = config["total_steps"] or _total_steps(budget, loop, training.epochs, show)
        if setup.settings is not None and not begun:
            _say_if_small(loop, training.epochs, again, show)
        extended = extension is not None and _extend(extension, config, newest, loop, training.epochs, show)
        if begun:
            directory.repair(config, dataset.codec)
        else:
            directory.begin(config | {"total_steps": loop.total}, dataset.codec)
            config["total_steps"] = loop.total
        trainer = Trainer(
            directory.path,
            loop,
            show,
            lambda step: _save_samples(run, step) if pictures else None,
            checkpoints,
            copies(config, dataset.codec),
            again,
            config["on_nonfinite"],
            [earlier["total_steps"] for earlier in config["earlier_budgets"]],
        )
        if resumed:
            try:
                trainer.resume()
            except CheckpointError as error:
                raise directory.without_checkpoint(error, config) from error
            if loop.step < loop.total:
                show.say(f"continuing from step {loop.step}")
            if extended:
                before = config["earlier_budgets"][-1]["total_steps"]
                show.say(_schedule_words(training.schedule, loop, before))
                trainer.save(again=True)  # its copy of the configuration is of before
        unfinished = loop.step < loop.total
        trainer.run()
        run.step = loop.step
        model.eval()
        if pictures and is_first() and (unfinished or not is_whole_png(directory.path / OVERVIEW)):
            with _warned():
                run.overview(False)  # grades take seconds
    return run


@contextmanager
def _warned() -> Iterator[None]:
    """Warns of a picture that cannot be written; the run does without."""
    try:
        yield
    except OutputError as error:
        warnings.warn(str(error), stacklevel=3)


def _memory(setup: Setup, dataset: Dataset, device: str) -> AbstractContextManager[None]:
    """Says what to lower if the memory runs out in training."""
    size = {"image": ["image_size"], "text": ["max_length"]}.get(dataset.modality, [])
    batch_size = min(setup.training.batch_size, len(dataset.train))
    return memory_errors(batch_size, dataset.shape, device, ["batch_size", *size])


def _total_steps(budget: Budget, loop: Loop, epochs: float, show: Bar) -> int:
    """The number of steps of a budget."""
    if budget.steps is not None:
        return budget.steps
    if budget.minutes is not None:
        steps, speed = steps_in(loop, 60 * budget.minutes)
        show.say(f"{budget.minutes:g} minutes at {speed:.3g} steps per second: {steps} steps")
        return steps
    return max(1, math.ceil((budget.epochs or epochs) * loop.per_epoch))


def _fit_moments(setup: Setup, loop: Loop, show: Bar) -> None:
    """Fits the moments of the encoder's codes to those of the prior, if the recipe begins so."""
    training = setup.training
    if training.pretrain:
        gap = match_moments(
            setup.model, loop.data, training.optimizers["model"], loop.seed, batch_size=training.pretrain
        )
        show.say(f"the encoder's moments were fitted to the prior's: gap {gap:.3g}")


def _say_if_small(loop: Loop, epochs: float, again: Callable[..., str], show: Bar) -> None:
    """Warns of a budget in which the recipe cannot learn much, and says how to go on."""
    usual, steps = _total_steps(Budget(), loop, epochs, show), loop.total
    if steps < SMALL_BUDGET * usual:
        show.say(
            f"{steps} {plural(steps, 'step')} {plural(steps, 'is')} a small budget, this recipe takes "
            f"{usual} by itself: samples will be those of an unfinished model; to go on afterwards: "
            f"{again(steps=usual)}"
        )


def _extend(
    extension: Extension, config: dict[str, Any], step: int, loop: Loop, epochs: float, show: Bar
) -> bool:
    """Gives a run more steps, in its configuration and loop; whether it has more than before.

    What is added once is not added again by the same command, as long as the run has not had it all.

    Raises:
        ConfigError: If it would have fewer.
    """
    before, earlier = loop.total, config["earlier_budgets"]
    pending = extension.added and earlier and earlier[-1]["added"] and step < before
    if pending and extension.budget.minutes is not None:
        return False
    steps = _total_steps(extension.budget, loop, epochs, show)
    if pending and before - earlier[-1]["total_steps"] == steps:
        return False
    total = before + steps if extension.added else steps
    if total < before:
        raise ConfigError(f"a run can only be trained longer: it has {before} steps, got {steps}")
    if total > before:
        loop.total = total
        was = {"total_steps": before, "budget": config["budget"], "added": extension.added}
        budget = Budget(steps=total) if extension.added else extension.budget
        config |= {"budget": asdict(budget), "earlier_budgets": [*earlier, was]}
        config["total_steps"] = total if config["total_steps"] else None
    return total > before


def _schedule_words(name: str, loop: Loop, before: int) -> str:
    """What becomes of the learning rates of a run that is extended."""
    done = loop.step / loop.per_epoch
    old, new = (loop.schedule(done, total / loop.per_epoch) for total in (before, loop.total))
    said = f"extended from {before} to {loop.total} steps; schedule {name}: "
    if old == new:
        return f"{said}the learning rates go on as they were"
    return f"{said}at step {loop.step} the learning rates go from {old:.3g} to {new:.3g} of the full ones"


def _save_samples(run: Run, step: int) -> None:
    """Writes samples of the same noise at every step, such as a picture of images or an array of vectors."""
    renderer, folder = run.renderer, run.path / "samples"
    with eval_mode(run.model):
        samples = run.sample_tensor(renderer.n_previews(math.prod(run.shape)))
    with _warned(), writing(folder):
        make_folder(folder)
        rows = samples if renderer.suffix == ".npy" else run.scaled(samples)
        renderer.save(rows, folder / f"{step:08d}{renderer.suffix}")


def _summary(setup: Setup, dataset: Dataset) -> str:
    """Data and networks in one line."""
    parameters = sum(parameter.numel() for parameter in setup.model.parameters())
    network = f"{setup.settings.network} networks, " if setup.settings else ""
    pixels = math.prod(dataset.shape[1:]) if dataset.modality == "image" else 0
    fewer = pixels / LARGE_SIDE**2
    hint = (
        f"; {option_name('image_size', LARGE_SIDE)} has {fewer:.1f} times fewer pixels, quicker steps"
        if fewer > 1.5
        else ""
    )
    return (
        f"{dataset.name}: {len(dataset.train)} training rows, {len(dataset.test)} held-out rows, "
        f"shape {dataset.shape}, {dataset.range}; {option_name('latent_dim')} "
        f"{setup.model.prior.latent_dim}, {network}"
        f"{parameters / 1e6:.3g} million parameters, {option_name('batch_size')} "
        f"{setup.training.batch_size}{hint}"
    )


__all__ = ["run_to_end"]
