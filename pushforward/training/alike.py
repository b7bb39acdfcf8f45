"""What all processes that train a model must hold alike: its parameters, its buffers, and other tensors."""

from __future__ import annotations

from torch import Tensor, nn, strided

from pushforward import distributed

ADVICE = (
    ": what changes it in forward has to see the rows of all processes, as "
    "pushforward.distributed.all_gather returns them"
)


def begin_alike(model: nn.Module) -> None:
    """Gives all processes the tensors of the first: also buffers, and attributes, that no checkpoint holds.

    Raises:
        ConfigError: If they have other shapes or types in some processes.
    """
    attributes = {
        f"{place}.{name}": value
        for place, module in model.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, Tensor) and value.layout == strided
    }
    tensors = dict(model.named_parameters()) | dict(model.named_buffers()) | attributes
    kinds = {name: [str(tensor.dtype), *tensor.shape] for name, tensor in tensors.items()}
    distributed.check_agreed("a run", {"number of tensors": len(kinds), **kinds})
    distributed.tensors_from_first(list(tensors.values()))


def check_alike(model: nn.Module, step: int) -> None:
    """Checks that all processes hold the same parameters and buffers, also those that no checkpoint holds.

    Other tensors may belong to the rows of a process, such as what a module has kept of the last batch.

    Raises:
        ProcessError: If they do not.
    """
    distributed.check_same(f"the weights of step {step}", dict(model.named_parameters()))
    distributed.check_same(f"the buffers of step {step}", dict(model.named_buffers()), ADVICE)


__all__ = ["begin_alike", "check_alike"]
