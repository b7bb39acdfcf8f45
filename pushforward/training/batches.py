"""Which rows are in each batch: in random order, epoch after epoch, and shared out evenly by processes."""

from __future__ import annotations

from functools import lru_cache

from torch import Tensor

from pushforward import distributed
from pushforward.data.split import Split
from pushforward.errors import ConfigError
from pushforward.rng import Noise
from pushforward.wording import option_name


def batches_per_epoch(rows: int, batch: int) -> int:
    """How many batches there are in one pass over so many rows, without the last, incomplete one.

    >>> batches_per_epoch(250, 100), batches_per_epoch(50, 100)
    (2, 1)
    """
    return max(rows // min(batch, rows), 1)


def shared_batch(asked: int, data: Split, labelled: bool, processes: int) -> int:
    """Rows in a batch that processes share out evenly: as many as are asked for, at most all that there are.

    A mean over processes of means over unequally many rows would be none over rows. A player that draws from
    rows with a label has smaller batches where they are fewer.

    Arguments:
        asked: The batch size that was asked for.
        data: The rows, with the labels that the model may see.
        labelled: Whether a player draws from those with a label.
        processes: Their number.

    Raises:
        ConfigError: If so many processes cannot have equally many rows of a batch.
    """
    batch = min(asked, len(data))
    if batch % processes:
        why = f", since it is drawn from {len(data)} rows" if batch < asked else ""
        raise ConfigError(
            f"{option_name('batch_size')} must be a multiple of the number of processes, {processes}, got "
            f"{batch}{why}"
        )
    known = int((data.y >= 0).sum()) if labelled and data.y is not None else batch
    if known < batch and known % processes:
        raise ConfigError(
            f"{option_name('n_labels')} must be a multiple of the number of processes, {processes}, or at "
            f"least the batch size, {batch}, got {known}"
        )
    return batch


class BatchSampler:
    """Batches of rows in random order, epoch after epoch; the last, incomplete one is left out.

    Arguments:
        rows: The number of rows.
        batch: Rows in a batch, over all processes; at most all rows are.
        noise: What the order is derived from.
    """

    def __init__(self, rows: int, batch: int, noise: Noise) -> None:
        self.batch_size = min(batch, rows)
        self.own = distributed.own_slice(self.batch_size)
        self.per_epoch = batches_per_epoch(rows, batch)
        self._order = lru_cache(maxsize=1)(lambda epoch: noise(epoch).permutation(rows))

    def index(self, draw: int) -> Tensor:
        """Which rows are in the batch number ``draw`` of the whole run."""
        epoch, place = divmod(draw, self.per_epoch)
        return self._order(epoch)[place * self.batch_size : (place + 1) * self.batch_size]

    def own_index(self, draw: int) -> Tensor:
        """Which of the rows of the batch number ``draw`` this process computes with: all, if it is alone."""
        return self.index(draw)[self.own]


__all__ = ["BatchSampler", "batches_per_epoch", "shared_batch"]
