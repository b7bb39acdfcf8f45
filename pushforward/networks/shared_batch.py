"""Layers that treat the batch as one when several processes share it: BatchNorm and dropout.

Each of them computes with a slice of the batch. BatchNorm then needs the moments of the whole batch, and
dropout has to drop what it would drop in one process. Layers of a user's own networks are converted in place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pushforward.distributed import all_gather, is_sharing, layer_numbers, size


def convert_layers(model: nn.Module) -> nn.Module:
    """Converts every BatchNorm and dropout of a model, in place, into one that knows of other processes.

    In a single process they compute what they computed before. Dropout inside of attention and of recurrent
    layers is no layer and is not converted: it drops other values than one process would, as rightly.

    Example:
        >>> model = convert_layers(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))
        >>> isinstance(model[1], nn.BatchNorm1d), isinstance(model[1], SharedBatchNorm)
        (True, True)
    """
    for module in model.modules():
        for plain, shared in ((_BatchNorm, SharedBatchNorm), (nn.Dropout, SharedDropout)):
            if isinstance(module, plain) and not isinstance(module, (shared, nn.SyncBatchNorm)):
                kind = type(module)
                module.__class__ = type(kind.__name__, (shared, kind), {"__module__": kind.__module__})
    return model


class SharedBatchNorm(_BatchNorm):
    r"""BatchNorm by the moments of the rows of all processes.

    .. math:: \mu = \frac1W \sum_r \mu_r, \qquad
        \sigma^2 = \frac1W \sum_r \big(\sigma_r^2 + (\mu_r - \mu)^2\big)

    for W processes with equally many rows. It runs on any device, and has second derivatives.

    References:
        | Updating Formulae and a Pairwise Algorithm for Computing Sample Variances (Chan et al., 1979)
        | http://i.stanford.edu/pub/cstr/reports/cs/tr/79/773/CS-TR-79-773.pdf
    """

    def forward(self, x: Tensor) -> Tensor:
        """The normalised rows, of the shape of ``x``."""
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        if not (is_sharing() and by_batch):
            return super().forward(x)
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        values = x if x.dtype == torch.float64 else x.float()
        own = torch.stack(torch.var_mean(values, [0, *range(2, x.ndim)], correction=0))
        variances, means = all_gather(own.unsqueeze(0)).unbind(1)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        if self.training and self.track_running_stats:
            self._follow(mean.detach(), variance.detach(), size() * x.numel() // x.shape[1])
        shape = (1, -1) + (1,) * (x.ndim - 2)
        normal = (values - mean.view(shape)) * (variance.view(shape) + self.eps).rsqrt()
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(x.dtype)

    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Moves the running statistics towards those of a batch of ``count`` values in each channel."""
        if self.running_mean is None or self.running_var is None:
            return
        share: Any = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1.0 / float(self.num_batches_tracked) if share is None else share
        self.running_mean.lerp_(mean.to(self.running_mean), share)
        self.running_var.lerp_((variance * (count / (count - 1))).to(self.running_var), share)


class SharedDropout(nn.Dropout):
    """Dropout that drops what it would drop in one process: the values of a row, wherever it is computed."""

    def forward(self, x: Tensor) -> Tensor:
        """``x`` with values dropped and the others scaled, in training."""
        if not (self.training and 0 < self.p < 1):
            return super().forward(x)
        kept = layer_numbers(self._draw, *x.shape, device=x.device, dtype=x.dtype)
        return x * kept.div_(1 - self.p)

    def _draw(
        self, *shape: int, device: torch.device, dtype: torch.dtype, generator: torch.Generator | None = None
    ) -> Tensor:
        return torch.empty(*shape, device=device, dtype=dtype).bernoulli_(1 - self.p, generator=generator)


__all__ = ["SharedBatchNorm", "SharedDropout", "convert_layers"]
