"""What a user holds: a trained model in its folder, and all that can be asked of it."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.data import open_dataset
from pushforward.data.dataset import Dataset
from pushforward.data.lines import fitting, read_lines
from pushforward.distributions import Prior
from pushforward.distributions.interpolation import PATHS
from pushforward.errors import CheckpointError, ConfigError, DataError, check_int, nearest, reason
from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.diagnosis import ROWS, Diagnosis, Finding, diagnose
from pushforward.evaluation.sections import USUAL, evaluate
from pushforward.features.base import Progress, open_features
from pushforward.files import replace_text
from pushforward.metrics.latent_fit import least_gaussian_plane
from pushforward.models import Model
from pushforward.report.page import run_page
from pushforward.report.pictures import RunPlots, are_images, sheet
from pushforward.report.progress import bar
from pushforward.rng import Noise
from pushforward.runs.directory import read_words
from pushforward.runs.latent_samplers import (
    PRIOR,
    SAMPLERS,
    check_sampler,
    drawn_codes,
    key_of,
    read_sampler,
    save_sampler,
)
from pushforward.runs.results import answers, question, read_verdict, write_verdict
from pushforward.text.vocabulary import Vocabulary
from pushforward.training.trainer import read_history
from pushforward.utils import eval_mode

CHUNK = 512


class Run:
    """A trained (or half-trained) model and the folder it lives in.

    Attributes:
        path: The folder.
        config: What was trained on what, as written in ``config.json``.
        model: The model, in evaluation mode.
        step: Steps it has been trained.
        words: What tokens stand for, of runs on text; else None.
    """

    def __init__(
        self, path: Path, config: dict[str, Any], model: Model, data: Dataset | None, step: int = 0
    ) -> None:
        self.path = path
        self.step = step
        self.config = config
        self.model = model.eval()
        self._data = data
        self.vocabulary = read_words(path) if data is None else data.vocabulary

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
        return reopened(about["source"], self.config, self.vocabulary)

    def sample(
        self,
        n: int = 64,
        seed: int = 0,
        label: int | str | None = None,
        sampler: str = PRIOR,
        progress: bool = False,
    ) -> Tensor:
        """n decoded draws of the prior, (n, \\*): the first 10 of 64 are those of 1000, but for rounding.

        ``label`` is the number or name of a class, for models whose samples can be asked for by class
        (those trained with ``label=True``, and adversarial auto-encoders with classes); without it all come.
        ``sampler`` says what stands for the prior: see :meth:`sampler`.

        Raises:
            ConfigError: If there is no such class or sampler, or no class can be asked for.
        """
        n = check_int("n", n, least=1)
        noise = Noise(seed, "sample")
        y = torch.arange(n) % self.model.n_conditions if self.model.n_conditions else None
        if label is not None:
            y = torch.full((n,), self._class(label))
            if sampler != PRIOR and not self.model.n_conditions:
                raise ConfigError(f"a label can be asked of the prior only, got sampler {sampler!r}")
        distribution = (
            self.model.distribution(n, y) if sampler == PRIOR else self.sampler(sampler, progress)(n)
        )
        return self.decode(distribution.rsample(noise), y)

    def sampler(self, name: str = PRIOR, progress: bool = False) -> Prior:
        """The law that samples are decoded from: the model's prior, or one fitted to codes of training rows.

        A fitted one is a function of the run and its step. It is kept in ``samplers/`` and read from there.

        Arguments:
            name: "prior"; "mixture" of normal laws; or "flow", which needs zuko.
            progress: Whether to show progress of fitting on standard error.

        Raises:
            ConfigError: If there is no such sampler, the model has no encoder, or zuko is not installed.
        """
        check_sampler(name)
        if name == PRIOR:
            return self.model.prior
        if not self.model.has_encoder:
            raise ConfigError(
                f"{self.config['recipe']} has no encoder: there are no codes to fit a {name} to"
            )
        folder, seed = self.path / "samplers", self.config["seed"]
        key = key_of(self.step, seed, self.config["data"]["sha256"])
        try:
            kept = read_sampler(folder, name, key)
        except CheckpointError as error:
            warnings.warn(f"{error}; fitting it again", stacklevel=2)
            kept = None
        if kept is not None:
            return kept
        noise = Noise(seed, "sampler")
        with bar(f"fitting a {name}", progress) as show:
            fitted = SAMPLERS[name](drawn_codes(self.model, self.data.train, noise), noise, show)
        try:
            save_sampler(folder, name, fitted, key)
        except OSError as error:
            warnings.warn(f"the {name} could not be kept in {folder}: {reason(error)}", stacklevel=2)
        return fitted

    def encode(self, x: Any, y: Any = None) -> Tensor:
        """Codes (N, L) of data (N, \\*) in the range the run was trained on; the centres of their laws.

        Labels ``y`` (N,) are for models that are told them.

        Raises:
            ConfigError: If the model has no encoder.
        """
        self._need_codes()
        return self._map(lambda x, y: self.model.encode(x, y=y), self.rows(x), y)

    def decode(self, z: Any, y: Any = None) -> Tensor:
        """Data (N, \\*) that codes (N, L) stand for, with labels ``y`` (N,) if the model is told any."""
        z = torch.as_tensor(z, dtype=torch.float32)
        if z.ndim != 2 or z.shape[1] != self.model.prior.latent_dim:
            raise DataError(f"codes must have shape (N, {self.model.prior.latent}), got {tuple(z.shape)}")
        return self._map(self.model.decode, z, y)

    def reconstruct(self, x: Any, y: Any = None) -> Tensor:
        """Data (N, \\*) through encoder and decoder."""
        x = self.rows(x)
        return self.decode(self.encode(x, y), y)

    def classify(self, x: Any) -> Tensor:
        """The class (N,) that each row shows: of models whose codes hold one, or that recognise one.

        Raises:
            ConfigError: If no class can be read.
        """
        return self._map(self._classes, self.rows(x))

    def draw(self, n: int, seed: int = 0) -> Tensor:
        """n codes (n, L): draws of the prior."""
        n = check_int("n", n, least=1)
        return self.model.distribution(n).rsample(Noise(seed, "sample")).detach().cpu()

    def interpolate(self, a: Any, b: Any, steps: int = 8, path: str | None = None, y: Any = None) -> Tensor:
        """Decoded paths from rows ``a`` to rows ``b`` through their codes, (N, steps, \\*).

        Models that are told labels hold those of ``y`` (N,) along the whole path. ``path`` is "linear" or
        "spherical"; by default what suits the prior: spherical on spheres and for normal priors of 8 or
        more dimensions, whose mass lies near a sphere.
        """
        return self.walk(self.encode(a, y), self.encode(b, y), steps, path, y)

    def walk(self, a: Tensor, b: Tensor, steps: int = 8, path: str | None = None, y: Any = None) -> Tensor:
        """The same from codes ``a`` (N, L) to codes ``b``, such as draws of the prior; needs no encoder."""
        path = path or self.model.prior.path
        if path not in PATHS:
            raise ConfigError(f"unknown path {path!r}: {nearest(path, PATHS)}")
        codes = PATHS[path](a, b, check_int("steps", steps, least=2))
        along = None if y is None else torch.as_tensor(y).repeat_interleave(steps)
        return self.decode(codes.flatten(0, 1), along).unflatten(0, (len(codes), steps))

    def evidence(
        self,
        rows: int = 10_000,
        seed: int = 0,
        features: Any = "auto",
        progress: Progress | None = None,
        prior: Prior | None = None,
    ) -> EvaluationContext:
        """What judges may ask of this run (:class:`pushforward.evaluation.EvaluationContext`)."""
        sizes = (self.config["resolved"]["batch_size"], 1000)
        return EvaluationContext(self.model, self.data, features, rows, seed, sizes, progress, prior)

    def evaluate(
        self,
        rows: int = 10_000,
        seed: int = 0,
        features: Any = "auto",
        metrics: Sequence[str] = USUAL,
        progress: bool = False,
        sampler: str = PRIOR,
    ) -> dict[str, Any]:
        """Every figure on held-out rows (:func:`pushforward.evaluation.sections`); also ``evaluation.json``.

        Of a sampler other than the prior it is ``evaluation-<sampler>.json``.

        Arguments:
            rows: At most so many held-out rows, and as many samples.
            seed: Which rows, samples and codes.
            features: What samples are compared by: "auto" (a classifier where the data have labels, PCA
                elsewhere), "pixels", "pca", "classifier", "inception", a classifier's folder, a
                ``.safetensors`` file of Inception's weights, or a module of your own.
            sections: Which questions are asked; "likelihood", "annealing" and "parzen" take longer and are
                not asked unless named.
            progress: Whether to show progress on standard error.
            sampler: What samples are decoded from: see :meth:`sampler`. Codes are compared with the
                prior all the same.
        """
        prior = self.sampler(sampler, progress)
        with bar("evaluating", progress) as show, eval_mode(self.model):
            evidence = self.evidence(rows, seed, features, show, prior)
            found = evaluate(evidence, metrics)
        return write_verdict(self.path, question(self.step, seed, rows, features, sampler), metrics, found)

    def judged(
        self,
        rows: int = 10_000,
        seed: int = 0,
        features: Any = "auto",
        metrics: Sequence[str] = USUAL,
        progress: bool = False,
    ) -> dict[str, Any]:
        """The last evaluation if it answers these questions at this step; else a new one."""
        kept = read_verdict(self.path)
        if answers(kept, question(self.step, seed, rows, features), metrics):
            now = open_features(features, self.data)  # the classifier of a name may have changed
            if now.sha256 == kept["features"]["sha256"]:
                return kept
        return self.evaluate(rows, seed, features, metrics, progress)

    def doctor(self, seed: int = 0, features: Any = "auto", progress: bool = False) -> list[Finding]:
        """Why samples are bad, if they are, causes first (:func:`pushforward.evaluation.diagnose`)."""
        with bar("examining", progress) as show, eval_mode(self.model):
            evidence = self.evidence(ROWS, seed, features, show)
            return diagnose(
                Diagnosis(evidence, self.history, self.step, self.config["resolved"]["batch_size"])
            )

    def report(self, features: Any = "auto", progress: bool = False) -> Path:
        """One self-contained page of the whole run, ``report.html``; returns where it lies."""
        results = self.judged(features=features, progress=progress)
        findings = self.doctor(features=features, progress=progress)
        text = run_page(self.album(), results, findings, self.config)
        replace_text(self.path / "report.html", text)
        return self.path / "report.html"

    def sheet(self) -> Path:
        """One picture of the whole run, ``sheet.png``; returns where it lies."""
        return sheet(self.path / "sheet.png", self.album())

    def album(self) -> RunPlots:
        """What there is to look at: samples, and for models with codes what goes through them."""
        test = self.data.test.subsample(1000, Noise(0, "album"))
        about = self.config["data"]
        whole_story = RunPlots(
            title=f"{self.config['recipe']} on {about['name']}: step {self.step}, {self.config['meaning']}",
            samples=self.sample(96 if self.drawable or self.vocabulary else len(test.x)),
            originals=test.x,
            prior=self.model.prior(len(test.x)).rsample(Noise(0, "sheet")).detach().cpu(),
            history=self.history,
            labels=test.y,
            read=self.lines if self.vocabulary else None,
        )
        if self.model.classes and self.drawable:
            whole_story = replace(whole_story, by_class=self.by_class())
        half = min(6, len(test.x) // 2)
        y = test.y
        first = None if y is None or not self.model.n_conditions else y[:half]
        if not self.model.has_encoder:
            ends = self.draw(2 * half)
            transferred = None if first is None else first[:1]
            return replace(
                whole_story,
                paths=self.walk(ends[:half], ends[half:], 10, y=first),
                traversals=self.stroll(ends[:1], y=transferred) if self.drawable else None,
            )
        # Drawn codes stand beside draws of the prior; reconstructions come from the centres.
        noise = Noise(0, "sheet")
        codes = self._map(lambda x, y: self.model.encode(x, noise, y), test.x, y)
        shown, given = (self.view(sample) for sample in (codes, whole_story.prior))
        return replace(
            whole_story,
            back=self.reconstruct(test.x, y),
            paths=self.interpolate(test.x[:half], test.x[half : 2 * half], 10, y=first),
            traversals=self.traverse(test.x[:1], y=None if y is None else y[:1]) if self.drawable else None,
            codes=shown,
            prior=given,
            plane=least_gaussian_plane(shown, given, noise)[0],
        )

    def view(self, codes: Tensor) -> Tensor:
        """Where codes (N, L) lie in the space to be looked at, (N, M): of most models their own."""
        return self._map(lambda z, y: self.model.view(z), codes)

    def by_class(self, columns: int = 10, seed: int = 0) -> Tensor:
        """Samples of every class, (K, columns, \\*): a column shares what is drawn beside the class."""
        rows = []
        for label in range(self.model.classes):
            y = torch.full((columns,), label)
            z = self.model.distribution(columns, y).rsample(Noise(seed, "by class"))
            rows.append(self.decode(z, y))
        return torch.stack(rows)

    def traverse(
        self, x: Any, dimensions: int = 12, steps: int = 10, y: Any = None
    ) -> tuple[Tensor, list[int]]:
        """Decoded walks from one row of data along single dimensions of its code.

        Each walk goes from the 0.1 % to the 99.9 % quantile of the prior, -3 to 3 for N(0, 1), with the
        other dimensions where they are. Dimensions are those that change what is decoded the most, first.

        Returns:
            The walks (dimensions, steps, \\*), and the number of each one's dimension.
        """
        return self.stroll(self.encode(x, y)[:1], dimensions, steps, y)

    def stroll(
        self, code: Tensor, dimensions: int = 12, steps: int = 10, y: Any = None
    ) -> tuple[Tensor, list[int]]:
        """The same from a code (1, L), such as a draw of the prior; needs no encoder."""
        draws = self.model.prior(10_000).rsample(Noise(0, "traverse")).detach().cpu()
        ends = draws.quantile(torch.tensor([0.001, 0.999]), dim=0)
        t = torch.linspace(0, 1, check_int("steps", steps, least=2)).view(-1, 1)
        places = self.model.prior.continuous_dims
        codes = code.repeat(len(places), len(t), 1)
        for row, place in enumerate(places):
            codes[row, :, place] = (ends[0, place] + (ends[1, place] - ends[0, place]) * t).flatten()
        transferred = None if y is None else torch.as_tensor(y)[:1].repeat(len(places) * len(t))
        walks = self.decode(codes.flatten(0, 1), transferred).unflatten(0, (len(places), len(t)))
        moved = (walks[:, 1:] != walks[:, :-1]).flatten(1).sum(1)
        change = moved if self.vocabulary else walks.flatten(2).var(1).sum(1)
        best = change.argsort(descending=True)[: check_int("dimensions", dimensions, least=1)]
        return walks[best], [places[i] for i in best.tolist()]

    def lines(self, x: Tensor) -> list[str]:
        """What rows (N, T) of tokens say.

        Raises:
            ConfigError: If the run is not one on text.
        """
        if self.vocabulary is None:
            raise ConfigError(f"{self.path} is no run on text: its rows have shape {self.shape}")
        return self.vocabulary.lines(x.reshape(-1, x.shape[-1]))

    def read(self, path: str | os.PathLike[str]) -> tuple[Tensor, str]:
        """The lines of a text file that fit as rows (N, T) of tokens, and a note on those left out, or "".

        Raises:
            ConfigError: If the run is not one on text.
            DataError: If the file cannot be read, or no line is left.
        """
        if self.vocabulary is None:
            raise ConfigError(f"{self.path} is no run on text: its rows have shape {self.shape}")
        found = fitting(self.vocabulary, read_lines(Path(path)).said, self.shape[0], f"of {path}")
        if not found.places:
            raise DataError(f"{path}: no line has 1 to {self.shape[0] - 1} tokens")
        return found.x, found.note

    def transfer(self, x: Any, to: int | str, y: Any = None, guidance_scale: float = 1.0) -> Tensor:
        """Rows (N, \\*) with what their codes say, told under another label, such as a style.

        Arguments:
            x: Rows, or lines of text.
            to: Number or name of the label.
            y: Labels (N,) of the rows, for encoders that are told them and for strengths other than 1; of two
                labels the other one is then the default.
            guidance_scale: Above 1, how far rows lean away from how their code is told under their own label: more
                of the label, less of the row.

        Raises:
            ConfigError: If the model is told no labels, has no encoder, or there is no such label, or the
                strength is below 0, or other than 1 with a cost that is neither of tokens nor Bernoulli's.
        """
        self._need_codes()
        if not self.model.n_conditions:
            raise ConfigError(f"{self.config['recipe']} was not told labels; train it with label=True")
        if not 0 <= guidance_scale < math.inf:
            raise ConfigError(f"strength must be at least 0, got {guidance_scale}")
        rows, wanted = self.rows(x), self._class(to)
        if y is None and guidance_scale != 1 and self.model.n_conditions == 2:
            y = torch.full((len(rows),), 1 - wanted)

        def transferred(x: Tensor, y: Tensor | None) -> Tensor:
            return self.model.transfer(x, y, torch.full((len(x),), wanted, device=x.device), guidance_scale)

        return self._map(transferred, rows, y)

    def others(self, label: int | str, n: int) -> tuple[Tensor, Tensor]:
        """The first n held-out rows of other labels than this one, and their labels."""
        wanted, y = self._class(label), self.data.test.y
        if y is None:
            raise DataError(f"the rows of {self.config['data']['name']} have no labels")
        x, y = self.data.test.batch((y != wanted).nonzero().flatten()[:n])
        assert y is not None
        return x, y

    def rows(self, x: Any) -> Tensor:
        """Rows as the readers of data would give them: channels first, bytes in [0, 1]; lines as tokens.

        Raises:
            DataError: If they have another shape, or a line more tokens than the run can write.
        """
        x = [x] if isinstance(x, str) else x
        if isinstance(x, (list, tuple)) and all(isinstance(line, str) for line in x):
            if self.vocabulary is None or not x:
                raise DataError(f"rows must have shape {self.shape}, got {len(x)} lines of text")
            return self.vocabulary.tokens(x, self.shape[0])
        x = torch.as_tensor(x)
        if self.vocabulary is not None and x.shape[1:] == self.shape and not x.is_floating_point():
            return x
        if x.ndim == 3 and self.shape == (1, *x.shape[1:]):
            x = x.unsqueeze(1)
        elif x.ndim == 4 and tuple(x.shape[1:]) == (*self.shape[1:], self.shape[0]) != self.shape:
            x = x.permute(0, 3, 1, 2)
        if tuple(x.shape[1:]) != self.shape:
            raise DataError(f"rows must have shape {self.shape}, got {tuple(x.shape[1:])}")
        masks = len(x) > 0 and x.max() <= 1  # bytes that are only 0 and 1 are read as black and white
        return x.float() / 255 if x.dtype == torch.uint8 and not masks else x.float()

    def _classes(self, x: Tensor, y: Tensor | None) -> Tensor:
        class_probabilities = self.model.class_probabilities(x)
        if class_probabilities is None:
            raise ConfigError(
                f"the codes of {self.config['recipe']} hold no class, and nothing else reads one"
            )
        return class_probabilities.argmax(1)

    def _need_codes(self) -> None:
        if not self.model.has_encoder:
            raise ConfigError(f"{self.config['recipe']} has no encoder: its data have no codes")

    def _class(self, label: int | str) -> int:
        """The number of a class, by number or name."""
        count = self.model.classes
        if not count:
            raise ConfigError(
                f"{self.config['recipe']} cannot be asked for a class; most recipes can if trained with "
                "label=True"
            )
        names = (self.config["data"]["classes"] or []) if self.model.classes_are_labels else []
        if label in names:
            return names.index(label)
        if str(label).isdecimal() and int(label) < count:
            return int(label)
        known = names if len(names) == count else [str(i) for i in range(count)]
        raise ConfigError(f"unknown label {label!r}: {nearest(str(label), known)}")

    @torch.no_grad()
    def _map(
        self, function: Callable[[Tensor, Tensor | None], Tensor], rows: Tensor, y: Any = None
    ) -> Tensor:
        device = self.model.prior.device_buffer.device
        labels = None if y is None else torch.as_tensor(y)
        if labels is not None and labels.shape != rows.shape[:1]:
            raise DataError(f"{len(rows)} labels are needed, one a row, got shape {tuple(labels.shape)}")
        made = []
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            transferred = None if labels is None else labels[part].to(device)
            made.append(function(rows[part].to(device), transferred).cpu())
        return torch.cat(made)


def reopened(source: Any, config: dict[str, Any], words: Vocabulary | None) -> Dataset:
    """The data that a run learnt from, in the words that it learnt.

    Raises:
        DataError: If the source cannot be read, or holds others.
    """
    about = config["data"]
    data = open_dataset(source, data_dir=about["data_dir"], size=about["size"], words=words)
    wanted = config["data"]["sha256"]
    if data.fingerprint != wanted:
        raise DataError(
            f"{data.name} is not what the run learnt from: "
            f"sha256 should be {wanted[:12]}…, is {data.fingerprint[:12]}…"
        )
    return data


__all__ = ["Run", "reopened"]
