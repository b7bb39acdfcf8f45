r"""The sliced Wasserstein distance: optimal transport in one dimension, averaged over directions.

References:
    | Sliced Wasserstein Auto-Encoders (Kolouri et al., 2019), equation 9
    | https://arxiv.org/abs/1804.01947
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pushforward.discrepancies.base import Discrepancy
from pushforward.discrepancies.registry import DiscrepancyContext, register_discrepancy
from pushforward.distributed import gather_replicated
from pushforward.errors import check_int
from pushforward.rng import Noise
from pushforward.torch_state import OnCPU, to_device, to_like


class SlicedWasserstein(OnCPU, Discrepancy):
    r"""The squared sliced distance :math:`E_\theta\, W_2^2(\theta \cdot q, \theta \cdot p)`.

    In one dimension the optimal plan pairs quantiles, so that sorting solves it. The directions
    :math:`\theta` are uniform on the unit sphere; new ones are taken after each step of training.

    Arguments:
        directions: Number of directions.

    Example:
        >>> x = torch.randn(50, 1, generator=torch.Generator().manual_seed(0))
        >>> SlicedWasserstein()(x + 2, x)
        tensor(4.)
    """

    stateful = True

    def __init__(self, directions: int = 128) -> None:
        super().__init__()
        self.directions = check_int("directions", directions, least=1)
        self.step: Tensor
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"directions={self.directions}"

    def update_state(self, q: Tensor, p: Tensor) -> None:
        """Counts the updates, so that each draws its own directions."""
        self.step += 1

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """The sliced Wasserstein distance of two samples, a scalar."""
        with torch.autocast(q.device.type, enabled=False):
            q, p = gather_replicated(q.flatten(1), p.flatten(1))
            q, p = (sample if sample.dtype == torch.float64 else sample.float() for sample in (q, p))
            noise = Noise("sliced", int(self.step)).normal(self.directions, q.shape[1])
            directions = F.normalize(to_like(noise, q), dim=1)
            return squared_w2(q @ directions.T, p @ directions.T).mean()


def squared_w2(q: Tensor, p: Tensor) -> Tensor:
    r"""The squared W2 of each column of q (N, K) and p (M, K), shape (K,).

    .. math:: \int_0^1 (F_q^{-1}(u) - F_p^{-1}(u))^2\, du

    >>> squared_w2(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0]]))
    tensor([6.5000])
    """
    q, p = q.sort(dim=0).values, p.sort(dim=0).values
    n, m = len(q), len(p)
    if n == m:
        return (q - p).square().mean(0)
    # the levels at which either quantile function jumps, in units of 1 / nm
    ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    ends = to_device(ends, q.device)
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    gaps = (q[starts // m] - p[starts // n]).square()
    return ((ends - starts).to(q).unsqueeze(1) * gaps).sum(0) / (n * m)


@register_discrepancy("sliced-w2")
def _(context: DiscrepancyContext) -> SlicedWasserstein:
    return SlicedWasserstein()


__all__ = ["SlicedWasserstein", "squared_w2"]
