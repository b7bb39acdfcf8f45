"""Writing rows to folders of shards: atomically, resumably, by one process or several, in bounded memory.

A shard is a file with the rows from one number to another. It is written under another name and then
renamed, and a hidden file beside it keeps its sha256 until the manifest is written. What is made of a row
depends on its number alone, so that the processes that torchrun starts need not know each other: process r of
W writes every W-th shard, and who finds that none is missing writes the manifest.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pushforward.data.shards import MANIFEST, Shard, Shards, is_shards, read_shards
from pushforward.errors import ConfigError, DataError, OutputError
from pushforward.files import (
    Writer,
    disk,
    expanded,
    make_folder,
    make_place,
    remove_temporary,
    write_atomic,
    writing,
)  # fmt: skip
from pushforward.interrupts import resumable
from pushforward.launch import launched_rank, launched_size
from pushforward.reading import read_json
from pushforward.report.progress import bar
from pushforward.report.rendering import check_room
from pushforward.wording import option_name, plural

REQUEST = ".request.json"
Show = Callable[[int], None]
Make = Callable[[Writer, int, int, Show], str | None]


class _Digest:
    """Passes on what is written, and knows its size and sha256."""

    def __init__(self, file: Writer) -> None:
        self._file, self.size, self.sha256 = file, 0, hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.size += len(content)
        self.sha256.update(content)
        return self._file.write(content)


def is_folder(out: str | os.PathLike[str]) -> bool:
    """Whether a path stands for a folder of shards, and not for one file.

    >>> is_folder("samples"), is_folder("samples.npy")
    (True, False)
    """
    path = expanded(out)
    return not path.suffix or path.is_dir()


def folder_of(out: str | os.PathLike[str], method: str, request: Mapping[str, Any]) -> Path:
    """The folder that a path stands for, after a check that it can be written, before any row is made.

    Arguments:
        out: The path.
        method: The method of a run that writes one file, for messages.
        request: What is known so far of what is asked for.

    Raises:
        ConfigError: If it stands for one file.
        OutputError: If there can be no such folder, or it holds something else.
    """
    if not is_folder(out):
        raise ConfigError(
            f"{option_name('out')} must name a folder, without an ending, got {out}: run.{method} writes one "
            "file"
        )
    folder = Path(os.path.abspath(expanded(out)))
    make_place(folder, folder=True)
    with writing(folder):
        check_request(folder, request)
    return folder


def check_request(folder: Path, request: Mapping[str, Any]) -> None:
    """Refuses a folder of something else, or of shards of another request.

    Arguments:
        folder: The folder.
        request: What is asked for, or a part of it: only what it names is compared.

    Raises:
        OutputError: If it is one.
    """
    there: Any = None
    with suppress(OSError, ValueError):
        there = read_json(folder / REQUEST)
    if is_shards(folder):
        with suppress(DataError):  # damaged: as if it were not written yet
            there = dict(read_shards(folder).request)
    if there is None and folder.is_dir():
        other = next((one.name for one in sorted(folder.iterdir()) if one.name[0] != "."), None)
        if other not in (None, MANIFEST):
            raise OutputError(
                f"{folder} holds {other}, and is no folder of shards; choose another {option_name('out')}"
            )
    for name, asked in json.loads(json.dumps(request)).items():
        if isinstance(there, dict) and there.get(name) != asked:
            raise OutputError(
                f"{folder} holds what another command made: {name} was {there.get(name)!r}, is {asked!r}; "
                f"choose another {option_name('out')}"
            )


def need_folder(out: str | os.PathLike[str] | None) -> None:
    """Checks that several processes, if there are several, write to a folder.

    Raises:
        ConfigError: If they would all write one file.
    """
    if launched_size() > 1 and (out is None or not is_folder(out)):
        raise ConfigError(
            f"one file is written by one process, got {launched_size()} (WORLD_SIZE): start it without "
            f"torchrun, or name a folder as {option_name('out')}"
        )


class ShardWriter:
    """Writes the shards of one request.

    Arguments:
        folder: The folder.
        request: What is asked for, as JSON; a folder of another request is refused.
        n: Number of rows.
        rows_per_shard: Number of rows in a file; the last one may have fewer.
        suffix: How files end.

    Raises:
        ConfigError: If the environment numbers this process beyond their count.
        OutputError: If the folder holds something else.
    """

    def __init__(
        self, folder: Path, request: Mapping[str, Any], n: int, rows_per_shard: int, suffix: str
    ) -> None:
        self.folder, self.n, self.rows_per_shard = folder, n, rows_per_shard
        self.request = json.loads(json.dumps(request))
        self.key = hashlib.sha256(json.dumps(self.request, sort_keys=True).encode()).hexdigest()
        count = math.ceil(n / rows_per_shard)
        self.names = [f"part-{number:05d}{suffix}" for number in range(count)]
        self.rank, self.world = launched_rank(), launched_size()
        if self.rank >= self.world:
            raise ConfigError(f"expected RANK below WORLD_SIZE {self.world}, found {self.rank}")
        check_request(folder, self.request)

    def check_source(self, read: Callable[[int, int, Show], str], progress: bool = False) -> None:
        """Checks that the shards that there are were made of the rows that the source has now.

        Their rows are read again, and no others: nothing where none is written yet.

        Arguments:
            read: Returns the sha256 of the source's rows from one number to another, and tells how many of
                them are done.
            progress: Whether the first process shows progress on standard error.

        Raises:
            OutputError: If they were made of others.
        """
        there = [(number, one) for number, one in enumerate(self._found()) if one is not None]
        done, total = 0, sum(one.rows for _, one in there)

        def shown(rows: int) -> None:
            show(done + rows, total)

        with bar("comparing", progress and self.rank == 0 and total > 0) as show:
            for number, one in there:
                start = number * self.rows_per_shard
                if read(start, start + one.rows, shown) != one.made_of:
                    raise OutputError(
                        f"{self.folder} holds what was made of other rows: some of those of {one.name}, "
                        f"{start:,} to {start + one.rows - 1:,} of the source, have changed since; choose "
                        f"another {option_name('out')}, or remove the folder"
                    )
                done += one.rows

    def write(
        self, what: str, row_bytes: float, make: Make, progress: bool = False, option: str = "n"
    ) -> Shards:
        """Writes the shards that are missing and are those of this process.

        Arguments:
            what: What is done, for the display of progress.
            row_bytes: Bytes of a row in a file, at least about.
            make: Writes the rows from one number to another to a file; it tells how many of them are done.
                Of rows that are made of those of a source it returns the sha256 of these.
            progress: Whether the first process shows progress on standard error.
            option: The option that is to be changed if there is no room: "n" or "out".

        Returns:
            The shards that there are, of all processes.

        Raises:
            InterruptedRunError: If a signal asked to stop; the same call goes on.
            OutputError: If the folder cannot be written, or there is no room on the disk.
        """
        missing = [number for number, found in enumerate(self._found()) if found is None]
        size, shards = math.ceil(row_bytes * sum(map(self._rows, missing))), plural(len(missing), "shard")
        check_room(self.folder, size, option, f" in {len(missing)} {shards}")
        own = [number for number in missing if number % self.world == self.rank]
        with writing(self.folder):
            make_folder(self.folder)
            if not (self.folder / MANIFEST).exists():
                write_atomic(self.folder / REQUEST, json.dumps(self.request))
            remove_temporary(self.folder, self._is_own)
        total, done = sum(map(self._rows, own)), 0

        def shown(rows: int) -> None:
            show(done + rows, total)

        def where() -> str:
            there = sum(found is not None for found in self._found())
            total = len(self.names)
            return f"with {there} of {total} {plural(total, 'shard')} written; the same command goes on"

        with bar(what, progress and self.rank == 0) as show, resumable(where):
            for number in own:
                self._write(number, make, shown)
                done += self._rows(number)
        return self._finish()

    def _rows(self, number: int) -> int:
        return min(self.rows_per_shard, self.n - number * self.rows_per_shard)

    def _is_own(self, name: str) -> bool:
        """Whether no other process can be writing the file of a name."""
        name = name.removeprefix(".").removesuffix(".json")
        if name in self.names:
            return self.names.index(name) % self.world == self.rank
        return self.world == 1 and f"{name}.json" in (REQUEST[1:], MANIFEST)

    def _note(self, number: int) -> Path:
        return self.folder / f".{self.names[number]}.json"

    def _found(self) -> list[Shard | None]:
        """The shards that are written, and None for those that are not."""
        known: dict[str, Shard] = {}
        if is_shards(self.folder):
            with suppress(DataError):
                known = {one.name: one for one in read_shards(self.folder).files}
        found: list[Shard | None] = []
        for number, name in enumerate(self.names):
            with suppress(OSError, ValueError, KeyError, TypeError):
                note = read_json(self._note(number))
                if note["request"] == self.key:
                    known[name] = Shard.from_json(note)
            one = known.get(name)
            with suppress(OSError):
                if one is not None and (self.folder / name).stat().st_size == one.bytes:
                    found.append(one)
                    continue
            found.append(None)
        return found

    def _write(self, number: int, make: Make, show: Show) -> None:
        name, start, count = self.names[number], number * self.rows_per_shard, self._rows(number)
        made: list[Shard] = []

        def content(file: Writer) -> None:
            digest = _Digest(file)
            made_of = make(digest, start, start + count, show)
            made.append(Shard(name, count, digest.size, digest.sha256.hexdigest(), made_of))

        write_atomic(self.folder / name, content)
        write_atomic(self._note(number), json.dumps({"request": self.key, **made[-1].as_json()}))

    def _finish(self) -> Shards:
        """Writes the manifest if no shard is missing, and removes what only served to go on."""
        if is_shards(self.folder) and not self._note_left():
            return read_shards(self.folder)  # another process may have written it meanwhile
        files = self._found()
        there = tuple(one for one in files if one is not None)
        made = Shards(self.folder, self.request, there, complete=len(there) == len(files))
        if made.complete:
            write_atomic(self.folder / MANIFEST, json.dumps(made.as_json(), indent=1) + "\n")
            with writing(self.folder):
                for path in (*map(self._note, range(len(files))), self.folder / REQUEST):
                    with suppress(FileNotFoundError):
                        disk.unlink(path)
        return made

    def _note_left(self) -> bool:
        return any(self._note(number).exists() for number in range(len(self.names)))


__all__ = ["ShardWriter", "folder_of", "is_folder", "need_folder"]
