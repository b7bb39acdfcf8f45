"""The one seam between a batch and the processes that share it.

A discrepancy that is not a mean over samples (MMD, any moment or order of the batch) must see
the whole batch: averaged over processes that each saw a part, it is another objective, with
more noise and a gradient that is off by tens of percent. Every such discrepancy therefore
passes its samples through :func:`all_gather`. Nothing else in the package knows about processes, and
several of them are refused before anything is written.
"""

from __future__ import annotations

import os

import torch
from torch import Tensor

from pushforward.errors import ConfigError


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


def check_alone() -> None:
    """Checks that this process is not one of several that train together.

    Raises:
        ConfigError: If ``torchrun`` or a process group says that it is: each would train the whole run, and
            all would write to its folder.
    """
    process_group = torch.distributed
    if process_group.is_available() and process_group.is_initialized():
        number = process_group.get_world_size()
    else:
        words = os.environ.get("WORLD_SIZE", "1")
        number = int(words) if words.isdecimal() else 1
    if number > 1:
        raise ConfigError(
            f"a run is trained by one process, got {number} (WORLD_SIZE): start it without torchrun"
        )
