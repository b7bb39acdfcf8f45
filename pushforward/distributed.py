r"""Several processes that train one model on one batch: which rows are whose, and what passes between them.

Every process holds the whole model and computes with its slice of the batch. The value of a term is the mean
over processes of what each of them computes, so that means over rows need nothing else. What is no mean over
rows (MMD, sorting, the statistics of BatchNorm) is computed from the rows of all processes, which
:func:`all_gather` and :func:`gather_replicated` return. Its gradient is the sum of what all processes do with
a row:

.. math:: L = \frac1W \sum_r L_r(g(x_1, \dots, x_W)), \qquad
    \frac{\partial L}{\partial x_s} = \frac1W \sum_r \frac{\partial L_r}{\partial x_s}

and the mean over processes of the gradients of parameters is then that of one process with the whole batch.
Where all processes compute the same from the gathered rows, all summands are the same: nothing has to pass
between processes for the gradient.

Rows are shared within :func:`sharing` alone, which the training loop enters for each step. Elsewhere
(evaluation, sampling, diagnostics) every process has all rows, and :func:`all_gather` returns what it is
given. How an evaluation is shared out is in :mod:`~pushforward.parts`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from pushforward.errors import ConfigError, ProcessError, reason
from pushforward.torch_state import in_layout_of
from pushforward.utils import Setting

# The address of a machine, with a number by which each of the other processes knows it.
PORT = re.compile(r"\[([\w.:]+)\]:\d+")
PART = 2**20  # bytes of a tensor that a checksum looks at together


class Rows(Enum):
    """Whose rows tensors hold."""

    ALONE = "all rows: this process works by itself"
    SHARED = "a slice of the batch, the rest of which the other processes hold"
    GATHERED = "the rows of the whole batch, as in all other processes"


_rows = Setting(Rows.ALONE)


def size() -> int:
    """The number of processes that train together; 1 of a process by itself."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process among those that train together, from 0; 0 of a process by itself."""
    return dist.get_rank() if size() > 1 else 0


def is_first() -> bool:
    """Whether this is the process that writes: number 0, or one by itself."""
    return rank() == 0


def in_step() -> bool:
    """Whether processes now take a step together: they can share the work of what they have in common."""
    return size() > 1 and _rows.value is not Rows.ALONE


def is_sharing() -> bool:
    """Whether tensors now hold a slice of the batch, the rest of which other processes hold."""
    return _rows.value is Rows.SHARED and size() > 1


def sharing() -> AbstractContextManager[None]:
    """Inside, tensors hold this process's slice of the batch."""
    return _rows.held(Rows.SHARED)


def gathered() -> AbstractContextManager[None]:
    """Inside, tensors hold the rows of all processes, where they held a slice outside."""
    return _rows.held(Rows.GATHERED if _rows.value is Rows.SHARED else _rows.value)


def own_slice(rows: int) -> slice:
    """Which of the rows of a batch, a multiple of the number of processes, this process computes with."""
    share = rows // size()
    return slice(rank() * share, (rank() + 1) * share)


# ------------------------------------------------------------------------------ what passes between processes


@contextmanager
def _with_others() -> Iterator[None]:
    """Turns the error of a process that has lost another one into a typed one."""
    try:
        yield
    except RuntimeError as error:
        # What torch advises behind its first sentence is for others than who trains.
        words = PORT.sub(r"\1", reason(error).partition(". ")[0])
        raise ProcessError(
            f"one of the {size()} processes was lost ({words:.200}): it was killed or has failed, as what it "
            "printed itself may say; start all of them again, and a run goes on from its newest checkpoint"
        ) from error


def _of_all(x: Tensor) -> Tensor:
    """A tensor of all processes, in their order, (W, \\*)."""
    found = x.new_empty(size(), *x.shape)
    with _with_others():
        dist.all_gather(list(found.unbind()), x.contiguous())
    return found


def all_gather(x: Tensor) -> Tensor:
    """The rows of ``x`` (N, \\*) of all processes in their order, (W N, \\*), with all derivatives.

    Outside of :func:`sharing`, and in a single process, it is ``x`` itself. All processes must have
    equally many rows.

    Raises:
        ProcessError: If another process is lost.
    """
    return _AllGather.apply(x) if is_sharing() else x  # type: ignore[no-untyped-call]


def gather_replicated(*samples: Tensor) -> tuple[Tensor, ...]:
    """The rows of each sample (N, \\*) of all processes in their order, for what all of them compute alike.

    They pass in one exchange, and their derivatives in none: each process takes those of its own rows, times
    the number of processes. What a process computes with other rows of its own, such as a layer that
    normalises them, needs :func:`all_gather`.
    """
    return _Replicated.apply(*samples) if is_sharing() else samples  # type: ignore[no-untyped-call]


class _AllGather(torch.autograd.Function):
    """Gathers rows; the gradient of a row is the sum of the gradients that all processes have for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _of_all(x).flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _OwnSum.apply(gradient)  # type: ignore[no-untyped-call]


class _OwnSum(torch.autograd.Function):
    """The sum over processes of the rows of this one: the adjoint of a gather."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return size() * average(x)[0][own_slice(len(x))]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _AllGather.apply(gradient)  # type: ignore[no-untyped-call]


class _Replicated(torch.autograd.Function):
    """Gathers rows of samples of any types, from which all processes compute the same."""

    @staticmethod
    def forward(ctx: Any, *samples: Tensor) -> tuple[Tensor, ...]:
        parts = [x.contiguous().view(-1).view(torch.uint8) for x in samples]
        of_all = _of_all(torch.cat(parts)).split([len(part) for part in parts], dim=1)
        rows = zip(of_all, samples, strict=True)
        return tuple(part.contiguous().view(x.dtype).view(-1, *x.shape[1:]) for part, x in rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _OwnRows.apply(*gradients)  # type: ignore[no-untyped-call]


class _OwnRows(torch.autograd.Function):
    """W times this process's rows of gradients that are the same in all W processes: their sum."""

    @staticmethod
    def forward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return tuple(size() * gradient[own_slice(len(gradient))] for gradient in gradients)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _Replicated.apply(*gradients)  # type: ignore[no-untyped-call]


def average(*tensors: Tensor) -> list[Tensor]:
    """The means of tensors over all processes, in one exchange; if their types differ, in the widest."""
    flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
    with _with_others():
        dist.all_reduce(flat)
    parts = flat.div_(size()).split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape).to(tensor.dtype) for part, tensor in zip(parts, tensors, strict=True)]


def average_gradients(
    parameters: Sequence[torch.nn.Parameter], losses: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Replaces gradients by their means over all processes; returns the means of losses, by name.

    A parameter that has a gradient in some processes only, since no row of the others needed it, has one in
    all afterwards; one that has none anywhere has none. To know, only a process that lacks one waits for its
    GPU.
    """
    lacking = [place for place, parameter in enumerate(parameters) if parameter.grad is None]
    has = parameters[0].new_ones(len(parameters))
    for place in lacking:
        has[place] = 0
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    *means, has, values = average(*gradients, has, torch.stack([v.detach() for v in losses.values()]).to(has))
    for parameter, mean in zip(parameters, means, strict=True):
        parameter.grad = in_layout_of(parameter, mean)
    for place in lacking:
        if not has[place]:
            parameters[place].grad = None
    return {name: value.to(losses[name].dtype) for name, value in zip(losses, values, strict=True)}


def any_process(*flags: bool) -> tuple[bool, ...]:
    """Of each flag, whether any process has raised it; in one exchange."""
    if size() == 1:
        return flags
    raised = torch.tensor(flags, dtype=torch.uint8, device=_device())
    with _with_others():
        dist.all_reduce(raised, dist.ReduceOp.MAX)
    return tuple(bool(flag) for flag in raised.tolist())


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


def gather_bytes(content: bytes, kind: int) -> list[bytes]:
    """Content of any length of all processes, in their order.

    Arguments:
        content: What this process has, at least one byte.
        kind: A number of what it is, below 2^63, which must be the same in all processes.

    Raises:
        ProcessError: If another process is lost, or has come to another place of the program.
    """
    lengths, kinds = _of_all(torch.tensor([len(content), kind], device=_device())).T.tolist()
    if len(set(kinds)) > 1:
        raise ProcessError(
            f"all {size()} processes must do the same, but some are elsewhere: do they have the same "
            "arguments, data and versions?"
        )
    padded = torch.zeros(max(lengths), dtype=torch.uint8)
    padded[: len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    rows = _of_all(padded.to(_device())).cpu().numpy()
    return [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]


def tensors_from_first(tensors: Sequence[Tensor]) -> None:
    """Replaces tensors by those of the first process, which have the same shapes and types."""
    if size() > 1:
        with _with_others():
            for tensor in tensors:
                content = _bytes_of(tensor).to(_device(), copy=True)
                dist.broadcast(content, 0)
                first = content.to(tensor.device).view(tensor.dtype).view(tensor.shape)
                if not torch.equal(first, tensor):  # torch does not write to every constant
                    tensor.detach().copy_(first)


def check_same(what: str, tensors: Mapping[str, Tensor], advice: str = "") -> None:
    """Checks that tensors have the same bits in all processes.

    Arguments:
        what: What they are, for the message.
        tensors: Tensors by their names.
        advice: The end of the message.

    Raises:
        ProcessError: If one has not; in every process.
    """
    if size() == 1 or not tensors:
        return
    # Some numbers of a model that is on a GPU are on the CPU, such as a weight.
    sums = torch.stack([_checksum(tensor).to(_device()) for tensor in tensors.values()])
    of_all = _of_all(sums)
    differ = (of_all != of_all[0]).any(0).tolist()
    if any(differ):
        name = next(name for name, differs in zip(tensors, differ, strict=True) if differs)
        raise ProcessError(f"{what} must be the same in all {size()} processes, but {name} is not{advice}")


def check_agreed(what: str, values: Mapping[str, Any]) -> None:
    """Checks that all processes were given the same values: anything that JSON can hold, by name.

    Raises:
        ConfigError: If this process was given another one than the first.
    """
    for name, expected in from_first(values).items():
        if (found := values.get(name)) != expected:
            raise ConfigError(
                f"all processes of {what} need the same {name}, process {rank()} has {found!r:.80}, "
                f"process 0 {expected!r:.80}"
            )


def _checksum(tensor: Tensor) -> Tensor:
    """A number of the bits of a tensor and of their places, which differs where one bit does.

    It is formed part by part, since numbers of 64 bits take eight times the room of their bytes.
    """
    total = torch.zeros((), dtype=torch.int64, device=tensor.device)
    for number, part in enumerate(_bytes_of(tensor).split(PART)):
        places = torch.arange(1, len(part) + 1, device=part.device) + number * PART
        total += ((part.long() + 1) * (places * 2654435761 % 2147483647)).sum()
    return total


def _bytes_of(tensor: Tensor) -> Tensor:
    return tensor.detach().reshape(-1).contiguous().view(torch.uint8)


def wait() -> None:
    """Waits until all processes are here."""
    any_process(False)


def _device() -> str:
    """Where numbers of Python must be to pass between processes: on the GPU if they have NCCL alone."""
    return "cpu" if "cpu:" in dist.get_backend_config() else "cuda"
