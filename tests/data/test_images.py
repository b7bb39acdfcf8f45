"""Folders of images: every mode and depth, orientation, sizes, labels, splits, damage."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from pushforward.data import hold_out, images, open_dataset, pixels
from pushforward.errors import ConfigError, DataError

RNG = np.random.default_rng(0)


def photo(height=8, width=8):
    return Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8))


def grey(height=8, width=8):
    return Image.fromarray(RNG.integers(0, 256, (height, width), dtype=np.uint8))


def fill(folder, count=4, make=photo, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        make().save(folder / f"{number}{suffix}")


def rows(data):
    x = torch.empty(len(data.train) + len(data.test), *data.shape, dtype=data.train.x.dtype)
    for split, index in zip((data.train, data.test), hold_out(len(x)), strict=True):
        x[index] = split.x
    return x.numpy()


def only(tmp_path, image, **how):
    """What one image becomes; it is there four times, which is the least."""
    for name in "abcd":
        image.save(tmp_path / f"{name}.{how.get('format', 'png')}", **how)
    return open_dataset(tmp_path)


def noted(data, *words):
    return any(all(word in note for word in words) for note in data.notes)


# Values


def test_rows_are_the_files_in_order(tmp_path):
    fill(tmp_path / "photos", 12)
    data = open_dataset(tmp_path / "photos")
    names = sorted(f"{number}.png" for number in range(12))
    expected = [np.asarray(Image.open(tmp_path / "photos" / name)).transpose(2, 0, 1) for name in names]
    assert np.array_equal(rows(data), expected)
    assert (data.name, data.source) == ("photos", str(tmp_path / "photos"))
    assert data.in_unit_interval
    assert data.notes == ("2 of 12 images are held out, the same in every run",)


def test_grey_folders_have_one_channel(tmp_path):
    image = grey()
    data = only(tmp_path, image)
    assert data.shape == (1, 8, 8)
    assert np.array_equal(rows(data)[0, 0], np.asarray(image))


def test_grey_kept_as_colour_has_one_channel(tmp_path):
    assert only(tmp_path, grey().convert("RGB")).shape == (1, 8, 8)


def test_one_photo_makes_three_channels(tmp_path):
    fill(tmp_path, 4, grey)
    photo().save(tmp_path / "z.png")
    data = open_dataset(tmp_path)
    assert data.shape == (3, 8, 8)
    assert noted(data, "4 of 5 images are grey", "three equal channels")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_kept(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 4096).round().astype(np.uint16).reshape(64, 64)
    for name in "abcd":
        Image.fromarray(ramp).save(tmp_path / f"{name}{suffix}")
    data = open_dataset(tmp_path)
    assert np.allclose(rows(data)[0, 0], ramp / 65535, atol=1e-7)
    assert len(np.unique(rows(data))) == 4096
    assert noted(data, "divided by 65535 (16 bits)")


def test_twelve_bits_in_sixteen_keep_their_levels(tmp_path):
    """A microscope of 12 bits writes files of 16: cut to 8 bits, 16 grey levels were left."""
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    for name in "abcd":
        Image.fromarray(ramp).save(tmp_path / f"{name}.png")
    data = open_dataset(tmp_path)
    assert np.allclose(rows(data)[0, 0], ramp / 4095, atol=1e-7)
    assert noted(data, "values up to 4095: divided by 4095 (12 bits)")


def test_sixteen_bits_of_colour_are_cut_with_a_note(tmp_path):
    """Pillow reads eight of them."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    scan = b"".join(b"\0" + bytes(range(24)) for _ in range(4))
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(scan)), (b"IEND", b"")]
    for name in "abcd":
        (tmp_path / f"{name}.png").write_bytes(
            b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
        )
    assert noted(open_dataset(tmp_path), "4 of 4 images with 16 bits a channel, of which 8 are read")


def test_eight_bits_beside_sixteen_are_on_one_scale(tmp_path):
    for name, image in zip(
        "abcd", [np.full((4, 4), 255, np.uint8), np.full((4, 4), 65535, np.uint16)] * 2, strict=True
    ):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    assert np.array_equal(rows(open_dataset(tmp_path)), np.ones((4, 1, 4, 4), np.float32))


def test_resized_sixteen_bits_stay_in_their_range(tmp_path):
    image = np.zeros((16, 16), np.uint16)
    image[4:12, 4:12] = 65535  # a filter overshoots at the edges
    for name in "abcd":
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    x = rows(open_dataset(tmp_path, image_size=8))
    assert x.shape == (4, 1, 8, 8)
    assert (x.min(), x.max()) == (0, 1)


def test_sixteen_bit_pgm(tmp_path):
    ramp = np.linspace(0, 65535, 256).round().astype(">u2").reshape(16, 16)
    for name in "abcd":
        (tmp_path / f"{name}.pgm").write_bytes(b"P5 16 16 65535\n" + ramp.tobytes())
    assert np.allclose(rows(open_dataset(tmp_path))[0, 0], ramp / 65535, atol=1e-7)


def test_transparency_is_white(tmp_path):
    pixels_ = np.zeros((2, 2, 4), np.uint8)
    pixels_[0, 0] = (200, 0, 0, 255)
    pixels_[1, 1] = (0, 0, 0, 128)
    data = only(tmp_path, Image.fromarray(pixels_))
    x = rows(data)[0]
    assert x[:, 0, 0].tolist() == [200, 0, 0]
    assert x[:, 0, 1].tolist() == [255, 255, 255]
    assert x[0, 1, 1] == pytest.approx(127, abs=1)
    assert noted(data, "4 of 4 images with transparency")


@pytest.mark.parametrize("mode", ["LA", "P"])
def test_other_transparency_is_white(tmp_path, mode):
    image = Image.new(mode, (4, 4), 0)
    how = {"transparency": 0} if mode == "P" else {}
    assert (rows(only(tmp_path, image, **how)) == 255).all()


def test_palettes_and_bits(tmp_path):
    colours = photo().quantize(4)
    data = only(tmp_path, colours)
    assert np.array_equal(rows(data)[0], np.asarray(colours.convert("RGB")).transpose(2, 0, 1))
    assert noted(data, "4 of 4 images converted from P to RGB")
    (tmp_path / "bits").mkdir()
    bits = grey().convert("1")
    assert np.array_equal(rows(only(tmp_path / "bits", bits))[0, 0], np.asarray(bits) * np.uint8(255))


def test_cmyk(tmp_path):
    data = only(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), format="jpeg")
    assert data.shape == (3, 8, 8)
    assert rows(data)[0, :, 0, 0].tolist() == pytest.approx([255, 0, 0], abs=3)
    assert noted(data, "converted from CMYK to RGB")


@pytest.mark.parametrize("format_", ["jpeg", "png"])
def test_exif_orientation(tmp_path, format_):
    image = Image.new("L", (16, 8))
    image.paste(255, (0, 0, 8, 8))  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    data = only(tmp_path, image, format=format_, exif=exif)
    assert data.shape == (1, 16, 8)
    x = rows(data)[0, 0].astype(int)
    assert x[:8].mean() > 250
    assert x[8:].mean() < 5
    assert noted(data, "4 of 4 images turned upright")
    assert not noted(data, "resized")


def test_the_first_picture_of_several(tmp_path):
    frames = [Image.new("L", (4, 4), shade) for shade in (10, 200)]
    data = only(tmp_path, frames[0], format="gif", save_all=True, append_images=frames[1:])
    assert (rows(data) == 10).all()
    assert noted(data, "4 of 4 images with several pictures")


@pytest.mark.parametrize("suffix", pixels.SUFFIXES)
def test_every_suffix(tmp_path, suffix):
    fill(tmp_path, 4, grey if suffix == ".pgm" else photo, suffix)
    (tmp_path / f"0{suffix}").rename(tmp_path / f"0{suffix.upper()}")
    assert len(open_dataset(tmp_path).train) == 2


# Sizes


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(8, 8)] * 4, (8, 8)),
        ([(100, 128)] * 4, (100, 128)),
        ([(129, 20)] * 4, (64, 10)),
        ([(300, 400)] * 4, (48, 64)),
        ([(8, 12), (8, 12), (8, 12), (30, 30)], (8, 12)),
        ([(100, 100), (100, 100), (30, 30), (20, 20)], (64, 64)),
        ([(1, 1000)] * 4, (1, 64)),
    ],
)
def test_the_common_size(tmp_path, sizes, expected):
    for number, (height, width) in enumerate(sizes):
        photo(height, width).save(tmp_path / f"{number}.png")
    data = open_dataset(tmp_path)
    assert data.shape == (3, *expected)
    other = sum(size != expected for size in sizes)
    note = f"{other} of 4 images had another size than {expected[0]}x{expected[1]}"
    assert noted(data, note, "centre-cropped and resized") == bool(other)


def test_the_centre_is_kept(tmp_path):
    fill(tmp_path, 4, lambda: grey(8, 8))
    wide = Image.new("L", (24, 8), 0)
    wide.paste(255, (8, 0, 16, 8))
    wide.save(tmp_path / "z.png")
    assert (rows(open_dataset(tmp_path))[4] == 255).all()


def test_resizing_averages(tmp_path):
    board = Image.fromarray(np.tile(np.array([[0, 255], [255, 0]], np.uint8), (32, 32)))
    x = rows(only_sized(tmp_path, board, 16)).astype(int)
    assert abs(x[0, 0, 4:-4, 4:-4] - 127).max() <= 3


def only_sized(tmp_path, image, size):
    for name in "abcd":
        image.save(tmp_path / f"{name}.png")
    return open_dataset(tmp_path, image_size=size)


def test_large_jpegs_are_resized_alike(tmp_path):
    ramp = np.linspace(0, 255, 800).astype(np.uint8)
    image = Image.fromarray(np.broadcast_to(ramp, (600, 800)).copy())
    for name, suffix in (("a", "jpg"), ("b", "png"), ("c", "jpg"), ("d", "png")):
        image.save(tmp_path / f"{name}.{suffix}", quality=95)
    x = rows(open_dataset(tmp_path)).astype(int)
    assert abs(x[0] - x[1]).max() <= 4


@pytest.mark.parametrize(("size", "shape"), [(16, (3, 16, 16)), ((4, 6), (3, 4, 6)), ([4, 6], (3, 4, 6))])
def test_a_size_of_ones_own(tmp_path, size, shape):
    fill(tmp_path)
    assert open_dataset(tmp_path, image_size=size).shape == shape
    assert open_dataset(RNG.random((5, 10, 12, 3)), image_size=size).shape == shape
    assert open_dataset(open_dataset(RNG.random((5, 3, 10, 12))), image_size=size).shape == shape


def test_resized_arrays_keep_range_and_type():
    x = RNG.integers(0, 256, (5, 10, 12), dtype=np.uint8)
    data = open_dataset(x, image_size=64)
    assert data.train.x.dtype == torch.uint8
    assert noted(data, "resized from 10x12 to 64x64")
    exact = open_dataset(x / 255, image_size=64).train.x * 255
    assert (data.train.x - exact).abs().max() <= 0.501
    constant = open_dataset(np.full((5, 9, 9), 201, np.uint8), image_size=(20, 7))
    assert (constant.train.x == 201).all()


@pytest.mark.parametrize("size", [0, -1, 5000, 1.5, "32", (3,), (3, 4, 5), (0, 3), True, (3.0, 3)])
def test_bad_sizes(size):
    with pytest.raises(ConfigError, match="image_size: expected a whole number or"):
        open_dataset(RNG.random((5, 8, 8)), image_size=size)


def test_vectors_have_no_size(refused):
    with pytest.raises(ConfigError, match=r"image_size 8x8 is for images, but .*\(4,\)"):
        open_dataset(RNG.random((5, 4)), image_size=8)


# Labels and splits


def test_each_of_sixty_faulty_files_among_a_thousand_is_named(tmp_path):
    whole = io.BytesIO()
    photo().save(whole, "PNG")
    faults = [b"", b"no image", whole.getvalue()[:-30], whole.getvalue()[:20]]
    bad = {f"{number:03d}.png": faults[number % 4] for number in range(0, 960, 16)}
    for number in range(1000):
        name = f"{number:03d}.png"
        (tmp_path / name).write_bytes(bad.get(name, whole.getvalue()))
    with pytest.raises(DataError) as found:
        open_dataset(tmp_path)
    message = str(found.value)
    assert "(60 of 1000 images cannot be read)" in message
    assert [name for name in bad if f"{name}'" not in message] == []
    assert message.count(".png'") == 60


def test_sub_folders_are_labels(tmp_path):
    fill(tmp_path / "dogs", 2)
    fill(tmp_path / "cats" / "deep", 3)
    (tmp_path / "empty").mkdir()
    data = open_dataset(tmp_path)
    assert data.classes == ("cats", "dogs")
    assert sorted([*data.train.y.tolist(), *data.test.y.tolist()]) == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("TRAIN", "VAL"), ("train", "Validation")])
def test_splits_are_splits_in_capitals_too(tmp_path, train, test):
    """As classes they would be learnt, the held-out images with them."""
    fill(tmp_path / train / "a", 3)
    fill(tmp_path / train / "b", 2)
    fill(tmp_path / test / "a", 2)
    data = open_dataset(tmp_path)
    assert (len(data.train), len(data.test), data.classes) == (5, 2, ("a", "b"))
    assert noted(data, f"trained on: {train}/, held out: {test}/")


def test_one_sub_folder_is_no_label(tmp_path):
    fill(tmp_path / "photos")
    assert open_dataset(tmp_path).classes is None
    assert open_dataset(tmp_path).train.y is None


def test_a_wrapping_folder_is_no_label(tmp_path):
    fill(tmp_path / "wrap" / "a")
    fill(tmp_path / "wrap" / "b")
    assert open_dataset(tmp_path).classes == ("a", "b")


def test_loose_images_are_unknown(tmp_path):
    for folder in ("a", "b", "."):
        fill(tmp_path / folder, 3)
    assert sorted(set(open_dataset(tmp_path).train.y.tolist())) == [-1, 0, 1]


@pytest.mark.parametrize("other", ["test", "val"])
def test_train_and_test_are_splits(tmp_path, other):
    for split, count in (("train", 3), (other, 2)):
        for label in "ab":
            fill(tmp_path / split / label, count)
    data = open_dataset(tmp_path)
    assert (len(data.train), len(data.test), data.classes) == (6, 4, ("a", "b"))
    assert data.test.y.tolist() == [0, 0, 1, 1]
    assert noted(data, f"held out: {other}/")


def test_a_third_split_is_not_used(tmp_path):
    for split in ("train", "test", "valid"):
        fill(tmp_path / split, 3)
    data = open_dataset(tmp_path)
    assert (len(data.train), len(data.test), data.classes) == (3, 3, None)
    assert noted(data, "not used: 3 images in other folders")


def test_what_file_managers_leave_is_passed_over(tmp_path):
    fill(tmp_path)
    (tmp_path / "._0.png").write_bytes(b"resource fork")
    for folder in (".thumbnails", "__MACOSX"):
        fill(tmp_path / folder)
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "folder.png").mkdir()
    assert len(open_dataset(tmp_path).train) == 2


def test_loops_of_links_end(tmp_path):
    fill(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(open_dataset(tmp_path).train) == 2


# Damage


def truncated(tmp_path, suffix, side=64):
    path = tmp_path / f"whole{suffix}"
    photo(side, side).save(path)
    return path.read_bytes()[:-200]


def png_of(height, width):
    """A PNG that declares a size and holds nothing."""

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("cut.jpg", lambda tmp: truncated(tmp, ".jpg"), ["truncated"]),
        ("large.jpg", lambda tmp: truncated(tmp, ".jpg", 900), ["truncated"]),
        ("cut.png", lambda tmp: truncated(tmp, ".png"), []),
        ("empty.png", lambda tmp: b"", ["expected one of PNG JPEG"]),
        ("text.jpg", lambda tmp: b"no image at all", ["expected one of PNG JPEG"]),
        ("eps.png", lambda tmp: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", ["expected one of"]),
        ("large.png", lambda tmp: png_of(9000, 9000), ["at most 64 megapixels", "9000x9000"]),
        ("larger.png", lambda tmp: png_of(12000, 12000), ["at most 64 megapixels"]),
        ("largest.png", lambda tmp: png_of(40000, 40000), ["at most 64 megapixels"]),
    ],
)
def test_damaged_images(tmp_path, name, make, words, refused):
    fill(tmp_path / "all", 5)
    (tmp_path / "all" / name).write_bytes(make(tmp_path))
    with refused(tmp_path / "all" / name, "cannot be read", "1 of 6 images", *words):
        open_dataset(tmp_path / "all")


def test_the_first_is_named_and_all_are_counted(tmp_path, refused):
    fill(tmp_path, 5)
    for name in ("b.png", "c.jpg", "a.gif"):
        (tmp_path / name).write_bytes(b"")
    with refused(tmp_path / "a.gif", "3 of 8 images"):
        open_dataset(tmp_path)


def test_none_is_readable(tmp_path, refused):
    (tmp_path / "a.png").write_bytes(b"")
    with refused(tmp_path / "a.png", "1 of 1"):
        open_dataset(tmp_path)


def test_floats_have_no_range(tmp_path, refused):
    Image.fromarray(RNG.random((8, 8)).astype(np.float32)).save(tmp_path / "a.tif")
    with refused("a.tif", "without a known range", "mode F"):
        open_dataset(tmp_path)


def test_thirty_two_bits_have_no_range(tmp_path, refused):
    Image.fromarray(np.full((8, 8), 70_000, np.int32)).save(tmp_path / "a.tif")
    with refused("a.tif", "without a known range", "mode I"):
        open_dataset(tmp_path)


def test_pipes_and_dangling_links(tmp_path, refused):
    fill(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    with refused("pipe.png", "not a regular file"):
        open_dataset(tmp_path)
    (tmp_path / "pipe.png").unlink()
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    with refused("link.png", "No such file"):
        open_dataset(tmp_path)


def test_strange_names_are_one_line(tmp_path, refused):
    fill(tmp_path)
    with open(os.fsencode(tmp_path) + b"/new\nline\xff.png", "wb"):
        pass
    with refused("new\\nline\\udcff.png"):
        open_dataset(tmp_path)


def test_strange_names_are_read(tmp_path):
    fill(tmp_path)
    os.rename(tmp_path / "0.png", os.fsencode(tmp_path) + b"/\xff.png")
    assert len(open_dataset(tmp_path).train) == 2


def test_folders_without_images(tmp_path, refused):
    with refused(tmp_path, "expected images", ".png .jpg", ".pgm", "found none"):
        open_dataset(tmp_path)
    (tmp_path / "readme.txt").write_text("hello")
    with refused(tmp_path, "expected images", "found 1 .txt file;"):
        open_dataset(tmp_path)
    (tmp_path / "poem.txt").write_text("hello")
    with refused(tmp_path / "poem.txt", "at least 4 lines with words are needed, found 1"):
        open_dataset(tmp_path)


def test_three_images_are_too_few(tmp_path, refused):
    fill(tmp_path, 3)
    with refused("expected at least 4 images, found 3"):
        open_dataset(tmp_path)


# Progress


def test_progress_is_reported_for_many_files(tmp_path, monkeypatch):
    fill(tmp_path, 7)
    reported = []
    open_dataset(tmp_path, progress=lambda done, total: reported.append((done, total)))
    assert reported == []
    monkeypatch.setattr(images, "MANY", 5)
    monkeypatch.setattr(images, "OFTEN", 3)
    open_dataset(tmp_path, progress=lambda done, total: reported.append((done, total)))
    assert reported == [(3, 7), (6, 7), (7, 7)]
