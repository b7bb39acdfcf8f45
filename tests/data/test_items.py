"""Data read item by item: lists of images, and what PyTorch calls map-style."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

import pushforward as pf
from pushforward.data import mapped, open_dataset
from pushforward.data.rows import SelectedRows

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 8, 8), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)


class Items(TorchDataset):
    """A map-style data set of given items."""

    def __init__(self, items, **attributes):
        self.items = list(items)
        vars(self).update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]() if callable(self.items[number]) else self.items[number]


def same(data, array, **options):
    """Whether data are those of an array."""
    other = open_dataset(array, **options)
    assert data.shape == other.shape
    assert data.scaling == other.scaling
    assert torch.equal(data.train.tensor(), other.train.tensor())
    assert torch.equal(data.test.tensor(), other.test.tensor())
    return True


def images(arrays):
    return [Image.fromarray(array) for array in arrays]


# Lists of images


def test_lists_of_images():
    assert same(open_dataset(images(COLOUR)), COLOUR)
    assert same(open_dataset(tuple([images(GREY), np.arange(12) % 3])), GREY)
    assert same(open_dataset({"x": images(GREY), "y": [1, 2] * 6}), {"x": GREY, "y": [1, 2] * 6})


def test_lists_of_images_have_one_size():
    mixed = [Image.new("L", (8, 8), value) for value in range(10)] + [Image.new("RGB", (4, 6), "red")] * 2
    data = open_dataset(mixed)
    assert data.shape == (3, 8, 8)
    assert any("2 of 12 images had another size than 8x8" in note for note in data.notes)
    assert open_dataset(mixed, image_size=4).shape == (3, 4, 4)


def test_training_and_held_out_images_have_one_size():
    data = open_dataset({"x_train": images(COLOUR), "x_test": images(COLOUR[:3, :4])})
    assert len(data.test) == 3
    assert data.shape == (3, 8, 8)


def test_lists_of_other_things_are_refused(refused):
    with refused("expected an image in place 1", "found str"):
        open_dataset([Image.new("L", (8, 8)), "photo.png", Image.new("L", (8, 8))])
    with refused("image 2", "numbers without a known range"):
        open_dataset([*images(GREY[:2]), Image.fromarray(np.zeros((8, 8), np.float32)), *images(GREY[:2])])


# Map-style data sets


@pytest.mark.parametrize(
    "item",
    [
        lambda x, y: (Image.fromarray(x), y),
        lambda x, y: (torch.from_numpy(x).permute(2, 0, 1), torch.tensor(y)),
        lambda x, y: {"image": Image.fromarray(x), "label": y},
        lambda x, y: {"pixel_values": x, "label": np.int64(y), "id": "a"},
        lambda x, y: (x, np.array(y), "more"),
        lambda x, y: [x, y][0],
    ],
)
def test_map_style_data(item):
    y = [number % 3 for number in range(12)]
    data = open_dataset(Items(item(*pair) for pair in zip(COLOUR, y, strict=True)))
    assert same(data, COLOUR)
    if data.train.y is not None:
        assert sorted([*data.train.y.tolist(), *data.test.y.tolist()]) == sorted(y)
        assert data.train.y.tolist() == open_dataset((COLOUR, y)).train.y.tolist()
    assert data.name.startswith("items-")


def test_tensors_from_zero_to_one():
    x = torch.rand(12, 3, 8, 8)
    assert same(open_dataset(TensorDataset(x, torch.arange(12) % 2)), x)
    assert same(open_dataset(Subset(TensorDataset(x), range(3, 12))), x[3:])
    assert same(open_dataset(Items(x.half())), x.half())
    vectors = torch.randn(12, 5, dtype=torch.float64)
    assert same(open_dataset(TensorDataset(vectors)), vectors)


def test_names_of_labels():
    pairs = list(zip(images(GREY), [0, 1, 2] * 4, strict=True))
    assert open_dataset(Items(pairs, classes=["cat", "dog", "owl"])).labels == ("cat", "dog", "owl")
    assert open_dataset(Items(pairs, classes=["cat", "dog"])).labels == ("0", "1", "2")
    named = Items(zip(images(GREY), ["b", "a"] * 6, strict=True))
    assert open_dataset(named).labels == ("a", "b")


def test_labels_that_are_no_labels():
    data = open_dataset(Items((image, {"box": [1, 2]}) for image in images(GREY)))
    assert data.train.y is None
    assert any("labels are not used" in note and "dict" in note for note in data.notes)


def test_the_data_of_a_loader():
    x = torch.rand(12, 4)
    data = open_dataset(DataLoader(TensorDataset(x), batch_size=5, shuffle=True))
    assert same(data, x)
    assert any("DataLoader are not used" in note for note in data.notes)


def test_images_of_other_sizes_and_modes_in_a_data_set():
    mixed = [Image.new("L", (8, 8), value) for value in range(10)] + [Image.new("P", (4, 6))] * 2
    data = open_dataset(Items(mixed))
    assert data.shape == (3, 8, 8)
    assert any("2 of 12 images had another size than 8x8" in note for note in data.notes)
    assert any("2 of 12 images converted from P to RGB" in note for note in data.notes)


def test_streams_are_refused(refused):
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(torch.rand(12, 4))

    for source in (Stream(), DataLoader(Stream())):
        with refused("Stream: expected a data set with len()", "found a stream"):
            open_dataset(source)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([], ["expected items, found none"]),
        ([3, 4, 5, 6], ["expected an image or an array in every item, found one number"]),
        ([np.zeros(3)] * 3 + [np.zeros(4)], ["float64 (3,) in item 3, as in item 0, found float64 (4,)"]),
        ([np.zeros(3, np.uint8)] * 3 + [np.zeros(3)], ["uint8 (3,) in item 3", "found float64"]),
        ([{"sound": 1}] * 4, ["item 0: expected the data under one of image, img", "found sound"]),
        ([np.zeros(3)] * 3 + [lambda: 1 / 0], ["item 3 cannot be read: ZeroDivisionError"]),
        ([Image.new("L", (4, 4))] * 3 + ["x"], ["expected an image in item 3", "found str"]),
        ([["a", "b"]] * 4, ["item 0: expected numbers, found text"]),
    ],
)
def test_bad_items_are_named(items, words, refused):
    with refused("Items", *words):
        open_dataset(Items(items))


# More than fits into memory


@pytest.fixture
def everything_lazy(monkeypatch):
    monkeypatch.setattr(mapped, "SHARE", 0.0)


@pytest.mark.usefixtures("everything_lazy")
@pytest.mark.parametrize("make", [images, torch.from_numpy, lambda x: torch.from_numpy(x) / 255])
def test_items_that_do_not_fit_are_read_as_they_are_needed(make, monkeypatch):
    pairs = [(x, number % 2) for number, x in enumerate(make(GREY))]
    data = open_dataset(Items(pairs))
    assert isinstance(data.train.x, SelectedRows)
    monkeypatch.setattr(mapped, "SHARE", 0.2)
    inside = open_dataset(Items(pairs))
    assert isinstance(inside.train.x, torch.Tensor)
    assert data.fingerprint == inside.fingerprint
    assert torch.equal(data.train.batch(torch.tensor([4, 2])).x, inside.train.batch(torch.tensor([4, 2])).x)
    assert torch.equal(data.train.y, inside.train.y)


@pytest.mark.usefixtures("everything_lazy")
def test_random_items_that_do_not_fit_are_refused(refused):
    with refused("item 0 differs each time it is read"):
        open_dataset(Items([lambda: torch.rand(4)] * 12))


@pytest.mark.usefixtures("everything_lazy")
def test_a_late_colour_among_grey_items(refused):
    items = [Image.new("L", (4, 4))] * 201 + [Image.new("RGB", (4, 4), "red")]
    with refused("expected a grey image in item 201, found one in colour"):
        open_dataset(Items(items))


def test_a_run_on_items(tmp_path):
    data = Items(zip(images(GREY), [0, 1] * 6, strict=True))
    run = pf.train("vae", data, out=tmp_path / "run", steps=2, batch_size=4, progress=False)
    assert run.sample(2).shape == (2, 1, 8, 8)
    again = pf.train("vae", data, out=tmp_path / "run", steps=2, batch_size=4, progress=False)
    assert again.step == 2
    assert pf.load(run.path, data=data).evaluate(metrics=["reconstruction"])
