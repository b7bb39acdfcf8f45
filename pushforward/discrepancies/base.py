"""The base classes of discrepancies: how far one sample is from another.

The same object compares images, codes or features. Made comes first, given second, always.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.discrepancies.constraints import Constraint
from pushforward.errors import ConfigError, DataError, check_int
from pushforward.networks.precision import InFloat32, is_trained
from pushforward.rng import Noise


class Discrepancy(InFloat32, ABC):
    """A number ``D(q, p)`` from a sample ``q`` of what is made and a sample ``p`` of what is given.

    Shapes: ``q`` (N, \\*), ``p`` (M, \\*), the value ().

    A discrepancy with parameters is adversarial: they belong to a critic, whose own updates
    increase :meth:`critic_objective`, and forward must then be what the model descends.
    """

    n_critic = 1  # updates of the critic for each update of the model
    stateful = False  # whether :meth:`update_state` moves anything

    def __call__(self, q: Tensor, p: Tensor) -> Any:
        """The discrepancy of two samples of the same kind of rows.

        Raises:
            DataError: If the rows of one have another shape than those of the other, or one has none.
        """
        if q.shape[1:] != p.shape[1:] or not (len(q) and len(p)):
            raise DataError(
                f"a discrepancy compares rows of one shape, got samples {tuple(q.shape)} and {tuple(p.shape)}"
            )
        return super().__call__(q, p)

    def bfloat16_parts(self) -> Iterable[nn.Module]:
        """Its critic: what is trained. What is not, such as given features, is part of the formula."""
        return [part for part in self.children() if is_trained(part)]

    @abstractmethod
    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """The discrepancy of two samples, made first and given second: a scalar."""

    def critic_objective(self, q: Tensor, p: Tensor) -> Tensor:
        """What a critic ascends, shape (). Discrepancies without a critic have none."""
        raise NotImplementedError(f"{type(self).__name__} has no critic")

    def penalties(self, q: Tensor, p: Tensor, noise: Noise) -> dict[str, Tensor]:
        """Penalties that a critic descends beside its objective, by name, each of shape ()."""
        return {}

    def project(self) -> None:
        """Projects a critic's parameters to the allowed set, after each of its updates."""

    def update_state(self, q: Tensor, p: Tensor) -> None:
        """Updates what is state but no parameter, once at the end of every step."""

    def diagnostics(self, q: Tensor, p: Tensor) -> dict[str, Tensor]:
        """Numbers worth watching beside the value, by name, each of shape ()."""
        return {}

    def components(self, q: Tensor, p: Tensor) -> dict[str, tuple[Discrepancy, Tensor, Tensor]]:
        """The discrepancies that this one is the sum of, each with its two samples, by name suffix."""
        return {"": (self, q, p)}

    def critic_components(self, q: Tensor, p: Tensor) -> dict[str, tuple[Discrepancy, Tensor, Tensor]]:
        """The components that have a critic."""
        return {
            name: part
            for name, part in self.components(q, p).items()
            if any(True for _ in part[0].parameters())
        }


class CriticDiscrepancy(Discrepancy):
    """A discrepancy that is learnt by a critic, with a constraint on the critic.

    Arguments:
        critic: The network that learns; its parameters are all that the discrepancy has.
        n_critic: Updates of the critic for each update of the model.
        constraint: A penalty on the critic, or a set that it must stay in.

    Raises:
        ConfigError: If ``n_critic`` is below 1, or the constraint cannot be put on this critic.
    """

    def __init__(self, critic: nn.Module, n_critic: int = 1, constraint: Constraint | None = None) -> None:
        super().__init__()
        self.critic = critic
        self.n_critic = check_int("n_critic", n_critic, least=1)
        self.constraint = constraint
        if constraint:
            constraint.validate(critic)
            constraint.project(critic)

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"n_critic={self.n_critic}" + (f", {self.constraint}" if self.constraint else "")

    def witness(self, q: Tensor, p: Tensor) -> Callable[[Tensor], Tensor]:
        """The function of rows whose gradient a penalty applies to; mostly the critic."""
        return self.critic

    def penalties(self, q: Tensor, p: Tensor, noise: Noise) -> dict[str, Tensor]:
        """The penalties of the constraint, by name, each of shape (); none without a constraint."""
        return self.constraint.penalties(self.witness(q, p), q, p, noise) if self.constraint else {}

    def project(self) -> None:
        """Brings the critic back into the set that the constraint allows."""
        if self.constraint:
            self.constraint.project(self.critic)


class Blockwise(Discrepancy):
    r"""A discrepancy for every block of columns: :math:`\sum_b D_b(q_b, p_b)`.

    Codes of several blocks (:class:`~pushforward.distributions.ProductPrior`) are then compared with the
    prior block by block. Critics of several blocks share no parameters, so that one update moves all.

    Arguments:
        discrepancies: The discrepancy of each block, by name.
        sizes: Columns of each block, in order, by the same names.
        n_critic: Updates of the critics for each update of the model.

    Raises:
        ConfigError: If the names differ, or ``n_critic`` is below 1.

    Example:
        >>> import torch
        >>> from pushforward.discrepancies import IMQ, MMD
        >>> both = Blockwise({"y": MMD(IMQ(1.0)), "z": MMD(IMQ(2.0))}, {"y": 10, "z": 4})
        >>> x = torch.rand(8, 14)
        >>> bool(both(x, x) == MMD(IMQ(1.0))(x[:, :10], x[:, :10]) + MMD(IMQ(2.0))(x[:, 10:], x[:, 10:]))
        True
    """

    def __init__(
        self, discrepancies: Mapping[str, Discrepancy], sizes: Mapping[str, int], n_critic: int = 1
    ) -> None:
        super().__init__()
        if list(discrepancies) != list(sizes):
            raise ConfigError(
                f"Blockwise needs a discrepancy for each of {', '.join(sizes)}, "
                f"got {', '.join(discrepancies)}"
            )
        self.discrepancies = nn.ModuleDict(discrepancies)
        self.sizes = list(sizes.values())
        self.n_critic = check_int("n_critic", n_critic, least=1)

    def components(self, q: Tensor, p: Tensor) -> dict[str, tuple[Discrepancy, Tensor, Tensor]]:
        """The discrepancy of each block with its columns of ``q`` (N, D), ``p`` (M, D), by "_" and name."""
        columns = zip(q.split(self.sizes, dim=-1), p.split(self.sizes, dim=-1), strict=True)
        named = zip(self.discrepancies.items(), columns, strict=True)
        return {
            f"_{name}": (discrepancy, *pair)
            for (name, discrepancy), pair in named
            if isinstance(discrepancy, Discrepancy)
        }

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """The sum of the blocks' discrepancies, shape ()."""
        return torch.stack([discrepancy(a, b) for discrepancy, a, b in self.components(q, p).values()]).sum()

    def critic_objective(self, q: Tensor, p: Tensor) -> Tensor:
        """The sum of the objectives of the blocks' critics, shape ().

        Raises:
            NotImplementedError: If no block has a critic.
        """
        components = self.critic_components(q, p)
        if not components:
            return super().critic_objective(q, p)
        return torch.stack(
            [discrepancy.critic_objective(a, b) for discrepancy, a, b in components.values()]
        ).sum()

    def project(self) -> None:
        """Brings the critic of each block back into the set that its constraint allows."""
        for discrepancy in self.discrepancies.values():
            if isinstance(discrepancy, Discrepancy):
                discrepancy.project()
