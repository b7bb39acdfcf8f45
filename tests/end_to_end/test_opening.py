"""Only regular files are opened, and no file makes a reader allocate more than it should."""

import ast
import json
import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

import pushforward as pf
from pushforward.data.lines import read_lines
from pushforward.errors import DataError, PushforwardError
from pushforward.reading import parse_json, read_file

PACKAGE = Path(pf.__file__).parent


def test_everything_is_opened_in_one_place():
    """Pillow opens images and tarfile an archive, and each is looked at before."""
    allowed = {"reading.py", "locks.py", "files.py", "data/pixels.py", "data/cifar.py"}
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                opens = name in ("read_text", "read_bytes", "load_file", "fromfile")
                opens |= name == "open" and isinstance(node.func, ast.Name)
                if opens and path.relative_to(PACKAGE).as_posix() not in allowed:
                    found.append(f"{path}:{node.lineno}")
    assert not found


def pipe(path):
    os.mkfifo(path)


def zero(path):
    path.symlink_to("/dev/zero")


@pytest.fixture(params=[pipe, zero], ids=["pipe", "device"])
def trap(request):
    """Puts something in the place of a file that never ends, or for which a reader would wait for ever."""
    if os.name == "nt":
        pytest.skip("Windows has neither")

    def put(path):
        path.unlink(missing_ok=True)
        request.param(path)

    return put


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run, whose folder tests damage and mend."""
    folder = tmp_path_factory.mktemp("run")
    x = np.random.default_rng(0).random((60, 6)).astype(np.float32)
    np.save(folder / "x.npy", x)
    return pf.train("wae-mmd", folder / "x.npy", out=folder / "run", steps=2, latent_dim=2, progress=False)


def test_traps_in_the_place_of_data_are_refused(trap, tmp_path):
    for name in ("x.npy", "x.npz", "x.txt"):
        trap(tmp_path / name)
        with pytest.raises(DataError, match="expected a regular file"):
            pf.open_dataset(tmp_path / name)
    with pytest.raises(DataError, match=r"expected a regular file, found a (pipe|device)"):
        read_lines(tmp_path / "x.txt")


@pytest.mark.parametrize("name", ["config.json", "history.jsonl", "evaluation.json"])
def test_traps_in_the_place_of_files_of_a_run_are_noticed(trap, finished, name):
    path = finished.path / name
    kept = path.read_bytes() if path.exists() else None
    trap(path)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            run = pf.load(finished.path)
            assert run.evaluate(n_samples=20, features="pixels", metrics=["samples"])
            assert len(run.history) == 2
        noticed = " ".join(str(warning.message) for warning in said)
        assert name.startswith("evaluation") or "regular file" in noticed or "damaged" in noticed
    finally:
        path.unlink()
        if kept:
            path.write_bytes(kept)


def test_a_trap_in_the_place_of_the_newest_checkpoint_is_named(trap, finished):
    path = finished.path / "checkpoints" / "00000002" / "manifest.json"
    kept = path.read_bytes()
    trap(path)
    try:
        with pytest.warns(UserWarning, match="expected a regular file, found a"):
            assert pf.load(finished.path).step == 1
    finally:
        path.unlink()
        path.write_bytes(kept)


def test_a_file_is_read_up_to_a_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_file(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="expected at most 4 bytes, found 5 bytes"):
        read_file(tmp_path / "file", 4)
    with pytest.raises(OSError, match="found a folder"):
        read_file(tmp_path)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 100_000)


def test_a_limit_costs_no_memory(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert read_file(tmp_path / "file", 2**62) == b"abc"
    if Path("/proc/version").exists():  # which has 0 bytes until it is read
        assert read_file(Path("/proc/version")).startswith(b"Linux")


def test_headers_are_compared_with_files_before_memory_is_allocated(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((20, 3)))
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(content.replace(b"(20, 3), }         ", b"(20, 300000000000)}"))
    with pytest.raises(DataError, match=r"declares float64 \(20, 3.* GiB, and 480 bytes follow"):
        pf.open_dataset(tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.write(tmp_path / "x.npy", "x.npy")
    with pytest.raises(DataError, match=r"x\.npy: the header declares"):
        pf.open_dataset(tmp_path / "x.npz")


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pushforward.data.declared.MOST_UNPACKED", 2**20)
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((1000, 1000), dtype=np.float32))
    with pytest.raises(DataError, match=r"may unpack to 1 MiB, this one unpacks to 3\.81 MiB"):
        pf.open_dataset(tmp_path / "x.npz")


@pytest.mark.parametrize(
    "text", ["[]", "1", '"a"', '{"schema": 3}', "[" * 100_000, '{"recipe": 1, "schema": 3}', "\xff"]
)
def test_a_configuration_of_another_shape_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(PushforwardError, match=r"config\.json cannot be read"):
        pf.load(tmp_path)


def test_a_newer_configuration_is_refused_by_its_version(tmp_path):
    newer = {"schema": 99, "recipe": "wae-mmd", "versions": {"pushforward": "9.9"}}
    (tmp_path / "config.json").write_text(json.dumps(newer))
    with pytest.raises(PushforwardError, match=r"made by pushforward 9\.9.* schema 99, this version reads"):
        pf.load(tmp_path)
