"""A trained model in its folder: sampling, encoding and decoding."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from pushforward.codec import Codec
from pushforward.data import CATALOGUE
from pushforward.data.dataset import Dataset
from pushforward.data.modality import modality, modality_of
from pushforward.data.spec import DataSpec
from pushforward.data.split import Split
from pushforward.data.values import as_tensor
from pushforward.errors import ConfigError, DataError, DivergedError, OutputError, listed
from pushforward.models import Model
from pushforward.out_of_memory import halving, memory_errors
from pushforward.recipes import RECIPES
from pushforward.runs.directory import RunDirectory, absolute
from pushforward.runs.labels import class_number, label_numbers, label_values
from pushforward.runs.other_data import differs, read_as
from pushforward.text.vocabulary import Vocabulary
from pushforward.torch_state import plain_torch
from pushforward.training.finite import NAMES, nonfinite_weights
from pushforward.wording import Placeholder, option_name

P = ParamSpec("P")
S = TypeVar("S", bound="TrainedModel")
T = TypeVar("T")
CHUNK = 512  # rows that pass through the model at once, at most
READERS = "run.encode_file, run.reconstruct_file, run.score_file and, of tables, run.impute_file"
PARTS = 4  # times as many rows of a user are scaled at once, at most
NUMBERS = 128 * 3 * 64 * 64  # in these rows, at most: with more, convolutions become slower


def computes(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Decorates what a run computes: it does not depend on the state of torch around the call.

    Raises:
        ConfigError: If the model's weights are no longer float32.
        DivergedError: If weights are not finite.
        OutOfMemoryError: If there is not enough memory.
    """

    @wraps(method)
    def wrapper(self: S, /, *arguments: P.args, **named: P.kwargs) -> T:
        kinds = {parameter.dtype for parameter in self.model.parameters()} - {torch.float32}
        if kinds:
            raise ConfigError(f"the model's weights must be float32, found {kinds.pop()}; call model.float()")
        if names := nonfinite_weights(self.model):
            raise DivergedError(
                f"{self.path}: the weights of {listed(names, NAMES)} are not finite, so that the model "
                "cannot be used; train again with lower learning rates"
            )
        device = self.model.prior.device_buffer.device
        with plain_torch(), memory_errors(self.chunk, self.shape, device, ("n", "n_samples")):
            return method(self, *arguments, **named)

    return wrapper


class TrainedModel:
    """A model, its folder and its data.

    Attributes:
        path: The folder.
        config: The configuration, as written in ``config.json``.
        model: The model, in evaluation mode.
        step: Number of training steps taken.
        codec: The vocabulary of runs on text; else None.
        other: Name and rows of other data, if the run was loaded to be evaluated on them.
    """

    def __init__(
        self,
        path: Path,
        config: dict[str, Any],
        model: Model,
        data: Dataset | None,
        step: int = 0,
        codec: Codec | None = None,
        other: tuple[str, Split] | None = None,
    ) -> None:
        self.path = absolute(path)
        self.step = step
        self.config = config
        self.model = model.eval()
        self._data = data
        self.other = other
        self.codec = codec if data is None else data.codec

    def __repr__(self) -> str:
        name = self.config["data"]["name"]
        return f"Run({str(self.path)!r}: {self.config['recipe']} on {name} {self.shape}, step {self.step})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row of data."""
        return tuple(self.config["data"]["shape"])

    @property
    def chunk(self) -> int:
        """Number of rows that pass through the model at once, fewer of large images."""
        return max(1, min(CHUNK, NUMBERS // math.prod(self.shape)))

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary of the tokens of runs on text; else None."""
        return self.codec if isinstance(self.codec, Vocabulary) else None

    @property
    def modality(self) -> str:
        """What a row of data is, "image", "vector", "table" or "text"."""
        return modality_of(self.shape, self.codec).name

    @cached_property
    def spec(self) -> DataSpec:
        """The description of the data that the run was trained on."""
        return DataSpec.from_json(self.config["data"], self.codec)

    @property
    def history(self) -> list[dict[str, Any]]:
        """The logged lines of training, with step, terms of the loss, diagnostics and warnings.

        Raises:
            OutputError: If the folder is no longer there.
        """
        if not self.path.is_dir():
            raise OutputError(f"{self.path} is no longer there")
        return RunDirectory(self.path).history()

    @property
    def data(self) -> Dataset:
        """The training and held-out data, opened again from where they were.

        Raises:
            ConfigError: If the run was loaded with other data.
            DataError: If they were given in memory, cannot be found, or have changed.
        """
        if self.other is not None:
            raise ConfigError(
                f"{self.path} was loaded to be evaluated on {self.other[0]}, and this is about the data that "
                f"it was trained on: load it without {option_name('data', Placeholder())}"
            )
        return self._own

    @cached_property
    def _own(self) -> Dataset:
        """The data that the run was trained on."""
        if self._data is not None:
            return self._data
        return reopened(self.path, self.config, self.codec, later=True)

    @computes
    def encode(self, x: Any, y: Any = None) -> Tensor:
        """The codes (N, L) of rows (N, \\*): the means of their posteriors.

        Arguments:
            x: Rows in the range that the run was trained on, or lines of text; or a single row.
            y: Labels (N,), numbers or names of classes, for conditional models; or the label of a single row.

        Raises:
            ConfigError: If the model has no encoder.
        """
        self.need_encoder()
        return self._map_given(self._encode, x, y)

    def _encode(self, rows: Tensor, y: Tensor | None) -> Tensor:
        """The codes of rows as the model sees them, with the numbers of their classes."""
        return self._map(lambda x, y: self.model.encode(x, y=y), rows, y)

    @computes
    def decode(self, z: Any, y: Any = None) -> Tensor:
        """The rows (N, \\*) that codes (N, L) are decoded to, as floating-point numbers that encode takes.

        Columns that were standardised come back in their own units; values of the data that were divided,
        such as bytes by 255, come back in [0, 1], if they were not floating-point numbers themselves.
        Conditional models need labels ``y`` (N,). A single code (L,) is taken for one row.

        The network ``run.model.decoder`` alone gives neither: with the cost Bernoulli its output are logits,
        ``run.model.decode`` makes data of them in the values that the model sees, and this method turns
        those into the values of the data.

        Raises:
            DataError: If the codes have another shape, or are not finite.
        """
        return self._decode(self._codes(z), self._numbers(y))

    def _codes(self, z: Any) -> Tensor:
        """Codes (N, L) that a user passes, or a single one.

        Raises:
            DataError: If they have another shape, or are not finite.
        """
        codes = as_tensor(z, "codes").float()
        rows = codes[None] if codes.ndim == 1 else codes
        latent_dim = self.model.prior.latent_dim
        if rows.ndim != 2 or rows.shape[1] != latent_dim:
            raise DataError(f"codes must have shape (N, {latent_dim}), got {tuple(codes.shape)}")
        if not rows.isfinite().all():
            raise DataError("codes must be finite in 32 bits, got some that are not")
        return rows

    def _decode(self, z: Tensor, y: Tensor | None) -> Tensor:
        """The rows that codes are decoded to, with the numbers of their classes."""
        return self.spec.scaling.invert(self._map(self.model.decode, z, y))

    @computes
    def reconstruct(self, x: Any, y: Any = None) -> Any:
        """The reconstructions of rows (N, \\*): encoded, then decoded."""
        return self.decode(self.encode(x, y), y)

    @computes
    def classify(self, x: Any) -> Tensor:
        """The most probable class (N,) of each row, as a label if it stands for one.

        Raises:
            ConfigError: If the model infers no class.
        """
        found = self._map_given(lambda rows, y: self._map(self._most_probable, rows), x, None)
        return label_values(found, self.spec.classes) if self.model.classes_are_labels else found

    def rows(self, x: Any, first: int = 0) -> Tensor:
        """Rows as the model sees them: scaled as in training, with channels first; lines as tokens.

        What a value stands for was decided when the training data were read, and does not depend on the
        other rows. ``first`` is the number of the first one, for messages.

        Raises:
            DataError: If they are not in memory, have another shape, values that the training data could not
                have, or a line is too long.
        """
        x, channels = self._in_memory(x), self.config["data"]["channels"]
        return modality(self.modality).rows(x, self.shape, self.spec.scaling, self.codec, channels, first)

    def _in_memory(self, x: Any) -> Any:
        """What a user passes as rows, after a check that it is neither a path nor a data set.

        Of runs on text any text is a line, whatever file is called so.

        Raises:
            DataError: If it is.
        """
        paths = os.PathLike if self.vocabulary is not None else (str, os.PathLike)
        several = [x] if not isinstance(x, (list, tuple)) else x
        found = next((repr(os.fspath(one)) for one in several if isinstance(one, paths)), None)
        if found or isinstance(x, (Dataset, Split)):
            raise DataError(
                f"rows must be given as {modality(self.modality).given_as}, got {found or type(x).__name__}; "
                f"rows of files and data sets are read by {READERS}"
            )
        return x

    def _map_given(self, make: Callable[[Tensor, Tensor | None], Tensor], x: Any, y: Any) -> Tensor:
        """What is made of rows and labels of a user: in parts, since scaled rows take much more memory."""
        labels, step, shape = self._numbers(y), PARTS * self.chunk, tuple(getattr(x, "shape", ()))
        several = len(shape) == len(self.shape) + 1 or self.shape == (1, *shape[1:])
        if not (isinstance(x, (Tensor, np.ndarray)) and several and len(x) > step):  # one row, lines, a frame
            return make(self.rows(x), labels)
        _check_count(labels, len(x))
        out = torch.empty(0)
        for start in range(0, len(x), step):
            part = slice(start, start + step)
            made = make(self.rows(x[part], start), None if labels is None else labels[part])
            if start == 0:  # a list of parts would leave holes in memory, which the next rows do not fit into
                out = torch.empty((len(x), *made.shape[1:]), dtype=made.dtype)
            out[part] = made
        return out

    def scaled(self, rows: Tensor) -> Tensor:
        """Rows that :meth:`decode` returned, as the model makes them: images in [0, 1], for pictures."""
        return self.spec.scaling.apply(rows)

    def held_out(self, index: Tensor | slice) -> tuple[Tensor, Tensor | None]:
        """Held-out rows and their labels, as :meth:`encode` takes them."""
        x, y = self.data.test.batch(index)
        return self.spec.scaling.invert(x), None if y is None else label_values(y, self.spec.classes)

    def _numbers(self, y: Any) -> Tensor | None:
        """The numbers (N,) of classes of labels that a user passes, or of the label of a single row."""
        if y is None:
            return None
        names = self.spec.classes
        count = self.model.n_conditions or max(self.model.classes, len(names))
        return torch.atleast_1d(label_numbers(y, names, count))

    def _most_probable(self, x: Tensor, y: Tensor | None) -> Tensor:
        probabilities = self.model.class_probabilities(x)
        if probabilities is None:
            raise ConfigError(f"{self.config['recipe']} infers no class: its codes hold none")
        return probabilities.argmax(1)

    def need_encoder(self) -> None:
        """Checks that rows can be encoded.

        Raises:
            ConfigError: If the model has no encoder.
        """
        if not self.model.has_encoder:
            raise ConfigError(f"{self.config['recipe']} has no encoder: its data have no codes")

    @property
    def _conditional_advice(self) -> str:
        """How a model with labels is trained on data like these."""
        known = RECIPES.get(self.config["recipe"])
        if known is not None and any(option.name == "conditional" for option in known.options):
            return f"train it with {option_name('conditional', True)}"
        return (
            f"train another recipe with {option_name('conditional', True)}, such as wae-mmd, or transfer-ae"
        )

    def _class_number(self, label: int | str) -> int:
        """The number of a class, from its number or name."""
        count = self.model.classes
        if not count:
            raise ConfigError(
                f"{self.config['recipe']} has no classes to sample from: {self._conditional_advice}"
            )
        names = self.spec.classes if self.model.classes_are_labels else ()
        return class_number(label, names, count)

    @torch.no_grad()
    def _map(
        self, function: Callable[[Tensor, Tensor | None], Tensor], rows: Tensor, labels: Tensor | None = None
    ) -> Tensor:
        """The function of all rows and the numbers of their classes, in parts, on the model's device."""
        device = self.model.prior.device_buffer.device
        _check_count(labels, len(rows))

        def make(start: int, stop: int) -> Tensor:
            y = None if labels is None else labels[start:stop].to(device)
            return function(rows[start:stop].to(device), y).cpu()

        slices = [*self._slices(0, len(rows))] or [slice(0, 0)]
        return torch.cat([made for part in slices for made in halving(make, part.start, part.stop)])

    def _slices(self, start: int, stop: int) -> Iterator[slice]:
        """The rows from one number to another, so many at a time as pass through the model at once."""
        for place in range(start, stop, self.chunk):
            yield slice(place, min(place + self.chunk, stop))


def _check_count(labels: Tensor | None, n: int) -> None:
    if labels is not None and labels.shape != (n,):
        raise DataError(f"y must have shape ({n},), one label a row, got {tuple(labels.shape)}")


def reopened(
    folder: Path, config: dict[str, Any], codec: Codec | None, source: Any = None, later: bool = False
) -> Dataset:
    """The data that a run was trained on, with the codec of the run.

    Arguments:
        folder: The run's folder.
        config: Its configuration.
        codec: Its codec.
        source: The data or where they are; by default where they were in training.
        later: Whether rows of large files stay there until they are needed: for who looks at a few of them.

    Raises:
        DataError: If the data were given in memory and are not given again, cannot be read, or are others.
    """
    about = config["data"]
    if source is None:
        source = about["source"]
        if source is None:
            raise DataError(
                f"{folder} was trained on data in memory; give the same data, or a file of them: "
                f"{option_name('data', Placeholder('FILE'))}"
            )
        if source not in CATALOGUE and not os.path.exists(os.path.expanduser(source)):
            raise DataError(
                f"{folder} was trained on {source}, which is no longer there; name its new place: "
                f"{option_name('data', Placeholder('FILE'))}"
            )
    data = read_as(config, codec, source, later)
    if changed := differs(config, data):
        raise DataError(f"{data.name} is not what the run was trained on: {changed}")
    return data


__all__ = ["TrainedModel", "computes", "reopened"]
