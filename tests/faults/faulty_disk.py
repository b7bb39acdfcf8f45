"""A disk that fails: at one of its calls it kills the process, reports an error, is full, or writes a part.

A process that is killed does nothing any more: after a kill every call raises, so that no clean-up of the
package runs which a real kill would not have let run. What the operating system does then, closing files and
so releasing locks, happens as the exception passes.
"""

import errno

import pytest

from pushforward.files import Disk, disk

CALLS = tuple(name for name in vars(Disk) if not name.startswith("_"))
GROWING = ("create", "append", "write", "mkdir")  # what a full disk refuses
SYNCS = ("sync", "sync_folder")


class Killed(BaseException):
    """The process has been killed."""


class FaultyDisk:
    """Within its context, the calls of the disk are counted, and one of them has a fault.

    Nothing is synced: tests lose no power.

    Arguments:
        fault: "kill", before the call or, of a write, halfway; "error", EIO from this one call; "full",
            ENOSPC from this call on; "short", writes of half of what is to be written; None for no fault.
        at: The number of the call, from 0.
    """

    def __init__(self, fault=None, at=-1):
        self.fault = fault
        self.at = at
        self.calls = []
        self.dead = False

    def __enter__(self):
        self._patch = pytest.MonkeyPatch()
        for name in CALLS:
            self._patch.setattr(disk, name, self._call(name, getattr(Disk, name)), raising=False)
        return self

    def __exit__(self, *_):
        self._patch.undo()

    def _call(self, name, real):
        def call(*arguments):
            if self.dead:
                raise Killed
            number = len(self.calls)
            self.calls.append((name, *arguments))
            if self.fault == "short" and name == "write":
                file, content = arguments
                return real(disk, file, memoryview(content)[: max(1, len(content) // 2)])
            if self.fault == "full" and number >= self.at and name in GROWING:
                raise OSError(errno.ENOSPC, "No space left on device")
            if number == self.at and self.fault == "error":
                raise OSError(errno.EIO, "Input/output error")
            if number == self.at and self.fault == "kill":
                if name == "write":
                    file, content = arguments
                    real(disk, file, memoryview(content)[: len(content) // 2])
                self.dead = True
                raise Killed
            return None if name in SYNCS else real(disk, *arguments)

        return call


__all__ = ["CALLS", "FaultyDisk", "Killed"]
