"""The Inception score: how sure a classifier is of each image, and how many classes it sees in all."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import DataError, check_int
from pushforward.metrics.arrays import takes_arrays


@takes_arrays
def inception_score(probabilities: Tensor, splits: int = 10) -> tuple[float, float]:
    r"""The mean and standard deviation over splits of the exponential of an information.

    .. math:: \exp\, E_x\, \mathrm{KL}(p(y|x) \,\|\, p(y)) = \exp(H(y) - H(y|x)), \quad p(y) = E_x\, p(y|x)

    It is the effective number of classes, from 1 (all rows alike) to K (each row sure, all classes
    equally frequent). It never sees data, so a single perfect image for each class has the highest
    score. A split of n rows cannot exceed n; papers use 10 splits of 5,000 rows of Inception-v3.

    Arguments:
        probabilities: A classifier's :math:`p(y|x)` of made rows, shape (N, K), in random order: a split is
            a run of consecutive rows.
        splits: The number of splits, of which N is at least so many.

    Returns:
        The mean and the standard deviation, the latter with divisor ``splits`` as in the authors' code.

    Raises:
        ConfigError: If ``splits`` is below 1.
        DataError: If rows are no probabilities, or fewer than splits.

    References:
        | Improved Techniques for Training GANs (Salimans et al., 2016), section 4
        | https://arxiv.org/abs/1606.03498

    Example:
        >>> inception_score(torch.eye(4), splits=1)
        (4.0, 0.0)
    """
    check_int("splits", splits, least=1)
    if probabilities.ndim != 2 or not probabilities.shape[1]:
        raise DataError(f"probabilities must have shape (N, K), got {tuple(probabilities.shape)}")
    if len(probabilities) < splits:
        raise DataError(
            f"probabilities must have at least {splits} rows, one a split, got {len(probabilities)}"
        )
    rows = probabilities.detach().double()
    totals = rows.sum(1, keepdim=True)
    if not (rows.isfinite().all() and (rows >= 0).all() and (totals - 1).abs().max() < 1e-2):
        raise DataError("probabilities must be at least 0 and sum to 1 in each row; some do not")
    rows = rows / totals  # a softmax in single or half precision sums to 1 only nearly
    n = len(rows)
    # The authors' bounds: parts of nearly equal length without a remainder.
    parts = [rows[i * n // splits : (i + 1) * n // splits] for i in range(splits)]
    scores = torch.stack([(_entropy(part.mean(0)) - _entropy(part).mean()).exp() for part in parts])
    return scores.mean().item(), scores.std(correction=0).item()


def _entropy(rows: Tensor) -> Tensor:
    """In nats, over the last axis."""
    return torch.special.entr(rows).sum(-1)


__all__ = ["inception_score"]
