"""dSprites' file, in small: the same layout with fewer values of each factor."""

import math
import pickle
import zipfile

import numpy as np
import pytest
import torch

from pushforward.data import dsprites, open_dataset

SIZES = (1, 3, 2, 4, 3, 2)
ROWS = math.prod(SIZES)


@pytest.fixture
def arrays(monkeypatch):
    """What the file holds; the first eight pixels of row r are r in bits. The metadata must not be read."""
    monkeypatch.setattr(dsprites, "SIZES", SIZES)
    monkeypatch.setattr(dsprites, "CHUNK", 13)
    imgs = np.zeros((ROWS, 64, 64), np.uint8)
    imgs[:, 0, :8] = np.unpackbits(np.arange(ROWS, dtype=np.uint8)[:, None], axis=1)
    classes = np.stack(np.unravel_index(np.arange(ROWS), SIZES), 1)
    return {
        "metadata": np.array({"title": "dSprites"}, dtype=object),
        "imgs": imgs,
        "latents_classes": classes.astype(np.int64),
        "latents_values": classes.astype(np.float64),
    }


def put(folder, arrays):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / dsprites.FILE
    np.savez_compressed(path, **arrays)
    return path


def numbers(x):
    return np.packbits((x[:, 0, 0, :8] == 255).numpy(), axis=1)[:, 0]


@pytest.mark.parametrize("place", ["dsprites", "."])
def test_dsprites(tmp_path, arrays, place, monkeypatch):
    put(tmp_path / place, arrays)
    monkeypatch.setattr(pickle, "load", None)
    data = open_dataset("dsprites", data_dir=tmp_path)
    assert (data.name, data.source, data.in_unit_interval, data.shape) == (
        "dsprites",
        "dsprites",
        True,
        (1, 64, 64),
    )
    assert (len(data.train), len(data.test)) == (130, 14)
    assert data.classes == ("square", "ellipse", "heart")
    assert data.factors == ("shape", "scale", "orientation", "x", "y")
    for split in (data.train, data.test):
        assert np.array_equal(split.factors.numpy(), arrays["latents_classes"][numbers(split.x), 1:])
        assert torch.equal(split.y, split.factors[:, 0])
        assert split.x.unique().tolist() == [0, 255]
        assert not split.x[:, :, 1:].any()
    assert sorted([*numbers(data.train.x), *numbers(data.test.x)]) == list(range(ROWS))
    assert "no checksum" in data.notes[0]


def test_of_another_size(tmp_path, arrays):
    put(tmp_path, arrays)
    data = open_dataset("dsprites", data_dir=tmp_path, image_size=32)
    assert (data.shape, data.train.factors.shape) == ((1, 32, 32), (130, 5))


def test_it_is_got_by_hand(tmp_path, refused):
    with refused(dsprites.FILE, tmp_path / "dsprites", "by hand", "github.com/google-deepmind", "'sprites'"):
        open_dataset("dsprites", data_dir=tmp_path)


def changed(**arrays):
    return lambda found: {**found, **{name: change(found[name]) for name, change in arrays.items()}}


def without(name):
    return lambda found: {key: value for key, value in found.items() if key != name}


def swapped(classes):
    return classes[[0, 2, 1, *range(3, ROWS)]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("imgs"), ["expected imgs", "found metadata.npy, latents_classes.npy"]),
        (without("latents_classes"), ["expected latents_classes"]),
        (changed(imgs=lambda x: x[:-1]), ["imgs", "uint8 (144, 64, 64)", "(143, 64, 64)"]),
        (changed(imgs=lambda x: x.astype(np.int64)), ["expected uint8", "found int64"]),
        (changed(imgs=np.asfortranarray), ["by columns"]),
        (changed(imgs=lambda x: x * 255), ["bytes 0 and 1", "found 255"]),
        (changed(imgs=lambda x: x.astype(object)), ["expected uint8", "found object"]),
        (changed(latents_classes=lambda y: y[:, 1:]), ["latents_classes", "(144, 6)", "(144, 5)"]),
        (changed(latents_classes=swapped), ["in their order", "0, 0, 0, 1] in row 1", "0, 0, 1, 0]"]),
    ],
)
def test_other_contents(tmp_path, arrays, change, words, refused):
    path = put(tmp_path, change(arrays))
    with refused(path, *words):
        open_dataset("dsprites", data_dir=tmp_path)


@pytest.mark.parametrize("cut", [0, 100, -100])
def test_a_file_that_was_cut(tmp_path, arrays, cut, refused):
    path = put(tmp_path, arrays)
    path.write_bytes(path.read_bytes()[:cut])
    with refused(path, "damaged or not readable"):
        open_dataset("dsprites", data_dir=tmp_path)


def test_a_bit_that_was_turned(tmp_path, arrays, refused):
    """The archive's sum of the images is checked, though they are read in parts."""
    path = tmp_path / dsprites.FILE
    np.savez(path, **arrays)  # not packed, so that a bit of the images is a bit of the file
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("imgs.npy").header_offset
    content[start + 50_000] ^= 1
    path.write_bytes(content)
    with refused(path, "damaged or not readable", "CRC"):
        open_dataset("dsprites", data_dir=tmp_path)


def test_images_that_end_too_soon_or_too_late(tmp_path, arrays, refused):
    """A header may say what is not there."""
    path = put(tmp_path, arrays)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for change, word in ((lambda read: read[:-1], "found fewer"), (lambda read: read + b"\0", "found more")):
        with zipfile.ZipFile(path, "w") as archive:
            for name, read in members.items():
                archive.writestr(name, change(read) if name == "imgs.npy" else read)
        with refused(path, "expected 144 images", word):
            open_dataset("dsprites", data_dir=tmp_path)
