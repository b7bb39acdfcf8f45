"""Networks in bfloat16, and everything else in float32.

Matrix products and convolutions of a network are computed in bfloat16 while it is trained. Inputs, outputs
and weights stay float32, and so does what is computed from its outputs: costs, discrepancies, moments.
What a module is follows from its role, and not from where its class is defined: costs, discrepancies, priors,
encoders and models derive from :class:`InFloat32`, which says which modules in them are networks.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

Precision = Literal["fp32", "bf16"]
CHANNELS_LAST = (nn.Conv2d, nn.ConvTranspose2d)


class InFloat32(nn.Module):
    """A module with a formula of its own, which is computed in float32 in every run."""

    def bfloat16_parts(self) -> Iterable[nn.Module]:
        """The modules directly in it that are networks, or hold some; here none, as of a cost.

        The others compute in float32 wherever else they are used.
        """
        return ()


def has_bfloat16(device: torch.device | str) -> bool:
    """Whether a device has units for bfloat16: GPUs since Ampere, and some CPUs."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def in_precision(model: nn.Module, precision: str) -> Iterator[None]:
    """Inside, the networks of a model compute in this precision while they are trained.

    In evaluation mode they compute in float32. Afterwards all modules are what they were before: their
    classes, and the order in which their weights lie in memory.

    Arguments:
        model: The model.
        precision: "fp32", which changes nothing, or "bf16".

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3))
        >>> with in_precision(net, "bf16"):
        ...     net(torch.ones(1, 2)).dtype, net[0](torch.ones(1, 2)).dtype, isinstance(net, LowPrecision)
        (torch.float32, torch.float32, True)
        >>> isinstance(net, LowPrecision)
        False
    """
    networks = networks_of(model) if precision == "bf16" else []
    with _of_low_precision(networks), _channels_last(networks):
        yield


def networks_of(model: nn.Module) -> list[nn.Module]:
    """The networks of a model, which have a product to compute: the largest modules without a formula.

    A module without a ``forward``, such as a list of modules, is no network, but those in it are.
    """
    formulas = [module for module in model.modules() if isinstance(module, InFloat32)]
    kept: set[int] = set()
    for formula in formulas:
        lowered = {id(part) for part in formula.bfloat16_parts()}
        others = [part for part in formula.children() if id(part) not in lowered]
        kept |= {id(module) for part in others for module in part.modules()}
    apart = kept | {id(formula) for formula in formulas}

    def within(module: nn.Module) -> Iterator[nn.Module]:
        if id(module) in kept:
            return
        has_forward = any("forward" in vars(kind) for kind in type(module).__mro__ if kind is not nn.Module)
        if has_forward and not any(id(part) in apart for part in module.modules()):
            if any(parameter.ndim > 1 for parameter in module.parameters()):
                yield module
            return
        for child in module.children():
            yield from within(child)

    return list({id(net): net for net in within(model)}.values())


def is_trained(module: nn.Module) -> bool:
    """Whether a module has parameters that training may change."""
    return any(parameter.requires_grad for parameter in module.parameters())


class LowPrecision(nn.Module):
    """A network whose products are in bfloat16 in training."""

    def __init_subclass__(cls) -> None:
        """Keeps the class of the network from learning of one that derives from it for a while."""

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the network makes of its inputs, in float32."""
        if not self.training:
            return super().forward(*inputs, **named)
        device = next(self.parameters()).device.type
        # No cache: within the autocast that a run is in, it would keep the first weights for ever.
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            made = super().forward(*inputs, **named)
        return in_float32(made)


def in_float32(made: Any) -> Any:
    """What a network made, with float32 in the place of bfloat16, also within containers and distributions.

    >>> in_float32({"code": (torch.ones(1).bfloat16(), 2)})
    {'code': (tensor([1.]), 2)}
    """
    if isinstance(made, Tensor):
        return made.float() if made.dtype == torch.bfloat16 else made
    return tree_map(_leaf_in_float32, made)


def _leaf_in_float32(made: Any) -> Any:
    if isinstance(made, Tensor):
        return in_float32(made)
    if callable(made) or not hasattr(made, "__dict__"):  # modules and functions, or numbers and names
        return made
    found = copy.copy(made)
    vars(found).update(in_float32(dict(vars(made))))
    return found


@contextmanager
def _of_low_precision(networks: list[nn.Module]) -> Iterator[None]:
    """Inside, each network is of a class that derives from its own and from :class:`LowPrecision`.

    Whatever else is known of it stays: its parameters, hooks and name. Inside it cannot be pickled.
    """
    kinds = [type(net) for net in networks]
    try:
        for net, kind in zip(networks, kinds, strict=True):
            net.__class__ = type(kind.__name__, (LowPrecision, kind), {"__module__": kind.__module__})
        yield
    finally:
        for net, kind in zip(networks, kinds, strict=True):
            net.__class__ = kind


@contextmanager
def _channels_last(networks: list[nn.Module]) -> Iterator[None]:
    """Inside, weights of networks with convolutions lie in memory channels last.

    Without it bfloat16 gains little.
    """
    of_images = [net for net in networks if any(isinstance(part, CHANNELS_LAST) for part in net.modules())]
    before = [{name: value.stride() for name, value in _tensors(net)} for net in of_images]
    try:
        for net in of_images:
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        yield
    finally:
        for net, strides in zip(of_images, before, strict=True):
            for name, value in _tensors(net):
                stride = strides.get(name, value.stride())
                if value.stride() != stride:
                    value.data = value.new_empty_strided(value.shape, stride).copy_(value.data)


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """All weights and buffers of a module, by name."""
    yield from module.named_parameters()
    yield from module.named_buffers()


__all__ = [
    "InFloat32",
    "LowPrecision",
    "Precision",
    "has_bfloat16",
    "in_precision",
    "is_trained",
    "networks_of",
]
