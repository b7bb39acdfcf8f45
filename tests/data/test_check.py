"""What is odd about data is named, each by its file, row or column, and what becomes of it is said."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

import pushforward as pf
from pushforward.data import open_dataset
from pushforward.errors import ConfigError, DataError

RNG = np.random.default_rng(0)


def photo(height=8, width=8):
    return Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8))


def content(image, kind="PNG", **how):
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def checked(source, **options):
    return pf.check(source, progress=False, **options)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """A thousand good photographs and sixty faults of ten kinds among them: the folder, and names by kind."""
    folder = tmp_path_factory.mktemp("check") / "photos"
    folder.mkdir()
    good = [content(photo()) for _ in range(1000)]
    for number, one in enumerate(good):
        (folder / f"good{number:04}.png").write_bytes(one)
    float_image = Image.fromarray(np.ones((8, 8), np.float32))
    faults = {
        "empty": ("unreadable", lambda n: b""),
        "text": ("unreadable", lambda n: b"no image"),
        "truncated": ("unreadable", lambda n: good[n][:-30]),
        "header": ("unreadable", lambda n: good[n][:20]),
        "float": ("unreadable", lambda n: content(float_image, "TIFF")),
        "copy": ("duplicate", lambda n: content(Image.open(io.BytesIO(good[n])), "PNG", compress_level=1)),
        "blank": ("constant row", lambda n: content(Image.new("RGB", (8, 8), (n, 0, 9)))),
        "large": ("size", lambda n: content(photo(8, 12))),
        "palette": ("converted", lambda n: content(photo().quantize(16))),
        "grey": ("converted", lambda n: content(photo().convert("L"))),
    }
    for name, (_, make) in faults.items():
        for number in range(6):
            suffix = ".tif" if name == "float" else ".png"
            (folder / f"{name}{number}{suffix}").write_bytes(make(number))
    return folder, {f"{name}{number}": kind for name, (kind, _) in faults.items() for number in range(6)}


def test_sixty_faults_of_ten_kinds_among_a_thousand_are_named(faulty):
    folder, planted = faulty
    found = checked(folder)
    for name, kind in planted.items():
        # A copy that is held out, or whose original is, is a leak; which one comes first is by its name.
        kinds = ("duplicate", "leak") if kind == "duplicate" else (kind,)
        assert any(name in one for one in found.names(*kinds)), (name, kind)
    assert len(planted) == 60
    assert not found.usable
    assert [
        one for one in found.names("unreadable", "constant row", "size", "converted") if "good" in one
    ] == []
    assert len(found.names("duplicate", "leak")) == 6
    assert "30 of 1060 images cannot be read" in repr(found)
    assert "training is refused; on_bad='skip' leaves them out" in repr(found)


def test_bad_images_are_left_out_when_asked_for(faulty):
    folder, _ = faulty
    with pytest.raises(DataError, match="30 of 1060 images cannot be read"):
        open_dataset(folder)
    skipped = open_dataset(folder, on_bad="skip")
    assert len(skipped.train) + len(skipped.test) == 1030
    assert "30 of 1060 images cannot be read and are left out" in skipped.notes
    listed = folder.with_name("photos.bad.txt")
    assert not listed.exists()
    quarantined = open_dataset(folder, on_bad="quarantine")
    assert quarantined.fingerprint == skipped.fingerprint
    lines = listed.read_text().splitlines()
    assert len(lines) == 30
    assert f"{folder / 'empty0.png'}\texpected one of PNG" in lines[0]


def test_a_run_keeps_what_becomes_of_bad_images(faulty, tmp_path):
    folder, _ = faulty
    run = pf.train("vae", folder, out=tmp_path / "run", steps=1, progress=False, on_bad="skip")
    assert pf.load(run.path).data.fingerprint == open_dataset(folder, on_bad="skip").fingerprint


def test_what_on_bad_is_for(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown on_bad 'skipp': did you mean 'skip'"):
        open_dataset(np.eye(9), on_bad="skipp")
    with pytest.raises(ConfigError, match=r"on_bad is for folders of images, array-.* is vector data"):
        open_dataset(np.eye(9), on_bad="skip")
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(b"")
    with pytest.raises(DataError, match="found none that can be read among 5 files"):
        open_dataset(tmp_path, on_bad="skip")
    assert not checked(tmp_path).usable


def test_leaks_between_splits_and_classes(tmp_path):
    for part, count in (("train", 30), ("test", 12)):
        for number in range(count):
            path = tmp_path / part / ("cat" if number % 3 else "dog") / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            photo().save(path)
    (tmp_path / "test" / "cat" / "copy.bmp").write_bytes(
        content(Image.open(tmp_path / "train" / "dog" / "0.png"), "BMP")
    )
    (tmp_path / "train" / "rare").mkdir()
    photo().save(tmp_path / "train" / "rare" / "0.png")
    found = checked(tmp_path)
    assert found.names("leak") == {"test/cat/copy.bmp = train/dog/0.png"} or found.names("leak") == {
        "train/dog/0.png = test/cat/copy.bmp"
    }
    assert found.names("tiny class") == {"rare: 1", "rare"}
    assert "- 1 class without held-out rows (rare): kept" in repr(found)
    assert "the largest class has 29 times the rows" in repr(found)
    assert found.usable


def test_vectors():
    x = RNG.normal(size=(200, 4))
    x[:, 2] = 7
    x[150] = x[3]
    x[60, 1] = 1000
    found = checked({"x_train": x[:160], "x_test": x[[160, 3, 161]], "y": [0] * 80 + [1] * 76 + [-1] * 4,
                     "y_test": [0, 1, 1]})  # fmt: skip
    assert found.names("constant column") == {"2"}
    assert found.names("outlier") == {"train row 60"}
    assert found.names("duplicate") == {"train row 150 = train row 3"}
    assert found.names("leak") == {"test row 1 = train row 3"}
    assert "4 rows without a label" in repr(found)


def test_data_that_are_refused():
    x = RNG.normal(size=(20, 4))
    x[3, 1] = np.nan
    found = checked(x)
    assert not found.usable
    assert "found nan in row 3 (1 of 20 rows is bad)" in repr(found)
    assert "- 1 row with missing or infinite values (array: x row 3): training is refused" in repr(found)
    assert "is no file or folder" in repr(checked("absent"))


def test_one_is_not_called_several(tmp_path):
    x = RNG.normal(size=(60, 4))
    x[:, 2] = 7
    x[10] = x[3]
    x[20, 1] = 1000
    vectors = checked({"x_train": x, "x_test": np.concatenate([x[30:31], RNG.normal(size=(3, 4))]),
                       "y": [0] * 55 + [1] * 4 + [-1], "y_test": [0] * 4})  # fmt: skip
    for number in range(8):
        photo(*((9, 8) if number == 1 else (8, 8))).save(tmp_path / f"{number}.png")
    Image.new("P", (8, 8)).save(tmp_path / "2.png")
    table = {"a": [*range(1, 30), None], "b": RNG.normal(size=30)}
    bad = np.array([[np.nan, 1.0], *RNG.normal(size=(20, 2))])
    said = [str(one) for found in (vectors, checked(tmp_path), checked(table), checked(bad))
            for one in found.oddities]  # fmt: skip
    ones = [words for words in said if re.match("1 ", words)]
    assert len({words.split("(")[0] for words in ones}) >= 10, said
    one = re.compile(r"1 (held-out |grey )?(row|column|image|class)\b")
    assert [words for words in ones if not one.match(words)] == []
    assert "1 row equal to another of the same split (train row 10 = train row 3): kept" in said


def test_nothing_odd():
    found = checked(RNG.normal(size=(50, 3)))
    assert found.usable
    assert repr(found).endswith("- nothing odd")


def test_text_is_looked_at(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(["the same line"] * 3 + [f"line number {n} is new" for n in range(20)]))
    assert len(checked(path).names("duplicate")) == 2


def test_packs_are_compared_with_their_sum(tmp_path):
    pf.pack(RNG.normal(size=(50, 3)), tmp_path / "it", progress=False)
    assert checked(tmp_path / "it").usable
    raw = bytearray((tmp_path / "it" / "rows.bin").read_bytes())
    raw[5] ^= 1
    (tmp_path / "it" / "rows.bin").write_bytes(raw)
    found = checked(tmp_path / "it")
    assert not found.usable
    assert "the sha256 of rows.bin should be" in repr(found)


def test_the_command(tmp_path, capsys):
    from pushforward.cli import main

    main_code = None
    try:
        main(["check", "digits", "--json"])
    except SystemExit as stop:
        main_code = stop.code
    assert not main_code
    assert json.loads(capsys.readouterr().out)["usable"]
    np.save(tmp_path / "x.npy", np.full((9, 2), np.nan))
    with pytest.raises(SystemExit) as stop:
        main(["check", str(tmp_path / "x.npy")])
    assert stop.value.code == 65
    assert "training is refused" in capsys.readouterr().out
