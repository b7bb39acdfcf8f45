"""The catalogue: idx files, CIFAR's binary archive, CelebA's layout; absent, damaged, by hand."""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch
from PIL import Image

from pushforward.data import CATALOGUE, cifar, hold_out, idx, open_dataset

RNG = np.random.default_rng(0)


def test_every_entry_has_one_line():
    read = {"digits", "mnist", "fashion-mnist", "cifar10", "celeba", "dsprites", "stacked-mnist"}
    read |= {"shakespeare", "bible", "captions"}
    made = {"fading-squares", "sprites", "ring", "grid", "swiss-roll", "petals", "phrases"}
    assert set(CATALOGUE) == read | made
    assert all(entry.description and "\n" not in entry.description for entry in CATALOGUE.values())


# Digits


def test_digits():
    from sklearn.datasets import load_digits

    data = open_dataset("digits")
    assert (data.shape, len(data.train), len(data.test)) == ((1, 8, 8), 1438, 359)
    assert (data.name, data.source, data.in_unit_interval, len(data.classes)) == (
        "digits",
        "digits",
        True,
        10,
    )
    assert (data.train.x.min(), data.train.x.max()) == (0, 1)
    test = hold_out(1797, 0.2)[1]
    assert np.array_equal(data.test.y.numpy(), load_digits().target[test])
    assert np.array_equal(data.test.x[:, 0].numpy(), load_digits().images[test] / 16)
    assert set(data.test.y.tolist()) == set(range(10))


def test_digits_of_another_size():
    assert open_dataset("digits", image_size=16).shape == (1, 16, 16)


# Sources that are none


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("minst", ["'minst'", "did you mean 'mnist'?", "celeba, cifar10", "a source is", ".npz"]),
        ("Fashion_MNIST", ["did you mean 'fashion-mnist'?"]),
        ("minst/", ["'minst/' does not exist: there is no 'minst' in ", str(Path.cwd())]),
        ("photos/rows.npy", ["'photos/rows.npy' does not exist: there is no 'photos' in "]),
        (Path("nowhere"), ["'nowhere' does not exist"]),
        ("x" * 5000, ["no file or folder"]),
        ("a\0b", ["no file or folder"]),
        (7, ["expected data, found int", "a source is"]),
        (None, ["found NoneType"]),
    ],
)
def test_unknown_sources(source, words, refused):
    with refused(*words):
        open_dataset(source)


def test_a_path_that_does_not_exist_is_looked_for_in_its_folder(tmp_path, refused):
    (tmp_path / "rows.npy").touch()
    with refused(f"there is no 'row.npy' in {tmp_path}; did you mean 'rows.npy'?") as raised:
        open_dataset(tmp_path / "row.npy")
    assert "catalogue" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.zip", ["archive", "unzip"]), ("a.tar", ["archive"]), ("a.pt", ["expected a .npy"]), ("a", [".npz"])],
)
def test_other_files(tmp_path, name, words, refused):
    (tmp_path / name).write_bytes(b"PK")
    with refused(tmp_path / name, *words):
        open_dataset(tmp_path / name)


def test_a_name_goes_before_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    for name in "abcd":
        Image.new("L", (4, 4)).save(tmp_path / "digits" / f"{name}.png")
    assert open_dataset("digits").shape == (1, 8, 8)
    assert "write './digits'" in open_dataset("digits").notes[0]
    assert open_dataset("./digits").shape == (1, 4, 4)


# MNIST's format


def idx_file(x):
    return bytes([0, 0, 8, x.ndim]) + np.array(x.shape, ">u4").tobytes() + x.tobytes()


@pytest.fixture
def tiny(monkeypatch):
    """MNIST of four and three images: the files by name."""
    shapes = [(4, 28, 28), (4,), (3, 28, 28), (3,)]
    names = [name for name, _ in idx.FILES]
    arrays = [RNG.integers(0, 10, shape, dtype=np.uint8) for shape in shapes]
    files = {name: idx_file(x) for name, x in zip(names, arrays, strict=True)}
    within = tuple(hashlib.md5(content).hexdigest() for content in files.values())
    monkeypatch.setattr(idx, "FILES", tuple(zip(names, shapes, strict=True)))
    for source in (idx.MNIST, idx.FASHION):
        small = replace(CATALOGUE[source.name], open=small_idx(replace(source, within=within)))
        monkeypatch.setitem(CATALOGUE, source.name, small)
    return files, arrays


def small_idx(source):
    return lambda options: idx.open_idx(source, options.folder)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mnist", "mnist"),
        ("mnist", "mnist/raw"),
        ("mnist", "MNIST/raw"),
        ("mnist", "."),
        ("fashion-mnist", "fashion-mnist"),
        ("fashion-mnist", "FashionMNIST/raw"),
    ],
)
def test_idx_files_are_found(tmp_path, tiny, name, place, packed):
    files, (train_x, train_y, test_x, test_y) = tiny
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        path = tmp_path / place / (f"{file}.gz" if packed else file)
        path.write_bytes(gzip.compress(content) if packed else content)
    data = open_dataset(name, data_dir=tmp_path)
    assert np.array_equal(data.train.x[:, 0].numpy(), train_x)
    assert np.array_equal(data.test.x[:, 0].numpy(), test_x)
    assert data.train.y.tolist() == train_y.tolist()
    assert data.test.y.tolist() == test_y.tolist()
    assert (data.name, data.source, len(data.classes), data.in_unit_interval) == (name, name, 10, True)
    assert data.train.x.dtype == torch.uint8


def test_the_environment_says_where(tmp_path, tiny, monkeypatch):
    for file, content in tiny[0].items():
        (tmp_path / file).write_bytes(content)
    monkeypatch.setenv("PUSHFORWARD_DATA", str(tmp_path))
    assert len(open_dataset("mnist").train) == 4


def test_the_cache_is_the_last_resort(tmp_path, tiny, monkeypatch):
    for file, content in tiny[0].items():
        (tmp_path / file).write_bytes(content)
    monkeypatch.setenv("PUSHFORWARD_DATA", "")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path)
    assert len(open_dataset("mnist").train) == 4


def test_a_data_folder_that_is_a_file(tmp_path, refused):
    (tmp_path / "file").write_text("")
    with refused(tmp_path / "file", "found a file"):
        open_dataset("mnist", data_dir=tmp_path / "file")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_changed_idx_files_are_refused(tmp_path, tiny, name, refused):
    files, _ = tiny
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    first = "t10k-images-idx3-ubyte"
    changed = bytearray(files[first])
    changed[-1] ^= 1
    (tmp_path / first).write_bytes(changed)
    expected, found = (hashlib.md5(content).hexdigest() for content in (files[first], changed))
    with refused(tmp_path / first, "damaged", f"md5 {expected}", f"found {found}"):
        open_dataset(name, data_dir=tmp_path)


@pytest.mark.parametrize("cut", [0, 10, -5])
def test_damaged_gz_files_are_refused(tmp_path, tiny, cut, refused):
    for file, content in tiny[0].items():
        (tmp_path / f"{file}.gz").write_bytes(gzip.compress(content))
    bad = tmp_path / "train-images-idx3-ubyte.gz"
    bad.write_bytes(bad.read_bytes()[:cut])
    with refused(bad, "damaged"):
        open_dataset("mnist", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["begins 00 00 08", "found"]),
        (b"\x1f\x8b\x08\x00", ["found 1f 8b 08"]),
        (bytes([0, 0, 0x0D, 1, 0, 0, 0, 1, 0, 0, 0, 0]), ["idx file of bytes", "00 00 0d"]),
        (bytes([0, 0, 8, 1, 0, 0, 0, 5, 1]), ["expected 13 bytes", "found 9"]),
        (bytes([0, 0, 8, 3, 255, 255, 255, 255]), ["expected", "found 8"]),
    ],
)
def test_idx_headers(tmp_path, content, words, refused):
    with refused(tmp_path, *words):
        idx.parse_idx(content, tmp_path)


def test_the_published_md5s_are_all_different():
    sums = [*idx.MNIST.packed, *idx.MNIST.within, *idx.FASHION.packed, *idx.FASHION.within, cifar.MD5]
    assert len({*sums}) == 17
    assert all(len(md5) == 32 for md5 in sums)


# Downloads


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mnist", ["https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz"]),
        ("fashion-mnist", ["http://fashion-mnist.s3-website", "train-images-idx3-ubyte.gz"]),
        ("cifar10", ["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"]),
    ],
)
def test_without_a_network(tmp_path, name, words, refused):
    with refused(*words, "cannot be downloaded", f"put it into {tmp_path / name}", "no way to"):
        open_dataset(name, data_dir=tmp_path)


def test_what_is_downloaded_is_known_and_read(tmp_path, tiny, monkeypatch):
    files, _ = tiny
    asked = []

    def retrieve(url, known_hash, fname, path):
        asked.append((url, known_hash))
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(gzip.compress(files[fname.removesuffix(".gz")]))
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert len(open_dataset("mnist", data_dir=tmp_path).train) == 4
    names = [f"{idx.MNIST.url}{name}.gz" for name, _ in idx.FILES]
    assert asked == list(zip(names, [f"md5:{md5}" for md5 in idx.MNIST.packed], strict=True))
    open_dataset("mnist", data_dir=tmp_path)
    assert len(asked) == 4


def test_a_changed_download_is_refused(tmp_path, monkeypatch, refused):
    def retrieve(*_, **__):
        raise ValueError("MD5 hash of downloaded file does not match the known hash")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with refused("train-images-idx3-ubyte.gz", "does not match"):
        open_dataset("mnist", data_dir=tmp_path)


# CIFAR-10


@pytest.fixture
def batches(monkeypatch):
    """Six batches of two images each, by name."""
    monkeypatch.setattr(cifar, "ROWS", 2)
    rows = RNG.integers(0, 256, (12, 3073), dtype=np.uint8)
    rows[:, 0] %= 10
    return {name: rows[2 * at : 2 * at + 2] for at, name in enumerate(cifar.TRAIN + cifar.TEST)}


def tar_of(files, monkeypatch=None):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    content = buffer.getvalue()
    if monkeypatch is not None:
        monkeypatch.setattr(cifar, "MD5", hashlib.md5(content).hexdigest())
    return content


def within(batches):
    return {f"{cifar.FOLDER}/{name}": rows.tobytes() for name, rows in reversed(batches.items())}


def assert_is_cifar(data, batches):
    rows = np.concatenate(list(batches.values()))
    x = torch.cat([data.train.x, data.test.x]).numpy()
    assert (data.shape, len(data.train), len(data.test)) == ((3, 32, 32), 10, 2)
    assert np.array_equal(x[:, 1, 0, 5], rows[:, 1 + 1024 + 5])  # second plane, first line, column 5
    assert [*data.train.y.tolist(), *data.test.y.tolist()] == rows[:, 0].tolist()
    assert data.classes[6] == "frog"


@pytest.mark.parametrize("place", ["cifar10", "."])
def test_the_binary_archive(tmp_path, batches, monkeypatch, place):
    (tmp_path / place).mkdir(exist_ok=True)
    strangers = {"../outside.bin": b"x", f"{cifar.FOLDER}/readme.html": b"x"}
    content = tar_of({**strangers, **within(batches)}, monkeypatch)
    (tmp_path / place / cifar.ARCHIVE).write_bytes(content)
    data = open_dataset("cifar10", data_dir=tmp_path)
    assert_is_cifar(data, batches)
    assert data.notes == ()
    assert [path.name for path in tmp_path.rglob("*.bin")] == []


@pytest.mark.parametrize("place", ["cifar10", cifar.FOLDER, f"cifar10/{cifar.FOLDER}"])
def test_unpacked_batches(tmp_path, batches, place):
    (tmp_path / place).mkdir(parents=True)
    for name, rows in batches.items():
        (tmp_path / place / name).write_bytes(rows.tobytes())
    data = open_dataset("cifar10", data_dir=tmp_path)
    assert_is_cifar(data, batches)
    assert "checked by its layout only" in data.notes[0]


def test_a_changed_archive_is_refused(tmp_path, batches, refused):
    content = tar_of(within(batches))
    (tmp_path / cifar.ARCHIVE).write_bytes(content)
    with refused(cifar.ARCHIVE, f"md5 {cifar.MD5}", hashlib.md5(content).hexdigest()):
        open_dataset("cifar10", data_dir=tmp_path)


def test_archives_of_something_else(tmp_path, batches, monkeypatch, refused):
    path = tmp_path / cifar.ARCHIVE
    path.write_bytes(tar_of({f"{cifar.FOLDER}/data_batch_1.bin": b"x"}, monkeypatch))
    with refused(path, "data_batch_2.bin within", "found none"):
        open_dataset("cifar10", data_dir=tmp_path)
    path.write_bytes(b"no archive")
    monkeypatch.setattr(cifar, "MD5", hashlib.md5(b"no archive").hexdigest())
    with refused(path, "damaged or not readable"):
        open_dataset("cifar10", data_dir=tmp_path)


def test_batches_of_wrong_length_or_labels(tmp_path, batches, refused):
    for name, rows in batches.items():
        (tmp_path / "cifar10").mkdir(exist_ok=True)
        (tmp_path / "cifar10" / name).write_bytes(rows.tobytes())
    bad = tmp_path / "cifar10" / "data_batch_3.bin"
    bad.write_bytes(b"x" * 100)
    with refused(bad, "expected 6146 bytes", "found 100"):
        open_dataset("cifar10", data_dir=tmp_path)
    bad.write_bytes(b"\x0b" * 6146)
    with refused(bad, "labels from 0 to 9", "found 11"):
        open_dataset("cifar10", data_dir=tmp_path)


def test_the_pickled_cifar_is_never_touched(tmp_path, refused):
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"cos\nsystem\n")
    with refused("cifar-10-binary.tar.gz"):
        open_dataset("cifar10", data_dir=tmp_path)


# CelebA


@pytest.fixture
def celeba(tmp_path):
    """Six images in CelebA's layout, white within the crop and black around it."""
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    face = Image.new("RGB", (178, 218))
    face.paste((250, 240, 230), (19, 39, 159, 179))
    lines = []
    for number, part in enumerate([0, 0, 0, 1, 2, 2], start=1):
        face.save(folder / f"{number:06}.jpg", quality=100, subsampling=0)
        lines.append(f"{number:06}.jpg {part}\n")
    (tmp_path / "celeba" / "list_eval_partition.txt").write_text("".join(lines))
    return tmp_path / "celeba"


def test_celeba(tmp_path, celeba):
    data = open_dataset("celeba", data_dir=tmp_path)
    assert (data.shape, len(data.train), len(data.test)) == ((3, 64, 64), 3, 2)
    assert (data.name, data.source, data.in_unit_interval) == ("celeba", "celeba", True)
    face = torch.tensor([250.0, 240.0, 230.0]).view(3, 1, 1)
    assert (data.train.x[:, :, 2:-2, 2:-2].float() - face).abs().max() <= 3
    assert data.train.x.float().mean() > 235  # no black border was left in
    assert any("140x140" in note and "1 of partition 1" in note for note in data.notes)


def test_celeba_of_another_size(tmp_path, celeba):
    assert open_dataset("celeba", data_dir=tmp_path, image_size=32).shape == (3, 32, 32)


def test_the_crop_is_exact(tmp_path, celeba):
    for path in (celeba / "img_align_celeba").iterdir():
        image = Image.new("L", (178, 218), 255)
        image.paste(0, (19, 39, 159, 179))
        image.save(path, quality=100)
    assert open_dataset("celeba", data_dir=tmp_path).train.x[:, :, 1:-1, 1:-1].max() <= 3


def test_celeba_is_got_by_hand(tmp_path, refused):
    words = ["celeba: expected list_eval_partition.txt", tmp_path / "celeba", "https://mmlab", "no program"]
    with refused(*words):
        open_dataset("celeba", data_dir=tmp_path)
    (tmp_path / "celeba").mkdir()
    (tmp_path / "celeba" / "list_eval_partition.txt").write_text("")
    with refused("img_align_celeba/*.jpg"):
        open_dataset("celeba", data_dir=tmp_path)
    (tmp_path / "celeba" / "img_align_celeba.zip").write_text("")
    with refused("img_align_celeba.zip is there: unzip it"):
        open_dataset("celeba", data_dir=tmp_path)


@pytest.mark.parametrize("line", ["000007.jpg", "000007.jpg 3", "../../etc/passwd 0", "000007.jpg 0 0"])
def test_bad_partitions(tmp_path, celeba, line, refused):
    path = celeba / "list_eval_partition.txt"
    path.write_text(path.read_text() + line + "\n")
    with refused(path, "line 7", "0, 1 or 2", line):
        open_dataset("celeba", data_dir=tmp_path)


def test_absent_and_foreign_faces(tmp_path, celeba, refused):
    (celeba / "img_align_celeba" / "000002.jpg").unlink()
    with refused("000002.jpg", "1 of 6 are absent"):
        open_dataset("celeba", data_dir=tmp_path)
    Image.new("RGB", (64, 64)).save(celeba / "img_align_celeba" / "000002.jpg")
    with refused("000002.jpg", "178x218", "64x64"):
        open_dataset("celeba", data_dir=tmp_path)


# Lightness


def test_importing_is_light():
    heavy = "{'PIL', 'pooch', 'sklearn', 'requests'}"
    code = f"import sys, pushforward.data; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
