"""Training, resuming and loading runs: :func:`train`, :func:`resume` and :func:`load`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from pushforward.codec import CODECS
from pushforward.data import open_dataset
from pushforward.data.fetch import VARIABLE
from pushforward.data.formats import Channels, OnBad
from pushforward.data.sizes import Size
from pushforward.data.spec import DataSpec
from pushforward.distributed import check_agreed, from_first, is_first, size
from pushforward.errors import (
    CheckpointError,
    ConfigError,
    OutputError,
    check_int,
    nearest,
    reason,
)
from pushforward.interrupts import resumable, stop_on_signals
from pushforward.limits import tensor_bytes
from pushforward.models import Model
from pushforward.process_group import joined
from pushforward.report.progress import bar
from pushforward.runs.budget import Budget, Extension
from pushforward.runs.config import command, new_config
from pushforward.runs.devices import device_of_run, find_device, find_precision, find_threads
from pushforward.runs.directory import RunDirectory
from pushforward.runs.other_data import check_labels, own_or_other
from pushforward.runs.run import Run
from pushforward.runs.setups import ModelSource, stored_setup
from pushforward.runs.trained_model import reopened
from pushforward.runs.training import run_to_end
from pushforward.torch_state import plain_torch
from pushforward.training import Training
from pushforward.training.batches import shared_batch
from pushforward.training.compiling import check_compiler
from pushforward.training.trainer import OnNonfinite
from pushforward.wording import option_name


@stop_on_signals()
@resumable(lambda: "before the first step; the same command begins again")
@plain_torch()
@joined()
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
    on_nonfinite: OnNonfinite | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | Size | None = None,
    max_length: int | None = None,
    columns: Mapping[str, str] | None = None,
    target: str | None = None,
    standardize: bool = True,
    channels: Channels | None = None,
    on_bad: OnBad = "error",
    test: Any = None,
    group: Any = None,
    device: str | torch.device = "auto",
    threads: int | None = None,
    precision: Literal["fp32", "bf16", "auto"] = "fp32",
    compile: bool = False,
    overwrite: bool = False,
    pictures: bool = True,
    progress: bool = True,
    **arguments: Any,
) -> Run:
    """Trains a recipe, or a model of your own, on data, in a folder of its own.

    The same call again continues a run that was stopped, or returns the finished run.

    Arguments:
        recipe: A name that ``pushforward list`` prints, such as "wae-mmd" or "vae"; or a
            :class:`~pushforward.models.Model`, which is trained in place.
        data: A catalogue name, a folder of images or text files, a ``.npy``, ``.npz``, ``.txt``, ``.csv`` or
            ``.parquet`` file, an array, a frame of pandas or polars, or a :class:`~pushforward.data.Dataset`.
        preset: The settings of all options that are not given: "small", which takes minutes on two cores;
            "paper", what was printed; or "official", what the authors' code does.
        training: How a model of your own is trained; by default by Adam, at a learning rate of 0.001.
        out: The run's folder; ``runs/<recipe>-<data>`` by default, where an array is called by the first
            digits of its sha256.
        seed: The seed of every random number.
        steps: Budget in updates of the model.
        epochs: Budget in passes over the data.
        minutes: Budget in time: the speed is measured first, then the number of steps is fixed.
        on_nonfinite: What happens at a loss, gradient, weight or sample that is not finite: "stop", the
            default of a new run; or "rollback", at most 5 times, to the last tenth of the run, to go on from
            there with other random numbers.
        data_dir: The folder of the files of catalogue data.
        image_size: Height and width to which images are resized, or one number for both.
        max_length: Maximum number of tokens of a line of text, its end included.
        columns: Kinds of columns of a table by their names, in the place of those that are inferred: numeric,
            integer, categorical, ordinal, boolean, date, constant or identifier.
        target: Name of the column of a table whose values are the labels.
        standardize: Whether columns of real numbers are centred and scaled for the model, and its samples
            scaled back.
        channels: "first" or "last": where the channels of an array of images are, if there are not 1 or 3 of
            them; of three axes, that it holds series, (N, T, C) or (N, C, T), not grey images.
        on_bad: What becomes of images in a folder that cannot be read: "error" refuses the data, "skip"
            leaves them out, "quarantine" also lists them in a file beside the folder, ``FOLDER.bad.txt``.
        test: The held-out rows, in the place of a tenth at random: a file or other data of their own; or, in
            Python, the numbers or a mask of rows of the data.
        group: The name of a column, such as that of a person: rows with the same value are on the same side
            of the split. Or, in Python, one value a row.
        device: "auto", "cpu", "cuda", ...
        threads: Number of threads on a CPU.
        precision: "fp32", which is float32 on a GPU, too, and not TensorFloat-32; "bf16", in which networks,
            but neither costs nor discrepancies, compute in bfloat16 while they are trained; or "auto", bf16
            on devices that have units for it.
        compile: Whether losses, with the networks in them, are compiled by ``torch.compile`` for training: a
            compiler is needed, the first steps take longer, and last bits differ.
        overwrite: Whether training starts over and replaces the run in the folder, finished or not, even if
            it is this very one; it stays whole until the new run has begun.
        pictures: Whether to write samples during training, and overview.png at its end.
        progress: Whether to show progress on standard error.
        arguments: The recipe's options, such as ``latent_dim`` or ``weight``, and parts of your own, such as
            ``encoder=`` or ``discrepancy=``.

    Raises:
        ConfigError: If an option is not allowed.
        DataError: If the data cannot be read.
        OutputError: If the folder cannot be written or holds another run.
        DivergedError: If a loss, gradient, weight or sample is not finite, and the run does not go back.
        InterruptedRunError: If SIGINT, SIGTERM, SIGHUP or SIGUSR1 stopped it; the same call goes on.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> run = train("wae-mmd", "digits", out=f"{folder}/run", steps=20, latent_dim=2, progress=False)
        >>> run.sample(3).shape, run.encode(run.held_out(slice(0, 5))[0]).shape
        (torch.Size([3, 1, 8, 8]), torch.Size([5, 2]))
    """
    directory = None if out is None else RunDirectory(out)
    if directory is not None:
        directory.check_place()
    progress = progress and is_first()
    budget = Budget(steps, epochs, minutes)
    seed = check_int("seed", seed, least=0)
    _check_on_nonfinite(on_nonfinite)
    threads = find_threads(threads)
    automatic, device = device == "auto", find_device(device)
    model = ModelSource(recipe, preset, arguments, training)
    data_dir = data_dir or os.environ.get(VARIABLE)
    reading: dict[str, Any] = {
        "data_dir": None if data_dir is None else str(Path(data_dir).resolve()),
        "image_size": image_size,
        "max_length": max_length,
        "columns": None if columns is None else dict(columns),
        "target": target,
        "standardize": standardize,
        "channels": channels,
        "on_bad": on_bad,
    }
    with bar("reading", progress) as show:
        dataset = open_dataset(data, progress=show, test=test, group=group, **reading)
    setup = model.setup(dataset.spec, seed)
    asked, taken = arguments.get("batch_size") or 0, setup.training.batch_size
    if asked > taken:
        rows = f"the {len(dataset.train)} training rows"
        dataset = dataset.noted(f"{option_name('batch_size', asked)} is more than {rows}: {taken} are taken")
    # What is refused before a folder is made: too few labels, rows that cannot be shared out evenly.
    seen = setup.training.restrict(dataset.train, seed)
    shared_batch(setup.training.batch_size, seen, setup.model.draws_labelled, size())
    config = fresh = new_config(
        model.as_json(setup), dataset, reading, budget, seed=seed, on_nonfinite=on_nonfinite or "stop",
        device=device, threads=threads, precision=find_precision(precision, device), compile=bool(compile),
    )  # fmt: skip
    directory = directory or RunDirectory(Path("runs") / f"{model.name}-{dataset.name}")
    if compile and (overwrite or not directory.holds_run()):
        check_compiler(device)  # before a folder is made; a run that goes on does so if it has steps left
    with directory.locked():
        shared = ("recipe", "resolved", "seed", "budget", "data", "precision")
        check_agreed("a run", {"out": str(directory.path), **{name: config[name] for name in shared}})
        there = None
        if is_first() and not overwrite and directory.holds_run():
            there = directory.continued(config)
        there, config = from_first([there, config])
        if there is not None:
            config = there
            config["on_nonfinite"] = on_nonfinite or config["on_nonfinite"]
            if config["resolved"] != fresh["resolved"]:  # this version has other defaults
                setup = stored_setup(directory.path, config, dataset.spec, model.own)
            device = device_of_run(None if automatic else device, config["device"])
        return run_to_end(directory, config, setup, dataset, budget, device, progress, pictures=pictures)


@stop_on_signals()
@resumable(lambda: "before training went on; the same command goes on")
@plain_torch()
@joined()
def resume(
    path: str | os.PathLike[str],
    data: Any = None,
    device: str | torch.device | None = None,
    on_nonfinite: OnNonfinite | None = None,
    progress: bool = True,
    *,
    pictures: bool = True,
    steps: int | str | None = None,
    epochs: float | str | None = None,
    minutes: str | None = None,
    compile: bool | None = None,
    **own: Any,
) -> Run:
    """Continues a run that was stopped, bit for bit as if it had not been, or trains a finished one longer.

    A run that is trained longer has the weights of one that had its whole budget from the first step on if
    its learning rates are constant; other schedules follow the new number of steps from here on.

    Arguments:
        path: The run's folder.
        data: The data, if they were given in memory.
        device: The device, if it is not the one that the run began on; another one changes the last bits.
        on_nonfinite: What happens from now on at a number that is not finite, see :func:`train`; by default
            what the run began with.
        progress: Whether to show progress on standard error.
        pictures: Whether to write samples and overview.png from now on, see :func:`train`, also if the run
            began without.
        steps: The number of steps that the run is to have in all; or, with a plus sign, such as "+2000", how
            many more. After a stop, ``resume`` without it goes on to the same end.
        epochs: The same in passes over the data.
        minutes: How much longer to train in time, with a plus sign, such as "+5".
        compile: Whether losses are compiled from now on, see :func:`train`; by default as the run began. A
            change changes the last bits.
        own: The parts of your own that the run was trained with, under the same names; a model of your own is
            ``model=``, how it is trained ``training=``.

    Raises:
        ConfigError: If a part of your own is missing, or the run would be shorter than it is.
        DataError: If the data have changed.
        CheckpointError: If no checkpoint can be read.
        DivergedError: See :func:`train`.
    """
    _check_on_nonfinite(on_nonfinite)
    extension = Extension.parse(steps, epochs, minutes)
    progress = progress and is_first()
    directory = RunDirectory(path)
    directory.config()  # a folder that holds no run is left as it is
    with directory.locked():
        asked = {"path": str(directory.path), "steps": steps, "epochs": epochs, "minutes": minutes}
        check_agreed("a run", asked)
        config = from_first(directory.config())
        config["on_nonfinite"] = on_nonfinite or config["on_nonfinite"]
        device = device_of_run(device, config["device"])
        config["compile"] = config["compile"] if compile is None else compile
        dataset = reopened(directory.path, config, directory.codec(config), data)
        setup = stored_setup(directory.path, config, dataset.spec, own)
        budget = Budget(**config["budget"])
        return run_to_end(directory, config, setup, dataset, budget, device, progress, extension, pictures)


@plain_torch()
def load(
    path: str | os.PathLike[str], data: Any = None, device: str | torch.device = "cpu", **own: Any
) -> Run:
    """The run of a folder, to sample, encode, evaluate and so on. Nothing is unpickled.

    Arguments:
        path: The run's folder.
        data: The data, if they were given in memory and are needed. Or other data, on which the run is then
            evaluated: of the same shape, values and classes. All of their rows are held-out rows, next to the
            training rows of the run; see :attr:`~pushforward.runs.evaluating.Evaluating.evaluation_data`.
        device: The device that the model is put on.
        own: The parts of your own that the run was trained with, under the same names; a model of your own is
            ``model=``.

    Raises:
        ConfigError: If a part of your own is missing, or other data lack labels that the model needs.
        DataError: If the data cannot be read, or do not fit the run.
        OutputError: If the folder holds no run.
        CheckpointError: If no checkpoint can be read. Damaged ones are skipped with a warning.
    """
    directory = RunDirectory(path)
    config = directory.config()
    codec = directory.codec(config)
    if codec is None and config["codec"] is not None:
        file = CODECS[config["data"]["modality"]].file
        raise OutputError(
            f"{directory.path} has no {file} that can be read; to write it again: "
            + command("resume", directory.path, config)
        )
    spec = DataSpec.from_json(config["data"], codec)
    dataset, other = own_or_other(config, spec, data)
    try:
        found, faults = directory.checkpoints(config).newest()
    except CheckpointError as error:
        raise directory.without_checkpoint(error, config) from error
    weights = tensor_bytes(found.tensors.get("model", {}))
    setup = stored_setup(directory.path, config, spec, own, to_train=False, weights=weights)
    for fault in faults:
        warnings.warn(f"{fault}; using the checkpoint of step {found.step}", stacklevel=2)
    try:
        setup.model.load_state_dict(found.tensors["model"])
    except (RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{directory.path}: the weights do not fit the model: {reason(error)}"
        ) from error
    setup.model.to(find_device(device))
    if other is not None:
        check_labels(other[1], setup.model, directory.path)
    return Run(directory.path, config, setup.model, dataset, found.step, codec, other)


# ----------------------------------------------------------------------------------- building the model


def _check_on_nonfinite(name: str | None) -> None:
    """Refuses what is no choice of ``on_nonfinite``."""
    known = get_args(OnNonfinite)
    if name is not None and name not in known:
        raise ConfigError(f"unknown {option_name('on_nonfinite')} {name!r}: {nearest(name, known)}")


__all__ = ["Budget", "load", "resume", "train"]
