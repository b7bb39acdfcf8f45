"""Divergences of two distributions on parallel segments, and the table of f-divergences.

    python examples/divergences.py [divergences.png]

P is uniform on the segment {0} x [0, 1], Q on {θ} x [0, 1]. Unless θ = 0 their supports are disjoint: the KL
is infinite, the Jensen-Shannon divergence is log 2 and the total variation is 1, whatever θ is; only W1 and
MMD have a gradient in θ. Lines are closed forms, dots are computed by the library from samples.

The f-divergences are drawn as in the paper's table: f as a function of the ratio p/q, its conjugate, and the
activation that maps a critic's logit into the domain of the conjugate. With the optimal critic the bound
equals the divergence, as the printed table shows.

References:
    | Wasserstein GAN (Arjovsky et al., 2017), example 1 and figure 1
    | https://arxiv.org/abs/1701.07875
    | f-GAN (Nowozin et al., 2016), tables 1 and 2
    | https://arxiv.org/abs/1606.00709
"""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor

import pushforward as pf
from pushforward.discrepancies.f_divergences import ROWS
from pushforward.metrics.transport import wasserstein

WIDTH = 0.5  # bandwidth of the Gaussian kernel
ROWS_OF_EACH = 200
P, Q = (0.5, 0.5), (0.25, 0.75)  # two distributions on two points, for the table


def closed_forms(theta: float) -> dict[str, float]:
    """Every divergence of the two segments at distance θ."""
    apart = theta != 0
    h = WIDTH
    # E k(u, u') of two uniform numbers: both terms within the segments, and a factor of the cross term
    line = h * math.sqrt(2 * math.pi) * math.erf(1 / (math.sqrt(2) * h)) - 2 * h * h * (
        1 - math.exp(-1 / (2 * h * h))
    )
    return {
        "KL": math.inf if apart else 0.0,
        "JS": math.log(2) if apart else 0.0,
        "TV": 1.0 if apart else 0.0,
        "W1": abs(theta),
        "MMD²": 2 * line * (1 - math.exp(-(theta**2) / (2 * h * h))),
    }


def segments(theta: float, n: int = ROWS_OF_EACH) -> tuple[Tensor, Tensor]:
    """Evenly spaced points of Q and P, (n, 2)."""
    height = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return torch.stack([torch.full_like(height, theta), height], 1), torch.stack([0 * height, height], 1)


def of_samples(theta: float) -> dict[str, float]:
    """W1 and MMD² as the library computes them from points of both segments."""
    q, p = segments(theta)
    return {
        "W1": wasserstein(q, p, power=1),
        "MMD²": float(pf.MMD(pf.GaussianKernel([WIDTH]), "v")(q, p)),
    }


def divergences() -> dict[str, tuple[float, float]]:
    """Every f-divergence of P and Q: by its definition, and as the bound with the optimal critic."""
    p, q = (torch.tensor(weights, dtype=torch.float64) for weights in (P, Q))
    found = {}
    for name, row in ROWS.items():
        logit = row.optimum((p / q).log())
        bound = p @ row.activation(logit) - q @ row.conjugate_of_activation(logit)
        found[name] = (float(q @ row.f(p / q)), float(bound))
    return found


def main(path: str = "divergences.png") -> None:
    """Draw the figure and print the table."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 4.5), layout="constrained")
    lines, table, conjugates, slopes = figure.subplots(1, 4)
    thetas = [place / 100 for place in range(-100, 101)]
    for name in ("JS", "TV", "W1", "MMD²"):
        lines.plot(thetas, [closed_forms(theta)[name] for theta in thetas], label=name)
    for theta in (-0.8, -0.4, 0.0, 0.4, 0.8):
        for name, value in of_samples(theta).items():
            lines.plot(theta, value, "o", color={"W1": "C2", "MMD²": "C3"}[name])
    apart = [theta for theta in thetas[::10] if theta]
    lines.plot(apart, [1.25] * len(apart), "k^", markersize=5, label="KL = ∞")
    lines.plot(0, 0, "ko", markersize=4)
    lines.set_title("two parallel segments at distance θ", fontsize=10)
    lines.set_xlabel("θ")
    lines.legend(loc="lower right", fontsize=8)
    u = torch.linspace(0.05, 4, 200, dtype=torch.float64)
    v = torch.linspace(-4, 4, 200, dtype=torch.float64)
    for name, row in ROWS.items():
        table.plot(u, row.f(u), label=name)
        slopes.plot(v, row.activation(v), label=name)
        conjugates.plot(row.activation(v), row.conjugate_of_activation(v), label=name)
    table.set_title("f(u), u = p/q", fontsize=10)
    table.legend(fontsize=8)
    conjugates.set_title("the conjugate f*(t)", fontsize=10)
    conjugates.set_xlim(-4, 4)
    conjugates.set_ylim(-2, 6)
    slopes.set_title("the critic's output g(v) for a logit v", fontsize=10)
    slopes.set_ylim(-6, 4)
    figure.savefig(path, dpi=120)
    print(f"P = {P}, Q = {Q}\n{'':<18} {'divergence':>10} {'bound':>10}")
    for name, (value, bound) in divergences().items():
        print(f"{name:<18} {value:>10.6f} {bound:>10.6f}")
    print(f"figure written to {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
