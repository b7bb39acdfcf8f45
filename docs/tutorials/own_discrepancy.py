# %% [markdown]
# # A discrepancy of your own
#
# Write the energy distance, prove it by values that are known, and train a Wasserstein auto-encoder with it.
#
# [Open this notebook in Colab](https://colab.research.google.com/github/pushforward-dev/pushforward/blob/main/docs/tutorials/own_discrepancy.ipynb)
#
# A discrepancy is a number D(q, p) of two samples: q is made by a network, p is given. It is 0 if both have the same
# distribution. The energy distance (Székely & Rizzo, 2013) is
#
# $$D(Q, P) = 2\,E\lVert q - p \rVert - E\lVert q - q' \rVert - E\lVert p - p' \rVert.$$

# %%
# In Colab, first: !pip install pushforward
import torch

import pushforward as pf


class EnergyDistance(pf.Discrepancy):
    """Twice the mean distance between two samples, less the mean distances within each."""

    def forward(self, q, p):
        """An unbiased estimate: a row is not compared with itself."""
        q, p = q.flatten(1), p.flatten(1)
        n, m = len(q), len(p)
        within = torch.cdist(q, q).sum() / (n * (n - 1)) + torch.cdist(p, p).sum() / (m * (m - 1))
        return 2 * torch.cdist(q, p).mean() - within


# %% [markdown]
# ## Is it right?
#
# A test says what is known. Between two point masses at distance 3 the value is 6. Of N(μ, 1) and N(0, 1) it is
#
# $$2 a(\mu) - 2 a(0), \qquad a(\mu) = E\lvert N(\mu, 2) \rvert
#   = \tfrac{2}{\sqrt\pi}\, e^{-\mu^2 / 4} + \mu\, \mathrm{erf}(\mu / 2).$$

# %%
import math

energy = EnergyDistance()
print("two point masses:", energy(torch.zeros(4, 1), torch.full((4, 1), 3.0)).item())


def mean_distance(mu):
    """The mean absolute value of N(mu, 2)."""
    return 2 / math.sqrt(math.pi) * math.exp(-(mu**2) / 4) + mu * math.erf(mu / 2)


q, p = pf.Noise("q").normal(4000, 1), pf.Noise("p").normal(4000, 1)
for mu in (0.0, 1.0, 2.0):
    known = 2 * mean_distance(mu) - 2 * mean_distance(0)
    print(f"N({mu:g}, 1): {energy(q + mu, p).item():.3f}, in closed form {known:.3f}")

# %% [markdown]
# A wrong factor would show at once: without the 2 the point masses give 3.
#
# ## Does it keep what training relies on?
#
# `check_recipe` trains a few steps, stops, resumes and evaluates, and names the promise that is broken, if one is: a
# finite scalar, no random numbers of its own, gradients for every network, the same run after a stop.

# %%
pf.check_recipe("wae", discrepancy=EnergyDistance())

# %% [markdown]
# ## Train with it
#
# Everything else of the Wasserstein auto-encoder stays the same. The scale of the new discrepancy is not that of an MMD,
# so the weight is left to `"auto"`, whose meaning does not depend on it.

# %%
run = pf.train(
    "wae",
    "digits",
    discrepancy=EnergyDistance(),
    weight="auto",
    steps=1500,
    out="runs/energy",
    progress=False,
)
print(run.doctor())

# %%
run.plots.samples(60)

# %%
run.plots.codes()

# %% [markdown]
# ## Go on
#
# - [How to write a discrepancy](../extend/discrepancy.md), with a name for the command line, and
#   [one with a critic](../extend/adversarial-discrepancy.md).
# - [The scale of a kernel](../ideas/kernel-scale.md): why an MMD needs one and the energy distance does not.
# - [Compare recipes fairly](../howto/compare-fairly.md): is it better than the MMD?
