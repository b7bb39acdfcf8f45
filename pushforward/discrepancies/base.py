"""How far one sample is from another.

A discrepancy does not know where it stands: the same object compares images, codes or
features. Made comes first, given second, always.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from pushforward.discrepancies.constraints import Constraint
from pushforward.errors import ConfigError, check_int
from pushforward.rng import Noise


class Discrepancy(nn.Module, ABC):
    """A number ``D(q, p)`` from a sample ``q`` of what is made and a sample ``p`` of what is given.

    Shapes: ``q`` (N, \\*), ``p`` (M, \\*), the value ().

    A discrepancy with parameters is a game: they belong to a critic that moves in its own turn
    to increase :meth:`critic_objective`, and forward must then be what the model descends.
    """

    n_critic = 1  # updates of the critic for each update of the model
    stateful = False  # whether :meth:`update_state` moves anything

    @abstractmethod
    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """The discrepancy of two samples, made first and given second: a scalar."""

    def critic_objective(self, q: Tensor, p: Tensor) -> Tensor:
        """What a critic climbs, shape (). Discrepancies without a critic have none."""
        raise NotImplementedError(f"{type(self).__name__} has no critic")

    def penalties(self, q: Tensor, p: Tensor, noise: Noise) -> dict[str, Tensor]:
        """What a critic pays beside its advantage, by name, each of shape ()."""
        return {}

    def project(self) -> None:
        """Puts a critic back to where it must stay, after each of its updates."""

    def update_state(self, q: Tensor, p: Tensor) -> None:
        """Moves what is no parameter and yet is state, once at the end of every step."""

    def diagnostics(self, q: Tensor, p: Tensor) -> dict[str, Tensor]:
        """What is worth watching beside the value, by name, each of shape ()."""
        return {}

    def components(self, q: Tensor, p: Tensor) -> dict[str, tuple[Discrepancy, Tensor, Tensor]]:
        """The comparisons that this one is the sum of, by what is put behind their names."""
        return {"": (self, q, p)}

    def critic_components(self, q: Tensor, p: Tensor) -> dict[str, tuple[Discrepancy, Tensor, Tensor]]:
        """Those of the parts that have a critic."""
        return {
            name: part
            for name, part in self.components(q, p).items()
            if any(True for _ in part[0].parameters())
        }


class CriticDiscrepancy(Discrepancy):
    """A discrepancy that a critic learns, and what keeps the critic in bounds.

    Arguments:
        critic: What learns; its parameters are all that a game has.
        n_critic: Updates of the critic for each update of the model.
        constraint: A price on the critic, or a set that it must stay in.

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
        """The function of rows whose slope a gradient penalty is put on; of most games the critic."""
        return self.critic

    def penalties(self, q: Tensor, p: Tensor, noise: Noise) -> dict[str, Tensor]:
        """The critic's penalties by name."""
        return self.constraint.penalties(self.witness(q, p), q, p, noise) if self.constraint else {}

    def project(self) -> None:
        """Brings the critic back to its constraint after an update."""
        if self.constraint:
            self.constraint.project(self.critic)


class Blockwise(Discrepancy):
    r"""A discrepancy for every block of columns: :math:`\sum_b D_b(q_b, p_b)`.

    Codes of several blocks (:class:`~pushforward.distributions.ProductPrior`) then meet the prior block
    by block. Critics of several blocks share nothing, so that their turn is one.

    Arguments:
        matches: The discrepancy of each block, by name.
        sizes: Columns of each block, in order, by the same names.
        n_critic: Updates of the critics for each update of the model.

    Example:
        >>> import torch
        >>> from pushforward.discrepancies import IMQ, MMD
        >>> both = Blockwise({"y": MMD(IMQ(1.0)), "z": MMD(IMQ(2.0))}, {"y": 10, "z": 4})
        >>> x = torch.rand(8, 14)
        >>> bool(both(x, x) == MMD(IMQ(1.0))(x[:, :10], x[:, :10]) + MMD(IMQ(2.0))(x[:, 10:], x[:, 10:]))
        True
    """

    def __init__(
        self, matches: Mapping[str, Discrepancy], sizes: Mapping[str, int], n_critic: int = 1
    ) -> None:
        super().__init__()
        if list(matches) != list(sizes):
            raise ConfigError(f"a match for each of {', '.join(sizes)} is needed, got {', '.join(matches)}")
        self.matches = nn.ModuleDict(matches)
        self.sizes = list(sizes.values())
        self.n_critic = check_int("n_critic", n_critic, least=1)

    def components(self, q: Tensor, p: Tensor) -> dict[str, tuple[Discrepancy, Tensor, Tensor]]:
        """Each part's discrepancy with its columns of the two samples."""
        columns = zip(q.split(self.sizes, dim=-1), p.split(self.sizes, dim=-1), strict=True)
        named = zip(self.matches.items(), columns, strict=True)
        return {
            f"_{name}": (discrepancy, *pair)
            for (name, discrepancy), pair in named
            if isinstance(discrepancy, Discrepancy)
        }

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """The sum of the parts' discrepancies, a scalar."""
        return torch.stack([discrepancy(a, b) for discrepancy, a, b in self.components(q, p).values()]).sum()

    def critic_objective(self, q: Tensor, p: Tensor) -> Tensor:
        """The sum of what the parts' critics ascend."""
        games = self.critic_components(q, p)
        if not games:
            return super().critic_objective(q, p)
        return torch.stack([discrepancy.critic_objective(a, b) for discrepancy, a, b in games.values()]).sum()

    def project(self) -> None:
        """Brings each part's critic back to its constraint."""
        for discrepancy in self.matches.values():
            if isinstance(discrepancy, Discrepancy):
                discrepancy.project()
