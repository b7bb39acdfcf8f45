"""Parts of a user's own: those of the pages of docs/extend, and what these say of the whole batch."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

import pushforward as pf
from pushforward.discrepancies import Adversarial
from pushforward.distributed import all_gather, gather_replicated
from pushforward.distributions import DeterministicEncoder
from pushforward.networks import mlp
from pushforward.recipes import RECIPES

PAGES = Path(__file__).parents[2] / "docs" / "extend"


def defined_in(page):
    """The classes that a page defines, by name: its code without what trains, checks or registers."""
    found = {}
    for block in re.findall(r"```python\n(.*?)```", (PAGES / f"{page}.md").read_text(), flags=re.DOTALL):
        kept = [
            one
            for one in ast.parse(block).body
            if isinstance(one, (ast.Import, ast.ImportFrom, ast.ClassDef))
        ]
        exec(compile(ast.Module(kept, []), page, "exec"), found)
    return found


class DonskerVaradhan(Adversarial):
    """A bound on a Kullback-Leibler divergence, with the logarithm of a mean over rows."""

    def bound(self, Tq, Tp):
        Tq, Tp = gather_replicated(Tq, Tp)
        return Tp.mean() - Tq.exp().mean().log()


class Decorrelated(pf.WAE):
    """A regulariser of the covariance of codes."""

    def regularisers(self, s):
        (codes,) = gather_replicated(s.Ex)
        covariance = codes.T.cov()
        return {"decorrelation": (covariance - covariance.diag().diag()).square().sum()}


class Gain(nn.BatchNorm1d):
    """A norm of a user's own."""

    def forward(self, x):
        return 3 * super().forward(x)


class PerRow(nn.Dropout):
    """A dropout of a user's own, which drops whole rows, and computes them again on the way back."""

    def forward(self, x):
        return checkpoint(
            lambda x: x * super(PerRow, self).forward(x.new_ones(len(x), 1)), x, use_reentrant=False
        )


class Selection(nn.Module):
    """Normalises the rows that it chooses, by a function of torch."""

    def forward(self, x):
        chosen = x[:, :1] > 0
        rows = x[chosen.flatten()]
        return x.masked_scatter(chosen, F.batch_norm(rows, None, None, training=True))


class Standardised(nn.Module):
    """A layer that normalises by what it computes itself."""

    def forward(self, x):
        rows = all_gather(x)
        return (x - rows.mean(0)) / (rows.std(0) + 0.1)


def with_discrepancy(make):
    """A recipe with a discrepancy of a user's own."""
    return lambda spec: RECIPES["wae"](spec, discrepancy=make(), latent_dim=8)


def with_critic(kind):
    """A recipe with a discrepancy that has a critic."""
    return with_discrepancy(lambda: kind(mlp(8, 1, [16], norm=None)))


def of_model(kind):
    """A model of a user's own, trained as a recipe is."""

    def build(spec):
        prior = pf.NormalPrior(4)
        decoder = nn.Sequential(mlp(4, spec.shape, [16]), nn.Sigmoid())
        encoder = DeterministicEncoder(mlp(spec.shape, 4, [16]))
        mmd = pf.MMD(pf.IMQ(prior.expected_sq_distance))
        return replace(RECIPES["wae-mmd"](spec), model=kind(prior, decoder, encoder, mmd, weight=20.0))

    return build


def with_layer(spec):
    """A recipe with a network that holds a layer of a user's own."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), Standardised(), nn.Tanh(), nn.Linear(16, 8))
    return RECIPES["wae-mmd"](spec, encoder=encoder, latent_dim=8)


def of_layers(spec):
    """A recipe with networks of a user's own, which hold layers of PyTorch and subclasses of them."""
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16), Gain(16), nn.Tanh(), PerRow(0.3), Selection(), nn.Linear(16, 4)
    )
    decoder = nn.Sequential(
        nn.Linear(4, 16), nn.AlphaDropout(0.2), nn.BatchNorm1d(16), nn.ELU(), nn.Linear(16, 64),
        nn.Unflatten(1, (1, 8, 8)), nn.Dropout2d(0.2), nn.Sigmoid(),
    )  # fmt: skip
    return RECIPES["wae-mmd"](spec, encoder=encoder, decoder=decoder, latent_dim=4)


OWN_PARTS = {
    "MyDiscrepancy of index.md": with_discrepancy(lambda: defined_in("index")["MyDiscrepancy"]()),
    "EnergyDistance of discrepancy.md": with_discrepancy(
        lambda: defined_in("discrepancy")["EnergyDistance"]()
    ),
    "TotalVariation of adversarial-discrepancy.md": with_critic(
        lambda critic: defined_in("adversarial-discrepancy")["TotalVariation"](critic)
    ),
    "CyclicWAE of model.md": of_model(
        lambda *parts, **more: defined_in("model")["CyclicWAE"](*parts, **more)
    ),
    "an own bound of a logarithm": with_critic(DonskerVaradhan),
    "an own term of a covariance": of_model(Decorrelated),
    "an own layer that normalises": with_layer,
    "own layers": of_layers,
}
