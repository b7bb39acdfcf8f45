"""Stacked MNIST: three digits in red, green and blue, which make a thousand modes.

References:
    | Unrolled Generative Adversarial Networks (Metz et al., 2017), section 3.3.1
    | https://arxiv.org/abs/1611.02163
"""

from __future__ import annotations

from dataclasses import replace

import torch

from pushforward.data.dataset import Dataset, Split, Stacked
from pushforward.data.formats import OpenOptions, named_dataset
from pushforward.data.idx import open_mnist
from pushforward.data.rows import take
from pushforward.rng import Noise


def stacked(digits: Dataset, name: str = "stacked-mnist") -> Dataset:
    """As many rows as there are digits, each of three digits at random, the same in every run.

    >>> from pushforward.data import open_dataset
    >>> stacked(open_dataset("digits")).shape
    (3, 8, 8)
    """

    def three(split: Split, place: str) -> Split:
        order = [Noise(name, place)(channel).permutation(len(split)) for channel in range(3)]
        return Split(torch.cat([take(split.x, index) for index in order], dim=1))

    parts = (three(digits.train, "train"), three(digits.test, "test"))
    return Dataset(
        name,
        *parts,
        in_unit_interval=digits.in_unit_interval,
        notes=digits.notes,
        source=name,
        modes=Stacked(replace(digits, notes=())),
    )


@named_dataset(
    "stacked-mnist",
    "70000 stacks of three digits in red, green and blue, 3x28x28, 1000 modes; made of MNIST, downloaded",
    modality="image",
)
def open_stacked(options: OpenOptions) -> Dataset:
    """Stacked MNIST."""
    return stacked(open_mnist(options))


__all__ = ["open_stacked", "stacked"]
