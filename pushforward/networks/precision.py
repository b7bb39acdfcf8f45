"""Networks in bfloat16, and everything else in float32.

Matrix products and convolutions of a network are computed in bfloat16 while it is trained. Inputs, outputs
and weights stay float32, and so does what is computed from its outputs: costs, discrepancies, moments.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

Precision = Literal["fp32", "bf16"]
# What has a formula of its own. Networks are its parts.
FORMULAS = ("models", "distributions", "discrepancies", "costs", "text", "tables")
CHANNELS_LAST = (nn.Conv2d, nn.ConvTranspose2d)


def has_bfloat16(device: torch.device | str) -> bool:
    """Whether a device has units for bfloat16: GPUs since Ampere, and some CPUs."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def lower_precision(model: nn.Module) -> nn.Module:
    """Lets the networks of a model compute in bfloat16 while they are trained, in place.

    In evaluation mode they compute as before, in float32. Networks of text and of tables, whose outputs are
    distributions, stay in float32.

    Example:
        >>> net = lower_precision(nn.Sequential(nn.Linear(2, 3)))
        >>> net(torch.ones(1, 2)).dtype, net[0](torch.ones(1, 2)).dtype
        (torch.float32, torch.float32)
    """
    for module in networks_of(model):
        kind = type(module)
        module.__class__ = type(kind.__name__, (LowPrecision, kind), {"__module__": kind.__module__})
        if any(isinstance(part, CHANNELS_LAST) for part in module.modules()):
            # without it bfloat16 gains little
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def networks_of(module: nn.Module) -> list[nn.Module]:
    """The largest modules inside of one that are networks, and have a product to compute."""
    room = type(module).__module__.split(".")
    if room[0] != "pushforward" or room[1] not in FORMULAS:
        return [module] if any(parameter.ndim > 1 for parameter in module.parameters()) else []
    if room[1] in ("text", "tables"):
        return []
    return list({id(net): net for child in module.children() for net in networks_of(child)}.values())


class LowPrecision(nn.Module):
    """A network whose products are in bfloat16 in training."""

    def forward(self, *inputs: Any) -> Any:
        """What the network makes of its inputs, in float32."""
        if not self.training:
            return super().forward(*inputs)
        # No cache: within the autocast that a run is in, it would keep the first weights for ever.
        with torch.autocast(inputs[0].device.type, torch.bfloat16, cache_enabled=False):
            made = super().forward(*inputs)
        return made.float() if isinstance(made, Tensor) else made


__all__ = ["Precision", "has_bfloat16", "lower_precision", "networks_of"]
