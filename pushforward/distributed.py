"""The one seam between a batch and the processes that share it.

A discrepancy that is not a mean over samples (MMD, any moment or order of the batch) must see
the whole batch: averaged over processes that each saw a part, it is another objective, with
more noise and a gradient that is off by tens of percent. Every such discrepancy therefore
passes its samples through :func:`all_gather`, and nothing else in the package knows about processes but
the lock of a run's folder, which only the first of them takes.
"""

from __future__ import annotations

import os

import torch
from torch import Tensor


def all_gather(x: Tensor) -> Tensor:
    """The rows of ``x`` of all processes, differentiable; ``x`` itself in a single process.

    Raises:
        NotImplementedError: If several processes share the batch. A gather without the right
            gradient would train another objective without a word, so there is none yet.
    """
    process_group = torch.distributed
    if process_group.is_available() and process_group.is_initialized() and process_group.get_world_size() > 1:
        raise NotImplementedError("a batch shared by several processes is not supported yet")
    return x


def rank() -> int:
    """The number of this process among those that train together, as ``torchrun`` starts them; 0 if alone."""
    process_group = torch.distributed
    if process_group.is_available() and process_group.is_initialized():
        return process_group.get_rank()
    return int(os.environ.get("RANK", "0"))
