"""Packs: the same rows, the same runs, whatever stopped the writing; and folders that are decoded later."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.data import mapped, open_dataset, packs
from pushforward.data.dataset import hold_out
from pushforward.errors import ConfigError, DataError, OutputError

RNG = np.random.default_rng(0)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for number in range(30):
        path = folder / ("cat" if number % 3 else "dog") / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(path)
    return folder


SOURCES = {
    "bytes": lambda: RNG.integers(0, 256, (30, 5, 7), dtype=np.uint8),
    "mask": lambda: RNG.integers(0, 2, (30, 5, 7), dtype=np.uint8),
    "deep": lambda: RNG.integers(0, 4096, (30, 5, 7), dtype=np.uint16),
    "real": lambda: RNG.normal(size=(30, 4)) * 100,
    "labelled": lambda: (RNG.random((30, 4)), ["b", None, "a"] * 10),
    "numbered": lambda: (RNG.random((30, 4)), [0, 1, 2] * 10),
    "splits": lambda: {"x_train": RNG.random((9, 4)), "x_test": RNG.random((5, 4))},
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_pack_holds_what_was_packed(name, tmp_path):
    source = SOURCES[name]()
    data, given = pf.pack(source, tmp_path / "it", progress=False), open_dataset(source)
    assert data.spec == given.spec
    assert data.fingerprint == given.fingerprint
    for one, other in ((data.train, given.train), (data.test, given.test)):
        assert torch.equal(one.tensor(), other.tensor())
        assert torch.equal(one.batch(slice(1, 4)).x, other.batch(slice(1, 4)).x)
        assert (one.y is None and other.y is None) or torch.equal(one.y, other.y)
    assert packs.check_pack(tmp_path / "it") is None


def test_a_run_on_a_pack_is_the_run_on_the_folder(photos, tmp_path):
    options = {"steps": 6, "progress": False, "batch_size": 8, "latent_dim": 2}
    pf.pack(photos, tmp_path / "pack", progress=False)
    first = pf.train("wae-mmd", photos, out=tmp_path / "a", **options)
    second = pf.train("wae-mmd", tmp_path / "pack", out=tmp_path / "b", **options)
    assert [line["terms"] for line in first.history] == [line["terms"] for line in second.history]
    both = zip(first.model.parameters(), second.model.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in both)
    more = pf.resume(tmp_path / "a", data=tmp_path / "pack", steps="+2", progress=False)
    assert more.step == 8
    assert second.evaluate(metrics=["reconstruction", "samples"])


def test_a_pack_can_be_resized(photos, tmp_path):
    assert pf.pack(photos, tmp_path / "small", image_size=4, progress=False).shape == (3, 4, 4)
    assert open_dataset(tmp_path / "small", image_size=2).shape == (3, 2, 2)
    small = open_dataset(tmp_path / "small", image_size=2)
    assert small.fingerprint != open_dataset(tmp_path / "small").fingerprint


@pytest.mark.parametrize("bytes_written", [0, 1, 60, 61, 150, 600])
def test_a_stopped_pack_goes_on(bytes_written, tmp_path, monkeypatch):
    x = RNG.integers(0, 256, (30, 20), dtype=np.uint8)
    append = packs.Log.append

    def stop_at(self, content):
        room = bytes_written - self.path.stat().st_size
        append(self, content[:room])
        if len(content) > room:
            raise KeyboardInterrupt

    monkeypatch.setattr(packs, "PART", 60)
    monkeypatch.setattr(packs.Log, "append", stop_at)
    if bytes_written < 600:
        with pytest.raises(KeyboardInterrupt):
            pf.pack(x, tmp_path / "it", progress=False)
        assert not (tmp_path / "it").exists()
        assert (tmp_path / "it.part" / "rows.bin").stat().st_size == bytes_written
    written = []

    def note(self, content):
        written.append(len(content))
        append(self, content)

    monkeypatch.setattr(packs.Log, "append", note)
    data = pf.pack(x, tmp_path / "it", progress=False)
    assert sum(written) == 600 - (bytes_written if bytes_written < 600 else 0)
    assert data.fingerprint == open_dataset(x).fingerprint
    assert torch.equal(data.train.tensor(), open_dataset(x).train.x)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it"]
    assert sorted(path.name for path in (tmp_path / "it").iterdir()) == ["pack.json", "rows.bin"]


def test_what_is_left_of_other_data_is_not_gone_on_with(tmp_path, monkeypatch):
    first, second = (RNG.integers(0, 256, (30, 20), dtype=np.uint8) for _ in range(2))

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(packs, "_sha256", stop)
    with pytest.raises(KeyboardInterrupt):
        pf.pack(first, tmp_path / "it", progress=False)
    monkeypatch.undo()
    data = pf.pack(second, tmp_path / "it", progress=False)
    assert data.fingerprint == open_dataset(second).fingerprint


@pytest.mark.parametrize("changed", [0, 3, 10])
def test_a_pack_goes_on_with_rows_that_have_not_changed_alone(changed, tmp_path, monkeypatch):
    """Whichever row of those that were written changes, the last one in part: the pack is of today's rows."""
    x = RNG.integers(0, 256, (30, 20), dtype=np.uint8)
    source = tmp_path / "x.npy"
    np.save(source, x)
    append = packs.Log.append

    def stop_at(self, content):
        append(self, content[: 210 - self.path.stat().st_size])
        if self.path.stat().st_size == 210:
            raise KeyboardInterrupt

    monkeypatch.setattr(packs, "PART", 60)
    monkeypatch.setattr(packs.Log, "append", stop_at)
    with pytest.raises(KeyboardInterrupt):
        pf.pack(source, tmp_path / "it", progress=False)
    monkeypatch.setattr(packs.Log, "append", append)
    x[hold_out(len(x))[0][changed], 0] ^= 1
    np.save(source, x)
    data = pf.pack(source, tmp_path / "it", progress=False)
    assert data.fingerprint == open_dataset(source).fingerprint
    assert torch.equal(data.train.tensor(), open_dataset(source).train.x)


def test_rows_of_files_that_are_as_they_were_are_not_read_again(tmp_path, monkeypatch):
    source, starts = tmp_path / "x.npy", []
    np.save(source, RNG.integers(0, 256, (30, 20), dtype=np.uint8))
    read, digest = packs._rows_from, packs._sha256

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(packs, "_rows_from", lambda *given: [starts.append(given[1]), read(*given)][1])
    monkeypatch.setattr(packs, "_sha256", stop)
    with pytest.raises(KeyboardInterrupt):
        pf.pack(source, tmp_path / "it", progress=False)
    monkeypatch.setattr(packs, "_sha256", digest)
    data = pf.pack(source, tmp_path / "it", progress=False)
    assert starts == [0, 30]  # all of them, and none that was missing
    assert data.fingerprint == open_dataset(source).fingerprint


def test_what_is_no_place_for_a_pack(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputError, match="there exists: remove it, or choose another folder"):
        pf.pack(np.eye(9), tmp_path / "there", progress=False)
    with pytest.raises(ConfigError, match="a pack holds images or vectors, found text data"):
        pf.pack("phrases", tmp_path / "text", progress=False)


def damaged(path, **values):
    header = json.loads((path / "pack.json").read_text())
    (path / "pack.json").write_text(json.dumps(header | values))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: (path / "rows.bin").unlink(), ["rows.bin cannot be read", "No such file"]),
        (
            lambda path: (path / "rows.bin").write_bytes(b"abc"),
            ["expected 600 bytes of uint8", "found 3"],
        ),
        (lambda path: (path / "pack.json").write_text("{"), ["pack.json cannot be read"]),
        (lambda path: damaged(path, dtype="object"), ["no header of a pack of version 1"]),
        (lambda path: damaged(path, n_test=0), ["no header of a pack"]),
        (lambda path: damaged(path, scaling={"kind": "?"}), ["pack.json cannot be read", "KeyError"]),
        (lambda path: damaged(path, labels=True), ["labels.bin cannot be read"]),
    ],
)
def test_damaged_packs(damage, words, tmp_path, refused):
    pf.pack(RNG.integers(0, 256, (30, 20), dtype=np.uint8), tmp_path / "it", progress=False)
    damage(tmp_path / "it")
    with refused(*words):
        open_dataset(tmp_path / "it")


def test_a_changed_byte_is_found(tmp_path):
    pf.pack(np.eye(9), tmp_path / "it", progress=False)
    content = bytearray((tmp_path / "it" / "rows.bin").read_bytes())
    content[7] ^= 1
    (tmp_path / "it" / "rows.bin").write_bytes(content)
    assert "the sha256 of rows.bin should be" in packs.check_pack(tmp_path / "it")


# Folders of images that do not fit into memory


def test_images_that_do_not_fit_are_decoded_later(photos, monkeypatch):
    inside = open_dataset(photos)
    monkeypatch.setattr(mapped, "SHARE", 0.0)
    later = open_dataset(photos)
    assert later.fingerprint == inside.fingerprint
    assert later.spec == inside.spec
    assert any("a pack of them is faster" in note for note in later.notes)
    (photos / "cat" / "04.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"04.png' cannot be read"):
        open_dataset(photos)


@pytest.mark.parametrize("depth", ["L", "I;16"])
def test_grey_images_that_do_not_fit(depth, tmp_path, monkeypatch):
    kind = np.uint8 if depth == "L" else np.uint16
    for number in range(6):
        Image.fromarray(RNG.integers(0, 200, (4, 4)).astype(kind) * (1 if depth == "L" else 20)).save(
            tmp_path / f"{number}.png"
        )
    inside = open_dataset(tmp_path)
    monkeypatch.setattr(mapped, "SHARE", 0.0)
    later = open_dataset(tmp_path)
    assert later.spec == inside.spec
    assert torch.equal(later.train.tensor(), inside.train.x)


def test_the_command(tmp_path, capsys):
    from pushforward.cli import main

    def run(*words):
        try:
            main(list(words))
        except SystemExit as stop:
            assert not stop.code  # noqa: PT017

    run("pack", "digits", str(tmp_path / "it"))
    assert f"{tmp_path / 'it'}: 1,438 training and 359 held-out rows (1, 8, 8)" in capsys.readouterr().out
    run("pack", "digits", str(tmp_path / "other"), "--json")
    assert json.loads(capsys.readouterr().out)["sha256"] == open_dataset("digits").fingerprint
