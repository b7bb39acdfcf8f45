"""Factors of variation stay with their rows; data without any are what they were."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pushforward.data import Dataset, Split, open_dataset
from pushforward.rng import Noise


def world(rows=6):
    """Images whose rows are identified by their factors: value 10 a + b."""
    factors = torch.cartesian_prod(torch.arange(2), torch.arange(rows))
    x = (10 * factors[:, 0] + factors[:, 1]).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    whole = Split(x.contiguous(), factors[:, 0].clone(), factors)
    parts = (whole.rows(part) for part in (torch.arange(rows), torch.arange(rows, 2 * rows)))
    return Dataset("world", *parts, in_unit_interval=True, factors=("a", "b"))


def assert_belong(split):
    assert torch.equal(split.x[:, 0, 0, 0].long(), 10 * split.factors[:, 0] + split.factors[:, 1])


def test_factors_follow_their_rows():
    data = world()
    assert_belong(data.train)
    chosen = data.train.rows(torch.tensor([4, 0, 4]))
    assert chosen.factors[:, 1].tolist() == [4, 0, 4]
    assert_belong(chosen)
    assert data.train.rows(torch.tensor([True, False, False, False, False, True])).factors.shape == (2, 2)


@pytest.mark.parametrize("size", [2, 4, 8, (3, 6)])
def test_factors_survive_resizing_and_notes(size):
    data = open_dataset(world(), image_size=size).noted("a note")
    assert data.factors == ("a", "b")
    assert_belong(data.train)
    assert_belong(data.test)


def test_batches_are_data_and_labels_alone():
    data = world()
    for batch in (data.train.batch(slice(0, 2)), data.train.subsample(2, Noise(0))):
        assert batch._fields == ("x", "y")


def test_fingerprints_of_data_without_factors_stay():
    """Runs keep them: these were printed before there were factors."""
    x, y = torch.arange(12, dtype=torch.uint8).view(4, 3), torch.tensor([0, 1])
    labelled = Dataset("t", Split(x[:2], y), Split(x[2:], y.flip(0)), in_unit_interval=True)
    assert labelled.fingerprint == "fff0dc33b7b04ea44f37f61b63bce0d703ec54113c0cc1e3d7ec5b098d5f4ef2"
    bare = Dataset("t", Split(x[:2]), Split(x[2:]), in_unit_interval=True)
    assert bare.fingerprint == "926d20baf72d216453163720feef85b5f0acab63592dd5823e3e900f6bd9cb03"


@pytest.mark.parametrize("part", ["train", "test"])
def test_fingerprints_see_factors(part):
    data = world()
    split = getattr(data, part)
    other = replace(data, **{part: replace(split, factors=split.factors + 1)})
    none = replace(
        data, train=replace(data.train, factors=None), test=replace(data.test, factors=None), factors=None
    )
    assert len({data.fingerprint, other.fingerprint, none.fingerprint}) == 3


def test_names_and_values_must_fit(refused):
    data = world()
    with refused("world", "factors a, b, c of 6 rows as torch.int64 (6, 3)", "found torch.int64 (6, 2)"):
        replace(data, factors=("a", "b", "c"))
    with refused("world", "expected names for factors of shape (6, 2)", "found none"):
        replace(data, factors=None)
    with refused("factors a, b of 6 rows", "found none"):
        replace(data, test=replace(data.test, factors=None))
    with refused("of 6 rows", "found torch.int64 (5, 2)"):
        replace(data, train=replace(data.train, factors=data.train.factors[:5]))
    with refused("torch.int64 (6, 2)", "found torch.float32 (6, 2)"):
        replace(data, train=replace(data.train, factors=data.train.factors.float()))


def test_other_sources_have_none():
    assert open_dataset("digits").factors is None
    assert open_dataset({"x": np.eye(9), "y": np.arange(9)}).train.factors is None
