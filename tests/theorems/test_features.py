"""Features: their values, their hashes, and that no half-written classifier is used."""

import hashlib
import json
import sys
import types

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pushforward.data import Dataset, Split, open_dataset
from pushforward.errors import CheckpointError, ConfigError, DataError
from pushforward.features.base import PCA, Module, Pixels, extract
from pushforward.features.classifier import (
    classifier_folder,
    classifier_of,
    load_classifier,
    save_classifier,
    train_classifier,
)
from pushforward.features.open import open_features


def rows(n=60, d=5, classes=3):
    y = torch.arange(n) % classes
    x = torch.randn(n, d) + 3 * nn.functional.one_hot(y, d)
    return Dataset(
        "toy", Split(x[: n // 2], y[: n // 2]), Split(x[n // 2 :], y[n // 2 :]), in_unit_interval=False
    )


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(1)
    data = rows(400)
    return data, train_classifier(data, steps=60)


# ------------------------------------------------------------------------------------------- PCA


def test_pca_directions_are_eigenvectors():
    """They are orthogonal, diagonalise the covariance in the order of variances, whose mean is 1."""
    data = rows(2000, 6)
    pca = PCA.of(data, 3)
    x = data.train.x
    made = pca(x)
    largest = torch.linalg.eigvalsh(x.T.cov()).flip(0)[:3]
    scale = largest.mean()
    torch.testing.assert_close(pca.directions.T @ pca.directions, torch.eye(3) / scale, atol=1e-5, rtol=0)
    torch.testing.assert_close(made.T.cov(), (largest / scale).diag(), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(made.mean(0), torch.zeros(3), atol=1e-4, rtol=0)


def test_all_directions_keep_distances():
    data = rows(100, 4)
    made = PCA.of(data)(data.test.x)
    assert made.shape == (50, 4)
    before, after = (torch.pdist(x) for x in (data.test.x, made))
    torch.testing.assert_close(after / after.mean(), before / before.mean(), atol=1e-4, rtol=0)


def test_rows_without_variance():
    x = torch.ones(10, 3)
    with pytest.raises(DataError, match="all rows are equal"):
        PCA.of(Dataset("flat", Split(x), Split(x), in_unit_interval=True))


# ------------------------------------------------------------------------------------ classifier


def test_it_learns_and_its_probabilities_come_from_its_features(small):
    data, model = small
    assert model.about.accuracy > 0.9
    features = model(data.test.x)
    probabilities = model.probabilities(features)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(features)))
    assert (probabilities.argmax(1) == data.test.y).float().mean().item() == pytest.approx(
        model.about.accuracy
    )


def test_it_is_a_function_of_data_seed_and_steps(small):
    data, model = small
    assert train_classifier(data, steps=60).sha256 == model.sha256
    assert train_classifier(data, seed=1, steps=60).sha256 != model.sha256


def test_it_is_kept_whole(small, tmp_path):
    data, model = small
    save_classifier(model, tmp_path)
    again = load_classifier(tmp_path)
    assert again.about == model.about
    assert again.card() == model.card()
    assert torch.equal(again(data.test.x), model(data.test.x))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classifier.json", "weights.safetensors"]


def test_damage_is_seen(small, tmp_path):
    _, model = small
    with pytest.raises(CheckpointError, match="holds no classifier"):
        load_classifier(tmp_path)
    save_classifier(model, tmp_path)
    place = tmp_path / "weights.safetensors"
    content = bytearray(place.read_bytes())
    content[-1] ^= 1
    place.write_bytes(content)
    with pytest.raises(CheckpointError, match="weights are damaged: sha256 should be"):
        load_classifier(tmp_path)
    place.write_bytes(content[:100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_classifier(tmp_path)
    about = json.loads((tmp_path / "classifier.json").read_text())
    (tmp_path / "classifier.json").write_text(json.dumps({**about, "shape": "five"}))
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_classifier(tmp_path)


def test_the_kept_one_is_used_and_a_damaged_one_replaced():
    data = rows(40)
    first = classifier_of(data)
    place = classifier_folder(data) / "weights.safetensors"
    before = place.stat().st_mtime_ns
    assert classifier_of(data).sha256 == first.sha256
    assert place.stat().st_mtime_ns == before
    place.write_bytes(b"")
    with pytest.warns(UserWarning, match="training it again"):
        assert classifier_of(data).sha256 == first.sha256


def test_no_labels_no_classifier():
    data = open_dataset(torch.rand(20, 3))
    with pytest.raises(DataError, match="has no labels for a classifier; take features='pca' or 'pixels'"):
        train_classifier(data)
    one = Dataset(
        "one",
        Split(torch.rand(9, 2), torch.zeros(9).long()),
        Split(torch.rand(9, 2), torch.zeros(9).long()),
        True,
    )
    with pytest.raises(DataError, match="labels of at least 2 classes, one has 1"):
        train_classifier(one)


def test_unknown_labels_are_left_out():
    """A row labelled -1 neither teaches nor counts."""
    torch.manual_seed(2)
    data = rows(200)
    x, y = data.train.x.clone(), data.train.y.clone()
    x[::2], y[::2] = 1e3, -1
    holed = Dataset("holed", Split(x, y), data.test, in_unit_interval=False)
    known = Dataset("known", Split(x[1::2], y[1::2]), data.test, in_unit_interval=False)
    assert train_classifier(holed, steps=50).about.accuracy > 0.8
    assert train_classifier(known, steps=50).about.accuracy > 0.8


# -------------------------------------------------------------------------------------- the door


def test_what_opens():
    data = rows()
    assert isinstance(open_features("pixels", data), Pixels)
    assert isinstance(open_features("auto", open_dataset(torch.rand(20, 3))), PCA)
    assert open_features("auto", data).name == "classifier"
    own = open_features(nn.Linear(5, 2), data)
    assert isinstance(own, Module)
    assert own.card()["name"] == "Linear"
    assert open_features(own, data) is own
    with pytest.raises(ConfigError, match=r"unknown features 'pac': did you mean 'pca'\?"):
        open_features("pac", data)


def test_another_data_sets_classifier(small, tmp_path):
    save_classifier(small[1], tmp_path)
    assert open_features(str(tmp_path), small[0]).sha256 == small[1].sha256
    with pytest.raises(DataError, match=r"is for rows of shape \(5,\), .* has \(1, 8, 8\)"):
        open_features(tmp_path, open_dataset("digits"))


def test_hash_is_that_of_weights_and_names():
    net = nn.Linear(2, 1)
    digest = hashlib.sha256(repr(Module(net)).encode())
    for name in ("module.bias", "module.weight"):
        value = net.state_dict()[name.removeprefix("module.")]
        digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode() + value.numpy().tobytes())
    assert Module(net).sha256 == digest.hexdigest()
    before = Module(net).sha256
    with torch.no_grad():
        net.weight[0, 0] += 1
    assert Module(net).sha256 != before
    assert Module(nn.AvgPool2d(2)).sha256 != Module(nn.AvgPool2d(4)).sha256
    assert len(Module(nn.Linear(2, 1).bfloat16()).sha256) == 64


def test_modules_are_put_into_evaluation_mode():
    """Dropout and BatchNorm neither draw nor learn in evaluation, and are as they were afterwards."""
    module = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout())
    features = Module(module)
    x = torch.randn(20, 4)
    before = features.sha256
    assert torch.equal(extract(features, iter([x])), extract(features, iter(x.split(7))))
    assert features.sha256 == before
    assert module.training


def test_sorted_rows_are_mixed():
    """The directions of files that lie class by class are those of all classes."""
    x = torch.randn(20_000, 3) * 0.01
    x[:10_000, 0] += torch.randn(10_000)
    x[10_000:, 1] += 5 * torch.randn(10_000)
    data = Dataset("sorted", Split(x), Split(x[:10]), in_unit_interval=False)
    assert PCA.of(data, 1).directions.abs().argmax() == 1


def test_labels_on_one_side_alone():
    x, y = torch.rand(20, 3), torch.arange(20) % 2
    assert open_features("auto", Dataset("half", Split(x, y), Split(x), in_unit_interval=True)).name == "pca"


def test_inception_wants_images_of_a_known_range():
    with pytest.raises(DataError, match="the values of toy are real numbers"):
        open_features("inception", rows())


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Linear(3, 2), r"features 'Linear' fail on rows of shape \(5,\)"),
        (nn.Unflatten(0, (2, 2)), r"features 'Unflatten' must make \(N, D\) of 4 rows, got \(2, 10\)"),
    ],
)
def test_modules_that_do_not_fit(module, words):
    with pytest.raises(ConfigError, match=words):
        extract(Module(module), iter([torch.rand(4, 5)]))


def test_extraction_comes_in_parts():
    x = torch.rand(10, 4)
    torch.testing.assert_close(extract(Pixels(), iter(x.split(3))), x)


def test_inception_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(ConfigError, match=r"need torch-fidelity .*pip install 'pushforward\[inception\]'"):
        open_features("inception", open_dataset("digits"))


class Fake(nn.Module):
    """torch-fidelity's extractor as far as we use it."""

    def __init__(self, name, features_list):
        super().__init__()
        assert features_list == ["2048", "logits_unbiased"]
        self.fc = nn.Linear(3, 4)
        self.load_state_dict(theirs.load_state_dict_from_url("https://nowhere"))

    def forward(self, x):
        assert x.dtype == torch.uint8
        assert x.shape[1] == 3
        pooled = x.float().mean((2, 3))
        return pooled, pooled @ self.fc.weight.T


theirs = types.ModuleType("torch_fidelity.feature_extractor_inceptionv3")
theirs.FeatureExtractorInceptionV3 = Fake
theirs.load_state_dict_from_url = None


def offline(*_, **__):
    raise OSError("no network")


@pytest.fixture
def inception(monkeypatch):
    package = types.ModuleType("torch_fidelity")
    package.feature_extractor_inceptionv3 = theirs
    monkeypatch.setitem(sys.modules, "torch_fidelity", package)
    monkeypatch.setitem(sys.modules, theirs.__name__, theirs)
    monkeypatch.setattr(theirs, "load_state_dict_from_url", offline)


def test_inception_from_a_file(inception, tmp_path):
    """Weights come from safetensors; images of [0, 1] become bytes of three channels."""
    net = nn.Linear(3, 4)
    place = tmp_path / "weights.safetensors"
    save_file({"fc.weight": net.weight.data, "fc.bias": net.bias.data}, place)
    digits = open_dataset("digits")
    features = open_features(place, digits)
    x = digits.test.batch(slice(0, 5)).x
    made = features(x)
    expected = (x * 255).round().mean((2, 3)).expand(-1, 3)
    torch.testing.assert_close(made, expected)
    torch.testing.assert_close(features.probabilities(made), (made @ net.weight.T).softmax(1))
    assert features.card()["name"] == "inception-v3 (FID weights)"
    assert "299x299" in features.card()["resize"]
    with pytest.raises(DataError, match=r"images of 1 or 3 channels, got rows of shape \(5,\)"):
        features(torch.rand(2, 5))


def test_inception_without_weights(inception, tmp_path):
    digits = open_dataset("digits")
    with pytest.raises(ConfigError, match=r"give features the path of a .safetensors file .*no network"):
        open_features("inception", digits)
    with pytest.raises(DataError, match="cannot be read as safetensors"):
        open_features(tmp_path / "nothing.safetensors", digits)
    save_file({"other": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="does not hold the weights of Inception"):
        open_features(tmp_path / "other.safetensors", digits)
