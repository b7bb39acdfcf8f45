"""Networks that are compiled while they are trained, by ``torch.compile``; everything else stays as it is.

Costs, discrepancies and optimizers are not compiled, nor is a network in evaluation mode: samples, metrics
and loaded runs do not know of it. Not compiled either are

* critics with a penalty, a gradient of a gradient, for compiled networks have first derivatives only;
* networks of text and of tables, whose outputs are distributions;
* a network in whose place another one is evaluated, such as the layers that InfoGAN's critic and Q share.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from pushforward import distributed
from pushforward.discrepancies.base import CriticDiscrepancy, Discrepancy
from pushforward.discrepancies.constraints import Constraint
from pushforward.errors import ConfigError, reason
from pushforward.models.base import Model
from pushforward.networks.precision import networks_of
from pushforward.wording import option_name

VARIANTS = 64  # of all networks: each is compiled again where its parameters or its BatchNorms are frozen
# Numbers that layers draw are those of torch's own generator.
OPTIONS: dict[str, Any] = {"fallback_random": True}


class Compiled(nn.Module):
    """A network that is compiled in training, when it is first called."""

    def forward(self, *inputs: Any) -> Any:
        """What the network makes of its inputs."""
        if not self.training or any("forward" in vars(layer) for layer in self.children()):
            return super().forward(*inputs)
        if "_compiled" not in vars(self):
            # Not ``Module.compile``, which leaves an ``nn.Sequential`` as it is. Of each shape of rows there
            # is one program, so that it does not depend on which shapes came before.
            vars(self)["_compiled"] = torch.compile(super().forward, dynamic=False, options=OPTIONS)
        from torch._dynamo.exc import TorchDynamoException  # it takes a second, and few runs need it

        try:
            return vars(self)["_compiled"](*inputs)
        except TorchDynamoException as error:
            raise ConfigError(
                f"a network cannot be compiled; train without {option_name('compile', True)}: "
                f"{reason(error):.300}"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        """What a copy is made of: it is compiled anew."""
        return {name: value for name, value in vars(self).items() if name != "_compiled"}


def compile_networks(model: Model) -> list[nn.Module]:
    """Lets the networks of a model be compiled while they are trained, in place; returns them."""
    twice = {
        id(part)
        for found in model.modules()
        if isinstance(found, Discrepancy) and differentiated_twice(found)
        for part in found.modules()
    }
    networks = [net for net in networks_of(model) if id(net) not in twice]
    torch.compiler.reset()  # what other runs have compiled counts towards the limit
    for net in networks:
        kind = type(net)
        net.__class__ = type(kind.__name__, (Compiled, kind), {"__module__": kind.__module__})
    return networks


def differentiated_twice(discrepancy: Discrepancy) -> bool:
    """Whether a penalty takes gradients of gradients of a discrepancy's critic."""
    if type(discrepancy).penalties not in (Discrepancy.penalties, CriticDiscrepancy.penalties):
        return True
    constraint = getattr(discrepancy, "constraint", None)
    return constraint is not None and type(constraint).penalties is not Constraint.penalties


@contextmanager
def compiled_training(networks: Sequence[nn.Module]) -> Iterator[None]:
    """Inside, a network that needs more variants than there may be is an error, and not left uncompiled.

    Arguments:
        networks: Those that are compiled; if there is none, nothing changes.
    """
    if not networks:
        yield
        return
    with (
        torch._dynamo.config.patch(recompile_limit=VARIANTS, fail_on_recompile_limit_hit=True),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", module=r"torch\b")  # about torch's own modules, while it compiles
        yield


def check_compiler(device: torch.device | str) -> None:
    """Compiles a function for a device.

    Raises:
        ConfigError: If that fails, as without a compiler, or if several processes train together.
    """
    # BatchNorm and dropout of several processes exchange numbers in the middle of a network.
    if distributed.size() > 1:
        raise ConfigError(f"{option_name('compile', True)} is for one process, got {distributed.size()}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about its own modules
            torch.compile(nn.functional.gelu, dynamic=False, options=OPTIONS)(torch.zeros(2, device=device))
    except Exception as error:  # whatever a compiler, or the lack of one, comes to
        raise ConfigError(
            f"{option_name('compile', True)} needs a compiler for {device}, such as g++ for a CPU or Triton "
            f"for a GPU: {reason(error):.200}"
        ) from error


__all__ = ["check_compiler", "compile_networks", "compiled_training"]
