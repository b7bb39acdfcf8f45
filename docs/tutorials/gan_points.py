# %% [markdown]
# # GANs on points, watched as they learn
#
# Train GANs on eight clusters of points, see one of them collapse, measure it, and compare what cures it.
#
# [Open this notebook in Colab](https://colab.research.google.com/github/pushforward-dev/pushforward/blob/main/docs/tutorials/gan_points.ipynb)
#
# The data `ring` are points of eight narrow normal distributions on a circle. In the plane everything can be seen, and
# since the modes are known, it can be counted which of them a model makes.

# %%
# In Colab, first: !pip install pushforward
import pushforward as pf

short = dict(steps=1000, batch_size=64, progress=False)
gan = pf.train("gan", "ring", lr=0.003, schedule="constant", out="runs/gan", **short)
gan.animate()

# %% [markdown]
# Grey are the data, red are the same 1,000 draws of the prior, decoded ten times in the course of training. The generator
# puts all of them to one place, which the critic says is good; the critic learns that too much comes from there, and all
# samples go elsewhere, together, at times out of the picture. This is **mode collapse**: each row of the batch follows the critic's slope where
# it is, and nothing in the loss compares the samples with each other.
#
# ## Measured

# %%
print(gan.doctor())

# %% [markdown]
# A mode is covered if one sample of many lies within three standard deviations of its centre. The share of samples that
# are so near to any mode says more. Training has kept the samples, so both can be counted at every tenth of the run.

# %%
import numpy as np

from pushforward.metrics import point_modes
from pushforward.report.figures import new_figure


def course(run):
    """At each kept step: modes within 15 standard deviations of which 1 % of the samples lie, of 8."""
    known = run.data.modes
    files = sorted((run.path / "samples").glob("*.npy"))
    found = [point_modes(np.load(file), known.points, known.std, within=15) for file in files]
    return [int(file.stem) for file in files], [modes.held for modes in found]


def draw(**runs):
    """The course of several runs."""
    figure = new_figure(6, 2.6)
    axes = figure.subplots()
    for name, run in runs.items():
        axes.plot(*course(run), ".-", label=name)
    axes.set(xlabel="step", ylabel="modes of 8", ylim=(-0.3, 8.3))
    axes.legend()
    return figure


draw(GAN=gan)

# %% [markdown]
# ## Cure 1: a critic that keeps up
#
# Here the generator moves as fast as the critic learns. With a third of the learning rate, falling to 0, and three updates
# of the critic for each of the generator, the slope that the samples follow is that of a critic which knows where they are.

# %%
slower = pf.train("gan", "ring", n_critic=3, out="runs/gan-slower", **short)
draw(GAN=gan, slower=slower)

# %% [markdown]
# ## Cure 2: a distance instead of a divergence
#
# The critic of a GAN estimates the Jensen-Shannon divergence. Of two distributions that do not overlap it is log 2 wherever
# they are, so a perfect critic is flat where the samples are ([disjoint supports](../ideas/disjoint-supports.md)).
# The critic of a Wasserstein GAN estimates how far the samples have to be moved, W1, and a penalty holds its slope near 1
# everywhere between samples and data.

# %%
wgan = pf.train("wgan-gp", "ring", n_critic=3, out="runs/wgan-gp", **short)
wgan.animate()

# %% [markdown]
# ## Cure 3: compare the samples with each other
#
# The MMD of a batch of samples and a batch of data,
#
# $$E\,k(G(z), G(z')) - 2\, E\,k(x, G(z)) + E\,k(x, x'),$$
#
# compares samples as a whole. Its first term pushes generated points apart: a batch on one mode has a large MMD at
# once. A generative moment matching network minimises it, and has no critic. It learns details last: after so few
# steps of small batches the modes are blurred.

# %%
gmmn = pf.train("gmmn", "ring", out="runs/gmmn", **short)
gmmn.animate()

# %% [markdown]
# ## Compared

# %%
draw(**{"GAN": gan, "slower GAN": slower, "WGAN-GP": wgan, "GMMN": gmmn})

# %%
for name, run in (("GAN", gan), ("slower GAN", slower), ("WGAN-GP", wgan), ("GMMN", gmmn)):
    modes = run.evaluate(metrics=["modes"])["modes"]
    kl = "not defined" if modes["kl"] is None else f"{modes['kl']:.2f}"
    print(
        f"{name:10}  modes covered {modes['covered']} of {modes['modes']}, KL(modes) {kl}, "
        f"samples near a mode {modes['high_quality']:.0%}"
    )

# %% [markdown]
# KL(modes) says how unevenly the samples are distributed over the modes; 0 is best. The slower GAN is the sharpest and
# the least even, the GMMN covers everything and is blurred, and the WGAN-GP is the most even. `mmd-gan`
# learns the features in which samples are compared: an MMD that sees details, but a critic is needed again.
#
# ## Go on
#
# - [A GAN fails](../howto/gan-fails.md): what to try, by what is seen.
# - [Modes](../metrics/modes.md), and [what recipes reach on `ring` with more steps](../results/data-space.md).
# - On images: `pf.train("wgan-gp", "digits")`; `run.animate()` works there too.
