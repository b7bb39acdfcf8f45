"""Data sets of Hugging Face, by the kinds of their columns; nothing is downloaded."""

import numpy as np
import pytest
import torch
from PIL import Image

from pushforward.data import open_dataset

datasets = pytest.importorskip("datasets")

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
LABELS = [2, 0, 0, 2, 2, 0, 0, 2, 2, 0, 0, -1]


@pytest.fixture(autouse=True, scope="module")
def _quiet():
    datasets.disable_progress_bars()


def of(**columns):
    return datasets.Dataset.from_dict(columns)


def images(names=None):
    data = of(id=list(range(12)), image=[Image.fromarray(x) for x in COLOUR], label=LABELS)
    return data if names is None else data.cast_column("label", datasets.ClassLabel(names=names))


def test_images_and_classes():
    data = open_dataset(images(["cat", "dog", "owl"]))
    other = open_dataset((COLOUR, LABELS))
    assert torch.equal(data.train.x, other.train.x)
    assert torch.equal(data.train.y, other.train.y)
    assert data.labels == ("cat", "owl")  # those that occur
    assert "not used: id" in data.notes
    assert data.name.startswith("image-")


def test_splits():
    data = open_dataset(datasets.DatasetDict(train=images(), validation=images().select(range(5))))
    assert (len(data.train), len(data.test)) == (12, 5)
    assert torch.equal(data.test.x, data.train.x[:5])
    assert "held out: validation" in data.notes


@pytest.mark.parametrize("format_", [None, "torch", "numpy"])
def test_columns_of_numbers(format_):
    x = RNG.normal(size=(12, 2)).round(3)
    data = open_dataset(of(a=x[:, 0].tolist(), b=x[:, 1].tolist(), label=["u", "v"] * 6).with_format(format_))
    other = open_dataset((x, ["u", "v"] * 6))
    assert torch.equal(data.train.x, other.train.x)
    assert data.labels == ("u", "v")


def test_a_column_of_lists():
    x = RNG.normal(size=(12, 3))
    data = open_dataset(of(embedding=x.tolist(), name=["n"] * 12))
    assert torch.equal(data.train.x, open_dataset(x).train.x)
    assert "not used: name" in data.notes


def test_text():
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    lines = [f"this is line {word}" for word in words]
    data = open_dataset(of(text=lines))
    assert data.modality == "text"
    assert len(data.train) + len(data.test) == 10
    styled = of(text=lines, label=[0, 1] * 5).cast_column("label", datasets.ClassLabel(names=["old", "new"]))
    assert open_dataset(styled).labels == ("new", "old")


def test_what_cannot_be_used(refused):
    with refused("IterableDataset", "found a stream", "without streaming=True"):
        open_dataset(images().to_iterable_dataset())
    with refused("expected a split train, found test"):
        open_dataset(datasets.DatasetDict(test=images()))
    with refused("expected a column of images, text or numbers, found when"):
        open_dataset(of(when=[None] * 12))
    with refused("float64 (2,) in item 3, as in item 0, found float64 (1,)"):
        open_dataset(of(x=[[0.0, 1.0]] * 3 + [[1.0]] * 3))
