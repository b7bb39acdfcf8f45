"""How the values of a data set become the values that a model sees: decided once, when the data are read.

The scaling is kept with a run, and is applied to all rows that come in later: what a value stands for never
depends on the other rows that it is passed with.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.errors import DataError
from pushforward.wording import plural

TOLERANCE = 1e-4  # by which values may leave [0, 1]: that of rounding and of networks
FAR = 1e6  # scales from the centre of a column, beyond which a value is taken for an error
FEW = 19  # rows, beyond which the smallest and the largest value of a column do not set its scale
ROUNDING = 1e-12  # of its largest value, up to which the deviation of a column is that of a constant
TAIL = 0.01  # share of the values at each end that a column's centre and scale ignore


class Scaling(ABC):
    """A map from the values of the data to those that a model sees, and back.

    Attributes:
        kind: Its name in configurations.
    """

    kind: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        KINDS[cls.kind] = cls

    @abstractmethod
    def apply(self, x: Tensor) -> Tensor:
        """The values that a model sees, float32, of rows (N, \\*) of the data; nothing is checked."""

    @abstractmethod
    def invert(self, x: Tensor) -> Tensor:
        """Rows (N, \\*) that a model makes, in the values of the data."""

    def check(self, x: Tensor, numbers: Sequence[int] | None = None) -> None:
        """Refuses rows (N, \\*) whose values cannot be those of the data.

        Arguments:
            x: The rows.
            numbers: What they are called in messages; by default 0, 1, ...

        Raises:
            DataError: If a value is not finite or out of range.
        """
        if x.is_floating_point() and not bool(torch.isfinite(x).all()):
            bad = (~torch.isfinite(x)).flatten(1).any(1)
            n = int(bad.sum())
            raise DataError(f"expected finite numbers, found others in {n} {plural(n, 'row')}")

    def warn(self, x: Tensor) -> None:
        """Warns of rows (N, \\*) whose values may be meant in another way."""
        return

    def as_json(self) -> dict[str, Any]:
        """Plain values, from which :func:`scaling_from_json` makes the same scaling."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]


KINDS: dict[str, type[Scaling]] = {}


@dataclass(frozen=True)
class Unscaled(Scaling):
    """Values stay as they are: tokens, and real numbers that shall not be standardised.

    >>> Unscaled().apply(torch.tensor([[3]], dtype=torch.uint8))
    tensor([[3.]])
    """

    kind: ClassVar[str] = "unscaled"

    def apply(self, x: Tensor) -> Tensor:
        """The same numbers as float32; tokens (int64) stay tokens."""
        return x if x.dtype == torch.int64 else x.float()

    def invert(self, x: Tensor) -> Tensor:
        """The same numbers."""
        return x


@dataclass(frozen=True)
class UnitInterval(Scaling):
    """Values in [0, 1], as of images.

    Attributes:
        integers: What integers are divided by: 255 of bytes, 4095 of images of 12 bits, 1 of masks; None of
            data that were no integers, of which it is not known.
        floats: What floating-point numbers are divided by: 1 if they lie in [0, 1] already.

    >>> UnitInterval().apply(torch.tensor([[51]], dtype=torch.uint8))
    tensor([[0.2000]])
    >>> UnitInterval(floats=255).invert(torch.ones(1))
    tensor([255.])
    """

    kind: ClassVar[str] = "unit-interval"
    integers: int | None = 255
    floats: int = 1

    def apply(self, x: Tensor) -> Tensor:
        """The numbers divided by what stands for 1; booleans become 0 and 1."""
        divisor = self._divisor(x)
        # By a tensor: a GPU multiplies by the reciprocal of a number, and differs from a CPU in the last bit.
        by = torch.full((), divisor, dtype=torch.float32, device=x.device)
        return x.float() if divisor == 1 else x.float() / by

    def invert(self, x: Tensor) -> Tensor:
        """The numbers times what stands for 1 among floating-point numbers."""
        return x if self.floats == 1 else x * self.floats

    def check(self, x: Tensor, numbers: Sequence[int] | None = None) -> None:
        """Refuses values outside the range, and integers where it is not known what they stand for."""
        super().check(x, numbers)
        if not x.numel():
            return
        if self.integers is None and not x.is_floating_point() and x.dtype != torch.bool:
            what = f"numbers from 0 to {self.floats}" if self.floats > 1 else "numbers in [0, 1]"
            raise DataError(f"expected floating-point {what}, as in training, found integers")
        divisor = self._divisor(x)
        lowest, highest = x.min().item(), x.max().item()
        kind = "numbers" if x.is_floating_point() else "integers"
        if lowest < -TOLERANCE * divisor or highest > (1 + TOLERANCE) * divisor:
            raise DataError(
                f"expected {kind} from 0 to {divisor}, as in training, found {lowest:g} to {highest:g}"
            )

    def warn(self, x: Tensor) -> None:
        """Warns of floating-point numbers in [0, 1] where a larger one stands for 1."""
        if not x.numel() or not x.is_floating_point() or self.floats == 1:
            return
        highest = x.max().item()
        if 0 < highest <= 1:
            warnings.warn(
                f"no value is above {highest:g}, where {self.floats} stands for 1 as in training; if the "
                f"rows are scaled to [0, 1], multiply them by {self.floats}",
                stacklevel=4,
            )

    def _divisor(self, x: Tensor) -> int:
        if x.dtype == torch.bool:
            return 1
        return self.floats if x.is_floating_point() else self.integers or 1


@dataclass(frozen=True)
class Standardized(Scaling):
    r"""Columns of real numbers, centred and scaled: :math:`(x_j - c_j) / s_j`, computed in float64.

    Attributes:
        centres: :math:`c_j`, one for each column, or one for all values.
        scales: :math:`s_j \ge 0`; 0 of a constant, which a model sees as 0, and which comes back as it is.

    >>> scaling = Standardized((1e6, 40.0), (10.0, 20.0))
    >>> scaling.apply(torch.tensor([[1000010.0, 0.0]], dtype=torch.float64))
    tensor([[ 1., -2.]])
    >>> scaling.invert(torch.tensor([[1.0, -2.0]])).tolist()
    [[1000010.0, 0.0]]
    """

    kind: ClassVar[str] = "standardized"
    centres: tuple[float, ...]
    scales: tuple[float, ...]

    def apply(self, x: Tensor) -> Tensor:
        """Numbers of the order of 1."""
        centres, scales = self._tensors(x)
        # Of a constant, what is left after rounding grows with it.
        unit = (ROUNDING * centres.abs()).clamp(min=1)
        return ((x.double() - centres) / scales.where(scales > 0, unit)).float()

    def invert(self, x: Tensor) -> Tensor:
        """Numbers in the units of the data, float64."""
        centres, scales = self._tensors(x)
        return x.double() * scales + centres

    def check(self, x: Tensor, numbers: Sequence[int] | None = None) -> None:
        """Refuses values that no row of the data could have."""
        super().check(x, numbers)
        far = (self.apply(x).abs() > FAR).flatten(1).nonzero()
        if len(far):
            row, column = far[0].tolist()
            number = row if numbers is None else int(numbers[row])
            raise DataError(
                f"found {x.flatten(1)[row, column].item():g} in row {number}, column {column}, more than "
                f"{FAR:g} deviations of the training data from their centre"
            )

    def _tensors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shape: tuple[int, ...] = ()
        for size in reversed(x.shape):  # of series each step of each channel is a column
            if math.prod(shape) == len(self.centres):
                break
            shape = (size, *shape)
        shape = shape if math.prod(shape) == len(self.centres) else (len(self.centres),)
        centres, scales = (_on_device(part, x.device).view(shape) for part in (self.centres, self.scales))
        return centres, scales

    @classmethod
    def of(cls, x: Tensor, columns: bool) -> Standardized:
        """The scaling of rows (N, \\*), float64.

        Centre and scale are mean and standard deviation of the values after those beyond the 1 % and the
        99 % quantile, of 20 rows or more at least the smallest and the largest, were moved to the next,
        so that a few outliers do not squeeze all others together. Where that leaves no deviation, as of a
        rare category, all values count; a constant has the scale 0.

        Arguments:
            x: The training rows.
            columns: Whether each column has a scale of its own, or one serves all values.
        """
        flat = x.double().flatten(1) if columns else x.double().reshape(-1, 1)
        ordered = flat.sort(0).values
        last = len(ordered) - 1
        ends = max(int(TAIL * last), int(last >= FEW))
        clipped = ordered.clamp(ordered[ends], ordered[last - ends])
        centres, scales = clipped.mean(0), clipped.std(0, correction=0)
        whole = flat.std(0, correction=0)
        # What is left of a constant after rounding is no deviation.
        least = ROUNDING * clipped.abs().amax(0)
        scales = torch.where(scales > least, scales, whole)
        varies = scales > least
        centres = torch.where(varies, centres, ordered[0])
        scales = torch.where(varies, scales, torch.zeros_like(scales))
        return cls(tuple(centres.tolist()), tuple(scales.tolist()))


@lru_cache(maxsize=16)
def _on_device(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Numbers in float64, copied to a device once: a copy waits for all that the device has still to do."""
    with torch.inference_mode(False):  # they outlive it
        return torch.tensor(values, dtype=torch.float64, device=device)


def scaling_from_json(values: Mapping[str, Any]) -> Scaling:
    """The scaling of :meth:`Scaling.as_json`.

    >>> scaling_from_json(UnitInterval(4095).as_json())
    UnitInterval(integers=4095, floats=1)
    """
    arguments = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name != "kind"
    }
    return KINDS[values["kind"]](**arguments)


__all__ = ["Scaling", "Standardized", "UnitInterval", "Unscaled", "scaling_from_json"]
