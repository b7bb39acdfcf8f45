"""What a row of data is: an image, a vector, a line of text or a row of a table, and all that follows from
it.

Nothing outside asks whether data are text: it asks the modality for what it needs. Another modality is
another subclass of :class:`Modality`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.codec import Codec
from pushforward.costs import SquaredError
from pushforward.data.scaling import Scaling
from pushforward.data.values import as_array, as_tensor
from pushforward.errors import DataError
from pushforward.tables.frames import is_frame, table_of
from pushforward.tables.schema import Schema
from pushforward.tables.table import Table
from pushforward.text.tokens import END, PAD
from pushforward.text.vocabulary import Vocabulary
from pushforward.wording import plural

Shape = tuple[int, ...]


class Modality(ABC):
    """One kind of rows.

    Attributes:
        name: Its name in configurations and messages.
        is_continuous: Whether rows are real numbers, which can be added and differentiated.
        error_name: Name of what :meth:`errors` counts.
        parts: Name of what a cost is summed over, of rows that are not numbers.
        variance_name: Name of what :meth:`variance` measures, for messages.
        hidden: The options that hide parts of a row in training, from the encoder and from the decoder, where
            there are such.
        features: Name of the only features for such rows; None where images and vectors have a choice.
        given_as: What a user passes as rows, for messages.
    """

    name: ClassVar[str]
    is_continuous: ClassVar[bool] = True
    error_name: ClassVar[str] = "squared_error"
    parts: ClassVar[str | None] = None
    variance_name: ClassVar[str] = "total variance of the data"
    features: ClassVar[str | None] = None
    hidden: ClassVar[tuple[str, str] | None] = None
    given_as: ClassVar[str] = "an array or a tensor"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        MODALITIES[cls.name] = cls()

    @abstractmethod
    def matches(self, shape: Shape, codec: Codec | None) -> bool:
        """Whether rows of this shape, with this codec or none, are of this modality."""

    def rows(
        self,
        x: Any,
        shape: Shape,
        scaling: Scaling,
        codec: Codec | None = None,
        channels: str | None = None,
        first: int = 0,
    ) -> Tensor:
        """Rows (N, \\*) as a model sees them, from what a user passes to a run.

        A single row without the axis N is one row.

        Arguments:
            x: An array or tensor in the values of the data; of text also a line or lines.
            shape: Shape of one row.
            scaling: How values of the data become those that a model sees.
            codec: The vocabulary, of text.
            channels: Where the channels of images are, if that was said when the training data were read.
            first: The number of the first row, for messages.

        Raises:
            DataError: If the rows have another shape, values that cannot be those of the data, or a line has
                too many tokens.
        """
        given = as_tensor(x, "rows")
        x = self.arranged(given, shape, channels)
        if tuple(x.shape[1:]) != shape:
            x = self.arranged(given[None], shape, channels)
        if tuple(x.shape[1:]) != shape:
            found = f"{tuple(given.shape[1:])}" if given.ndim > 1 else f"a row of shape {tuple(given.shape)}"
            raise DataError(f"rows must have shape {shape}, got {found}")
        try:
            scaling.check(x, range(first, first + len(x)))
        except DataError as error:
            raise DataError(f"rows: {error}") from None
        scaling.warn(x)
        return scaling.apply(x).float()

    def arranged(self, x: Tensor, shape: Shape, channels: str | None) -> Tensor:
        """Rows with their axes in the order of ``shape``."""
        return x

    def example(self, n: int, shape: Shape) -> Tensor:
        """n valid rows (N, \\*) to try networks on."""
        return torch.zeros(n, *shape)

    def network_shape(self, shape: Shape, codec: Codec | None) -> Shape:
        """The shape that networks are built for."""
        return shape

    def range(self, in_unit_interval: bool, codec: Codec | None) -> str:
        """The range of the values, in words."""
        return "[0, 1]" if in_unit_interval else "real numbers"

    def variance(self, x: Tensor) -> float:
        """The error of the best constant reconstruction of rows (N, \\*), which is their total variance."""
        return float(x.flatten(1).var(0, correction=0).sum())

    def errors(self, reconstructions: Tensor, x: Tensor) -> Tensor:
        """The error of each row's reconstruction, shape (N,)."""
        return SquaredError().rows(reconstructions, x)

    def likelihood_cost(self, in_unit_interval: bool) -> str:
        """The name of the cost that is a negative log-likelihood of such rows."""
        return "bernoulli" if in_unit_interval else "gaussian-learnt"


MODALITIES: dict[str, Modality] = {}


class ImageModality(Modality):
    """Images (C, H, W).

    >>> from pushforward.data.scaling import UnitInterval
    >>> modality("image").rows(torch.full((2, 4, 4), 51).byte(), (1, 4, 4), UnitInterval())[0, 0, 0]
    tensor([0.2000, 0.2000, 0.2000, 0.2000])
    >>> modality("image").rows(torch.zeros(4, 4), (1, 4, 4), UnitInterval()).shape  # one image
    torch.Size([1, 1, 4, 4])
    """

    name = "image"

    def matches(self, shape: Shape, codec: Codec | None) -> bool:
        """Whether rows have three axes."""
        return codec is None and len(shape) == 3

    def arranged(self, x: Tensor, shape: Shape, channels: str | None) -> Tensor:
        """Images with their channels first; grey images may have none, and channels may come last."""
        if x.ndim == 3 and shape == (1, *x.shape[1:]):
            return x.unsqueeze(1)
        last = tuple(x.shape[1:]) == (*shape[1:], shape[0])
        if x.ndim == 4 and last and (channels == "last" or tuple(x.shape[1:]) != shape):
            return x.permute(0, 3, 1, 2)
        return x


class VectorModality(Modality):
    """Vectors (D,), or arrays of any other shape, such as series (T, C)."""

    name = "vector"

    def matches(self, shape: Shape, codec: Codec | None) -> bool:
        """Whether rows are neither images nor text."""
        return codec is None and len(shape) != 3

    def arranged(self, x: Tensor, shape: Shape, channels: str | None) -> Tensor:
        """Series (T, C) with their channels last, where they came first in training."""
        turned = x.ndim == 3 and tuple(x.shape[1:]) == shape[::-1]
        return x.transpose(1, 2) if turned and channels == "first" else x


class TextModality(Modality):
    """Lines of text as (T,) tokens."""

    name = "text"
    is_continuous = False
    error_name = "wrong_tokens"
    parts = "tokens of a line"
    variance_name = "nats of a line of independent tokens"
    features = "words"
    hidden = ("encoder_word_dropout", "word_dropout")
    given_as = "lines of text, or an array of tokens"

    def matches(self, shape: Shape, codec: Codec | None) -> bool:
        """Whether there is a vocabulary."""
        return isinstance(codec, Vocabulary)

    def rows(
        self,
        x: Any,
        shape: Shape,
        scaling: Scaling,
        codec: Codec | None = None,
        channels: str | None = None,
        first: int = 0,
    ) -> Tensor:
        """Rows (N, T) of tokens, from lines of text or from tokens."""
        assert isinstance(codec, Vocabulary)
        x = [x] if isinstance(x, str) else x
        if not isinstance(x, Tensor):
            found = as_array(x, "lines")
            if found.size and found.dtype.kind in "OU" and all(isinstance(line, str) for line in found.flat):
                if found.size != len(found):
                    raise DataError(f"lines of text must have shape (N,), got {found.shape}")
                return codec.tokens(found.ravel().tolist(), shape[0])
            x = found
        x = as_tensor(x, "tokens")
        x = x[None] if tuple(x.shape) == shape else x
        if x.is_floating_point() or x.dtype == torch.bool:
            raise DataError("tokens must be whole numbers, got others")
        if tuple(x.shape[1:]) != shape:
            raise DataError(f"rows must have shape {shape}, got {tuple(x.shape[1:])}")
        if x.numel() and not 0 <= int(x.min()) <= int(x.max()) < len(codec):
            raise DataError(
                f"tokens must be from 0 to {len(codec) - 1}, got {int(x.min())} to {int(x.max())}"
            )
        return x.long()

    def example(self, n: int, shape: Shape) -> Tensor:
        """n empty lines."""
        x = torch.full((n, *shape), PAD)
        x[:, 0] = END
        return x

    def network_shape(self, shape: Shape, codec: Codec | None) -> Shape:
        """(T, V) with V tokens in the vocabulary."""
        assert isinstance(codec, Vocabulary)
        return (*shape, len(codec))

    def range(self, in_unit_interval: bool, codec: Codec | None) -> str:
        """The number of tokens."""
        assert isinstance(codec, Vocabulary)
        return f"tokens of {len(codec)}"

    def variance(self, x: Tensor) -> float:
        """The mean negative log-likelihood, in nats, of lines (N, T) whose tokens are drawn independently."""
        counts = x[x != PAD].bincount()
        share = counts[counts > 0] / counts.sum()
        return float(-(share * share.log()).sum() * counts.sum() / len(x))

    def errors(self, reconstructions: Tensor, x: Tensor) -> Tensor:
        """The number of tokens of each line that differ."""
        return (reconstructions != x).flatten(1).sum(1).float()

    def likelihood_cost(self, in_unit_interval: bool) -> str:
        """The negative log-likelihood of tokens."""
        return "tokens"


class TableModality(Modality):
    """Rows of a table as (C,) numbers, each the cell of a column and the position within it."""

    name = "table"
    is_continuous = False
    error_name = "wrong_cells"
    parts = "columns of a row"
    variance_name = "nats of a row of independent columns"
    features = "columns"
    hidden = ("encoder_column_dropout", "column_dropout")
    given_as = "a frame or a dict of columns"

    def matches(self, shape: Shape, codec: Codec | None) -> bool:
        """Whether there is a schema."""
        return isinstance(codec, Schema)

    def rows(
        self,
        x: Any,
        shape: Shape,
        scaling: Scaling,
        codec: Codec | None = None,
        channels: str | None = None,
        first: int = 0,
    ) -> Tensor:
        """Rows (N, C) of cells, from a frame, a dict of columns, or rows of cells."""
        assert isinstance(codec, Schema)
        if is_frame(x) or isinstance(x, (dict, Table)):
            return codec.encode(table_of(x, "rows"))
        x = as_tensor(x, "rows").float()
        x = x[None] if tuple(x.shape) == shape else x
        if tuple(x.shape[1:]) != shape:
            raise DataError(f"rows must be a frame, or cells of shape {shape}, got {tuple(x.shape[1:])}")
        if not bool(((x >= 0) & (x < torch.tensor(codec.sizes))).all()):
            raise DataError("cells must be from 0 to the number of cells of their columns, got others")
        return x

    def example(self, n: int, shape: Shape) -> Tensor:
        """n rows of first cells."""
        return torch.full((n, *shape), 0.5)

    def network_shape(self, shape: Shape, codec: Codec | None) -> Shape:
        """The number of cells of each column."""
        assert isinstance(codec, Schema)
        return codec.sizes

    def range(self, in_unit_interval: bool, codec: Codec | None) -> str:
        """The number of cells."""
        assert isinstance(codec, Schema)
        columns = plural(len(codec.sizes), "column")
        return f"{sum(codec.sizes)} {plural(sum(codec.sizes), 'cell')} of {len(codec.sizes)} {columns}"

    def variance(self, x: Tensor) -> float:
        """The mean negative log-likelihood, in nats, of rows (N, C) whose columns are drawn independently."""
        total = 0.0
        for column in x.long().T:
            share = column.unique(return_counts=True)[1].double() / len(x)
            total -= float((share * share.log()).sum())
        return total

    def errors(self, reconstructions: Tensor, x: Tensor) -> Tensor:
        """The number of columns of each row whose cell differs."""
        return (reconstructions.long() != x.long()).sum(1).float()

    def likelihood_cost(self, in_unit_interval: bool) -> str:
        """The negative log-likelihood of cells."""
        return "columns"


def modality(name: str) -> Modality:
    """The modality of a name: "image", "vector", "text" or "table"."""
    return MODALITIES[name]


def modality_of(shape: Shape, codec: Codec | None = None) -> Modality:
    """The modality of rows of a shape, with a codec if they have one.

    >>> modality_of((1, 28, 28)).name, modality_of((2,)).name
    ('image', 'vector')
    """
    return next(known for known in MODALITIES.values() if known.matches(shape, codec))


__all__ = ["MODALITIES", "Modality", "modality", "modality_of"]
