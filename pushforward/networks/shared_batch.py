"""Functions of torch that treat the batch as one when several processes share it: BatchNorm and dropout.

Each process computes with a slice of the batch. BatchNorm then needs the moments of the whole batch, and
dropout has to drop what it would drop in one process. Layers, of torch or of a user's own, call functions of
``torch.nn.functional``, by which these ones stand while a step is taken: modules themselves stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from inspect import signature

import torch
import torch.nn.functional as F
from torch import Tensor

from pushforward.distributed import all_gather, in_step, is_sharing, own_slice, rank, size
from pushforward.shared_numbers import drawn_alike
from pushforward.utils import changed

_batch_norm = F.batch_norm


@contextmanager
def shared_functions() -> Iterator[None]:
    """Inside a step of several processes, functions of torch know of the rows of the others.

    These are ``F.batch_norm`` and all that are named after dropout, whoever calls them by the name of their
    module. Attention and recurrent layers compute their dropout elsewhere in torch: it is not among them.

    They are replaced for all threads, since a GPU computes layers again (``torch.utils.checkpoint``) in a
    thread of its own.

    Example:
        >>> from pushforward.distributed import sharing
        >>> from pushforward.process_group import imitated
        >>> with imitated(2), sharing(), shared_functions():
        ...     F.batch_norm is batch_norm
        True
        >>> F.batch_norm is batch_norm
        False
    """
    with ExitStack() as stack:
        if in_step():
            for name, function in SHARED.items():
                stack.enter_context(changed([F], name, function))
        yield


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""``F.batch_norm`` by the moments of the rows of all processes.

    .. math:: \mu = \sum_r \frac{n_r}{n} \mu_r, \qquad
        \sigma^2 = \sum_r \frac{n_r}{n} \big(\sigma_r^2 + (\mu_r - \mu)^2\big)

    for processes with :math:`n_r` values of a channel each, :math:`n` together: a process may also have
    none. It runs on any device, and has second derivatives.

    References:
        | Updating Formulae and a Pairwise Algorithm for Computing Sample Variances (Chan et al., 1979)
        | http://i.stanford.edu/pub/cstr/reports/cs/tr/79/773/CS-TR-79-773.pdf
    """
    if not (training and is_sharing()):
        return _batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    values = input if input.dtype == torch.float64 else input.float()
    dims, shape = [0, *range(2, input.ndim)], (1, -1) + (1,) * (input.ndim - 2)
    count = input.numel() // input.shape[1]
    # of no values they are 0, with weight 0
    moments = torch.var_mean(values, dims, correction=0) if count else 2 * (values.sum(dims),)
    own = torch.stack([*moments, torch.full_like(moments[0], count)])
    variances, means, counts = all_gather(own.unsqueeze(0)).unbind(1)
    total = counts.detach().sum(0).clamp(min=1)
    shares = counts.detach() / total
    mean = (shares * means).sum(0)
    variance = (shares * (variances + (means - mean).square())).sum(0)
    if running_mean is not None:
        running_mean.lerp_(mean.detach().to(running_mean), momentum)
    if running_var is not None:
        unbiased = variance.detach() * (total / (total - 1).clamp(min=1))
        running_var.lerp_(unbiased.to(running_var), momentum)
    normal = (values - mean.view(shape)) * (variance.view(shape) + eps).rsqrt()
    if weight is not None:
        normal = normal * weight.view(shape)
    if bias is not None:
        normal = normal + bias.view(shape)
    return normal.to(input.dtype)


def _by_rows(dropout: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A kind of dropout that drops of each row what it would drop in one process."""
    by_itself = signature(dropout).parameters["training"].default

    def of_own_rows(
        input: Tensor, p: float = 0.5, training: bool = by_itself, inplace: bool = False
    ) -> Tensor:
        if not (training and in_step() and input.ndim):
            return dropout(input, p, training, inplace)
        if is_sharing():
            rows = size() * [input.detach()]  # any numbers do for rows of others
            rows[rank()] = input
            with drawn_alike():
                made = dropout(torch.cat(rows), p, True)[own_slice(size() * len(input))]
        else:
            with drawn_alike():
                made = dropout(input, p, True)
        return input.copy_(made) if inplace else made

    return of_own_rows


DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
SHARED: dict[str, Callable[..., Tensor]] = {
    "batch_norm": batch_norm,
    **{name: _by_rows(getattr(F, name)) for name in DROPOUTS},
}


__all__ = ["SHARED", "batch_norm", "shared_functions"]
