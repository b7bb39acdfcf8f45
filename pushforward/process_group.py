"""How the processes that ``torchrun`` has started find each other, as often as they work together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from pushforward.distributed import size
from pushforward.errors import ConfigError, ProcessError, reason
from pushforward.launch import launched_local_rank, launched_rank, launched_size
from pushforward.reading import read_file

PATIENCE = timedelta(minutes=10)  # how long a process waits for the others, such as for the first to save


def use_own_gpu() -> None:
    """Makes "cuda" the GPU of this process's LOCAL_RANK, if torchrun has started several processes.

    Runs store "cuda", without a number, so that any number of processes can go on with them.
    """
    if torch.cuda.is_available() and launched_size() > 1:
        torch.cuda.set_device(launched_local_rank() % torch.cuda.device_count())


# Where processes find each other. It is kept for as long as this process lives, by torchrun through all its
# restarts. Each group that they form has names of its own there: those of an earlier one stand for closed
# connections, for which each could wait forever.
_store: Any = None
_meetings = 0


@contextmanager
def joined() -> Iterator[None]:
    """Inside, this process trains together with the others that ``torchrun`` has started, if it has.

    A process group that exists already is used as it is. With GPUs each process takes the one of its
    LOCAL_RANK. It also decorates functions, which all processes then have to call.

    Raises:
        ConfigError: If the variables of the environment that ``torchrun`` sets are not complete.
        ProcessError: If the other processes cannot be reached, or do not come within ten minutes.
    """
    global _store, _meetings
    if launched_size() == 1 or size() > 1:
        yield
        return
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE is {launched_size()}, but {', '.join(missing)} is not set: start all processes "
            "by torchrun"
        )
    from torch.distributed.distributed_c10d import PrefixStore  # which builds without processes have not
    from torch.distributed.rendezvous import rendezvous

    use_own_gpu()
    number, count = launched_rank(), launched_size()
    _meetings += 1
    try:
        if _store is None:
            _store = next(rendezvous("env://", number, count, timeout=PATIENCE))[0]
        restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)
        store = PrefixStore(f"start {restart}, meeting {_meetings}", _store)
        # Tensors of GPUs pass by NCCL. What processes agree on is on the CPU, and waits for no GPU.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=number, world_size=count, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise ProcessError(
            f"the {count} processes do not all find each other ({reason(error).rstrip('.'):.200}): all have "
            "to be started, with the same MASTER_ADDR and MASTER_PORT, and to do the same, such as evaluate"
        ) from error
    _let_workers_finish()
    try:
        yield
    except BaseException:
        _abandon()
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _abandon() -> None:
    """Gives up what is being exchanged between GPUs: to leave in good order would be to wait for its end.

    Other processes may never come to it, since only this one has failed, or because one of them was killed.
    """
    if torch.cuda.is_available():
        from torch.distributed.distributed_c10d import _abort_process_group

        _abort_process_group()


def _let_workers_finish() -> None:
    """Keeps gloo's event thread from taking the core of a thread that it then waits for.

    That thread is woken by what has arrived, tries the lock of the connection, and tries again at once, as
    long as another thread of gloo holds it. Where both are on one core, the one with the lock does not run
    until the system's next tick: an exchange of 0.2 ms takes up to 4 (docs/results/throughput.md). A thread
    of the batch policy does not displace one that runs; its share of the time stays the same.
    """
    if sys.platform != "linux":
        return
    for thread in Path("/proc/self/task").iterdir():
        try:
            if read_file(thread / "comm") == b"gloo_tcp_loop\n":
                os.sched_setscheduler(int(thread.name), os.SCHED_BATCH, os.sched_param(0))
        except OSError:  # it has ended, or the system does not allow it
            continue


@contextmanager
def imitated(world_size: int) -> Iterator[None]:
    """Inside, this process computes what the first of so many computes, without the others.

    What they would send is taken to be what this one sends. The values are not those of a run, but what is
    computed, kept and sent is as much.

    >>> with imitated(4):
    ...     size()
    4
    """
    if world_size == 1:
        yield
        return
    from torch.testing._internal.distributed.fake_pg import FakeStore  # a backend of torch for such trials

    dist.init_process_group("fake", rank=0, world_size=world_size, store=FakeStore())
    try:
        yield
    finally:
        dist.destroy_process_group()


__all__ = ["imitated", "joined", "use_own_gpu"]
