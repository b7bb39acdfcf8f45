"""What metrics are computed from: held-out rows, samples, their features and codes, each computed once.

As in the square, each is computed when it is first asked for: a model without an encoder is never asked for
codes, and data without labels never for a classifier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.data.dataset import Batch, Dataset, Split
from pushforward.data.modality import Modality, modality
from pushforward.distributions import Distribution, Gaussian, Implicit, Prior
from pushforward.errors import check_int
from pushforward.features.base import Features, Progress, extract
from pushforward.features.open import open_features
from pushforward.metrics.latent_fit import TEST_SIZES
from pushforward.metrics.sharpness import has_sharpness, sharpness
from pushforward.models import Model
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.utils import lazy

CHUNK = 500


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
        self._kept: list[Tensor] = []  # samples of text or of a table, in parts
        self.order = self.noise("rows").permutation(len(data.test))[: self.n_samples]

    @property
    def modality(self) -> Modality:
        """The modality of the data."""
        return modality(self.data.modality)

    @lazy
    def features(self) -> Features:
        """What samples are compared by."""
        return open_features(self._features, self.data, self.progress).to(self.device)

    @lazy
    def given(self) -> FeatureSet:
        """The held-out rows."""
        return self.show(self.held_out(), "held-out rows")

    @lazy
    def samples(self) -> FeatureSet:
        """As many decoded draws of the prior, or of the distribution that replaces it."""
        return self.show(self.drawn(), "samples")

    @lazy
    def learnt(self) -> FeatureSet:
        """As many training rows, to find what a perfect sampler would score."""
        count = min(self.n_samples, len(self.data.train))
        order = self.noise("training rows").permutation(len(self.data.train))[:count]
        return self.show(self.batches(self.data.train, order), "training rows")

    @property
    def objective(self) -> dict[str, float]:
        """The terms of the objective on held-out rows with drawn codes, a mean over chunks."""
        return self.watched[0]

    @property
    def diagnostics(self) -> dict[str, float]:
        """The diagnostics next to the terms (:meth:`Model.diagnostics`), a mean over chunks."""
        return self.watched[1]

    @lazy
    def watched(self) -> tuple[dict[str, float], dict[str, float]]:
        """Both of them, of one pass over the held-out rows."""
        means: tuple[dict[str, float], dict[str, float]] = ({}, {})
        with torch.inference_mode():
            for part, square in self.squares():
                share = (part.stop - part.start) / self.n_samples
                for mean, look in zip(means, (self.model.formula, self.model.diagnostics), strict=True):
                    for name, value in look(square).items():
                        mean[name] = mean.get(name, 0.0) + value.item() * share
        return means

    @lazy
    def encoded(self) -> EncodedSet:
        """The held-out rows through encoder and decoder; only of models that encode.

        Their errors are those of means. Where samples have the noise of a likelihood, reconstructions that
        are compared with data have it, too: means alone vary less than the data.
        """
        distributions: list[Distribution] = []
        codes: list[Tensor] = []
        errors: list[Tensor] = []
        lines: list[Tensor] = []
        kind = self.modality

        def returned() -> Iterator[Tensor]:
            noise = self.noise("reconstructions")
            for part, square in self.squares():
                distributions.append(square.q)
                codes.append(square.Ex.cpu())
                made = self.model.generate(square.q.center, square.y)
                x = self.model.cost.point(made)
                errors.append(kind.errors(x, square.x).cpu())
                if not kind.is_continuous:
                    lines.append(x.cpu())
                yield self.model.cost.sample(made, noise.rows(part.start))

        with torch.inference_mode():
            shown = self.show(returned(), "reconstructions")
            back = torch.cat(lines) if lines else None
            return EncodedSet(torch.cat(codes), _joined(distributions), torch.cat(errors), shown, back)

    @property
    def unpaired(self) -> tuple[FeatureSet, FeatureSet]:
        """Reconstructions of one half of the held-out rows, and the rows of the other half.

        With their own rows reconstructions are paired, and closer than any sample could be.
        """
        half = self.n_samples // 2
        return self.encoded.reconstructions.rows(slice(half)), self.given.rows(slice(half, None))

    def held_out(self) -> Iterator[Tensor]:
        """The held-out rows, in parts."""
        return self.batches(self.data.test, self.order)

    def drawn(self, prior: Prior | None = None) -> Iterator[Tensor]:
        """As many samples, in parts, or those decoded from another distribution of codes.

        Conditional models take the labels of the held-out rows. Lines of text and rows of tables are kept:
        they are small, and drawn token by token or column by column.
        """
        keeps = prior is None and not self.modality.is_continuous
        for number, part in enumerate(chunks(self.n_samples)):
            if number < len(self._kept) and keeps:
                yield self._kept[number]
                continue
            made = self._drawn(part, prior or self.prior)
            if keeps:
                self._kept.append(made)
            yield made

    def _drawn(self, part: slice, prior: Prior | None) -> Tensor:
        noise = self.noise("samples").rows(part.start)
        y = self.data.test.batch(self.order[part]).y if self.model.n_conditions else None
        return self.model.sample(part.stop - part.start, noise, y, prior)

    def batches(self, split: Split, order: Tensor) -> Iterator[Tensor]:
        """Rows of a split, in parts, on the device of the model."""
        for x, _ in self.labelled(split, order):
            yield x

    def labelled(self, split: Split, order: Tensor) -> Iterator[Batch]:
        """Rows of a split with their labels, in parts, on the device of the model."""
        for part in chunks(len(order)):
            yield split.batch(order[part]).to(self.device)

    def squares(self) -> Iterator[tuple[slice, Square]]:
        """The squares of the held-out rows, in parts."""
        parts = zip(chunks(self.n_samples), self.labelled(self.data.test, self.order), strict=True)
        for part, (x, y) in parts:
            yield part, Square(self.model, x, self.noise.rows(part.start), y)

    def show(self, parts: Iterator[Tensor], words: str) -> FeatureSet:
        """Features, and for images sharpness, of rows that come in parts; ``words`` says which rows."""
        return feature_set(self.features, parts, self.images, self.n_samples, words, self.progress)


def feature_set(
    features: Features,
    parts: Iterator[Tensor],
    images: bool,
    n_rows: int,
    words: str,
    progress: Progress | None = None,
) -> FeatureSet:
    """Features, and for images sharpness, of ``n_rows`` rows that come in parts.

    Arguments:
        features: The features.
        parts: The rows, (N, \\*) at a time.
        images: Whether they are images.
        n_rows: How many there are, for ``progress``.
        words: Which rows they are.
        progress: Called with (done, total, words).
    """
    sharp: list[Tensor] = []
    done = 0

    def watched() -> Iterator[Tensor]:
        nonlocal done
        for x in parts:
            if images:
                sharp.append(sharpness(x).cpu())
            yield x
            done += len(x)
            if progress:
                progress(done, n_rows, words)

    found = extract(features, watched())
    return FeatureSet(found, torch.cat(sharp) if images else None)


def _joined(distributions: list[Distribution]) -> Distribution:
    """The distribution of all rows from those of parts; only a Gaussian stays one, and has a density."""
    center = torch.cat([distribution.center.cpu() for distribution in distributions])
    gaussian = [distribution for distribution in distributions if isinstance(distribution, Gaussian)]
    if len(gaussian) == len(distributions):
        return Gaussian(center, torch.cat([distribution.log_var.cpu() for distribution in gaussian]))
    return Implicit(lambda noise: center, lambda: center)


__all__ = ["EncodedSet", "EvaluationContext", "FeatureSet", "chunks", "feature_set"]
