"""Training, resuming and loading runs: :func:`train`, :func:`resume` and :func:`load`."""

from __future__ import annotations

import json
import math
import os
import platform
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pushforward._version import __version__
from pushforward.data import open_dataset
from pushforward.data.dataset import Dataset
from pushforward.data.fetch import VARIABLE
from pushforward.data.formats import Channels
from pushforward.data.sizes import Size
from pushforward.data.spec import DataSpec
from pushforward.errors import CheckpointError, ConfigError, DataError, check_int, nearest, reason
from pushforward.files import write_atomic
from pushforward.models import Model
from pushforward.recipes import RECIPES, Setup
from pushforward.recipes.build import setup_of_model
from pushforward.report.progress import Bar, bar
from pushforward.rng import Noise
from pushforward.runs.budget import Budget
from pushforward.runs.directory import SCHEMA, claim, continued, probe, read_config, read_vocabulary
from pushforward.runs.run import Run
from pushforward.runs.trained_model import reopened
from pushforward.torch_state import plain_torch, torch_seeded
from pushforward.torch_state import threads as torch_threads
from pushforward.training import Training, checkpoints
from pushforward.training.loop import Loop
from pushforward.training.pretrain import match_moments
from pushforward.training.trainer import Trainer, measure_speed
from pushforward.utils import eval_mode


@plain_torch()
def train(
    recipe: str | Model,
    data: Any,
    *,
    preset: str = "small",
    training: Training | None = None,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | Size | None = None,
    max_length: int | None = None,
    standardize: bool = True,
    channels: Channels | None = None,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **arguments: Any,
) -> Run:
    """Trains a recipe, or a model of your own, on data, in a folder of its own.

    The same call again continues a run that was stopped, or returns the finished run.

    Arguments:
        recipe: A name that ``pushforward list`` prints, such as "wae-mmd" or "vae"; or a
            :class:`~pushforward.models.Model`, which is trained in place.
        data: A catalogue name, a folder of images or text files, a ``.npy``, ``.npz`` or ``.txt`` file, an
            array, or a :class:`~pushforward.data.Dataset`.
        preset: The settings of all options that are not given: "small", which takes minutes on two cores;
            "paper", what was printed; or "official", what the authors' code does.
        training: How a model of your own is trained; by default by Adam, at a learning rate of 0.001.
        out: The run's folder; ``runs/<recipe>-<data>`` by default.
        seed: The seed of every random number.
        steps: Budget in updates of the model.
        epochs: Budget in passes over the data.
        minutes: Budget in time: the speed is measured first, then the number of steps is fixed.
        data_dir: The folder of the files of catalogue data.
        image_size: Height and width to which images are resized, or one number for both.
        max_length: Maximum number of tokens of a line of text, its end included.
        standardize: Whether columns of real numbers are centred and scaled for the model, and its samples
            scaled back.
        channels: "first" or "last": where the channels of an array of images are, if there are not 1 or 3 of
            them.
        device: "auto", "cpu", "cuda", ...
        threads: Number of threads on a CPU.
        overwrite: Whether another run in the folder is replaced.
        progress: Whether to show progress on standard error.
        arguments: The recipe's options, such as ``latent_dim`` or ``weight``, and parts of your own, such as
            ``encoder=`` or ``discrepancy=``.

    Raises:
        ConfigError: If an option is not allowed.
        DataError: If the data cannot be read.
        OutputError: If the folder cannot be written or holds another run.
        DivergedError: If a loss or gradient is no longer finite.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> run = train("wae-mmd", "digits", out=f"{folder}/run", steps=20, latent_dim=2, progress=False)
        >>> run.sample(3).shape, run.encode(run.held_out(slice(0, 5))[0]).shape
        (torch.Size([3, 1, 8, 8]), torch.Size([5, 2]))
    """
    budget = Budget(steps, epochs, minutes)
    seed = check_int("seed", seed, least=0)
    threads = check_int("threads", torch_threads.outside() if threads is None else threads, least=1)
    device = _device(device)
    if isinstance(recipe, str):
        _check_names(recipe, arguments, training)
    elif not isinstance(recipe, Model):
        raise ConfigError(f"recipe must be a name or a Model, got {type(recipe).__name__}")
    elif arguments:
        raise ConfigError(f"a model of your own has no options, got {', '.join(arguments)}")
    data_dir = data_dir or os.environ.get(VARIABLE)
    reading: dict[str, Any] = {
        "data_dir": None if data_dir is None else str(Path(data_dir).resolve()),
        "image_size": image_size,
        "max_length": max_length,
        "standardize": standardize,
        "channels": channels,
    }
    with bar("reading", progress) as show:
        dataset = open_dataset(data, progress=show, **reading)
    if isinstance(recipe, str):
        own: dict[str, Any] = {**RECIPES[recipe].split(arguments)[1].named}
        setup = _seeded(seed, lambda: RECIPES[recipe](dataset.spec, preset, **arguments))
        given = [name for name, value in arguments.items() if value is not None and name not in own]
        about: dict[str, Any] = {
            "recipe": recipe,
            "preset": preset,
            "arguments": {name: setup.resolved[name] for name in sorted(given)},
        }
    else:
        own = {"model": recipe, **({} if training is None else {"training": training})}
        setup = setup_of_model(recipe, dataset.spec, training)
        about = {"recipe": type(recipe).__name__, "preset": None, "arguments": {}}
    setup.training.restrict(dataset.train, seed)  # too few labels are refused before a folder is made
    folder = Path(out) if out is not None else Path("runs") / f"{about['recipe']}-{dataset.name}"
    fresh = {
        "schema": SCHEMA,
        **about,
        "own": list(own),
        "resolved": {name: value for name, value in setup.resolved.items() if name not in own},
        "description": setup.description,
        "seed": seed,
        "budget": asdict(budget),
        "total_steps": None,
        "data": {
            **dataset.spec.as_json(),
            **reading,
            "source": dataset.source,
            "sha256": dataset.fingerprint,
        },
        "device": device,
        "threads": threads,
        "versions": {
            "pushforward": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }
    config = json.loads(json.dumps(fresh, default=lambda value: value.item()))  # as it will be read
    if not overwrite and (folder / "config.json").exists():
        stored = continued(folder, config)
        if stored["resolved"] != config["resolved"]:  # this version has other defaults
            setup = _stored_setup(folder, stored, dataset.spec, own)
        config = stored
        probe(folder)
    else:
        claim(folder, overwrite)
    return _run_to_end(folder, config, setup, dataset, budget, progress)


@plain_torch()
def resume(
    path: str | os.PathLike[str],
    data: Any = None,
    device: str | None = None,
    progress: bool = True,
    **own: Any,
) -> Run:
    """Continues a run that was stopped, bit for bit as if it had not been.

    Arguments:
        path: The run's folder.
        data: The data, if they were given in memory.
        device: The device, if it is not the one that the run began on; another one changes the last bits.
        progress: Whether to show progress on standard error.
        own: The parts of your own that the run was trained with, under the same names; a model of your own is
            ``model=``, how it is trained ``training=``.

    Raises:
        ConfigError: If a part of your own is missing.
        DataError: If the data have changed.
        CheckpointError: If no checkpoint can be read.
    """
    folder = Path(path)
    config = read_config(folder)
    probe(folder)
    config["device"] = _device(device or config["device"])
    source = config["data"]["source"] if data is None else data
    if source is None:
        raise DataError(f"{folder} was trained on data in memory; pass them as data=")
    dataset = reopened(source, config, read_vocabulary(folder))
    setup = _stored_setup(folder, config, dataset.spec, own)
    return _run_to_end(folder, config, setup, dataset, Budget(**config["budget"]), progress)


@plain_torch()
def load(path: str | os.PathLike[str], data: Any = None, device: str = "cpu", **own: Any) -> Run:
    """The run of a folder, to sample, encode, evaluate and so on. Nothing is unpickled.

    Arguments:
        path: The run's folder.
        data: The data, if they were given in memory and are needed.
        device: The device that the model is put on.
        own: The parts of your own that the run was trained with, under the same names; a model of your own is
            ``model=``.

    Raises:
        ConfigError: If a part of your own is missing.
        OutputError: If the folder holds no run.
        CheckpointError: If no checkpoint can be read. Damaged ones are skipped with a warning.
    """
    folder = Path(path)
    config = read_config(folder)
    vocabulary = read_vocabulary(folder)
    dataset = None if data is None else reopened(data, config, vocabulary)
    setup = _stored_setup(folder, config, DataSpec.from_json(config["data"], vocabulary), own, to_train=False)
    tensors, numbers, faults = checkpoints.newest(folder / "checkpoints")
    for fault in faults:
        warnings.warn(f"{fault}; using the checkpoint of step {numbers['step']}", stacklevel=2)
    try:
        setup.model.load_state_dict(tensors["model"])
    except RuntimeError as error:
        raise CheckpointError(f"{folder}: the weights do not fit the model: {reason(error)}") from error
    setup.model.to(_device(device))
    return Run(folder, config, setup.model, dataset, step=int(numbers["step"]))


# ----------------------------------------------------------------------------------- building the model


def _check_names(recipe: str, arguments: Mapping[str, Any], training: Training | None) -> None:
    """Refuses unknown recipes and options before the data are read."""
    if recipe not in RECIPES:
        raise ConfigError(f"unknown recipe {recipe!r}: {nearest(recipe, RECIPES)}")
    if training is not None:
        raise ConfigError(
            f"training is for models of your own; {recipe} has options such as batch_size and lr"
        )
    RECIPES[recipe].split(arguments)


def _seeded(seed: int, build: Callable[[], Setup]) -> Setup:
    """A setup whose first weights are a function of the seed."""
    with torch_seeded(Noise(seed, "weights").integer()):
        return build()


def _stored_setup(
    folder: Path, config: dict[str, Any], spec: DataSpec, own: Mapping[str, Any], to_train: bool = True
) -> Setup:
    """The setup of a stored run, from its resolved settings and the parts of the user's own.

    Raises:
        ConfigError: If a part is missing or not known, or training differs from that of the run.
    """
    needed = [name for name in config["own"] if to_train or name != "training"]
    missing = [f"{name}=..." for name in needed if own.get(name) is None]
    if missing:
        raise ConfigError(
            f"{folder} was trained with parts of your own; pass them again: {', '.join(missing)}"
        )
    unknown = [name for name in own if name not in config["own"]]
    if unknown:
        raise ConfigError(f"{folder} was trained without parts of your own named {', '.join(unknown)}")
    if "model" not in config["own"]:
        recipe = RECIPES[config["recipe"]]
        return _seeded(config["seed"], lambda: recipe.rebuild(spec, config["resolved"], own))
    if not isinstance(own["model"], Model):
        raise ConfigError(f"model must be a Model, got {type(own['model']).__name__}")
    setup = setup_of_model(own["model"], spec, own.get("training"))
    for name, value in setup.resolved.items():
        if to_train and config["resolved"][name] != value:
            raise ConfigError(f"{folder} began with {name} {config['resolved'][name]}, got {value}")
    return setup


# ----------------------------------------------------------------------------------- training


def _run_to_end(
    folder: Path, config: dict[str, Any], setup: Setup, dataset: Dataset, budget: Budget, progress: bool
) -> Run:
    """Trains what is left of a run, on as many threads as it began with."""
    model, training = setup.model, setup.training
    run = Run(folder, config, model, dataset)
    with (
        bar(f"{config['recipe']} on {dataset.name}", progress) as show,
        torch_threads.held(config["threads"]),
    ):
        for line in (*dataset.notes, _summary(setup, dataset), setup.description):
            show.say(line)
        loop = Loop(model, dataset.train, training, 1, config["seed"], config["device"])
        model.train()
        trainer = Trainer(folder, loop, show, lambda step: _save_samples(run, step))
        if checkpoints.steps(folder / "checkpoints"):
            trainer.resume()
            if loop.step < loop.total:
                show.say(f"continuing from step {loop.step}")
        else:
            if training.pretrain:
                gap = match_moments(
                    model,
                    loop.data,
                    training.optimizers["model"],
                    config["seed"],
                    batch_size=training.pretrain,
                )
                show.say(f"the encoder's moments were fitted to the prior's: gap {gap:.3g}")
            loop.total = config["total_steps"] or _total_steps(budget, loop, training.epochs, show)
            config["total_steps"] = loop.total
            if dataset.vocabulary:
                write_atomic(folder / "vocabulary.json", dataset.vocabulary.text)
            write_atomic(folder / "config.json", json.dumps(config, indent=1) + "\n")
        unfinished = loop.step < loop.total
        trainer.run()
        run.step = loop.step
        model.eval()
        if unfinished or not (folder / "overview.png").exists():
            run.overview()
    return run


def _total_steps(budget: Budget, loop: Loop, epochs: float, show: Bar) -> int:
    """The number of steps of a budget."""
    if budget.steps is not None:
        return budget.steps
    if budget.minutes is not None:
        seconds = 60 * budget.minutes
        trial = min(0.04 * seconds, 3.0)
        speed = measure_speed(loop, trial)
        steps = max(1, round(speed * (seconds - trial)))
        show.say(f"{budget.minutes:g} minutes at {speed:.3g} steps per second: {steps} steps")
        return steps
    return max(1, math.ceil((budget.epochs or epochs) * loop.per_epoch))


def _save_samples(run: Run, step: int) -> None:
    """Writes samples of the same noise at every step: a picture of images, or lines of text."""
    if not run.renderer.has_previews:
        return
    folder = run.path / "samples"
    folder.mkdir(exist_ok=True)
    with eval_mode(run.model):
        samples = run.scaled(run.sample(64))
    run.renderer.save(samples, folder / f"{step:08d}{run.renderer.suffix}")


def _device(name: str) -> str:
    """The device of that name, once a tensor has been put on it.

    Raises:
        ConfigError: If there is none, or it cannot be used.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1).to(name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return name


def _summary(setup: Setup, dataset: Dataset) -> str:
    """Data and networks in one line."""
    parameters = sum(parameter.numel() for parameter in setup.model.parameters())
    network = f"{setup.settings.network} networks, " if setup.settings else ""
    return (
        f"{dataset.name}: {len(dataset.train)} training rows, {len(dataset.test)} held-out rows, "
        f"shape {dataset.shape}, {dataset.range}; latent_dim {setup.model.prior.latent_dim}, {network}"
        f"{parameters / 1e6:.3g} million parameters, batch_size {setup.training.batch_size}"
    )


__all__ = ["Budget", "load", "resume", "train"]
