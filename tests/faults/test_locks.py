"""Only one process at a time trains in a folder."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from faulty_disk import FaultyDisk
from tiny import TinyRun, fingerprint

import pushforward as pf
from pushforward import locks
from pushforward.errors import ConfigError, OutputError
from pushforward.runs.directory import LOCK, RunDirectory

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
file.truncate(0)
file.write("process 77 on elsewhere, since noon")
file.flush()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def tiny():
    return TinyRun("vae", 2, latent_dim=2)


@pytest.fixture
def finished(tiny, tmp_path):
    with FaultyDisk():
        return tiny.train(tmp_path / "run").path


def test_a_second_command_is_refused_and_readers_are_not(tiny, finished):
    before = fingerprint(finished)
    said = (
        rf"{finished} is in use: process {os.getpid()} on .*, since .* trains in it; wait until it has ended"
    )
    with RunDirectory(finished).locked():
        for arguments in ({}, {"overwrite": True}):
            with pytest.raises(OutputError, match=said):
                tiny.train(finished, **arguments)
        with pytest.raises(OutputError, match="is in use"):
            pf.resume(finished, data=tiny.data, progress=False)
        assert pf.load(finished).sample(2).shape == (2, 1, 8, 8)
    assert fingerprint(finished) == before
    tiny.train(finished)


def test_the_lock_ends_with_the_process_that_holds_it(tiny, finished):
    command = [sys.executable, "-c", HOLDER, finished / LOCK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match="in use: process 77 on elsewhere, since noon trains in it"):
            tiny.train(finished)
        holder.send_signal(signal.SIGKILL)
    tiny.train(finished)


@pytest.mark.parametrize("rank", ["0", "1"])
def test_one_of_several_processes_that_cannot_find_the_others_writes_nothing(
    tiny, tmp_path, finished, monkeypatch, rank
):
    """Without a refusal each would train the whole run in the same folder."""
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    for place in (tmp_path / "new", finished):
        with pytest.raises(ConfigError, match="WORLD_SIZE is 2, but MASTER_ADDR, MASTER_PORT is not set"):
            tiny.train(place)
    with pytest.raises(ConfigError, match="WORLD_SIZE is 2, but"):
        pf.resume(finished)
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "new").exists()


def test_where_nothing_can_be_locked_a_warning_says_so(tiny, finished, monkeypatch):
    def refused(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.warns(UserWarning, match="cannot be locked .No locks available.: do not run two commands"):
        assert tiny.train(finished).step == 2


def test_windows_locks_a_byte_behind_the_text(finished, monkeypatch):
    """Simulated: the module of Windows is replaced."""
    calls = []

    def locking(descriptor, mode, count):
        calls.append((os.lseek(descriptor, 0, os.SEEK_CUR), mode, count))
        if len(calls) == 2:
            raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(locks.sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=locking))
    with locks.locked(finished / LOCK):
        assert (finished / LOCK).read_text().startswith(f"process {os.getpid()} on ")
        with pytest.raises(OutputError, match="is in use"), locks.locked(finished / LOCK):
            pass
    assert calls == [(locks.FAR, 2, 1)] * 2
    assert (finished / LOCK).read_text() == ""
