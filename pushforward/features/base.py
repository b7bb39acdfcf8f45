"""Features: what samples are compared by. Any ``nn.Module`` will do, and no score goes without its name.

A distance of samples is a distance of their features, and other features give another number: the
name, the sha256 of the weights, the resizing and the range of the data are part of every score.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pushforward.data.dataset import Dataset
from pushforward.errors import ConfigError, DataError, reason
from pushforward.rng import Noise
from pushforward.tables.schema import Schema
from pushforward.text.tokens import PAD
from pushforward.utils import eval_mode
from pushforward.wording import option_name

PCA_DIMENSIONS = 64
PCA_ROWS = 10_000
QUICK_VALUES = 20_000_000


class Features(nn.Module, ABC):
    """A map from data (N, \\*), in the range of the data set, to features (N, D).

    Attributes:
        name: What it is called beside a score.
        resize: What is done to images before, in words.
    """

    name: str
    resize = "none"

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Features (N, D) of a batch of data (N, \\*)."""

    def probabilities(self, features: Tensor) -> Tensor | None:
        """The classes' probabilities (N, K) from features, if these are a classifier's."""
        return None

    @property
    def sha256(self) -> str:
        """The sha256 of what it is (its ``repr``) and of all parameters and buffers, by name."""
        digest = hashlib.sha256(repr(self).encode())
        for name, value in sorted(self.state_dict().items()):
            digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def card(self) -> dict[str, Any]:
        """What a score must say about its features."""
        return {"name": self.name, "sha256": self.sha256, "resize": self.resize}


class Pixels(Features):
    """The values themselves."""

    name = "pixels"

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, D) of a batch of data (N, \\*)."""
        return x.flatten(1)


class PCA(Features):
    """The first principal directions of the training rows: linear, offline, for data of any kind.

    They see moments of what varies most, and little of sharpness. All are divided by one number, so that on
    training rows their mean variance is 1.

    Example:
        >>> from pushforward.data import open_dataset
        >>> data = open_dataset("digits")
        >>> PCA.of(data)(data.test.batch(slice(0, 5)).x).shape
        torch.Size([5, 61])
    """

    name = "pca"

    def __init__(self, mean: Tensor, directions: Tensor) -> None:
        super().__init__()
        self.mean: Tensor
        self.directions: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("directions", directions)

    @classmethod
    def of(cls, data: Dataset, dimensions: int = PCA_DIMENSIONS, rows: int = PCA_ROWS) -> PCA:
        """The directions of at most 10,000 training rows; directions without variance are left out."""
        x = data.train.subsample(rows, Noise("pca")).x.flatten(1).double()
        return cls.fit(x, dimensions, data.name)

    @classmethod
    def quick(cls, data: Dataset, dimensions: int) -> PCA:
        """The same of rows of at most 20 million values in all."""
        values = math.prod(data.shape)
        return cls.of(data, dimensions, min(PCA_ROWS, max(QUICK_VALUES // values, 10 * dimensions)))

    @classmethod
    def fit(cls, rows: Tensor, dimensions: int, name: str) -> PCA:
        """The directions of rows (N, D)."""
        from sklearn import decomposition

        x = rows.numpy()
        if not x.var(0).any():
            raise DataError(f"{name}: all rows are equal, so they have no principal directions")
        fit = decomposition.PCA(min(dimensions, *x.shape), random_state=0).fit(x)
        kept = fit.explained_variance_ > 1e-10 * fit.explained_variance_[0]
        scaled = fit.components_[kept].T / fit.explained_variance_[kept].mean() ** 0.5
        mean, directions = (torch.from_numpy(part).float() for part in (fit.mean_, scaled))
        return cls(mean, directions.contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, D) of a batch of data (N, \\*)."""
        return (x.flatten(1) - self.mean) @ self.directions


class Words(Features):
    """Which tokens a line has, in principal directions: of text. They do not see the order of words.

    A token that comes n times counts as the root of n. All directions are divided by one number, so that on
    training rows their mean variance is 1.
    """

    name = "words"

    def __init__(self, pieces: int, inner: PCA) -> None:
        super().__init__()
        self.pieces = pieces
        self.inner = inner

    @classmethod
    def of(cls, data: Dataset, dimensions: int = PCA_DIMENSIONS) -> Words:
        """The directions of at most 10,000 training lines.

        Raises:
            DataError: If the data are no text.
        """
        if data.vocabulary is None:
            raise DataError(
                f"{option_name('features', 'words')} are those of text, {data.name} is {data.modality} data"
            )
        bag = bagged(data.train.subsample(PCA_ROWS, Noise("pca")).x, len(data.vocabulary))
        return cls(len(data.vocabulary), PCA.fit(bag, dimensions, data.name))

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, D) of a batch of data (N, \\*)."""
        return self.inner(bagged(x, self.pieces))


def bagged(x: Tensor, pieces: int) -> Tensor:
    """The root of how often each token comes in lines (N, T), shape (N, pieces); padding does not count."""
    counts = torch.zeros(len(x), pieces, device=x.device)
    counts.scatter_add_(1, x.long(), (x != PAD).float())
    return counts.sqrt()


class Columns(Features):
    """The columns of a row, in principal directions: of tables.

    The level of a number in the training rows, from -1 to 1 times the root of 3, and for each category
    whether it is that one, each divided by the root of its share. All directions are divided by one number,
    so that on training rows their mean variance is 1.
    """

    name = "columns"

    def __init__(self, sizes: tuple[int, ...], ordered: tuple[bool, ...], shares: Tensor, inner: PCA) -> None:
        super().__init__()
        self.sizes, self.ordered = sizes, ordered
        self.shares: Tensor
        self.register_buffer("shares", shares)
        self.inner = inner

    @classmethod
    def of(cls, data: Dataset, dimensions: int = PCA_DIMENSIONS) -> Columns:
        """The directions of at most 10,000 training rows.

        Raises:
            DataError: If the data are no table.
        """
        if not isinstance(data.codec, Schema):
            raise DataError(
                f"{option_name('features', 'columns')} is for tables, {data.name} is {data.modality} data"
            )
        x = data.train.subsample(PCA_ROWS, Noise("pca")).x
        sizes, ordered = data.codec.sizes, tuple(column.is_ordered for column in data.codec.modelled)
        shares = torch.cat(
            [column.long().bincount(minlength=n) for column, n in zip(x.T, sizes, strict=True)]
        ) / len(x)
        values = expanded(x, sizes, ordered, shares)
        return cls(sizes, ordered, shares, PCA.fit(values, dimensions, data.name))

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, D) of a batch of data (N, \\*)."""
        return self.inner(expanded(x, self.sizes, self.ordered, self.shares))


def expanded(x: Tensor, sizes: tuple[int, ...], ordered: tuple[bool, ...], shares: Tensor) -> Tensor:
    """Rows of cells (N, C) as numbers: levels of ordered columns, and the cells of the others one by one."""
    parts = []
    for j, (share, is_ordered) in enumerate(zip(shares.split(sizes), ordered, strict=True)):
        cell, within = x[:, j].long(), x[:, j] - x[:, j].floor()
        if is_ordered:
            level = (share.cumsum(0) - share)[cell] + share[cell] * within
            parts.append((12**0.5 * (level - 0.5)).unsqueeze(1))
        else:
            one_hot = torch.nn.functional.one_hot(cell, len(share)).float()
            parts.append(one_hot / (share.clamp_min(1e-3) * len(share)).sqrt())
    return torch.cat(parts, dim=1)


class Module(Features):
    """Any module as features: what it makes of a batch, flattened."""

    def __init__(self, module: nn.Module, name: str | None = None) -> None:
        super().__init__()
        self.module = module
        self.name = name or type(module).__name__

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, D) of a batch of data (N, \\*)."""
        return self.module(x).flatten(1)


@torch.inference_mode()
def extract(features: Features, parts: Iterator[Tensor]) -> Tensor:
    """Features (N, D), float32, of data that come in parts.

    Raises:
        ConfigError: As :func:`features_of`.
    """
    return torch.cat([features_of(features, x) for x in parts])


@torch.inference_mode()
def features_of(features: Features, x: Tensor) -> Tensor:
    """Features (N, D), float32, on the CPU, of data (N, \\*).

    Raises:
        ConfigError: If the module fails on the data, or does not make one row of numbers for each row.
    """
    try:
        with eval_mode(features):
            made = features(x)
    except Exception as error:  # a module of the user's own may raise anything
        words = f"features {features.name!r} fail on rows of shape {tuple(x.shape[1:])}: {reason(error)}"
        raise ConfigError(words) from error
    if made.ndim != 2 or len(made) != len(x):
        raise ConfigError(
            f"features {features.name!r} must make (N, D) of {len(x)} rows, got {tuple(made.shape)}"
        )
    return made.float().cpu()


class Progress(Protocol):
    """Shows how much of some work is done."""

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Shows that ``done`` of ``total`` units are done, and which work it is."""


__all__ = ["PCA", "Columns", "Features", "Module", "Pixels", "Words", "extract", "features_of"]
