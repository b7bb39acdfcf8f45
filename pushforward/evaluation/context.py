"""What metrics are computed from: held-out rows, samples, their features and codes, each computed once.

As in the square, each is computed when it is first asked for: a model without an encoder is never asked for
codes, and data without labels never for a classifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar

import torch
from torch import Tensor

from pushforward.data.dataset import Batch, Dataset, Split
from pushforward.data.modality import Modality, modality
from pushforward.distributions import Distribution, Gaussian, Implicit, Prior
from pushforward.errors import check_int
from pushforward.features.base import Features, Progress, features_of
from pushforward.features.open import open_features
from pushforward.metrics.latent_fit import TEST_SIZES
from pushforward.metrics.sharpness import has_sharpness, sharpness
from pushforward.models import Model
from pushforward.parts import check_same, map_parts, together
from pushforward.rng import Noise
from pushforward.square import Square

CHUNK = 500
T = TypeVar("T")


def chunks(rows: int) -> Iterator[slice]:
    """Slices of nearly equal length, none of a single row, that cover ``rows`` rows.

    >>> [part.stop - part.start for part in chunks(1001)]
    [334, 334, 333]
    """
    start = 0
    for left in range(-(-rows // CHUNK), 0, -1):
        stop = start + -(-(rows - start) // left)
        yield slice(start, stop)
        start = stop


def map_rows(
    function: Callable[[slice], T], rows: int, words: str = "", progress: Progress | None = None
) -> Iterator[T]:
    """What a function makes of each of the :func:`chunks` of rows, in order.

    Several processes share them out within :func:`~pushforward.parts.shared_out`.

    Arguments:
        function: It makes what :func:`~pushforward.parts.map_parts` passes on.
        rows: How many rows there are.
        words: Which rows they are.
        progress: Called with (done, total, words).
    """

    @wraps(function)
    def watched(part: slice) -> T:
        made = function(part)
        if progress:
            progress(part.stop, rows, words)
        return made

    return map_parts(watched, chunks(rows))


@dataclass(frozen=True)
class FeatureSet:
    """Features (N, D) of rows, and for images the sharpness of each (N,)."""

    features: Tensor
    sharpness: Tensor | None

    def rows(self, part: slice) -> FeatureSet:
        """Those of some of the rows."""
        return FeatureSet(self.features[part], None if self.sharpness is None else self.sharpness[part])


@dataclass(frozen=True)
class EncodedSet:
    """Held-out rows through encoder and decoder.

    Attributes:
        codes: One drawn code of each row, (N, L).
        distributions: The distributions of the codes.
        errors: The error of each reconstruction, (N,): see
            :meth:`~pushforward.data.modality.Modality.errors`.
        reconstructions: Features of the reconstructions.
        lines: The reconstructions themselves, of text, (N, T).
    """

    codes: Tensor
    distributions: Distribution
    errors: Tensor
    reconstructions: FeatureSet
    lines: Tensor | None = None


class EvaluationContext:
    """A model in evaluation mode and data, and everything that metrics are computed from.

    Arguments:
        model: The model, in evaluation mode.
        data: Its data set; everything is compared with the held-out rows.
        features: What samples are compared by: see :func:`~pushforward.features.open_features`.
        n_samples: Number of held-out rows, at most, and of samples.
        seed: Seed of the choice of rows, and of samples and codes.
        test_sizes: Rows in each two-sample test of codes.
        progress: Called with (done, total) within every pass over the rows.
        prior: The distribution that samples are decoded from, if not the model's own prior.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset,
        features: object = "auto",
        n_samples: int = 10_000,
        seed: int = 0,
        test_sizes: Sequence[int] = TEST_SIZES,
        progress: Progress | None = None,
        prior: Prior | None = None,
    ) -> None:
        self.model = model
        self.data = data
        self.n_samples = min(check_int("n_samples", n_samples, least=2), len(data.test))
        self.seed = seed
        self.noise = Noise(seed, "evaluate")
        self.test_sizes = tuple(test_sizes)
        self.progress = progress
        self.prior = prior
        self.images = has_sharpness(data.shape)
        self.device = model.prior.device_buffer.device
        self._features = features
        # In random order: files are often sorted, and the discrepancy of a chunk must be that of a fair
        # sample.
        self.order = self.noise("rows").permutation(len(data.test))[: self.n_samples]

    @property
    def modality(self) -> Modality:
        """The modality of the data."""
        return modality(self.data.modality)

    @together
    def features(self) -> Features:
        """What samples are compared by."""
        features = open_features(self._features, self.data, self.progress).to(self.device)
        check_same("the features", features.state_dict())
        return features

    @together
    def given(self) -> FeatureSet:
        """The held-out rows."""
        return self.show(lambda part: self.batch(self.data.test, self.order[part]).x, "held-out rows")

    @together
    def samples(self) -> FeatureSet:
        """As many decoded draws of the prior, or of the distribution that replaces it."""
        return self.show(self.make_samples(), "samples")

    def samples_of(self, prior: Prior, words: str) -> FeatureSet:
        """As many samples that are decoded from another distribution of codes."""
        return self.show(lambda part: self._drawn(part, prior), words)

    @together
    def learnt(self) -> FeatureSet:
        """As many training rows, to find what a perfect sampler would score."""
        train = self.data.train
        count = min(self.n_samples, len(train))
        order = self.noise("training rows").permutation(len(train))[:count]
        return self.show(lambda part: self.batch(train, order[part]).x, "training rows", count)

    @property
    def objective(self) -> dict[str, float]:
        """The terms of the objective on held-out rows with drawn codes, a mean over chunks."""
        return self.watched[0]

    @property
    def diagnostics(self) -> dict[str, float]:
        """The diagnostics next to the terms (:meth:`Model.diagnostics`), a mean over chunks."""
        return self.watched[1]

    @together
    def watched(self) -> tuple[dict[str, float], dict[str, float]]:
        """Both of them, of one pass over the held-out rows."""

        def values(part: slice) -> list[dict[str, float]]:
            square = self.square(part)
            looks = (self.model.formula, self.model.diagnostics)
            return [{name: value.item() for name, value in look(square).items()} for look in looks]

        means: tuple[dict[str, float], dict[str, float]] = ({}, {})
        with torch.inference_mode():
            found = self.map(values)
        for part, both in zip(chunks(self.n_samples), found, strict=True):
            share = (part.stop - part.start) / self.n_samples
            for mean, terms in zip(means, both, strict=True):
                for name, value in terms.items():
                    mean[name] = mean.get(name, 0.0) + value * share
        return means

    @together
    def encoded(self) -> EncodedSet:
        """The held-out rows through encoder and decoder; only of models that encode.

        Their errors are those of means. Where samples have the noise of a likelihood, reconstructions that
        are compared with data have it, too: means alone vary less than the data.
        """
        noise, kind, features = self.noise("reconstructions"), self.modality, self.features

        def returned(part: slice) -> tuple[Tensor | None, ...]:
            square = self.square(part)
            made = self.model.generate(square.q.center, square.y)
            x = self.model.cost.point(made)
            log_var = square.q.log_var if isinstance(square.q, Gaussian) else None
            shown = _shown(features, self.model.cost.sample(made, noise.rows(part.start)), self.images)
            codes = (square.Ex, square.q.center, log_var)
            tensors = (*codes, kind.errors(x, square.x), None if kind.is_continuous else x, *shown)
            return tuple(None if tensor is None else tensor.cpu() for tensor in tensors)

        with torch.inference_mode():
            columns = zip(*self.map(returned, "reconstructions"), strict=True)
            codes, center, log_var, errors, lines, shown, sharp = map(_joined, columns)
        assert codes is not None
        assert center is not None
        assert errors is not None
        assert shown is not None
        q = Implicit(lambda noise: center, lambda: center) if log_var is None else Gaussian(center, log_var)
        return EncodedSet(codes, q, errors, FeatureSet(shown, sharp), lines)

    @property
    def unpaired(self) -> tuple[FeatureSet, FeatureSet]:
        """Reconstructions of one half of the held-out rows, and the rows of the other half.

        With their own rows reconstructions are paired, and closer than any sample could be.
        """
        half = self.n_samples // 2
        return self.encoded.reconstructions.rows(slice(half)), self.given.rows(slice(half, None))

    def map(self, function: Callable[[slice], T], words: str = "", rows: int | None = None) -> list[T]:
        """What a function makes of each part of the held-out rows, or of so many rows, in their order.

        Several processes share the parts out: what is made of one must not depend on the others.

        Arguments:
            function: It makes tensors, numbers, text, None, or tuples, lists and dictionaries of these.
            words: Which rows they are, if progress is to be shown.
            rows: How many rows there are.
        """
        count = self.n_samples if rows is None else rows
        return [*map_rows(function, count, words, self.progress if words else None)]

    def held_out(self) -> Iterator[Tensor]:
        """The held-out rows, in parts."""
        return self.batches(self.data.test, self.order)

    def drawn(self, prior: Prior | None = None) -> Iterator[Tensor]:
        """As many samples, in parts, or those decoded from another distribution of codes."""
        if prior is None and not self.modality.is_continuous:
            yield from map(self.make_samples(), chunks(self.n_samples))
            return
        source = self.prior if prior is None else prior
        for rows in map_rows(lambda part: self._drawn(part, source).cpu(), self.n_samples):
            yield rows.to(self.device)

    def make_samples(self) -> Callable[[slice], Tensor]:
        """What makes some of the samples, on the device of the model."""
        if self.modality.is_continuous:
            return lambda part: self._drawn(part, self.prior)
        kept = self._kept
        return lambda part: kept[part].to(self.device)

    @together
    def _kept(self) -> Tensor:
        """All samples of text or of a table: they are small, and drawn token by token or column by column."""
        with torch.inference_mode():
            return torch.cat(self.map(lambda part: self._drawn(part, self.prior).cpu()))

    def _drawn(self, part: slice, prior: Prior | None) -> Tensor:
        """Decoded draws. Conditional models take the labels of the held-out rows."""
        noise = self.noise("samples").rows(part.start)
        y = self.data.test.batch(self.order[part]).y if self.model.n_conditions else None
        return self.model.sample(part.stop - part.start, noise, y, prior)

    def batch(self, split: Split, order: Tensor) -> Batch:
        """Rows of a split with their labels, on the device of the model."""
        return split.batch(order).to(self.device)

    def batches(self, split: Split, order: Tensor) -> Iterator[Tensor]:
        """Rows of a split, in parts, on the device of the model."""
        for part in chunks(len(order)):
            yield self.batch(split, order[part]).x

    def square(self, part: slice) -> Square:
        """The square of some of the held-out rows."""
        x, y = self.batch(self.data.test, self.order[part])
        return Square(self.model, x, self.noise.rows(part.start), y)

    def squares(self) -> Iterator[tuple[slice, Square]]:
        """The squares of the held-out rows, in parts."""
        for part in chunks(self.n_samples):
            yield part, self.square(part)

    def show(self, make: Callable[[slice], Tensor], words: str, rows: int | None = None) -> FeatureSet:
        """Features, and for images sharpness, of as many rows as there are held-out ones, or of ``rows``.

        Arguments:
            make: Makes some of the rows.
            words: Which rows they are.
            rows: How many rows there are.
        """
        count = self.n_samples if rows is None else rows
        return feature_set(self.features, make, self.images, count, words, self.progress)


@torch.inference_mode()
def feature_set(
    features: Features,
    make: Callable[[slice], Tensor],
    images: bool,
    n_rows: int,
    words: str,
    progress: Progress | None = None,
) -> FeatureSet:
    """Features, and for images sharpness, of ``n_rows`` rows, which several processes share out.

    Arguments:
        features: The features.
        make: Makes some of the rows, (N, \\*).
        images: Whether they are images.
        n_rows: How many there are.
        words: Which rows they are.
        progress: Called with (done, total, words).
    """

    @wraps(make)
    def shown(part: slice) -> tuple[Tensor, Tensor | None]:
        return _shown(features, make(part), images)

    found, sharp = map(_joined, zip(*map_rows(shown, n_rows, words, progress), strict=True))
    assert found is not None
    return FeatureSet(found, sharp)


def _shown(features: Features, x: Tensor, images: bool) -> tuple[Tensor, Tensor | None]:
    """The features of rows and, of images, their sharpness."""
    return features_of(features, x), sharpness(x).cpu() if images else None


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    """The rows of all parts, or None if a part has none."""
    known = [part for part in parts if part is not None]
    return torch.cat(known) if len(known) == len(parts) else None


__all__ = ["EncodedSet", "EvaluationContext", "FeatureSet", "chunks", "feature_set", "map_rows"]
