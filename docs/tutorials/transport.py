# %% [markdown]
# # Optimal transport, figure by figure
#
# Compute couplings, compare distances of distributions that do not overlap, and look at codes of a WAE and of a
# VAE.
#
# [Open this notebook in Colab](https://colab.research.google.com/github/pushforward-dev/pushforward/blob/main/docs/tutorials/transport.ipynb)

# %%
# In Colab, first: !pip install pushforward
import torch
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment

import pushforward as pf
from pushforward.metrics import wasserstein
from pushforward.report.figures import new_figure

# %% [markdown]
# ## A coupling
#
# The cost of transport from one distribution to another is the least mean cost of moving each point of the one to a
# point of the other:
#
# $$W_c(P, Q) = \inf_{\Gamma \in \mathcal P(X \sim P,\, Y \sim Q)} E_\Gamma\, c(X, Y).$$
#
# For two samples of n points the best coupling Γ is a matching, and an assignment solver finds it.

# %%
noise = pf.Noise(0)
p = noise.normal(40, 2) * 0.4
q = torch.nn.functional.normalize(noise.normal(40, 2)) * 1.5
cost = torch.cdist(p, q).square()
rows, columns = linear_sum_assignment(cost.numpy())
print(
    f"by the matching {cost[rows, columns].mean():.4f}, by the library {wasserstein(p, q, power=2) ** 2:.4f}"
)


def matching(p, q, columns) -> Figure:
    """Two samples, and lines between matched points."""
    figure = new_figure(4, 4)
    axes = figure.subplots()
    for start, end in zip(p, q[columns], strict=True):
        axes.plot([start[0], end[0]], [start[1], end[1]], color="0.75", linewidth=0.8)
    axes.scatter(*p.T, s=14)
    axes.scatter(*q.T, s=14)
    axes.set_aspect("equal")
    return figure


matching(p, q, columns)

# %% [markdown]
# ## Distributions without a common point
#
# Move one uniform segment away from another. The Jensen-Shannon divergence jumps from 0 to log 2 and stays there. W1 is
# the distance moved, so that it has a gradient.

# %%
height = torch.linspace(0, 1, 200).unsqueeze(1)
there = torch.cat([torch.zeros_like(height), height], 1)
moves = torch.linspace(-1, 1, 41)
w1 = [wasserstein(there + torch.tensor([move, 0.0]), there, power=1) for move in moves.tolist()]
js = torch.where(moves.abs() > 1e-6, torch.tensor(2.0).log(), torch.tensor(0.0))

figure = new_figure(5, 3)
axes = figure.subplots()
axes.plot(moves, w1, label="W1")
axes.plot(moves, js, ".", label="Jensen-Shannon")
axes.set_xlabel("move")
axes.legend()
figure

# %% [markdown]
# ## Theorem 1 of the WAE paper
#
# A decoder G pushes the prior forward to the distribution of the samples $P_G$. The cost of transport from the data to
# $P_G$ is also a minimum over encoders whose codes follow the prior:
#
# $$W_c(P_X, P_G) = \inf_{Q:\, Q_Z = P_Z} E_{P_X} E_{Q(Z \mid X)}\, c(X, G(Z)).$$
#
# With as many draws of the prior as rows of data, such an encoder gives each row one draw: it is a matching of rows with
# *codes*, and costs the same as the best matching of rows with *samples*.

# %%
z = noise.normal(40, 2)


def decode(codes):
    """The push-forward: the plane is bent."""
    return torch.stack([codes[:, 0], 0.5 * codes[:, 0].square() + 0.3 * codes[:, 1]], 1)


x = noise.normal(40, 2) * torch.tensor([1.0, 0.5]) + torch.tensor([0.0, 0.5])
_, codes_of_rows = linear_sum_assignment(torch.cdist(x, decode(z)).square().numpy())
encoder = (x - decode(z[codes_of_rows])).square().sum(1).mean()
nearest = torch.cdist(x, decode(z)).square().min(1).values.mean()
print(f"best encoder with codes as the prior's {encoder:.4f}")
print(f"transport from data to samples         {wasserstein(x, decode(z), power=2) ** 2:.4f}")
print(f"each row to its nearest sample         {nearest:.4f}: its codes do not follow the prior")
matching(x, decode(z), codes_of_rows)

# %% [markdown]
# ## Codes of a WAE and of a VAE
#
# A WAE asks that the codes of *all* rows together follow the prior. A VAE asks it of the code of *each* row, as far as
# reconstruction permits. So the posteriors of a VAE overlap, and where they do the decoder answers with a mean.
#
# Both are trained with two latent dimensions on 8x8 digits, for few steps. The figures show one drawn code of each
# held-out row. After so short a training the VAE is ahead in both errors below: these runs do not yet show the overlap that the paper draws.

# %%
runs = {
    name: pf.train(name, "digits", latent_dim=2, steps=500, out=f"runs/{name}", progress=False)
    for name in ("wae-mmd", "vae")
}
for name, run in runs.items():
    scores = run.evaluate(metrics=["reconstruction", "latent"])
    error, mmd = scores["reconstruction"]["squared_error"]["value"], scores["latent"]["mmd"]
    print(f"{name}: squared error {error:.2f}, latent MMD² {mmd:.3f}")

# %%
runs["wae-mmd"].plots.codes()

# %%
runs["vae"].plots.codes()

# %% [markdown]
# ## Where to go from here
#
# - [The proof of Theorem 1](../ideas/transport.md), [disjoint supports](../ideas/disjoint-supports.md) and [the terms of a
#   VAE](../ideas/vae-wae.md).
# - [A Wasserstein auto-encoder from start to finish](wae_digits.ipynb).
