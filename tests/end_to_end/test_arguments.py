"""Arguments of Python: numbers of numpy, devices, labels and frames are taken, or refused in one line."""

import json
import re

import numpy as np
import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward import metrics
from pushforward.errors import ConfigError, DataError, PushforwardError

X = np.random.default_rng(0).random((60, 6)).astype(np.float32)
QUICK = {"steps": 2, "latent_dim": 2, "progress": False}


class Frame:
    """What a table of pandas or polars is to numpy."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A conditional run on rows whose classes have names."""
    data = {"x": X, "y": ["cat", "dog", "cow"] * 20}
    return pf.train("wae-mmd", data, out=tmp_path_factory.mktemp("named"), conditional=True, **QUICK)


def test_numbers_of_numpy_and_torch_are_options(tmp_path):
    options = {
        "latent_dim": np.int64(2), "weight": np.float32(1), "prior_std": torch.tensor(1.0),
        "kernel": np.str_("imq"),
        "seed": np.uint8(1), "steps": np.int32(2), "batch_size": np.array(20), "conditional": np.bool_(False),
    }  # fmt: skip
    run = pf.train("wae-mmd", X, out=tmp_path, progress=False, **options)
    assert run.config["resolved"]["latent_dim"] == 2
    assert json.loads((tmp_path / "config.json").read_text())["budget"]["steps"] == 2
    assert run.sample(np.int64(3), seed=np.int64(1)).shape == (3, 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": np.float32(2.5)}, "latent_dim must be a whole number, got 2.5"),
        ({"conditional": np.int64(1)}, "conditional must be True or False, got 1"),
        ({"steps": None, "epochs": "many"}, "epochs must be a number, got 'many'"),
        ({"steps": None, "minutes": True}, "minutes must be a number, got True"),
        ({"device": None}, "device must be a name such as 'cpu' or a torch.device, got None"),
        ({"device": "meta"}, "device 'meta' cannot be used"),
        ({"device": torch.device("meta")}, "device 'meta' cannot be used"),
        ({"prior": object()}, "prior must be a name or a Prior, got object"),
    ],
)
def test_values_that_cannot_be(tmp_path, options, message):
    recipe = "wae" if "prior" in options else "wae-mmd"
    with pytest.raises(ConfigError, match=re.escape(message)):
        pf.train(recipe, X, out=tmp_path / "run", **(QUICK | options))
    assert not (tmp_path / "run").exists()


def test_a_device_may_be_an_object(tmp_path):
    run = pf.train("wae-mmd", X, out=tmp_path, device=torch.device("cpu"), **QUICK)
    assert run.config["device"] == "cpu"
    assert pf.load(tmp_path, device=torch.device("cpu")).sample(1).shape == (1, 6)
    assert pf.resume(tmp_path, data=X, device=torch.device("cpu"), progress=False).step == 2


def test_a_run_from_another_device_goes_on(tmp_path, monkeypatch):
    """The device that is asked for wins; a device that is not there is replaced, with a warning."""
    usable = torch.Tensor.to

    def to(x, *where, **named):
        return usable(x, *("cpu" if str(place) == "xpu:9" else place for place in where), **named)

    monkeypatch.setattr(torch.Tensor, "to", to)
    pf.train("wae-mmd", X, out=tmp_path, device="xpu:9", **QUICK)
    monkeypatch.undo()
    assert pf.train("wae-mmd", X, out=tmp_path, device="cpu", **QUICK).step == 2
    with pytest.warns(UserWarning, match="'xpu:9' cannot be used.*goes on on cpu"):
        assert pf.resume(tmp_path, data=X, progress=False).step == 2


def test_resuming_with_an_option_is_refused(named):
    with pytest.raises(ConfigError, match="keeps the options that it began with, got lr"):
        pf.resume(named.path, data={"x": X, "y": ["cat", "dog", "cow"] * 20}, lr=0.1, progress=False)


def test_labels_are_numbers_or_names(named):
    numbers = named.encode(X[:3], y=[0, 2, -1])
    names = named.config["data"]["classes"]
    assert torch.equal(numbers[:2], named.encode(X[:2], y=[names[0], names[2]]))
    assert torch.equal(numbers[:2], named.encode(X[:2], y=np.array([names[0], names[2]])))
    assert torch.equal(numbers[:2], named.encode(X[:2], y=Frame([0.0, 2.0])))
    assert named.interpolate(X[:1], X[1:2], steps=2, y=["dog"]).shape == (1, 2, 6)
    assert named.traverse(X[:1], steps=2, y=["dog"])[0].shape[1:] == (2, 6)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([7], "labels must be from 0 to 2, -1 for unknown, or names of classes, got 7"),
        ([-2], "got -2"),
        (["cot"], "unknown label 'cot': did you mean 'cow'?"),
        ([0.5], "labels must be whole numbers, or names of classes, got [0.5]"),
        ([float("nan")], "labels must be whole numbers, or names of classes, got [nan]"),
        ([None], "labels must be whole numbers, or names of classes, got [None]"),
        ([0, 1], "y must have shape (1,), one label a row, got (2,)"),
    ],
)
def test_labels_that_there_are_not(named, y, message):
    for question in (lambda: named.encode(X[:1], y=y), lambda: named.decode(torch.zeros(1, 2), y=y)):
        with pytest.raises(PushforwardError, match=re.escape(message)):
            question()


def test_frames_and_odd_arrays_are_rows(named):
    expected = named.encode(X[:2], y=[0, 1])
    assert torch.equal(named.encode(Frame(X[:2]), y=[0, 1]), expected)
    assert torch.allclose(named.encode(X[1::-1], y=[1, 0]).flip(0), expected)
    assert torch.equal(named.decode(Frame(expected), y=[0, 1]), named.decode(expected, y=[0, 1]))
    assert named.encode(X[:0], y=[]).shape == (0, 2)
    assert named.reconstruct(X[:0], y=[]).shape == (0, 6)


@pytest.mark.parametrize(
    "rows", [object(), None, [[1, 2], [3]], X.astype(complex), Frame([["a"] * 6]), np.array([[None] * 6])]
)
def test_what_is_no_numbers_is_refused(named, rows):
    with pytest.raises(DataError, match="expected"):
        named.encode(rows, y=[0])
    with pytest.raises(DataError, match="expected"):
        named.decode(rows, y=[0])


@pytest.mark.parametrize(
    "name", ["frechet", "kid", "prdc", "wasserstein", "sliced_wasserstein", "classifier_test"]
)
def test_metrics_take_arrays(name):
    metric = getattr(metrics, name)
    made, given = X[:30].astype(float), X[30:].astype(float)
    assert metric(made, Frame(given)) == metric(torch.from_numpy(made), torch.from_numpy(given))
    with pytest.raises(DataError, match="expected an array of numbers, got one of <U1"):
        metric(np.full((30, 6), "a"), given)


@pytest.mark.parametrize("discrepancy", [pf.MMD(pf.IMQ(1.0)), pf.JensenShannon(nn.Linear(2, 1))])
def test_samples_of_different_widths_are_refused(discrepancy):
    for other in (torch.zeros(4, 3), torch.zeros(0, 2)):
        with pytest.raises(DataError, match=r"rows of one shape, got samples \(4, 2\) and"):
            discrepancy(torch.zeros(4, 2), other)


class Constant(nn.Module):
    """A critic that does not look."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.value.expand(len(x), 1)


def test_a_constant_critic_has_slope_0_and_trains_nothing(tmp_path):
    penalty = pf.GradientPenalty(weight=10.0)
    x = torch.zeros(4, 2)
    assert penalty.penalties(Constant(), x, x, pf.Noise(0))["penalty"] == 10
    with pytest.raises(ConfigError, match="the model's loss depends on none of its parameters"):
        pf.train("wgan-gp", X, out=tmp_path, critic=Constant(), steps=2, progress=False)
