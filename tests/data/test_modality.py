"""Modalities: what a user passes to a run takes the form that readers of data return."""

import re
from functools import partial

import numpy as np
import pytest
import torch

from pushforward.data import open_dataset
from pushforward.data.modality import MODALITIES, modality, modality_of
from pushforward.data.scaling import UnitInterval, Unscaled
from pushforward.data.spec import DataSpec
from pushforward.errors import DataError


@pytest.mark.parametrize("source", ["digits", "ring", "phrases"])
def test_rows_of_the_data_are_taken_as_they_are(source):
    data = open_dataset(source)
    x = data.test.batch(slice(0, 5)).x
    assert torch.equal(modality(data.modality).rows(x, data.shape, data.spec.scaling, data.vocabulary), x)


@pytest.mark.parametrize("shape", [(5, 8, 8, 3), (5, 3, 8, 8)])
def test_images_have_their_channels_first(shape):
    x = torch.randint(0, 256, shape, dtype=torch.uint8)
    rows = modality("image").rows(x, (3, 8, 8), UnitInterval())
    expected = x if shape[1] == 3 else x.permute(0, 3, 1, 2)
    assert torch.equal(rows, expected.float() / 255)


def test_masks_are_black_and_white():
    x = torch.tensor([[[0, 1], [1, 0]]], dtype=torch.uint8)
    assert modality("image").rows(x, (1, 2, 2), UnitInterval(1)).unique().tolist() == [0, 1]


def test_lines_become_tokens():
    data = open_dataset("phrases")
    lines = data.vocabulary.lines(data.test.x[:3])
    rows = modality("text").rows(lines, data.shape, Unscaled(), data.vocabulary)
    assert torch.equal(rows, data.test.x[:3])
    assert torch.equal(
        modality("text").rows(lines[0], data.shape, Unscaled(), data.vocabulary), data.test.x[:1]
    )


def test_lines_may_be_in_an_array():
    data = open_dataset("phrases")
    lines = np.array(data.vocabulary.lines(data.test.x[:3]))
    rows = modality("text").rows(lines, data.shape, Unscaled(), data.vocabulary)
    assert torch.equal(rows, data.test.x[:3])


@pytest.mark.parametrize(
    ("tokens", "found"),
    [
        (1.7, "tokens must be whole numbers"),
        (99_999, "tokens must be from 0 to .*, got 99999 to 99999"),
        (-5, "tokens must be from 0 to .*, got -5"),
    ],
)
def test_tokens_that_there_are_not_are_refused(tokens, found):
    data = open_dataset("phrases")
    with pytest.raises(DataError, match=found):
        modality("text").rows(np.full((1, *data.shape), tokens), data.shape, Unscaled(), data.vocabulary)


def test_what_is_no_unicode_is_refused():
    data = open_dataset("phrases")
    with pytest.raises(DataError, match="line 2: expected Unicode text, found a surrogate"):
        modality("text").rows(["a cat", "\ud800"], data.shape, Unscaled(), data.vocabulary)


@pytest.mark.parametrize("name", ["image", "vector"])
def test_other_rows_are_refused(name):
    with pytest.raises(DataError, match=r"rows must have shape \(1, 8, 8\), got \(3,\)"):
        modality(name).rows(torch.zeros(2, 3), (1, 8, 8), Unscaled())
    with pytest.raises(DataError, match="rows: expected numbers, found text"):
        modality(name).rows(["a", "b"], (1, 8, 8), Unscaled())


def test_errors_are_those_of_the_modality():
    x = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    assert modality("vector").errors(x, torch.zeros(2, 2)).tolist() == [1, 13]
    assert modality("text").errors(x.long(), torch.tensor([[0, 1], [2, 2]])).tolist() == [0, 1]


@pytest.mark.parametrize("source", ["digits", "ring", "phrases"])
def test_a_spec_describes_the_data_and_survives_json(source):
    data = open_dataset(source)
    spec = data.spec
    assert modality_of(data.shape, data.vocabulary).name == spec.modality
    assert (spec.n_train, spec.n_test, spec.range) == (len(data.train), len(data.test), data.range)
    assert spec.example(3).x.shape == (3, *data.shape)
    assert DataSpec.from_json(spec.as_json(), data.vocabulary) == spec


def test_the_variance_is_the_error_of_the_mean_row():
    data = open_dataset("digits")
    x = data.train.batch(slice(0, 10_000)).x.flatten(1).double()
    assert data.spec.variance == pytest.approx((x - x.mean(0)).square().sum(1).mean().item(), rel=1e-5)


def test_the_variance_of_text_is_the_entropy_of_its_tokens():
    """Two tokens, equally often, three of them a line: 3 log 2 nats."""
    x = torch.tensor([[5, 6, 5, 0], [6, 5, 6, 0]])
    assert modality("text").variance(x) == pytest.approx(3 * torch.tensor(2.0).log().item())


@pytest.mark.parametrize(
    ("name", "shape", "row", "channels"),
    [
        ("image", (1, 4, 5), (4, 5), None), ("image", (1, 4, 5), (1, 4, 5), None),
        ("image", (1, 4, 5), (4, 5, 1), None), ("image", (3, 4, 5), (3, 4, 5), None),
        ("image", (3, 4, 5), (4, 5, 3), None), ("image", (2, 4, 5), (4, 5, 2), "last"),
        ("image", (4, 4, 4), (4, 4, 4), "last"), ("vector", (6,), (6,), None),
    ],
)  # fmt: skip
def test_a_single_row_is_a_batch_of_one(name, shape, row, channels):
    x = torch.arange(float(torch.Size(row).numel())).view(row)
    batch = x.view(1, *row)
    rows = partial(modality(name).rows, shape=shape, scaling=Unscaled(), channels=channels)
    assert rows(x).shape == (1, *shape)
    assert torch.equal(rows(x), rows(batch))


@pytest.mark.parametrize(
    ("shape", "given", "message"),
    [
        ((3, 4, 5), (4, 5), "rows must have shape (3, 4, 5), got (5,)"),
        ((1, 4, 5), (5, 4), "rows must have shape (1, 4, 5), got (4,)"),
        ((6,), (5,), "rows must have shape (6,), got a row of shape (5,)"),
    ],
)
def test_a_row_of_another_shape_is_refused(shape, given, message):
    name = "image" if len(shape) == 3 else "vector"
    with pytest.raises(DataError, match=re.escape(message)):
        modality(name).rows(torch.zeros(given), shape, Unscaled())


def test_every_modality_is_listed():
    assert set(MODALITIES) == {"image", "vector", "text", "table"}
