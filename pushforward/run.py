"""What a user holds: a trained model in its folder, and the verbs that make and use it."""

from __future__ import annotations

import inspect
import json
import math
import os
import platform
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.data import open_dataset
from pushforward.data.dataset import Dataset, Split
from pushforward.data.fetch import VARIABLE
from pushforward.errors import CheckpointError, ConfigError, DataError, nearest, whole
from pushforward.evaluation.doctor import ROWS, Checkup, Finding, diagnose
from pushforward.evaluation.evidence import Evidence
from pushforward.evaluation.features import Progress, open_features
from pushforward.evaluation.judge import SECTIONS, USUAL, judge
from pushforward.evaluation.latent import least_gaussian_plane
from pushforward.folder import SCHEMA, claim, continued, probe, read_config
from pushforward.interpolation import PATHS
from pushforward.models import Model
from pushforward.randomness import Noise
from pushforward.recipes import RECIPES, Recipe
from pushforward.report.page import run_page
from pushforward.report.pictures import Album, are_images, picture, sheet
from pushforward.report.progress import Bar, bar
from pushforward.square import at_rest
from pushforward.training import checkpoints
from pushforward.training.loop import Loop
from pushforward.training.pretrain import match_moments
from pushforward.training.session import Session, read_history, rehearse, replace_text

MODULES = ("encoder", "decoder", "critic")  # arguments of recipes that a folder cannot hold
CHUNK = 512


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
            whole("steps", self.steps, least=1)
        for name, value in given.items():
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be above 0, got {value}")


class Run:
    """A trained (or half-trained) model and the folder it lives in.

    Attributes:
        path: The folder.
        config: What was trained on what, as written in ``config.json``.
        model: The model, in evaluation mode.
        step: Steps it has been trained.
    """

    def __init__(
        self, path: Path, config: dict[str, Any], model: Model, data: Dataset | None, step: int = 0
    ) -> None:
        self.path = path
        self.step = step
        self.config = config
        self.model = model.eval()
        self._data = data

    def __repr__(self) -> str:
        name = self.config["data"]["name"]
        return f"Run({str(self.path)!r}: {self.config['recipe']} on {name} {self.shape}, step {self.step})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row of data."""
        return tuple(self.config["data"]["shape"])

    @property
    def drawable(self) -> bool:
        """Whether rows are pictures."""
        return are_images(self.shape)

    @property
    def history(self) -> list[dict[str, Any]]:
        """Logged lines: step, terms, signs of health, warnings."""
        return read_history(self.path / "history.jsonl")

    @cached_property
    def data(self) -> Dataset:
        """The data the run learnt from, opened again where they were.

        Raises:
            DataError: If they were given in memory, cannot be found, or are no longer the same.
        """
        if self._data is not None:
            return self._data
        about = self.config["data"]
        if about["source"] is None:
            raise DataError(f"{self.path} learnt from data in memory; hand them to load or resume as data=")
        data = open_dataset(about["source"], data_dir=about["data_dir"], size=about["size"])
        return _same(data, self.config)

    def sample(self, n: int = 64, seed: int = 0) -> Tensor:
        """n decoded draws of the prior, (n, \\*): the first 10 of 64 are the first 10 of 1000."""
        n = whole("n", n, least=1)
        return self.decode(self.model.prior(n).rsample(Noise(seed, "sample")))

    def encode(self, x: Any) -> Tensor:
        """Codes (N, L) of data (N, \\*) in the range the run was trained on; the centres of their laws.

        Raises:
            ConfigError: If the model has no encoder.
        """
        if not self.model.encodes:
            raise ConfigError(f"{self.config['recipe']} has no encoder: its data have no codes")
        return self._map(self.model.encode, self._rows(x))

    def decode(self, z: Any) -> Tensor:
        """Data (N, \\*) that codes (N, L) stand for."""
        z = torch.as_tensor(z, dtype=torch.float32)
        if z.ndim != 2 or z.shape[1] != self.model.prior.latent:
            raise DataError(f"codes must have shape (N, {self.model.prior.latent}), got {tuple(z.shape)}")
        return self._map(self.model.decode, z)

    def reconstruct(self, x: Any) -> Tensor:
        """Data (N, \\*) through encoder and decoder."""
        return self.decode(self.encode(x))

    def interpolate(self, a: Any, b: Any, steps: int = 8, path: str | None = None) -> Tensor:
        """Decoded paths from rows ``a`` to rows ``b`` through their codes, (N, steps, \\*).

        ``path`` is "linear" or "spherical"; by default what suits the prior: spherical on spheres and
        for normal priors of 8 or more dimensions, whose mass lies near a sphere.
        """
        path = path or self.model.prior.path
        if path not in PATHS:
            raise ConfigError(f"unknown path {path!r}: {nearest(path, PATHS)}")
        steps = whole("steps", steps, least=2)
        codes = PATHS[path](self.encode(a), self.encode(b), steps)
        return self.decode(codes.flatten(0, 1)).unflatten(0, (len(codes), steps))

    def evidence(
        self, rows: int = 10_000, seed: int = 0, features: Any = "auto", progress: Progress | None = None
    ) -> Evidence:
        """What judges may ask of this run (:class:`pushforward.evaluation.Evidence`)."""
        sizes = (self.config["resolved"]["batch"], 1000)
        return Evidence(self.model, self.data, features, rows, seed, sizes, progress)

    def evaluate(
        self,
        rows: int = 10_000,
        seed: int = 0,
        features: Any = "auto",
        sections: Sequence[str] = USUAL,
        progress: bool = False,
    ) -> dict[str, Any]:
        """Every figure on held-out rows (:func:`pushforward.evaluation.judge`); also ``evaluation.json``.

        Arguments:
            rows: At most so many held-out rows, and as many samples.
            seed: Which rows, samples and codes.
            features: What samples are compared by: "auto" (a classifier where the data have labels, PCA
                elsewhere), "pixels", "pca", "classifier", "inception", a classifier's folder, a
                ``.safetensors`` file of Inception's weights, or a module of your own.
            sections: Which questions are asked; "likelihood", "annealing" and "parzen" take longer and are
                not asked unless named.
            progress: Whether to show progress on standard error.
        """
        with bar("evaluating", progress) as show, at_rest(self.model):
            evidence = self.evidence(rows, seed, features, show)
            result = judge(evidence, sections)
        about = {"run": str(self.path), "step": self.step, "seed": seed, "asked": asked(rows, features)}
        kept = self.verdict()
        # What was found before with the same rows, samples and features still holds.
        same = all(kept.get(name) == value for name, value in about.items())
        same = same and kept["features"] == result["features"]
        before = {name: kept[name] for name in kept["sections"] if name in kept} if same else {}
        found = sorted({*(kept["sections"] if same else ()), *sections}, key=list(SECTIONS).index)
        result = json.loads(json.dumps({**about, "sections": found, **before, **result}))  # as it is read
        replace_text(self.path / "evaluation.json", json.dumps(result, indent=1) + "\n")
        return result

    def judged(
        self,
        rows: int = 10_000,
        seed: int = 0,
        features: Any = "auto",
        sections: Sequence[str] = USUAL,
        progress: bool = False,
    ) -> dict[str, Any]:
        """The last evaluation if it answers these questions at this step; else a new one."""
        kept = self.verdict()
        same = {"step": self.step, "seed": seed, "asked": asked(rows, features)}
        known = {*sections} <= {*kept.get("sections", ())}
        if known and all(kept.get(name) == value for name, value in same.items()):
            now = open_features(features, self.data).card()  # the classifier of a name may have changed
            if now["sha256"] == kept["features"]["sha256"]:
                return kept
        return self.evaluate(rows, seed, features, sections, progress)

    def verdict(self) -> dict[str, Any]:
        """The last evaluation, as ``evaluation.json`` holds it; empty if there is none that can be read."""
        try:
            kept = json.loads((self.path / "evaluation.json").read_text())
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) and "sections" in kept else {}

    def doctor(self, seed: int = 0, features: Any = "auto", progress: bool = False) -> list[Finding]:
        """Why samples are bad, if they are, causes first (:func:`pushforward.evaluation.diagnose`)."""
        with bar("examining", progress) as show, at_rest(self.model):
            evidence = self.evidence(ROWS, seed, features, show)
            return diagnose(Checkup(evidence, self.history, self.step, self.config["resolved"]["batch"]))

    def report(self, features: Any = "auto", progress: bool = False) -> Path:
        """One self-contained page of the whole run, ``report.html``; returns where it lies."""
        verdict = self.judged(features=features, progress=progress)
        findings = self.doctor(features=features, progress=progress)
        text = run_page(self.album(), verdict, findings, self.config)
        replace_text(self.path / "report.html", text)
        return self.path / "report.html"

    def sheet(self) -> Path:
        """One picture of the whole run, ``sheet.png``; returns where it lies."""
        return sheet(self.path / "sheet.png", self.album())

    def album(self) -> Album:
        """What there is to look at: samples, and for models with codes what goes through them."""
        test = self.data.test.batch(slice(0, 1000))
        about = self.config["data"]
        whole_story = Album(
            title=f"{self.config['recipe']} on {about['name']}: step {self.step}, {self.config['meaning']}",
            samples=self.sample(96 if are_images(self.shape) else len(test.x)),
            originals=test.x,
            prior=self.model.prior(len(test.x)).rsample(Noise(0, "sheet")).cpu(),
            history=self.history,
            labels=test.y,
        )
        if not self.model.encodes:
            return whole_story
        half = min(6, len(test.x) // 2)
        # Drawn codes stand beside draws of the prior; reconstructions come from the centres.
        codes = self._map(lambda x: self.model.encode(x, Noise(0, "sheet")), test.x)
        return replace(
            whole_story,
            back=self.reconstruct(test.x),
            paths=self.interpolate(test.x[:half], test.x[half : 2 * half], steps=10),
            traversals=self.traverse(test.x[:1]),
            codes=codes,
            plane=least_gaussian_plane(codes, whole_story.prior, Noise(0, "sheet"))[0],
        )

    def traverse(self, x: Any, dimensions: int = 12, steps: int = 10) -> tuple[Tensor, list[int]]:
        """Decoded walks from one row of data along single dimensions of its code.

        Each walk goes from the 0.1 % to the 99.9 % quantile of the prior, -3 to 3 for N(0, 1), with the
        other dimensions where they are. Dimensions are those that change what is decoded the most, first.

        Returns:
            The walks (dimensions, steps, \\*), and the number of each one's dimension.
        """
        code = self.encode(x)[:1]
        draws = self.model.prior(10_000).rsample(Noise(0, "traverse")).cpu()
        ends = draws.quantile(torch.tensor([0.001, 0.999]), dim=0)
        t = torch.linspace(0, 1, whole("steps", steps, least=2)).view(-1, 1)
        latent = code.shape[1]
        codes = code.repeat(latent, len(t), 1)
        for i in range(latent):
            codes[i, :, i] = (ends[0, i] + (ends[1, i] - ends[0, i]) * t).flatten()
        walks = self.decode(codes.flatten(0, 1)).unflatten(0, (latent, len(t)))
        change = walks.flatten(2).var(1).sum(1)
        chosen = change.argsort(descending=True)[: whole("dimensions", dimensions, least=1)].tolist()
        return walks[chosen], chosen

    def _rows(self, x: Any) -> Tensor:
        """Rows as the readers of data would give them: channels first, bytes in [0, 1]."""
        x = torch.as_tensor(x)
        if x.ndim == 3 and self.shape == (1, *x.shape[1:]):
            x = x.unsqueeze(1)
        elif x.ndim == 4 and tuple(x.shape[1:]) == (*self.shape[1:], self.shape[0]) != self.shape:
            x = x.permute(0, 3, 1, 2)
        if tuple(x.shape[1:]) != self.shape:
            raise DataError(f"rows must have shape {self.shape}, got {tuple(x.shape[1:])}")
        masks = len(x) > 0 and x.max() <= 1  # bytes that are only 0 and 1 are read as black and white
        return x.float() / 255 if x.dtype == torch.uint8 and not masks else x.float()

    @torch.no_grad()
    def _map(self, function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        device = self.model.prior.anchor.device
        return torch.cat([function(part.to(device)).cpu() for part in rows.split(CHUNK)])


def asked(rows: int, features: Any) -> dict[str, Any]:
    """What a verdict was asked for, as it is written into it."""
    return {"rows": rows, "features": features if isinstance(features, str) else type(features).__name__}


# ---------------------------------------------------------------------------------------- verbs


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
    size: int | tuple[int, int] | None = None,
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
        size: Side, or height and width, that images are brought to.
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
        >>> run = train("wae-mmd", "digits", out=f"{folder}/run", steps=20, latent=2, progress=False)
        >>> run.sample(3).shape, run.encode(run.data.test.batch(slice(0, 5)).x).shape
        (torch.Size([3, 1, 8, 8]), torch.Size([5, 2]))
    """
    budget = Budget(steps, epochs, minutes)
    arguments = _told(recipe, arguments)
    seed = whole("seed", seed, least=0)
    threads = whole("threads", torch.get_num_threads() if threads is None else threads, least=1)
    device = _device(device)
    with bar("reading", progress) as show:
        dataset = open_dataset(data, data_dir=data_dir, size=size, progress=show)
    folder = Path(out) if out is not None else Path("runs") / f"{recipe}-{dataset.name}"
    built = _build(recipe, dataset, seed, arguments)
    config = _config(recipe, built, dataset, seed, budget, arguments, device, threads, data_dir, size)
    if not overwrite and (folder / "config.json").exists():
        config = continued(folder, config)
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
    dataset = _same(open_dataset(source, data_dir=about["data_dir"], size=about["size"]), config)
    arguments = {**config["arguments"], **_given_modules(config, modules)}
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
    dataset = None
    if data is not None:
        dataset = _same(open_dataset(data, data_dir=about["data_dir"], size=about["size"]), config)
    rows = torch.zeros(4, *about["shape"])
    labels = None if about["classes"] is None else torch.zeros(2, dtype=torch.int64)
    blank = Dataset(
        about["name"],
        Split(rows[:2], labels),
        Split(rows[2:], labels),
        unit=about["unit"],
        classes=None if about["classes"] is None else tuple(about["classes"]),
    )
    arguments = {**config["arguments"], **config["resolved"], **_given_modules(config, modules)}
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
    for name, now in json.loads(json.dumps(asdict(built.settings))).items():
        if config["settings"].get(name) != now:
            was = config["settings"].get(name)
            raise ConfigError(f"{folder} began with {name} = {was}; this version would go on with {now}")
    run = Run(folder, config, built.model, dataset)
    with bar(f"{config['recipe']} on {dataset.name}", progress) as show, _threads(config["threads"]):
        for line in (*dataset.notes, _summary(built, dataset), config["meaning"]):
            show.say(line)
        loop = Loop(built.model, dataset.train, built.training, 1, config["seed"], config["device"])
        built.model.train()
        session = Session(folder, loop, show, lambda step: _samples(run, step))
        if checkpoints.steps(folder / "checkpoints"):
            session.resume()
            if loop.step < loop.total:
                show.say(f"going on from step {loop.step}")
        else:
            _prepare(folder, config, built, loop, budget, show)
        unfinished = loop.step < loop.total
        session.run()
        run.step = loop.step
        built.model.eval()
        if unfinished or not (folder / "sheet.png").exists():
            run.sheet()
    return run


def _prepare(
    folder: Path, config: dict[str, Any], built: Recipe, loop: Loop, budget: Budget, show: Bar
) -> None:
    """What comes before the first step: the encoder's moments, and how many steps there will be."""
    if built.training.pretrain:
        gap = match_moments(
            built.model,
            loop.data,
            built.training.optimizers["model"],
            config["seed"],
            batch=built.training.pretrain,
        )
        show.say(f"the encoder's moments were fitted to the prior's: gap {gap:.3g}")
    loop.total = config["total_steps"] or _steps(budget, loop, built.training.epochs, show)
    config["total_steps"] = loop.total
    replace_text(folder / "config.json", json.dumps(config, indent=1) + "\n")


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
        rate = rehearse(loop, trial)
        steps = max(1, round(rate * (seconds - trial)))
        show.say(f"{budget.minutes:g} minutes at {rate:.3g} steps a second: {steps} steps")
        return steps
    return max(1, math.ceil((budget.epochs or epochs) * loop.per_epoch))


def _samples(run: Run, step: int) -> None:
    """A sheet of samples from the same noise at every step."""
    if not are_images(run.shape):
        return
    (run.path / "samples").mkdir(exist_ok=True)
    with at_rest(run.model):
        picture(run.sample(64), columns=8).save(run.path / "samples" / f"{step:08d}.png")


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
    known = {
        name: p.default for name, p in inspect.signature(RECIPES[recipe]).parameters.items() if name != "data"
    }
    for name in arguments:
        if name not in known:
            raise ConfigError(f"{recipe} has no argument {name!r}: {nearest(name, known)}")
    return {
        name: value for name, value in arguments.items() if value is not known[name] and value != known[name]
    }


def _config(
    recipe: str,
    built: Recipe,
    dataset: Dataset,
    seed: int,
    budget: Budget,
    arguments: Mapping[str, Any],
    device: str,
    threads: int,
    data_dir: str | os.PathLike[str] | None,
    size: int | tuple[int, int] | None,
) -> dict[str, Any]:
    """Everything a run is a function of, and what it ran on."""
    from pushforward import __version__

    data_dir = data_dir or os.environ.get(VARIABLE)
    known = inspect.signature(RECIPES[recipe]).parameters
    plain = {name: value for name, value in arguments.items() if not isinstance(value, nn.Module)}
    entries = {name: value for name, value in asdict(built.settings).items() if name in known}
    config = {
        "schema": SCHEMA,
        "recipe": recipe,
        "arguments": plain,
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
            "size": size,
            "shape": list(dataset.shape),
            "unit": dataset.unit,
            "classes": None if dataset.train.y is None else list(dataset.classes or ()),
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


def _given_modules(config: dict[str, Any], modules: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    missing = [name for name in config["modules"] if name not in modules]
    if missing:
        words = ", ".join(f"{name}=..." for name in missing)
        raise ConfigError(f"this run was trained with modules of your own; hand them over: {words}")
    return dict(modules)


def _same(data: Dataset, config: dict[str, Any]) -> Dataset:
    wanted = config["data"]["sha256"]
    if data.fingerprint != wanted:
        raise DataError(
            f"{data.name} is not what the run learnt from: "
            f"sha256 should be {wanted[:12]}…, is {data.fingerprint[:12]}…"
        )
    return data


def _summary(built: Recipe, dataset: Dataset) -> str:
    parameters = sum(parameter.numel() for parameter in built.model.parameters())
    rows = f"{len(dataset.train)} rows to learn from, {len(dataset.test)} held out"
    return (
        f"{dataset.name}: {rows}, shape {dataset.shape}, {dataset.range}; latent {built.settings.latent}, "
        f"{built.settings.network} networks, {parameters / 1e6:.3g} million parameters, "
        f"batches of {built.settings.batch}"
    )


__all__ = ["Budget", "Run", "load", "resume", "train"]
