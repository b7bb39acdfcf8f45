"""Where training rows lie while a model is trained, and how a batch of them comes to its device.

On a CPU a batch is read where it is computed with. A GPU would wait for that: rows that fit are kept there,
and of others the batch that follows is read by a thread meanwhile. The rows of a batch are the same in each
case, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import torch
from torch import Tensor

from pushforward.data.dataset import Batch, Split
from pushforward.data.rows import row_bytes
from pushforward.torch_state import WITH_PINNED, to_device

SHARE = 0.25  # of a GPU's free memory, that rows may take


class Source:
    """Rows that are read when a batch of them is asked for, and sent to the device.

    Arguments:
        rows: The rows.
        device: Where batches are computed with.
    """

    def __init__(self, rows: Split, device: torch.device) -> None:
        self.rows = rows
        self.device = device

    def take(self, index: Tensor, following: Callable[[], Tensor]) -> Batch:
        """The rows at ``index``, as a model sees them, on the device.

        Arguments:
            index: The numbers of the rows.
            following: Those of the rows that are likely to be asked for next.

        Raises:
            DataError: If they cannot be read.
        """
        return self.rows.batch(index).to(self.device)

    def paired_rows(self, index: Tensor) -> Tensor | None:
        """The counterparts of the rows at ``index``, on the device, if any row has one."""
        found = self.rows.paired_rows(index)
        return None if found is None else to_device(found, self.device)

    def close(self) -> None:
        """Ends what reads."""


class Resident(Source):
    """Rows that are kept on the device: only their numbers go there."""

    def __init__(self, rows: Split, device: torch.device) -> None:
        assert isinstance(rows.x, Tensor)
        y, paired = (None if part is None else part.to(device) for part in (rows.y, rows.paired))
        super().__init__(replace(rows, x=rows.x.to(device), y=y, factors=None, paired=paired), device)

    def take(self, index: Tensor, following: Callable[[], Tensor]) -> Batch:
        """The rows at ``index``, as a model sees them, on the device."""
        return self.rows.batch(to_device(index, self.device))

    def paired_rows(self, index: Tensor) -> Tensor | None:
        """The counterparts of the rows at ``index``, on the device, if any row has one."""
        return self.rows.paired_rows(to_device(index, self.device))


class Prefetched(Source):
    """Rows of which a thread reads the batch that follows, while the device computes with the one before."""

    def __init__(self, rows: Split, device: torch.device) -> None:
        super().__init__(rows, device)
        self._reader: ThreadPoolExecutor | None = None
        # The batch that was last asked for, for players may share it, and the one that follows.
        self._known: list[tuple[Tensor, Future[Batch]]] = []

    def take(self, index: Tensor, following: Callable[[], Tensor]) -> Batch:
        """The rows at ``index``, as a model sees them, on the device."""
        asked, ahead = self._reading(index), self._reading(following())
        self._known = [ahead]  # without the one that is asked for, if it cannot be read
        batch = asked[1].result()
        self._known = [asked, ahead]
        return batch.to(self.device)

    def _reading(self, index: Tensor) -> tuple[Tensor, Future[Batch]]:
        """The batch of rows ``index``, read or being read."""
        for known in self._known:
            if torch.equal(known[0], index):
                return known
        if self._reader is None:
            self._reader = ThreadPoolExecutor(1, "pushforward-rows")
        return index, self._reader.submit(self._read, index)

    def _read(self, index: Tensor) -> Batch:
        batch = self.rows.batch(index)
        if self.device.type not in WITH_PINNED:
            return batch
        return Batch(batch.x.pin_memory(), None if batch.y is None else batch.y.pin_memory())

    def close(self) -> None:
        """Ends the thread, once it has read what it is reading; asking for rows starts another."""
        if self._reader is not None:
            self._reader.shutdown(cancel_futures=True)
        self._reader, self._known = None, []


def source_of(rows: Split, device: torch.device) -> Source:
    """How the rows of a split come to a device."""
    if device.type not in WITH_PINNED:
        return Source(rows, device)
    return Resident(rows, device) if fits(rows, device) else Prefetched(rows, device)


def fits(rows: Split, device: torch.device) -> bool:
    """Whether rows are in memory, and take at most a quarter of the free memory of a GPU."""
    free, _ = torch.cuda.mem_get_info(device)
    beside = sum(part.nbytes for part in (rows.y, rows.paired) if part is not None)
    return isinstance(rows.x, Tensor) and len(rows) * row_bytes(rows.x) + beside <= SHARE * free


__all__ = ["Prefetched", "Resident", "Source", "fits", "source_of"]
