"""The verbs that make a run: train one, go on with one, open one."""

from __future__ import annotations

import inspect
import json
import math
import os
import platform
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pushforward._version import __version__
from pushforward.data import open_dataset
from pushforward.data.dataset import Dataset, Split
from pushforward.data.fetch import VARIABLE
from pushforward.errors import CheckpointError, ConfigError, DataError, check_int, nearest
from pushforward.files import write_atomic
from pushforward.recipes import RECIPES, Recipe
from pushforward.report.progress import Bar, bar
from pushforward.rng import Noise
from pushforward.runs.directory import SCHEMA, claim, continued, probe, read_config, read_words
from pushforward.runs.run import Run
from pushforward.runs.trained_model import reopened
from pushforward.training import checkpoints
from pushforward.training.loop import Loop
from pushforward.training.pretrain import match_moments
from pushforward.training.trainer import Trainer, measure_speed
from pushforward.utils import eval_mode

MODULES = ("encoder", "decoder", "critic")  # arguments of recipes that a folder cannot hold


@dataclass(frozen=True)
class Budget:
    """How long to train: one of steps, epochs and minutes; none means the recipe's own."""

    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if len(given) > 1:
            raise ConfigError(f"one budget is enough, got {' and '.join(given)}")
        if self.steps is not None:
            check_int("steps", self.steps, least=1)
        for name, value in given.items():
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be above 0, got {value}")


def train(
    recipe: str,
    data: Any,
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | tuple[int, int] | None = None,
    max_length: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **arguments: Any,
) -> Run:
    """Trains a recipe on data, in a folder of its own.

    The same call again goes on where it was stopped, or returns the finished run.

    Arguments:
        recipe: A name that ``pushforward list`` prints: "wae-mmd", "wae-gan", "vae", "ae".
        data: A catalogue name, a folder of images, a ``.npy`` or ``.npz`` file, an array, or a
            :class:`~pushforward.data.Dataset`.
        out: The run's folder; ``runs/<recipe>-<data>`` by default.
        seed: What every random number is derived from.
        steps: Budget in updates of the model.
        epochs: Budget in passes over the data.
        minutes: Budget in time: a rehearsal measures the speed, then the steps are fixed.
        data_dir: Where catalogue data lie or are downloaded to.
        image_size: Height and width to which images are resized, or one number for both.
        max_length: Maximum number of tokens of a line of text, its end included.
        device: "auto", "cpu", "cuda", ...
        threads: Threads of a CPU.
        overwrite: Whether another run in the folder may be replaced.
        progress: Whether to show progress on standard error.
        arguments: The recipe's own: latent, weight, settings, ...

    Raises:
        ConfigError: If a setting cannot be.
        DataError: If the data cannot be read.
        OutputError: If the folder cannot be written or holds another run.
        DivergedError: If training leaves the finite numbers.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> run = train("wae-mmd", "digits", out=f"{folder}/run", steps=20, latent_dim=2, progress=False)
        >>> run.sample(3).shape, run.encode(run.data.test.batch(slice(0, 5)).x).shape
        (torch.Size([3, 1, 8, 8]), torch.Size([5, 2]))
    """
    budget = Budget(steps, epochs, minutes)
    arguments = _told(recipe, arguments)
    seed = check_int("seed", seed, least=0)
    threads = check_int("threads", torch.get_num_threads() if threads is None else threads, least=1)
    device = _device(device)
    with bar("reading", progress) as show:
        dataset = open_dataset(
            data, data_dir=data_dir, image_size=image_size, max_length=max_length, progress=show
        )
    folder = Path(out) if out is not None else Path("runs") / f"{recipe}-{dataset.name}"
    built = _build(recipe, dataset, seed, arguments)
    built.training.shown(dataset.train, seed)  # too few labels are refused before a folder is made
    reading = {"data_dir": data_dir, "image_size": image_size, "max_length": max_length}
    config = _config(recipe, built, dataset, seed, budget, arguments, device, threads, reading)
    if not overwrite and (folder / "config.json").exists():
        fresh, config = config, continued(folder, config)
        if config.get("defaults", fresh["defaults"]) != fresh["defaults"]:
            built = _build(recipe, dataset, seed, {**config["defaults"], **arguments})
        probe(folder)
    else:
        claim(folder, overwrite)
    return _drive(folder, config, built, dataset, budget, progress)


def resume(
    path: str | os.PathLike[str],
    data: Any = None,
    device: str | None = None,
    progress: bool = True,
    **modules: nn.Module,
) -> Run:
    """Goes on with a run that was stopped, bit for bit as if it had not been.

    Arguments:
        path: The run's folder.
        data: The data, if they were given in memory.
        device: Where to go on, if not where the run began; another device gives other last bits.
        progress: Whether to show progress on standard error.
        modules: Modules of your own, if the run was trained with any.

    Raises:
        DataError: If the data are no longer what the run learnt from.
        CheckpointError: If no checkpoint can be read.
    """
    folder = Path(path)
    config = read_config(folder)
    probe(folder)
    config["device"] = _device(device or config["device"])
    about = config["data"]
    if data is None and about["source"] is None:
        raise DataError(f"{folder} learnt from data in memory; hand them over as data=")
    source = about["source"] if data is None else data
    dataset = reopened(source, config, read_words(folder))
    arguments = {**_begun(config), **_given_modules(config, modules)}
    built = _build(config["recipe"], dataset, config["seed"], arguments)
    return _drive(folder, config, built, dataset, Budget(**config["budget"]), progress)


def load(path: str | os.PathLike[str], data: Any = None, device: str = "cpu", **modules: nn.Module) -> Run:
    """A run from its folder, ready to sample, encode and be judged. Nothing is unpickled.

    Arguments:
        path: The run's folder.
        data: The data, if they were given in memory and a verb needs them.
        device: Where the model is put.
        modules: Modules of your own, if the run was trained with any.

    Raises:
        OutputError: If the folder holds no run.
        CheckpointError: If no checkpoint can be read. Damaged ones are passed over with a warning.
    """
    folder = Path(path)
    config = read_config(folder)
    about = config["data"]
    words = read_words(folder)
    dataset = None if data is None else reopened(data, config, words)
    rows = torch.zeros(4, *about["shape"], dtype=torch.int64 if words else torch.float32)
    labels = None if about["classes"] is None else torch.zeros(2, dtype=torch.int64)
    blank = Dataset(
        about["name"],
        Split(rows[:2], labels),
        Split(rows[2:], labels),
        in_unit_interval=about["unit"],
        classes=None if about["classes"] is None else tuple(about["classes"]),
        vocabulary=words,
    )
    arguments = {**_begun(config), **config["resolved"], **_given_modules(config, modules)}
    built = _build(config["recipe"], blank, config["seed"], arguments)
    tensors, numbers, faults = checkpoints.newest(folder / "checkpoints")
    for fault in faults:
        warnings.warn(f"{fault}; using the checkpoint of step {numbers['step']}", stacklevel=2)
    try:
        built.model.load_state_dict(tensors["model"])
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{folder}: the weights do not fit the model: {reason}") from error
    built.model.to(_device(device))
    return Run(folder, config, built.model, dataset, step=int(numbers["step"]))


# -------------------------------------------------------------------------------------- the work


def _drive(
    folder: Path, config: dict[str, Any], built: Recipe, dataset: Dataset, budget: Budget, progress: bool
) -> Run:
    """From a claimed folder to a finished run, on as many threads as it began with.

    Raises:
        ConfigError: If this version of the library decides a setting otherwise than the one the
            run began with.
    """
    # a folder knows nothing of settings that came later, which then had no say
    usual = {field.name: field.default for field in fields(built.settings) if field.default is not MISSING}
    began = json.loads(json.dumps(usual)) | config["settings"]
    for name, now in json.loads(json.dumps(asdict(built.settings))).items():
        was = began.get(name)
        if was != now:
            raise ConfigError(f"{folder} began with {name} = {was}; this version would go on with {now}")
    run = Run(folder, config, built.model, dataset)
    with bar(f"{config['recipe']} on {dataset.name}", progress) as show, _threads(config["threads"]):
        for line in (*dataset.notes, _summary(built, dataset), config["meaning"]):
            show.say(line)
        loop = Loop(built.model, dataset.train, built.training, 1, config["seed"], config["device"])
        built.model.train()
        session = Trainer(folder, loop, show, lambda step: _samples(run, step))
        if checkpoints.steps(folder / "checkpoints"):
            session.resume()
            if loop.step < loop.total:
                show.say(f"going on from step {loop.step}")
        else:
            _prepare(folder, config, built, dataset, loop, budget, show)
        unfinished = loop.step < loop.total
        session.run()
        run.step = loop.step
        built.model.eval()
        if unfinished or not (folder / "overview.png").exists():
            run.overview()
    return run


def _prepare(
    folder: Path,
    config: dict[str, Any],
    built: Recipe,
    dataset: Dataset,
    loop: Loop,
    budget: Budget,
    show: Bar,
) -> None:
    """What comes before the first step: the vocabulary, the encoder's moments, and the number of steps."""
    if built.training.pretrain:
        gap = match_moments(
            built.model,
            loop.data,
            built.training.optimizers["model"],
            config["seed"],
            batch_size=built.training.pretrain,
        )
        show.say(f"the encoder's moments were fitted to the prior's: gap {gap:.3g}")
    loop.total = config["total_steps"] or _steps(budget, loop, built.training.epochs, show)
    config["total_steps"] = loop.total
    if dataset.vocabulary:
        write_atomic(folder / "vocabulary.json", dataset.vocabulary.text)
    write_atomic(folder / "config.json", json.dumps(config, indent=1) + "\n")


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """So many threads for a while: other numbers of threads give other last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _steps(budget: Budget, loop: Loop, epochs: float, show: Bar) -> int:
    """Steps that a budget comes to."""
    if budget.steps is not None:
        return budget.steps
    if budget.minutes is not None:
        seconds = 60 * budget.minutes
        trial = min(0.04 * seconds, 3.0)
        rate = measure_speed(loop, trial)
        steps = max(1, round(rate * (seconds - trial)))
        show.say(f"{budget.minutes:g} minutes at {rate:.3g} steps a second: {steps} steps")
        return steps
    return max(1, math.ceil((budget.epochs or epochs) * loop.per_epoch))


def _samples(run: Run, step: int) -> None:
    """Writes samples of the same noise at every step: a picture of images, or lines of text."""
    if not run.renderer.has_previews:
        return
    place = run.path / "samples"
    place.mkdir(exist_ok=True)
    with eval_mode(run.model):
        made = run.sample(64)
    run.renderer.save(made, place / f"{step:08d}{run.renderer.suffix}")


def _build(recipe: str, dataset: Dataset, seed: int, arguments: Mapping[str, Any]) -> Recipe:
    """The recipe's model, its first weights a function of the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(Noise(seed, "weights").integer())
        return RECIPES[recipe](dataset, **arguments)


def _told(recipe: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments of a recipe that differ from its defaults.

    Raises:
        ConfigError: If there is no such recipe, or it has no such argument.
    """
    if recipe not in RECIPES:
        raise ConfigError(f"unknown recipe {recipe!r}: {nearest(recipe, RECIPES)}")
    known = _defaults(recipe)
    for name in arguments:
        if name not in known:
            raise ConfigError(f"{recipe} has no argument {name!r}: {nearest(name, known)}")
    return {
        name: value for name, value in arguments.items() if value is not known[name] and value != known[name]
    }


def _defaults(recipe: str) -> dict[str, Any]:
    """The default of every argument of a recipe."""
    parameters = inspect.signature(RECIPES[recipe]).parameters
    return {name: parameter.default for name, parameter in parameters.items() if name != "data"}


def _config(
    recipe: str,
    built: Recipe,
    dataset: Dataset,
    seed: int,
    budget: Budget,
    arguments: Mapping[str, Any],
    device: str,
    threads: int,
    reading: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything a run is a function of, and what it ran on."""
    data_dir = reading["data_dir"] or os.environ.get(VARIABLE)
    known = inspect.signature(RECIPES[recipe]).parameters
    plain = {name: value for name, value in arguments.items() if not isinstance(value, nn.Module)}
    entries = {name: value for name, value in asdict(built.settings).items() if name in known}
    config = {
        "schema": SCHEMA,
        "recipe": recipe,
        "arguments": plain,
        "defaults": {
            name: value
            for name, value in _defaults(recipe).items()
            if value is not None and name not in MODULES
        },
        "modules": sorted(name for name in arguments if name in MODULES and arguments[name] is not None),
        "resolved": entries,
        "settings": asdict(built.settings),
        "meaning": built.meaning,
        "seed": seed,
        "budget": asdict(budget),
        "total_steps": None,
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "data_dir": None if data_dir is None else str(Path(data_dir).resolve()),
            "image_size": reading["image_size"],
            "max_length": reading["max_length"],
            "shape": list(dataset.shape),
            "unit": dataset.in_unit_interval,
            "classes": None if dataset.train.y is None else list(dataset.labels),
            "rows": {"train": len(dataset.train), "test": len(dataset.test)},
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
    return json.loads(json.dumps(config, default=lambda value: value.item()))  # as it will be read


def _device(name: str) -> str:
    """The device of that name, once something has been put there.

    Raises:
        ConfigError: If there is none, or nothing can be put there.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1).to(name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used: {reason}") from None
    return name


def _begun(config: dict[str, Any]) -> dict[str, Any]:
    """What a run was told, and the defaults of the version that it began with."""
    return {**config.get("defaults", {}), **config["arguments"]}


def _given_modules(config: dict[str, Any], modules: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    missing = [name for name in config["modules"] if name not in modules]
    if missing:
        words = ", ".join(f"{name}=..." for name in missing)
        raise ConfigError(f"this run was trained with modules of your own; hand them over: {words}")
    return dict(modules)


def _summary(built: Recipe, dataset: Dataset) -> str:
    parameters = sum(parameter.numel() for parameter in built.model.parameters())
    rows = f"{len(dataset.train)} rows to learn from, {len(dataset.test)} held out"
    return (
        f"{dataset.name}: {rows}, shape {dataset.shape}, {dataset.range}; latent {built.settings.latent_dim}, "
        f"{built.settings.network} networks, {parameters / 1e6:.3g} million parameters, "
        f"batches of {built.settings.batch_size}"
    )


__all__ = ["Budget", "load", "resume", "train"]
