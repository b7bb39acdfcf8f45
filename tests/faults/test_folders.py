"""What a run's folder may be called, may hold, and does when it cannot be written."""

import ast
import errno
import os
import threading
from pathlib import Path

import pytest
from faulty_disk import FaultyDisk
from tiny import TinyRun, fingerprint, left_over

import pushforward
import pushforward as pf
from pushforward.errors import ConfigError, OutputError
from pushforward.files import disk, remove_temporary, temporary, write_atomic
from pushforward.report.images import is_whole_png
from pushforward.runs.directory import RunDirectory
from pushforward.runs.run import Run

WRITES = {"write_text", "write_bytes", "mkdir", "makedirs", "unlink", "rmdir", "rmtree", "touch", "rename"}


@pytest.fixture(scope="module")
def tiny():
    return TinyRun("ae", 2, latent_dim=2)


@pytest.fixture
def run(tiny, tmp_path):
    with FaultyDisk():
        return tiny.train(tmp_path / "run")


def refusing(monkeypatch, number, part):
    """From now on the disk refuses to create files whose path has this part."""
    create = type(disk).create

    def refused(path):
        if part in str(path):
            raise OSError(number, os.strerror(number), str(path))
        return create(disk, path)

    monkeypatch.setattr(disk, "create", refused)


def test_a_relative_folder_stays_where_it_was(tiny, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    run = tiny.train("runs/one")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(run.history) == 2
    assert run.path == tmp_path / "runs" / "one"
    assert run.overview() == tmp_path / "runs" / "one" / "overview.png"
    assert not list(Path().iterdir())


def test_a_tilde_is_the_user_s_folder(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert tiny.train("~/one").path == tmp_path / "one"
    assert pf.load("~/one").step == 2
    assert not (tmp_path / "~").exists()
    with pytest.raises(ConfigError, match="~nobody-at-all/x is not a path: Could not determine home"):
        tiny.train("~nobody-at-all/x")


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_is_no_path_is_refused(tiny, path):
    for call in (tiny.train, pf.load):
        with pytest.raises(ConfigError, match="a path must have characters, and none"):
            call(path)


def test_a_folder_that_cannot_be_synced_is_no_error(tiny, tmp_path, monkeypatch):
    """As on Windows, where a folder cannot be opened. Simulated: no test runs there."""
    opened, real = [], os.open

    def refused(path, flags, *more, **named):
        if Path(path).is_dir():
            opened.append(path)
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refused)
    assert tiny.train(tmp_path / "run").step == 2
    assert opened

    def broken(path, flags, *more, **named):
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(os, "open", broken)
    with pytest.raises(OutputError, match=r"config.json cannot be written: Input"):
        tiny.train(tmp_path / "other" / "run")


def test_other_people_s_files_are_named_and_not_touched(tiny, tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    for name in ("a.tex", "b.tex", "c.tex", "d.tex"):
        (folder / name).write_text("mine")
    said = "is not empty and holds no run; choose another out, or remove what is in it: a.tex, b.tex, c.tex"
    for arguments in ({}, {"overwrite": True}):
        with pytest.raises(OutputError, match=said):
            tiny.train(folder, **arguments)
    assert sorted(path.name for path in folder.iterdir()) == ["a.tex", "b.tex", "c.tex", "d.tex"]


def test_what_was_written_into_a_begun_folder_does_not_stop_the_run(tiny, tmp_path):
    """As by a sample of an old run that is being overwritten."""
    with RunDirectory(tmp_path / "run").locked():
        pass
    (tmp_path / "run" / "samples.png").write_bytes(b"")
    (tmp_path / "run" / "vocabulary.json").write_text("{}")
    assert tiny.train(tmp_path / "run").step == 2
    assert (tmp_path / "run" / "samples.png").exists()
    assert not (tmp_path / "run" / "vocabulary.json").exists()


def test_overwriting_starts_over(tiny, run):
    """Also with the very command that began the run."""
    with FaultyDisk() as faulty:
        again = tiny.train(run.path, overwrite=True)
    assert ("mkdir", run.path / "checkpoints" / ".tmp-00000001") in faulty.calls
    assert again.config["id"] != run.config["id"]


def test_results_are_returned_where_they_cannot_be_kept(run, monkeypatch, capsys):
    refusing(monkeypatch, errno.EROFS, "evaluation.json")
    with pytest.warns(UserWarning, match=r"evaluation.json cannot be written: Read-only .* are not kept"):
        results = run.evaluate(metrics=["reconstruction"], features="pca")
    assert results["reconstruction"]
    assert left_over(run.path) == []


def test_a_report_that_cannot_be_written_goes_elsewhere(run, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Run, "evaluate_once", lambda *_, **__: {})
    monkeypatch.setattr(Run, "doctor", lambda *_, **__: [])
    monkeypatch.setattr("pushforward.runs.run.run_page", lambda *_: "<html>")
    refusing(monkeypatch, errno.EROFS, str(run.path))
    with pytest.warns(UserWarning, match=r"run/report.html cannot be written: Read-only .*; the report is /"):
        page = run.report()
    assert page.read_text() == "<html>"
    assert run.path not in page.parents


def test_a_picture_that_cannot_be_written_stops_no_training(tiny, tmp_path, monkeypatch):
    refusing(monkeypatch, errno.ENOSPC, ".png")
    with pytest.warns(UserWarning, match=r"\.png cannot be written: No space left on device; [\d,]+ bytes"):
        assert tiny.train(tmp_path / "run").step == 2


def test_a_picture_that_was_cut_off_is_drawn_again(tiny, run):
    assert is_whole_png(run.path / "overview.png")
    (run.path / "overview.png").write_bytes(b"\x89PNG")
    tiny.train(run.path)
    assert is_whole_png(run.path / "overview.png")


def test_writers_never_meet_in_a_temporary_file(tmp_path):
    path, faults = tmp_path / "file", []

    def write(content):
        try:
            for _ in range(50):
                write_atomic(path, content)
        except OSError as error:
            faults.append(error)

    contents = [bytes([letter]) * 10_000 for letter in b"abcd"]
    threads = [threading.Thread(target=write, args=[content]) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_temporary_files_of_others_are_removed_when_they_are_old(tmp_path):
    """Who evaluates holds no lock, and may be writing."""
    new, old, ours = (temporary(tmp_path / name) for name in ("report.html", "report.html", "config.json"))
    for path in (new, old, ours):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    remove_temporary(tmp_path, {"config.json"}.__contains__)
    assert list(tmp_path.iterdir()) == [new]


def test_a_file_of_the_package_is_written_by_one_module():
    """So that tests of faults see every call."""
    for path in Path(pushforward.__file__).parent.rglob("*.py"):
        if path.name == "files.py" and path.parent.name == "pushforward":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called.startswith("disk."):
                continue
            assert called.rpartition(".")[2] not in WRITES, (path, called)
            assert called not in {"os.replace", "os.remove", "os.rename", "np.savez", "torch.save"}, (
                path,
                called,
            )
            modes = [*node.args, *(word.value for word in node.keywords if word.arg == "mode")]
            if called == "open" or called.endswith(".open"):
                assert not any(
                    isinstance(mode, ast.Constant) and mode.value in {"w", "a", "x", "wb", "ab", "xb", "r+"}
                    for mode in modes
                ), (path, called)


def test_a_run_goes_on_after_its_temporary_files_were_left(tiny, run):
    """Whatever a process may leave that was killed while it wrote."""
    bits = fingerprint(run.path)
    for path in (run.path / "config.json", run.path / "overview.png", run.path / "samples" / "00000001.png"):
        temporary(path).write_bytes(b"half")
    (run.path / "checkpoints" / ".tmp-00000009").mkdir()
    (run.path / ".tmp-old-checkpoints").mkdir()
    (run.path / ".tmp-old-checkpoints" / "file").write_bytes(b"")
    tiny.train(run.path)
    assert left_over(run.path) == []
    assert fingerprint(run.path) == bits
