r"""The MMD of codes from a normal prior whose draws are integrated out.

.. math:: \mathrm{MMD}^2(Q, P) = E\,k(q, q') - 2\,E\,\mu_P(q) + E\,k(p, p'), \qquad
    \mu_P(q) = E_{p \sim P}\,k(q, p)

For :math:`P = N(0, \sigma^2 I_d)` and a Gaussian kernel, :math:`\mu_P` and :math:`E\,k(p, p')` are known. The
inverse multiquadric is a mixture of Gaussian kernels, an integral over one number.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from pushforward.discrepancies.base import Discrepancy
from pushforward.discrepancies.kernel import Radial, constants
from pushforward.discrepancies.mmd import MMD, kernel_of
from pushforward.discrepancies.registry import DiscrepancyContext, register_discrepancy
from pushforward.distributed import gather_replicated
from pushforward.distributions import NormalPrior, Prior
from pushforward.errors import ConfigError
from pushforward.torch_state import widest
from pushforward.wording import option_name


class ExactPriorMMD(Discrepancy):
    r"""The squared MMD of a sample from :math:`N(0, \sigma^2 I_d)` itself, in place of draws of it.

    With :math:`k(q, p) = \sum_j w_j e^{-a_j \|q - p\|^2}`,

    .. math:: \mu_P(q) = \sum_j w_j s_j^{-d/2} e^{-a_j \|q\|^2 / s_j}, \quad
        E\,k(p, p') = \sum_j w_j (1 + 4 a_j \sigma^2)^{-d/2}, \quad s_j = 1 + 2 a_j \sigma^2

    It is the mean of :class:`MMD` over all draws of the prior, by its U- or V-statistic of the made sample:
    what the draws add to its variance is gone, and so are two of its three sums over pairs. Only the made
    sample is looked at; the given one must come from the prior.

    Arguments:
        kernel: A mixture of Gaussian kernels: an inverse multiquadric or a Gaussian kernel.
        prior: The normal prior.
        estimator: ``"u"`` or ``"v"``, of the sum over pairs of the made sample.
        fast: As in :class:`MMD`.

    Raises:
        ConfigError: If the prior is not normal, or the kernel is no mixture of Gaussian kernels.

    Example:
        >>> from pushforward.discrepancies import IMQ
        >>> z = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        >>> mmd = ExactPriorMMD(IMQ(4.0), NormalPrior(2))
        >>> bool(mmd(z, z).abs() < 0.05), bool(mmd(z + 3, z) > 0.5)
        (True, True)
    """

    def __init__(
        self, kernel: Radial, prior: Prior, estimator: Literal["u", "v"] = "u", fast: bool = True
    ) -> None:
        super().__init__()
        if not isinstance(prior, NormalPrior):
            raise ConfigError(
                f"the exact MMD needs a normal prior, got {type(prior).__name__}; for this prior use "
                f"{option_name('discrepancy', 'mmd')}"
            )
        self.mmd = MMD(kernel, estimator, fast)
        self.latent_dim, self.variance = prior.latent_dim, prior.std**2
        weights, rates = (torch.tensor(values, dtype=torch.float64) for values in kernel.gaussians())
        stretch = 1 + 2 * rates * self.variance
        half = -self.latent_dim / 2
        self._factors = tuple((weights * stretch**half).tolist())
        self._rates = tuple((-rates / stretch).tolist())
        self._within_prior = float((weights * (1 + 4 * rates * self.variance) ** half).sum())

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"latent_dim={self.latent_dim}, variance={self.variance:g}"

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """The squared MMD of ``q`` (N, \\*), over the rows of all processes, from the prior, shape ().

        Raises:
            ConfigError: If a U-statistic is asked for and there is a single row, or rows have another number
                of dimensions than the prior.
        """
        with torch.autocast(q.device.type, enabled=False):
            (q,) = gather_replicated(q.flatten(1))
            q = q if q.dtype == torch.float64 else q.float()
            if q.shape[1] != self.latent_dim:
                raise ConfigError(f"the prior has {self.latent_dim} dimensions, got rows of {q.shape[1]}")
            wide = widest(q.device)
            pairs = self.mmd.weights(len(q), len(q))._replace(across=0.0, within_y=0.0)
            within = self.mmd.kernel.weighted_sum(q, q[:0], pairs, self.mmd.fast, wide)
            across = self.embedding(q.to(wide)).mean()
            return (within - 2 * across + self._within_prior).to(q.dtype)

    def embedding(self, q: Tensor) -> Tensor:
        r"""The kernel's mean under the prior, :math:`\mu_P(q)`, for rows ``q`` (N, d), shape (N,)."""
        rates, factors = (constants(values, q.dtype, q.device) for values in (self._rates, self._factors))
        return (q.square().sum(1, keepdim=True) * rates).exp() @ factors


@register_discrepancy("mmd-exact-prior")
def _(context: DiscrepancyContext) -> ExactPriorMMD:
    if context.prior is None:
        raise ConfigError("'mmd-exact-prior' needs a prior, got none")
    return ExactPriorMMD(kernel_of(context), context.prior, context.estimator)  # type: ignore[arg-type]


__all__ = ["ExactPriorMMD"]
