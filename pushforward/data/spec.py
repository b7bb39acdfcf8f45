"""What recipes and stored runs know of a data set: its description, without its rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from pushforward.codec import Codec
from pushforward.data.modality import modality
from pushforward.data.scaling import Scaling, Standardized, Unscaled, scaling_from_json
from pushforward.data.split import Batch
from pushforward.errors import DataError, reason


@dataclass(frozen=True)
class DataSpec:
    r"""The description of a data set that a model is built from.

    Attributes:
        name: Name of the data set.
        shape: Shape of one row: (C, H, W) of an image, (D,) of a vector, (T,) of a line of T tokens.
        modality: "image", "vector" or "text".
        in_unit_interval: Whether every value lies in [0, 1].
        classes: Name of every class; empty without labels.
        n_train: Number of training rows.
        n_test: Number of held-out rows.
        variance: Total variance of the training rows, the squared error of the mean row; of text the nats of
            a line whose tokens are independent.
        codec: The vocabulary of text; None of rows that are numbers.
        scaling: How values of the data become those that a model sees.
    """

    name: str
    shape: tuple[int, ...]
    modality: str
    in_unit_interval: bool
    classes: tuple[str, ...]
    n_train: int
    n_test: int
    variance: float
    codec: Codec | None = None
    scaling: Scaling = field(default_factory=Unscaled)

    @property
    def n_classes(self) -> int:
        """Number of classes, 0 without labels."""
        return len(self.classes)

    @property
    def n_values(self) -> int:
        """Numbers in one row."""
        return math.prod(self.shape)

    @property
    def network_shape(self) -> tuple[int, ...]:
        """The shape that networks are built for, that of a row; of text (T, V) with V tokens."""
        return modality(self.modality).network_shape(self.shape, self.codec)

    @property
    def range(self) -> str:
        """The range of the values that a model sees, in words."""
        return range_in_words(self.modality, self.in_unit_interval, self.codec, self.scaling)

    @property
    def distance(self) -> float:
        """Root of the mean squared distance of two rows, to three digits."""
        return float(f"{(2 * self.variance) ** 0.5:.3g}")

    def example(self, n: int = 2) -> Batch:
        """n rows of zeros (of text: empty lines), labelled 0 where there are classes, to try networks on."""
        x = modality(self.modality).example(n, self.shape)
        return Batch(x, torch.zeros(n, dtype=torch.int64) if self.classes else None)

    def as_json(self) -> dict[str, Any]:
        """Everything but the codec, which is kept in a file of its own, as plain values."""
        values = {name: value for name, value in asdict(self).items() if name != "codec"}
        return values | {"scaling": self.scaling.as_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], codec: Codec | None = None) -> DataSpec:
        """The inverse of :meth:`as_json`.

        Raises:
            DataError: If the values do not describe a data set.
        """
        try:
            known = {name: values[name] for name in cls.__dataclass_fields__ if name != "codec"}
            known |= {"shape": tuple(known["shape"]), "classes": tuple(known["classes"])}
            known["scaling"] = scaling_from_json(known["scaling"])
            modality(known["modality"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"no description of data: {type(error).__name__} {reason(error)}") from error
        counts = *known["shape"], known["n_train"], known["n_test"]
        if not known["shape"] or not all(isinstance(count, int) and count >= 1 for count in counts):
            raise DataError(f"no description of data: its shape and its numbers of rows are {counts}")
        if not isinstance(known["variance"], int | float):
            raise DataError(f"no description of data: its variance is {known['variance']!r}")
        return cls(**known, codec=codec)


def range_in_words(name: str, in_unit_interval: bool, codec: Codec | None, scaling: Scaling | None) -> str:
    """The range of the values that a model sees of rows of a modality, in words."""
    words = modality(name).range(in_unit_interval, codec)
    return f"standardised {words}" if isinstance(scaling, Standardized) else words


__all__ = ["DataSpec", "range_in_words"]
