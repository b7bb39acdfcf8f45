"""Before training: the encoder is fitted to the mean and covariance of the prior."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.data.dataset import Split
from pushforward.errors import DivergedError
from pushforward.models.base import Model
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.torch_state import torch_seeded
from pushforward.training.player_state import Optimizing


def moment_gap(q: Tensor, p: Tensor) -> Tensor:
    r"""The mean squared differences of two samples (N, L) and (M, L) in mean and in covariance, shape ().

    .. math:: \frac1L \sum_j (\bar q_j - \bar p_j)^2 + \frac1{L^2} \sum_{jk} (\Sigma^q_{jk} - \Sigma^p_{jk})^2

    >>> x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    >>> moment_gap(x, x), moment_gap(x + 2, x).round()
    (tensor(0.), tensor(4.))
    """
    return (q.mean(0) - p.mean(0)).square().mean() + (q.T.cov() - p.T.cov()).square().mean()


def match_moments(
    model: Model,
    data: Split,
    optimizing: Optimizing,
    seed: int = 0,
    steps: int = 200,
    batch_size: int = 1000,
    enough: float = 0.1,
) -> float:
    """Trains the encoder alone until :func:`moment_gap` falls below ``enough``; returns the last gap.

    Arguments:
        model: With an encoder; its other parts are not changed.
        data: Rows to encode.
        optimizing: Makes the optimizer of the encoder.
        seed: What every random number is derived from.
        steps: Steps at most.
        batch_size: Rows in a batch, at most those of the data.
        enough: The gap at which training stops.

    Raises:
        DivergedError: If the gap is not finite.

    References:
        | The official code of Wasserstein Auto-Encoders (Tolstikhin et al., 2018), ``pretrain_encoder``:
          200 steps, 1000 rows (MNIST) or 256 (CelebA), stops below 0.1
        | https://github.com/tolstikhin/wae
    """
    optimizer = optimizing(model.encoder.parameters())
    device = model.prior.device_buffer.device
    gap = torch.tensor(float("inf"))
    for step in range(steps):
        noise = Noise(seed, "pretrain", step)
        x, y = data.batch(noise("rows").permutation(len(data))[:batch_size])
        square = Square(model, x.to(device), noise, None if y is None else y.to(device))
        with torch_seeded(noise("modules").integer(), device):
            gap = moment_gap(square.Ex, square.z)
        if not math.isfinite(gap.item()):
            raise DivergedError(f"the encoder's moments are not finite at step {step} of their fitting")
        if gap.item() < enough:
            break
        optimizer.zero_grad(set_to_none=True)
        gap.backward()
        optimizer.step()
    return gap.item()
