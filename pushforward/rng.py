"""Random numbers that are derived, not stored: a function of (seed, place, stream, row).

A row's numbers depend on what they are for and where they stand, never on what was drawn
before, on how many rows are asked for together, or on how many processes share the work.
So there is no generator state to save, resuming is exact, and the samples 0..63 are the
same whether they are made at once or in chunks.

References:
    | Parallel Random Numbers: As Easy as 1, 2, 3 (Salmon et al., 2011), the Philox generator
    | https://doi.org/10.1145/2063384.2063405
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

BLOCK = 256  # rows that share one generator: a request draws at most this many rows too many


def derive(*key: object) -> int:
    """A 128-bit number that is a function of the key alone.

    >>> derive(0, "prior", 3) == derive(0, "prior", 3) != derive(0, "prior", 4)
    True
    """
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:16], "little")


class Noise:
    """The random numbers of one place; asking again gives the same numbers.

    Arguments:
        key: The run's seed, then where the numbers are used: step, update, stream.
        start: Index of the first row, for work done in chunks or shared by processes.

    Example:
        >>> noise = Noise(0)("step", 7)
        >>> bool((noise("prior").normal(4, 2) == noise("prior").normal(90, 2)[:4]).all())
        True
        >>> bool((noise.rows(100).normal(2, 2) == noise.normal(102, 2)[100:]).all())
        True
        >>> bool((noise("prior").normal(4, 2) == noise("encoder").normal(4, 2)).any())
        False
    """

    def __init__(self, *key: object, start: int = 0) -> None:
        self.key = key
        self.start = start

    def __call__(self, *place: object) -> Noise:
        """The numbers of a place inside this one."""
        return Noise(*self.key, *place, start=self.start)

    def __repr__(self) -> str:
        return f"Noise{self.key}"

    def rows(self, start: int) -> Noise:
        """The same numbers, beginning at row ``start``."""
        return Noise(*self.key, start=start)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32, of shape (N, \\*)."""
        return self._draw(np.random.Generator.standard_normal, shape)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), float32, of shape (N, \\*)."""
        return self._draw(np.random.Generator.random, shape)

    def permutation(self, n: int, dtype: type[np.signedinteger[Any]] = np.int64) -> Tensor:
        """The numbers 0..n-1 in random order, the same for each type of integer that holds them."""
        numbers = np.arange(n, dtype=dtype)
        self._generator().shuffle(numbers)
        return torch.from_numpy(numbers)

    def integer(self) -> int:
        """One number in 0..2^63-1, to seed what has a generator of its own."""
        return derive(*self.key) >> 65

    def _generator(self, *block: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=derive(*self.key, *block)))

    def _draw(self, method: Callable[..., np.ndarray], shape: tuple[int, ...]) -> Tensor:
        stop = self.start + shape[0]
        rows = np.empty((shape[0], *shape[1:]), dtype=np.float32)
        done = 0
        while self.start + done < stop:
            block, skip = divmod(self.start + done, BLOCK)
            count = min(BLOCK, stop - block * BLOCK)
            drawn = method(self._generator(block), (count, *shape[1:]), dtype=np.float32)
            rows[done : done + count - skip] = drawn[skip:]
            done += count - skip
        return torch.from_numpy(rows)
