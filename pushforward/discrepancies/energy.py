"""Critics that are auto-encoders: rows that they reconstruct badly have a high energy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pushforward.costs import Cost
from pushforward.discrepancies.base import CriticDiscrepancy
from pushforward.distributed import gather_replicated
from pushforward.errors import ConfigError
from pushforward.wording import option_name


class Energy(nn.Module):
    r"""The energy of a row: the cost of an auto-encoder's reconstruction of it.

    .. math:: D(x) = c(\mathrm{Dec}(\mathrm{Enc}(x)), x), \quad\text{or its mean } \tfrac1d\,c
        \text{ over the d features}

    Arguments:
        encoder: Maps (N, \*) to (N, M).
        decoder: Maps (N, M) back to (N, \*).
        cost: Compares rows, summed over features.
        mean: Whether the sum is divided by the number of features.

    Example:
        >>> from pushforward.costs import SquaredError
        >>> Energy(nn.Identity(), nn.Linear(2, 2), SquaredError())(torch.rand(5, 2)).shape
        torch.Size([5, 1])
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, cost: Cost, mean: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.cost = cost
        self.mean = mean

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction error of every row, (N,)."""
        energy = self.cost.rows(self.decoder(self.encoder(x)), x).unsqueeze(1)
        return energy / x[0].numel() if self.mean else energy


def pulling_away(codes: Tensor) -> Tensor:
    r"""The mean squared cosine of pairs of rows (N, L): 1 of rows that are all alike, 1/L of random ones.

    .. math:: \frac{1}{N (N - 1)} \sum_{i \ne j} \Big( \frac{s_i \cdot s_j}{\|s_i\| \|s_j\|} \Big)^2

    Without the square, opposite rows would cancel.

    References:
        | Energy-based Generative Adversarial Networks (Zhao et al., 2017), equation 5
        | https://arxiv.org/abs/1609.03126

    Example:
        >>> pulling_away(torch.eye(3)), pulling_away(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]))
        (tensor(0.), tensor(1.0000))
    """
    (rows,) = gather_replicated(codes.flatten(1))
    rows = F.normalize(rows, dim=1)
    n = len(rows)
    if n < 2:
        raise ConfigError(f"pulling away needs at least 2 rows, got {n}")
    squares = (rows @ rows.T).square()
    return (squares.sum() - squares.diagonal().sum()) / (n * (n - 1))


class EnergyDiscrepancy(CriticDiscrepancy):
    r"""A difference of mean energies: the model's samples move to low energy, and away from each other.

    .. math:: D_D(Q, P) = E_Q\, D - E_P\, D + w\, \mathrm{PT}(\mathrm{Enc}(q))

    The gradient goes through both arguments of :math:`c(\hat x, x)`.

    Arguments:
        critic: An :class:`Energy`; with ``pulling_away_weight=0`` any module from (N, \*) to energies (N, 1)
            of at least 0.
        pulling_away_weight: The factor w of the pulling-away term on the critic's codes of what is made.
        n_critic: Updates of the critic for each update of the model.

    Raises:
        ConfigError: If ``pulling_away_weight`` is below 0, or the critic is no :class:`Energy`.
    """

    def __init__(self, critic: nn.Module, pulling_away_weight: float = 0.0, n_critic: int = 1) -> None:
        super().__init__(critic, n_critic)
        if not pulling_away_weight >= 0:
            raise ConfigError(
                f"{option_name('pulling_away_weight')} must be at least 0, got {pulling_away_weight}"
            )
        if pulling_away_weight and not isinstance(critic, Energy):
            raise ConfigError("pulling away needs a critic with an encoder: an Energy")
        self.pulling_away_weight = pulling_away_weight

    def extra_repr(self) -> str:
        return f"pulling_away_weight={self.pulling_away_weight:g}, {super().extra_repr()}"

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        gap = self.critic(q).mean() - self.critic(p).mean()
        if not self.pulling_away_weight:
            return gap
        assert isinstance(self.critic, Energy)
        return gap + self.pulling_away_weight * pulling_away(self.critic.encoder(q))


class EBGANEnergy(EnergyDiscrepancy):
    r"""The discrepancy of EBGAN: the critic lowers the energy of given rows, and raises that of made ones.

    .. math:: B_D(Q, P) = -E_P\, D - E_Q (m - D)_+, \qquad
        D_D(Q, P) = E_Q\, D - E_P\, D + w\, \mathrm{PT}(\mathrm{Enc}(q))

    For any critic with energies in [0, m] the best bound is :math:`-m (1 - \mathrm{TV}(Q, P))`: the model
    then descends the total variation. The gradient goes through both arguments of :math:`c(\hat x, x)`.

    Arguments:
        critic: An :class:`Energy`; with ``pulling_away_weight=0`` any module from (N, \*) to energies (N, 1)
            of at least 0.
        margin: The energy m at which made rows are left alone, on the scale of the critic's energies.
        pulling_away_weight: The factor w of the pulling-away term on the critic's codes of what is made.
        n_critic: Updates of the critic for each update of the model.

    Raises:
        ConfigError: If the margin is not above 0, ``pulling_away_weight`` is below 0, or the critic has no
            encoder to pull.

    References:
        | Energy-based Generative Adversarial Networks (Zhao et al., 2017), equations 1, 2 and 5
        | https://arxiv.org/abs/1609.03126
    """

    def __init__(
        self, critic: nn.Module, margin: float, pulling_away_weight: float = 0.0, n_critic: int = 1
    ) -> None:
        super().__init__(critic, pulling_away_weight, n_critic)
        if not margin > 0:
            raise ConfigError(f"{option_name('margin')} must be above 0, got {margin}")
        self.margin = margin

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"margin={self.margin:g}, {super().extra_repr()}"

    def critic_objective(self, q: Tensor, p: Tensor) -> Tensor:
        """What the critic ascends, a scalar."""
        return -self.critic(p).mean() - F.relu(self.margin - self.critic(q)).mean()

    def diagnostics(self, q: Tensor, p: Tensor) -> dict[str, Tensor]:
        """``made`` and ``given``: mean energies, to compare with the margin."""
        return {"made": self.critic(q).mean(), "given": self.critic(p).mean()}


class BEGANEnergy(EnergyDiscrepancy):
    r"""The discrepancy of BEGAN: the ratio of the energies of made and given rows is held at gamma.

    .. math:: B_D(Q, P) = -E_P\, D + k\, E_Q\, D, \qquad
        D_D(Q, P) = E_Q\, D - E_P\, D + w\, \mathrm{PT}(\mathrm{Enc}(q)), \qquad
        k \leftarrow \mathrm{clip}_{[0, 1]}\big(k + r (\gamma\, E_P\, D - E_Q\, D)\big)

    k is a buffer: saved and resumed with the model.

    Arguments:
        critic: An :class:`Energy`; with ``pulling_away_weight=0`` any module from (N, \*) to energies (N, 1).
        gamma: The ratio :math:`\gamma = E_Q D / E_P D` that k holds: less is sharper and less diverse.
        k_lr: The learning rate r of k, on the scale of the energies.
        n_critic: Updates of the critic for each update of the model.
        pulling_away_weight: The factor w of the pulling-away term, which the paper does not have.

    Raises:
        ConfigError: If ``gamma`` is not in (0, 1], ``k_lr`` is not above 0, ``pulling_away_weight`` is below
            0, or the critic is no :class:`Energy`.

    References:
        | BEGAN: Boundary Equilibrium Generative Adversarial Networks (Berthelot et al., 2017), section 3.4
        | https://arxiv.org/abs/1703.10717
    """

    stateful = True

    def __init__(
        self,
        critic: nn.Module,
        gamma: float = 0.5,
        k_lr: float = 1e-3,
        n_critic: int = 1,
        pulling_away_weight: float = 0.0,
    ) -> None:
        super().__init__(critic, pulling_away_weight, n_critic)
        if not 0 < gamma <= 1:
            raise ConfigError(f"{option_name('gamma')} must be above 0 and at most 1, got {gamma}")
        if not k_lr > 0:
            raise ConfigError(f"{option_name('k_lr')} must be above 0, got {k_lr}")
        self.gamma = gamma
        self.k_lr = k_lr
        self.k: Tensor
        self.register_buffer("k", torch.zeros(()))

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"gamma={self.gamma:g}, k_lr={self.k_lr:g}, {super().extra_repr()}"

    def critic_objective(self, q: Tensor, p: Tensor) -> Tensor:
        """What the critic ascends, a scalar."""
        return self.k * self.critic(q).mean() - self.critic(p).mean()

    @torch.no_grad()
    def update_state(self, q: Tensor, p: Tensor) -> None:
        """Moves k towards the balance of the two energies."""
        made, given = (energy.mean() for energy in gather_replicated(self.critic(q), self.critic(p)))
        surplus = self.gamma * given - made
        self.k.add_(self.k_lr * surplus).clamp_(0, 1)

    def diagnostics(self, q: Tensor, p: Tensor) -> dict[str, Tensor]:
        r"""``k``; ``ratio``: :math:`E_Q D / E_P D`, which should be gamma; and the measure of convergence,
        ``measure``: :math:`E_P D + |\gamma E_P D - E_Q D|`.
        """
        made, given = self.critic(q).mean(), self.critic(p).mean()
        return {
            "k": self.k.clone(),
            "ratio": made / given,
            "measure": given + (self.gamma * given - made).abs(),
        }


__all__ = ["BEGANEnergy", "EBGANEnergy", "Energy", "pulling_away"]
