r"""Whether single dimensions of codes follow single factors of variation: five published scores.

All take one fixed table: codes (N, L), and the factors that made each row, whole numbers (N, K). No
generator of data is needed: where a paper asks for new rows that share a factor, rows of the table
with one value of that factor are drawn. So a score describes the table, which should hold the factors
in all combinations or at random. Values of factors are names; only which rows share one matters.
Codes are brought to mean 0 and deviation 1, and dimensions that never change are left out, so that
neither units nor constant dimensions enter. Whatever is fitted is evaluated on other rows of the table,
so a small one adds chance of its own: 0.015 to the first two scores at 4,096 rows of four factors.

References:
    | Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations
    | (Locatello et al., 2019), appendix C
    | https://arxiv.org/abs/1811.12359
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from torch import Tensor

from pushforward.metrics.arrays import takes_arrays
from pushforward.metrics.factor_alignment import dci, mig, sap, sap_ceiling
from pushforward.metrics.factor_prediction import beta_vae_score, factor_vae_score
from pushforward.metrics.factors import (
    INACTIVE_STD,
    active_dimensions,
    checked_table,
)


@dataclass(frozen=True)
class Disentanglement:
    """All scores of a table; 1 is best, but for SAP, whose best is ``sap_ceiling``.

    Attributes:
        beta_vae: Accuracy of telling which factor pairs share, from their mean differences; chance 1/K.
        factor_vae: Accuracy of telling it from the dimension that varies least; chance 1/K.
        mig: Gap of mutual information between the best two dimensions, per entropy; chance 0.
        disentanglement: Whether a dimension serves one factor; chance 0.
        completeness: Whether a factor is served by one dimension; chance 0.
        informativeness: Accuracy of predicting factors from all dimensions.
        sap: Gap of accuracy between the best two dimensions, each by itself; chance 0.
        sap_ceiling: The best SAP that codes of these factors can reach.
        n_samples: How many rows the table has.
        active_units: How many dimensions have a standard deviation of at least ``inactive_std``.
    """

    beta_vae: float
    factor_vae: float
    mig: float
    disentanglement: float
    completeness: float
    informativeness: float
    sap: float
    sap_ceiling: float
    n_samples: int
    active_units: int


@takes_arrays
def disentanglement(
    codes: Tensor,
    factors: Tensor,
    seed: int = 0,
    inactive_std: float = INACTIVE_STD,
    progress: Callable[[int, int], None] | None = None,
) -> Disentanglement:
    """All scores of codes (N, L) against factors (N, K), K of at least 2, with their default sizes.

    The trees of :func:`dci` take most of the time: about 0.2 s for each value of each factor.

    Raises:
        DataError: If the table is malformed, not finite or too small, or a factor never changes.
        ConfigError: If ``inactive_std`` is negative or not finite.

    Example:
        >>> import torch
        >>> factors = torch.cartesian_prod(*[torch.arange(4)] * 3).repeat(8, 1)
        >>> found = disentanglement(factors * 1.0, factors)
        >>> found.beta_vae, found.factor_vae, round(found.mig, 9), found.sap_ceiling, found.active_units
        (1.0, 1.0, 1.0, 0.75, 3)
    """
    z, v = checked_table(codes, factors, least=2)
    steps = iter(range(1, v.shape[1] + 5))

    def step(*_: int) -> None:
        done = next(steps)
        if progress:
            progress(done, v.shape[1] + 4)

    def after(score: float) -> float:
        step()
        return score

    return Disentanglement(
        beta_vae=after(beta_vae_score(z, v, seed)),
        factor_vae=after(factor_vae_score(z, v, seed, inactive_std=inactive_std)),
        mig=after(mig(z, v)),
        sap=after(sap(z, v, seed)),
        **asdict(dci(z, v, seed, progress=step)),
        sap_ceiling=sap_ceiling(v),
        n_samples=len(z),
        active_units=int(active_dimensions(z, inactive_std).sum()),
    )


__all__ = ["Disentanglement", "disentanglement"]
