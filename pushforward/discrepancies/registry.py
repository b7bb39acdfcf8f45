"""Discrepancies by the names that ``--discrepancy`` takes.

A discrepancy registers itself in its own file, with a function that builds it from a
:class:`DiscrepancyContext`; every module of this package is imported, so that a new file is all that a new
discrepancy needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from pushforward.discrepancies.base import Discrepancy
from pushforward.distributions import Prior
from pushforward.errors import ConfigError, nearest


@dataclass(frozen=True)
class DiscrepancyContext:
    """What a discrepancy can be built from.

    Attributes:
        critic: Makes a critic with one output for the rows that are compared.
        scale: The expected squared distance of two draws of the given distribution.
        n_critic: Updates of the critic for each update of the model.
        non_saturating: Whether the model descends :math:`-B(P, Q)` in place of :math:`B(Q, P)`.
        gp_weight: Weight of a gradient penalty.
        weight_clip: Bound of every parameter of a critic whose weights are clipped.
        kernel: Kernel of an MMD: "imq" or "gaussian".
        estimator: Estimator of an MMD: "u" is unbiased, "v" is never negative.
        prior: The prior that codes are compared with; None where the given sample is not from one.
    """

    critic: Callable[[], nn.Module]
    scale: float
    n_critic: int = 1
    non_saturating: bool = True
    gp_weight: float = 10.0
    weight_clip: float = 0.01
    kernel: str = "imq"
    estimator: str = "u"
    prior: Prior | None = None


Builder = Callable[[DiscrepancyContext], Discrepancy]
_BUILDERS: dict[str, Builder] = {}


def register_discrepancy(name: str) -> Callable[[Builder], Builder]:
    """Registers a function that builds a discrepancy under a name.

    Raises:
        ValueError: If the name is taken.

    Example:
        >>> from pushforward.discrepancies import GaussianKernel, MMD
        >>> @register_discrepancy("example")
        ... def _(context):
        ...     return MMD(GaussianKernel([context.scale**0.5]))
        >>> build_discrepancy("example", DiscrepancyContext(lambda: nn.Linear(2, 1), scale=4.0)).kernel
        GaussianKernel(bandwidths=(2.0,))
        >>> _ = _BUILDERS.pop("example")
    """

    def register(builder: Builder) -> Builder:
        if name in _BUILDERS:
            raise ValueError(f"there is a discrepancy {name!r} already")
        _BUILDERS[name] = builder
        return builder

    return register


def discrepancy_names() -> tuple[str, ...]:
    """The names of all registered discrepancies, sorted."""
    return tuple(sorted(_BUILDERS))


def build_discrepancy(name: str, context: DiscrepancyContext) -> Discrepancy:
    """The discrepancy of a name.

    Raises:
        ConfigError: If there is none of this name, or it cannot be built with these options.
    """
    if name not in _BUILDERS:
        raise ConfigError(f"unknown discrepancy {name!r}: {nearest(name, _BUILDERS)}")
    return _BUILDERS[name](context)


__all__ = ["DiscrepancyContext", "build_discrepancy", "discrepancy_names", "register_discrepancy"]
