"""The folder of a run: who may write to it, and what in it is whole."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushforward.codec import CODECS, Codec
from pushforward.distributed import is_first
from pushforward.errors import CheckpointError, DataError, OutputError, listed, reason
from pushforward.files import (
    check_place,
    disk,
    expanded,
    make_folder,
    remove,
    remove_temporary,
    temporary,
    write_atomic,
    writing,
)  # fmt: skip
from pushforward.locks import locked
from pushforward.reading import MOST_JSON, read_file
from pushforward.runs.config import check_same, check_version, command, decode, encode, parse
from pushforward.training.checkpoints import Checkpoints
from pushforward.training.history import NAME as HISTORY
from pushforward.training.history import read_history
from pushforward.wording import option_name

# Written first of all: a folder that holds it was begun as a run's.
LOCK = ".pushforward.lock"
CONFIG, CHECKPOINTS, OVERVIEW = "config.json", "checkpoints", "overview.png"
EVALUATIONS = "evaluations"  # on other data
CODEC_FILES = tuple(kind.file for kind in CODECS.values())
# What a run writes, and so all that overwriting may remove.
OURS = (
    CONFIG,
    *CODEC_FILES,
    HISTORY,
    CHECKPOINTS,
    "samples",
    "samplers",
    OVERVIEW,
    "evaluation.json",
    "evaluation-gmm.json",
    "evaluation-flow.json",
    EVALUATIONS,
    "report.html",
    "training.gif",
    "interpolation.gif",
)
# What only who holds the lock writes.
ALONE = (CONFIG, *CODEC_FILES, HISTORY, CHECKPOINTS, OVERVIEW, ".probe", "samples", "samplers")
# In a configuration while what the run before it has left is removed.
CLEARING = "clearing"


class RunDirectory:
    """The folder of a run. Its methods that read need no lock, those that write are called within it.

    The configuration is the first file that a new run writes, and makes the folder its own: it has an id that
    all checkpoints of the run repeat, and each of them holds copies of it and of the codec.

    Arguments:
        path: The folder, which need not exist; ``~`` is the user's, and a later change of the working
            directory does not matter.

    Raises:
        ConfigError: If it cannot be a path.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = absolute(path)

    # ------------------------------------------------------------------------------- writing

    def check_place(self) -> None:
        """Checks that a run may be trained in the folder, before anything is read or made.

        Of several processes the first does.

        Raises:
            OutputError: If it holds something else than a run, or cannot be written.
        """
        if not is_first():
            return
        check_place(self.path, folder=True)
        with writing(self.path):
            self._check_ours()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder, and holds its lock; what killed processes have left is removed.

        Of several processes that train together the first does, and holds it for all.

        Raises:
            OutputError: If it holds something else than a run, cannot be written, or another process trains
                in it.
        """
        if not is_first():
            yield
            return
        with writing(self.path):
            self._check_ours()
            make_folder(self.path)
        with locked(self.path / LOCK):
            with writing(self.path):
                remove_temporary(self.path, ALONE.__contains__)
                for name in (CHECKPOINTS, "samples"):
                    remove_temporary(self.path / name, lambda _: True)
                probe = temporary(self.path / ".probe")
                disk.create(probe).close()
                disk.unlink(probe)
            yield

    def begin(self, config: dict[str, Any], codec: Codec | None) -> None:
        """Makes the folder that of a new run, and removes what a run before it has left.

        From the first write on the folder is the new run's, whenever the process is killed. Of several
        processes the first writes.

        Raises:
            OutputError: If it cannot be written.
        """
        if not is_first():
            return
        kept = {CONFIG} if codec is None else {CONFIG, codec.file}
        left = [self.path / name for name in OURS if name not in kept and os.path.lexists(self.path / name)]
        write_atomic(self.path / CONFIG, encode(config | {CLEARING: True} if left else config))
        if codec is not None:
            write_atomic(self.path / codec.file, codec.text)
        if left:
            with writing(self.path):
                for path in left:
                    remove(path)
            write_atomic(self.path / CONFIG, encode(config))

    def repair(self, config: dict[str, Any], codec: Codec | None) -> None:
        """Writes the configuration and the codec of the run in the folder where they are damaged.

        Of several processes the first writes.

        Raises:
            OutputError: If they cannot be written.
        """
        if not is_first():
            return
        for name, content in copies(config, codec).items():
            path = self.path / name
            if not path.is_file() or read_file(path) != content:
                write_atomic(path, content)

    # ------------------------------------------------------------------------------- reading

    def holds_run(self) -> bool:
        """Whether there is a configuration, whole or not, or a copy of one; without one there is no run.

        Raises:
            OutputError: If there are checkpoints and no configuration.
        """
        if (self.path / CONFIG).exists() or Checkpoints(self.path / CHECKPOINTS).copy(CONFIG):
            return True
        if Checkpoints(self.path / CHECKPOINTS).steps():
            raise OutputError(
                f"{self.path / CONFIG} is missing, and no checkpoint holds a copy of it: the run cannot be "
                f"continued; {_again()}"
            )
        return False

    def config(self) -> dict[str, Any]:
        """The configuration; if it is damaged, the copy in the newest checkpoint, with a warning.

        Raises:
            OutputError: If the folder holds no run, or one of a version whose configurations cannot be read.
        """
        path = self.path / CONFIG
        content, fault = b"", f"{self.path} holds no run: there is no {CONFIG}"
        try:
            content = read_file(path, MOST_JSON)
            config = decode(content)
        except FileNotFoundError:
            config = self._copied_config(fault, missing=f"{path} is missing")
        except (OSError, ValueError) as error:
            fault = f"{path} cannot be read: {reason(error)}"
            config = self._copied_config(fault, content)
        check_version(config, self.path)
        return config

    def continued(self, config: dict[str, Any]) -> dict[str, Any]:
        """The configuration in the folder, which must be that of this very run.

        Raises:
            OutputError: If it is another's.
        """
        there = self.config()
        check_same(self.path, there, config)
        return there

    def codec(self, config: dict[str, Any]) -> Codec | None:
        """The codec of a run; None of a run on numbers, or if it can only be learnt again.

        If the file is damaged, the copy in the newest checkpoint is read, with a warning.
        """
        if config["codec"] is None:
            return None
        kind = CODECS[config["data"]["modality"]]
        path = self.path / kind.file
        try:
            return _codec(kind, read_file(path, MOST_JSON), config["codec"])
        except (OSError, DataError) as error:
            copy = self.checkpoints(config).copy(kind.file)
            if copy is None:
                return None
            step, content = copy
            warnings.warn(
                f"{path} cannot be read: {reason(error)}; its copy in the checkpoint of step {step} is used",
                stacklevel=3,
            )
            return _codec(kind, content, config["codec"])

    def history(self) -> list[dict[str, Any]]:
        """The logged lines of training; damage is noticed by the copy in the newest checkpoint."""
        copy = Checkpoints(self.path / CHECKPOINTS).copy(HISTORY)
        return read_history(self.path / HISTORY, copy[1] if copy else b"")

    def checkpoints(self, config: dict[str, Any]) -> Checkpoints:
        """The checkpoints of the run with this configuration."""
        return Checkpoints(self.path / CHECKPOINTS, config["id"])

    def without_checkpoint(self, error: CheckpointError, config: dict[str, Any]) -> CheckpointError:
        """An error that says what can still be done with a run none of whose checkpoints can be read."""
        if not Checkpoints(self.path / CHECKPOINTS).steps():
            return CheckpointError(
                f"{self.path} has no checkpoint yet; go on with: {command('resume', self.path, config)}"
            )
        return CheckpointError(
            f"{error}. There is no other checkpoint: the weights are lost. {CONFIG} and {HISTORY} can still "
            f"be read; to get the weights back, {_again()}, which gives the same ones"
        )

    def _copied_config(self, fault: str, content: bytes = b"", missing: str | None = None) -> dict[str, Any]:
        """The configuration of the newest checkpoint, or, of a run of another version, that in the file."""
        copy = Checkpoints(self.path / CHECKPOINTS).copy(CONFIG)
        if copy is not None:
            step, copied = copy
            try:
                config = decode(copied)
            except ValueError:
                pass
            else:
                said = missing or fault
                warnings.warn(f"{said}; the copy in the checkpoint of step {step} is used", stacklevel=4)
                return config
        try:
            config = parse(content)
        except ValueError:
            pass
        else:
            check_version(config, self.path)
        raise OutputError(fault if not content else f"{fault}. No checkpoint holds a copy of it; {_again()}")

    def _check_ours(self) -> None:
        """Checks that a run may be trained in the folder: files that are not a run's are never touched.

        Raises:
            OutputError: If it holds files, and was not begun as a run's.
        """
        if not self.path.exists():
            return
        found = sorted(place.name for place in self.path.iterdir())
        if not found or LOCK in found or Checkpoints(self.path / CHECKPOINTS).copy(CONFIG):
            return
        try:
            parse(read_file(self.path / CONFIG, MOST_JSON))
        except (OSError, ValueError):
            raise OutputError(
                f"{self.path} is not empty and holds no run; choose another {option_name('out')}, or "
                "remove what is in it: "
                f"{listed(found, 3)}"
            ) from None


def _again() -> str:
    """How a run is trained anew in its folder."""
    return f"train again with {option_name('overwrite', True)}"


def copies(config: dict[str, Any], codec: Codec | None) -> dict[str, bytes]:
    """The contents of the files of a run that do not change, by name."""
    texts = {} if codec is None else {codec.file: codec.text.encode()}
    return {CONFIG: encode(config), **texts}


def _codec(kind: type[Codec], content: bytes, wanted: str) -> Codec:
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise DataError(f"its sha256 should be {wanted}, is {found}")
    return kind(content.decode())


def absolute(path: str | os.PathLike[str]) -> Path:
    """A path that does not depend on the working directory, with ``~`` as the user's folder.

    Raises:
        ConfigError: If it cannot be a path.

    >>> absolute("/runs/one")
    PosixPath('/runs/one')
    """
    return expanded(path).absolute()


__all__ = ["CLEARING", "LOCK", "OURS", "OVERVIEW", "RunDirectory", "absolute", "copies"]
