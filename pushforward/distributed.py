r"""Several processes that train one model on one batch: which rows are whose, and what passes between them.

Every process holds the whole model and computes with its slice of the batch. The value of a term is the mean
over processes of what each of them computes, so that means over rows need nothing else. What is no mean over
rows (MMD, sorting, the statistics of BatchNorm) is computed from the rows of all processes, which
:func:`all_gather` returns. Its gradient is the sum of what all processes do with a row:

.. math:: L = \frac1W \sum_r L_r(g(x_1, \dots, x_W)), \qquad
    \frac{\partial L}{\partial x_s} = \frac1W \sum_r \frac{\partial L_r}{\partial x_s}

and the mean over processes of the gradients of parameters is then that of one process with the whole batch.

Rows are shared within :func:`sharing` alone, which the training loop enters for each step. Elsewhere
(evaluation, sampling, diagnostics) every process is by itself, and :func:`all_gather` returns what it is
given.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from enum import Enum
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from pushforward.errors import ConfigError, ProcessError, reason
from pushforward.launch import launched_local_rank, launched_size

PATIENCE = timedelta(minutes=10)  # how long a process waits for the others, such as for the first to save


class Rows(Enum):
    """Whose rows tensors hold."""

    ALONE = "all rows: this process works by itself"
    SHARED = "a slice of the batch, the rest of which the other processes hold"
    GATHERED = "the rows of the whole batch, as in all other processes"


_rows = Rows.ALONE


def size() -> int:
    """The number of processes that train together; 1 of a process by itself."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process among those that train together, from 0; 0 of a process by itself."""
    return dist.get_rank() if size() > 1 else 0


def is_first() -> bool:
    """Whether this is the process that writes: number 0, or one by itself."""
    return rank() == 0


def is_sharing() -> bool:
    """Whether tensors now hold a slice of the batch, the rest of which other processes hold."""
    return _rows is Rows.SHARED and size() > 1


@contextmanager
def _holding(rows: Rows) -> Iterator[None]:
    global _rows
    before, _rows = _rows, rows
    try:
        yield
    finally:
        _rows = before


def sharing() -> AbstractContextManager[None]:
    """Inside, tensors hold this process's slice of the batch."""
    return _holding(Rows.SHARED)


def gathered() -> AbstractContextManager[None]:
    """Inside, tensors hold the rows of all processes, where they held a slice outside."""
    return _holding(Rows.GATHERED if _rows is Rows.SHARED else _rows)


def own_slice(rows: int) -> slice:
    """Which of the rows of a batch this process computes with.

    Raises:
        ConfigError: If they cannot be shared out evenly. A mean over processes would then be none over rows.
    """
    if rows % size():
        raise ConfigError(f"a batch must be shared out evenly, got {rows} rows and {size()} processes")
    share = rows // size()
    return slice(rank() * share, (rank() + 1) * share)


# ------------------------------------------------------------------------------ what passes between processes


@contextmanager
def _with_others() -> Iterator[None]:
    """Turns the error of a process that has lost another one into a typed one."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessError(
            f"process {rank()} of {size()} has lost another one, which was killed or has failed: "
            f"{reason(error):.200}"
        ) from error


def _gather(into: Tensor, x: Tensor) -> None:
    """Fills a tensor with those of all processes, in their order."""
    dist.all_gather(list(into.view(size(), *x.shape).unbind()), x)


def all_gather(x: Tensor) -> Tensor:
    """The rows of ``x`` (N, \\*) of all processes in their order, (W N, \\*), with all derivatives.

    Outside of :func:`sharing`, and in a single process, it is ``x`` itself. All processes must have
    equally many rows.

    Raises:
        ProcessError: If another process is lost.
    """
    return _AllGather.apply(x) if is_sharing() else x  # type: ignore[no-untyped-call]


class _AllGather(torch.autograd.Function):
    """Gathers rows; the gradient of a row is the sum of the gradients that all processes have for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        gathered = x.new_empty(size() * len(x), *x.shape[1:])
        with _with_others():
            _gather(gathered, x.contiguous())
        return gathered

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _OwnSum.apply(gradient)  # type: ignore[no-untyped-call]


class _OwnSum(torch.autograd.Function):
    """The sum over processes of the rows of this one: the adjoint of a gather."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.contiguous().clone()
        with _with_others():
            dist.all_reduce(total)
        return total[own_slice(len(x))].clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _AllGather.apply(gradient)  # type: ignore[no-untyped-call]


def process_mean(value: Tensor) -> Tensor:
    """The mean over processes of a tensor that each of them has, such as a term, with all derivatives.

    What is no linear function of a term, such as its root, is computed of this. Outside of :func:`sharing` it
    is the tensor itself.
    """
    return all_gather(value.unsqueeze(0)).mean(0)


def average(tensors: Sequence[Tensor]) -> None:
    """Replaces tensors by their means over all processes, in one exchange for each type of number."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        same = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in same])
        with _with_others():
            dist.all_reduce(flat)
        flat /= size()
        for tensor, part in zip(same, flat.split([tensor.numel() for tensor in same]), strict=True):
            tensor.detach().copy_(part.view_as(tensor))


def average_gradients(
    parameters: Sequence[torch.nn.Parameter], losses: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Replaces gradients by their means over all processes; returns the means of losses, by name.

    A parameter that has a gradient in some processes only, since no row of the others needed it, has one in
    all afterwards; one that has none anywhere has none.
    """
    has = parameters[0].new_tensor([p.grad is not None for p in parameters])
    values = torch.stack([value.detach() for value in losses.values()]).to(has)
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    average([*gradients, has, values])
    for parameter, gradient, share in zip(parameters, gradients, has.tolist(), strict=True):
        parameter.grad = gradient if share else None
    return {name: value.to(losses[name].dtype) for name, value in zip(losses, values, strict=True)}


def any_process(flag: bool) -> bool:
    """Whether any process has raised a flag."""
    if size() == 1:
        return flag
    raised = torch.tensor(flag, dtype=torch.uint8, device=_device())
    with _with_others():
        dist.all_reduce(raised, dist.ReduceOp.MAX)
    return bool(raised)


def from_first(value: Any) -> Any:
    """The value of the first process, for all: anything that JSON can hold."""
    if size() == 1:
        return value
    content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8).to(_device())
    length = torch.tensor(len(content), device=_device())
    with _with_others():
        dist.broadcast(length, 0)
        if not is_first():
            content = torch.empty(int(length), dtype=torch.uint8, device=_device())
        dist.broadcast(content, 0)
    return json.loads(bytes(content.cpu().numpy()))


def tensors_from_first(tensors: Sequence[Tensor]) -> None:
    """Replaces tensors by those of the first process."""
    if size() > 1:
        with _with_others():
            for tensor in tensors:
                whole = tensor.detach().to(_device(), copy=True).contiguous()
                dist.broadcast(whole, 0)
                tensor.detach().copy_(whole)


def check_same(what: str, tensors: Mapping[str, Tensor]) -> None:
    """Checks that tensors have the same bits in all processes.

    Arguments:
        what: What they are, for the message.
        tensors: Tensors by their names.

    Raises:
        ProcessError: If one has not; in every process.
    """
    if size() == 1 or not tensors:
        return
    sums = torch.stack([_checksum(tensor) for tensor in tensors.values()]).to(_device())
    of_all = torch.empty(size() * len(sums), dtype=torch.int64, device=sums.device)
    with _with_others():
        _gather(of_all, sums)
    differ = (of_all.view(size(), -1) != of_all[: len(sums)]).any(0).tolist()
    if any(differ):
        name = next(name for name, differs in zip(tensors, differ, strict=True) if differs)
        raise ProcessError(f"{what} must be the same in all {size()} processes, but {name} is not")


def _checksum(tensor: Tensor) -> Tensor:
    """A number of the bits of a tensor and of their places, which differs where one bit does."""
    numbers = tensor.detach().reshape(-1).contiguous().view(torch.uint8).long() + 1
    places = torch.arange(1, len(numbers) + 1, device=numbers.device)
    return (numbers * (places * 2654435761 % 2147483647)).sum()


def exchange_seconds(numbers: int, times: int = 20) -> float:
    """Seconds in which processes add up so many float32 numbers: the median of several times."""
    x, took = torch.zeros(numbers, device=_device()), []
    for _ in range(3 + times):  # the first ones connect
        wait()
        begun = time.perf_counter()
        with _with_others():
            dist.all_reduce(x)
        if x.is_cuda:
            torch.cuda.synchronize()
        took.append(time.perf_counter() - begun)
    return statistics.median(took[3:])


def wait() -> None:
    """Waits until all processes are here."""
    any_process(False)


# ------------------------------------------------------------------------------------------ begin and end


def _device() -> str:
    """Where tensors that pass between processes must be: on the GPU with NCCL."""
    return "cuda" if dist.get_backend() == "nccl" else "cpu"


def use_own_gpu() -> None:
    """Makes "cuda" the GPU of this process's LOCAL_RANK, if torchrun has started several processes.

    Runs store "cuda", without a number, so that any number of processes can go on with them.
    """
    if torch.cuda.is_available() and launched_size() > 1:
        torch.cuda.set_device(launched_local_rank() % torch.cuda.device_count())


@contextmanager
def joined() -> Iterator[None]:
    """Inside, this process trains together with the others that ``torchrun`` has started, if it has.

    A process group that exists already is used as it is. With GPUs each process takes the one of its
    LOCAL_RANK. It also decorates functions.

    Raises:
        ConfigError: If the variables of the environment that ``torchrun`` sets are not complete.
        ProcessError: If the other processes cannot be reached.
    """
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
    with _with_others():
        store, own_rank, world = next(rendezvous("env://", timeout=PATIENCE))
        # torchrun keeps one store through all its restarts: addresses of the processes before would be taken
        # for those of these, and each could wait forever for the other to connect
        store = PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=own_rank, world_size=world, timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def imitated(world_size: int) -> Iterator[None]:
    """Inside, this process computes what the first of so many computes, without the others.

    What they would send is taken to be what this one sends. The values are not those of a run, but what is
    computed, kept and sent is as much.

    >>> with imitated(4):
    ...     size(), rank(), own_slice(100)
    (4, 0, slice(0, 25, None))
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


# ------------------------------------------------------------------------------------------ random numbers

_generators: dict[torch.device, torch.Generator] = {}


def seed_layers(seed: int, device: torch.device | str) -> None:
    """Seeds the numbers that :func:`layer_numbers` draws, alike in all processes."""
    device = torch.device(device)
    if device not in _generators:
        _generators[device] = torch.Generator(device)
    _generators[device].manual_seed(seed)


def layer_numbers(
    draw: Callable[..., Tensor], *shape: int, device: torch.device, dtype: torch.dtype | None = None
) -> Tensor:
    """Random numbers (N, \\*) of layers that draw by themselves: of this process's rows, among those of all.

    One process draws them from torch's own generator. Several draw those of the whole batch from one that
    is seeded alike in all of them, and keep those of their rows: what one process would draw.

    Arguments:
        draw: ``torch.rand`` or ``torch.randn``.
        shape: Their shape, whose first number is that of this process's rows.
        device: Where they are.
        dtype: Their type.
    """
    if size() == 1 or _rows is Rows.ALONE:
        return draw(*shape, device=device, dtype=dtype)
    rows = size() * shape[0] if is_sharing() else shape[0]
    drawn = draw(rows, *shape[1:], device=device, dtype=dtype, generator=_generators[device])
    return drawn[own_slice(rows)] if is_sharing() else drawn
