"""Files: everything that the package writes passes through here.

A file or folder is written beside its place, synced, and then renamed: a reader finds the old content or the
new, never a part of either, whenever the process is killed or the power fails.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import escape
from io import FileIO
from pathlib import Path
from typing import Protocol

from pushforward.errors import ConfigError, OutputError, reason

STALE = 3600.0  # seconds since its last change after which a temporary file belongs to no living process
FILE, FOLDER = "a file", "a folder"
FULL = (errno.ENOSPC, errno.EDQUOT)
# What systems answer that cannot sync a folder: Windows does not open one, some network disks do not sync it.
UNSYNCED = (errno.EACCES, errno.EPERM, errno.EISDIR, errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS)


class Disk:
    """The calls of the operating system that change files.

    Tests give :data:`disk` other ones, which fail, write a part, or end the process.
    """

    def create(self, path: Path) -> FileIO:
        """Opens a file that must not exist yet."""
        return FileIO(path, "xb")

    def append(self, path: Path) -> FileIO:
        """Opens a file to append to; it is created if it does not exist."""
        return FileIO(path, "ab")

    def write(self, file: FileIO, content: bytes | memoryview) -> int:
        """Writes some of the bytes, and returns how many."""
        return file.write(content)

    def truncate(self, file: FileIO) -> None:
        """Removes the content of a file."""
        file.truncate(0)

    def sync(self, file: FileIO) -> None:
        """Waits until the content of a file is on the disk."""
        os.fsync(file.fileno())

    def sync_folder(self, folder: Path) -> None:
        """Waits until the entries of a folder are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def replace(self, old: Path, new: Path) -> None:
        """Renames a file or folder; a file of the new name is replaced."""
        os.replace(old, new)

    def unlink(self, path: Path) -> None:
        """Removes a file or a link."""
        os.unlink(path)

    def rmdir(self, path: Path) -> None:
        """Removes an empty folder."""
        os.rmdir(path)

    def mkdir(self, path: Path) -> None:
        """Makes a folder in one that exists."""
        os.mkdir(path)


disk = Disk()


class Writer(Protocol):
    """What a file is written to in parts."""

    def write(self, content: bytes, /) -> int:
        """Writes all of the bytes."""


class _Whole:
    """Writes to an open file, however many calls it takes, and counts the bytes."""

    def __init__(self, file: FileIO) -> None:
        self.file = file
        self.size = 0

    def write(self, content: bytes) -> int:
        view = memoryview(content).cast("B")
        self.size += len(view)
        while len(view):
            view = view[disk.write(self.file, view) :]
        return len(content)


def write_atomic(path: Path, content: str | bytes | Callable[[Writer], None]) -> None:
    """Writes a file completely or not at all, even if several processes write it; text in UTF-8.

    Once it returns, the file survives a loss of power.

    Arguments:
        path: The file.
        content: The content, or a function that writes it to the file that it is given.

    Raises:
        OutputError: If the file cannot be written; it is as before then, and nothing is left beside it.
    """
    with writing(path):
        _check_kind(path, FILE)
    stage = temporary(path)
    whole = None
    try:
        with disk.create(stage) as file:
            whole = _Whole(file)
            if callable(content):
                content(whole)
            else:
                whole.write(content.encode() if isinstance(content, str) else content)
            disk.sync(file)
        disk.replace(stage, path)
        sync_folder(path.parent)
    except BaseException as error:
        _discard(stage)
        if isinstance(error, OSError) and not isinstance(error, OutputError):
            raise cannot_write(path, error, whole.size if whole else 0) from error
        raise


def write_folder_atomic(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder of files completely or not at all; once it returns, they survive a loss of power.

    What is left of an interrupted write beside the folder is removed. An existing folder is replaced.

    Raises:
        OutputError: If it cannot be written; what was there is there still.
    """
    stage = folder.with_name(f".tmp-{folder.name}")
    with writing(folder, sum(map(len, files.values()))):
        make_folder(folder.parent)
        for left_over in folder.parent.glob(".tmp-*"):
            remove(left_over)
        try:
            disk.mkdir(stage)
            for name, content in files.items():
                with disk.create(stage / name) as file:
                    _Whole(file).write(content)
                    disk.sync(file)
            sync_folder(stage)
            remove(folder)
            disk.replace(stage, folder)
            sync_folder(folder.parent)
        except BaseException:
            _discard(stage)
            raise


class Log:
    """A file that lines are appended to.

    Arguments:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(path):
            self._file = disk.append(path)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, content: bytes) -> None:
        """Appends bytes; readers see them at once.

        Raises:
            OutputError: If they cannot be written; a part of them may have been.
        """
        with writing(self.path, len(content)):
            _Whole(self._file).write(content)

    def sync(self) -> None:
        """Once it returns, what was appended survives a loss of power."""
        with writing(self.path):
            disk.sync(self._file)


def make_folder(folder: Path) -> None:
    """Makes a folder and those that it is in, where they do not exist."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    try:
        disk.mkdir(folder)
    except FileExistsError:
        if not folder.is_dir():  # else another process was faster
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with ``~`` as the user's folder.

    Raises:
        ConfigError: If it cannot be a path.

    >>> expanded("runs/one")
    PosixPath('runs/one')
    """
    text = os.fspath(path)
    if not text or "\0" in text:
        raise ConfigError(f"a path must have characters, and none of them NUL, got {text!r}")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # such as ~ of an unknown user
        raise ConfigError(f"{text} is not a path: {reason(error)}") from error


def check_place(path: Path, folder: bool = False) -> None:
    """Checks that a file or a folder can be written at a path, before the work for it is done.

    Arguments:
        path: The file, or the folder.
        folder: Whether it is a folder.

    Raises:
        OutputError: If what is there is of another kind, such as a device, what it would lie in is no folder,
            or nothing may be written there.
    """
    with writing(path):
        _check_kind(path, FOLDER if folder else FILE)
        inside = path.absolute() if folder else path.absolute().parent
        there = next(one for one in (inside, *inside.parents) if one.exists())
        if not there.is_dir():
            raise OutputError(
                f"{path} cannot be written: expected {there} to be {FOLDER}, found {_kind(there)}"
            )
        if not os.access(there, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, f"{os.strerror(errno.EACCES)} in {there}")


def make_place(path: Path, folder: bool = False) -> None:
    """Makes the folder that a file or a folder is to be in, if there is none; see :func:`check_place`."""
    check_place(path, folder)
    with writing(path):
        make_folder(path.parent)


def _kind(path: Path) -> str:
    """What there is at a path, in words."""
    mode = path.stat().st_mode
    known = {stat.S_IFREG: FILE, stat.S_IFDIR: FOLDER, stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return known.get(stat.S_IFMT(mode), "a device")


def _check_kind(path: Path, wanted: str) -> None:
    """Refuses a path at which there is anything else, which a rename would replace."""
    if path.exists() and (found := _kind(path)) != wanted:
        raise OutputError(f"{path} cannot be written: expected {wanted} or a new name, found {found}")


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it, if it exists.

    A folder is renamed first, so that a part of it is never taken for the whole.
    """
    if path.is_dir() and not path.is_symlink():
        if not path.name.startswith(".tmp-"):
            away = path.with_name(f".tmp-old-{path.name}")
            remove(away)
            disk.replace(path, away)
            path = away
        _remove_inside(path)
    else:
        with suppress(FileNotFoundError):
            disk.unlink(path)


def _remove_inside(path: Path) -> None:
    """Removes a folder that is no longer taken for whole, or what is in one."""
    if path.is_dir() and not path.is_symlink():
        for place in path.iterdir():
            _remove_inside(place)
        disk.rmdir(path)
    else:
        disk.unlink(path)


def remove_temporary(folder: Path, ours: Callable[[str], bool]) -> None:
    """Removes what killed processes have left in a folder: temporary files that are an hour old.

    Arguments:
        folder: The folder.
        ours: Whether no other process can be writing the file of a name: its temporary files are removed at
            any age.
    """
    for path in folder.glob(".*.tmp"):
        with suppress(FileNotFoundError):
            name = path.name[1:].rpartition(".")[0].rpartition(".")[0]
            if ours(name) or time.time() - path.stat().st_mtime > STALE:
                disk.unlink(path)
    for path in folder.glob(".tmp-*"):
        if ours(path.name.removeprefix(".tmp-").removeprefix("old-")):
            remove(path)


def remove_stale(path: Path) -> None:
    """Removes what killed processes have left of a file: its temporary files that are an hour old.

    A large file is written for long, and its temporary file is as large: it must not stay for ever.
    """
    for left_over in path.parent.glob(f".{escape(path.name)}.{'[0-9a-f]' * 16}.tmp"):
        with suppress(OSError):  # it is another user's, or gone
            if time.time() - left_over.stat().st_mtime > STALE:
                disk.unlink(left_over)


def temporary(path: Path) -> Path:
    """A name beside a file, for what is to be renamed to it; no two calls return the same.

    >>> temporary(Path("a") / "b.txt").parent
    PosixPath('a')
    """
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def sync_folder(folder: Path) -> None:
    """Writes a folder's entries to the disk, so that renames in it survive a loss of power.

    Where the system cannot do this, as on Windows, nothing is done.
    """
    try:
        disk.sync_folder(folder)
    except OSError as error:
        if error.errno not in UNSYNCED:
            raise


@contextmanager
def writing(path: Path, size: int = 0) -> Iterator[None]:
    """Turns an error of the system into one that names the file, and how many bytes there is no room for."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise cannot_write(path, error, size) from error


def cannot_write(path: Path, error: OSError, size: int = 0) -> OutputError:
    """The error that a file or folder cannot be written, with the sizes if its disk is full."""
    said = f"{path} cannot be written: {error.strerror or error}"
    if error.errno in FULL:
        place = next((parent for parent in path.parents if parent.is_dir()), path)
        with suppress(OSError):
            said += f"; {size:,} bytes were to be written, {shutil.disk_usage(place).free:,} are free"
    return OutputError(said)


def _discard(stage: Path) -> None:
    """Removes a temporary file or folder after an error, which is the one to be reported."""
    with suppress(OSError):
        remove(stage)


__all__ = [
    "Disk",
    "Log",
    "Writer",
    "cannot_write",
    "check_place",
    "disk",
    "expanded",
    "make_folder",
    "make_place",
    "remove",
    "remove_stale",
    "remove_temporary",
    "sync_folder",
    "temporary",
    "write_atomic",
    "write_folder_atomic",
    "writing",
]
