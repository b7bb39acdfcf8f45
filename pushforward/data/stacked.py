"""Stacked MNIST: three digits in red, green and blue, and so a thousand modes.

References:
    | Unrolled Generative Adversarial Networks (Metz et al., 2017), section 3.3.1
    | https://arxiv.org/abs/1611.02163
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from pushforward.data.dataset import Dataset, Split, Stacked
from pushforward.data.idx import MNIST, open_idx
from pushforward.rng import Noise


def stacked(digits: Dataset, name: str = "stacked-mnist") -> Dataset:
    """As many rows as there are digits, each of three digits at random; which ones is always the same.

    >>> from pushforward.data import open_dataset
    >>> stacked(open_dataset("digits")).shape
    (3, 8, 8)
    """

    def three(split: Split, place: str) -> Split:
        order = [Noise(name, place)(channel).permutation(len(split)) for channel in range(3)]
        return Split(torch.cat([split.x[index] for index in order], dim=1))

    parts = (three(digits.train, "train"), three(digits.test, "test"))
    return Dataset(
        name,
        *parts,
        in_unit_interval=digits.in_unit_interval,
        notes=digits.notes,
        source=name,
        modes=Stacked(replace(digits, notes=())),
    )


def open_stacked(folder: Path) -> Dataset:
    """Of MNIST."""
    return stacked(open_idx(MNIST, folder))


__all__ = ["open_stacked", "stacked"]
