"""Evaluates layers that two networks share once for the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

SHARED_LAYERS = "networks share layers"  # says a compiler of them


@contextmanager
def once(net: nn.Module) -> Iterator[None]:
    """Within it every layer of ``net`` maps each tensor once, whichever network asks.

    Whoever asks again is given the same result, graph and all: gradients of several losses add up in it as
    they would in two results, and BatchNorms count a batch once.

    Arguments:
        net: A chain, whose layers may be those of another chain too, or a single layer.

    Example:
        >>> import torch
        >>> net, x = nn.Sequential(nn.Dropout()), torch.ones(3)
        >>> longer = nn.Sequential(*net, nn.Identity())
        >>> with once(net):
        ...     net(x) is longer(x), net(x) is net(x.clone())
        (True, False)
    """
    if torch.compiler.is_compiling():
        torch._dynamo.graph_break(msg=SHARED_LAYERS)  # a compiler does not see that layers are replaced
    layers = list(net.children()) if isinstance(net, nn.Sequential) else [net]
    before = [vars(layer).get("forward") for layer in layers]  # whoever else stood in for a layer
    for layer in layers:
        layer.forward = _remembering(layer.forward)
    try:
        yield
    finally:
        for layer, forward in zip(layers, before, strict=True):
            del layer.forward
            if forward is not None:
                layer.forward = forward


def _remembering(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    known: dict[int, tuple[Tensor, Tensor]] = {}  # with the tensor itself, so that no other has its identity

    def remembered(x: Tensor) -> Tensor:
        if id(x) not in known:
            known[id(x)] = x, forward(x)
        return known[id(x)][1]

    return remembered


__all__ = ["once"]
