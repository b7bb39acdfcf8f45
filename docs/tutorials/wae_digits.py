# %% [markdown]
# # A Wasserstein auto-encoder from start to finish
#
# Train a WAE on small images, read its summary, and look at its samples, codes and interpolations.
#
# [Open this notebook in Colab](https://colab.research.google.com/github/pushforward-dev/pushforward/blob/main/docs/tutorials/wae_digits.ipynb)
#
# The data are scikit-learn's 1,797 digits of 8x8 pixels, which need no download. For MNIST write `"mnist"` for
# `"digits"`: it is downloaded once, and takes minutes instead of seconds.

# %%
# In Colab, first: !pip install pushforward
import pushforward as pf

run = pf.train("wae-mmd", "digits", steps=500, out="runs/wae")

# %% [markdown]
# An auto-encoder maps an image x to a code z and back to G(z). A WAE minimises
#
# $$E\,\lVert x - G(z) \rVert^2 + \lambda\, D(Q_Z, P_Z),$$
#
# where $Q_Z$ is the distribution of all codes, $P_Z$ the prior, and D here the MMD. If both distributions are equal,
# decoded draws of the prior are distributed as the reconstructions are.
#
# ## Is it any good?
#
# The summary grades three things, and names what explains a bad grade. In brackets is the best to expect: what training
# rows score in the place of samples.

# %%
print(run.doctor())

# %% [markdown]
# ## Samples

# %%
run.plots.samples(60)

# %% [markdown]
# ## Reconstructions
#
# Held-out images, which training has not seen, each beside its reconstruction. If these are blurred, then samples will
# be: no sample can be sharper than the decoder makes it.

# %%
run.plots.reconstructions(30)

# %% [markdown]
# ## Codes against the prior
#
# The codes of held-out images are coloured by digit; grey are draws of the prior. The left plane is that of the prior's
# main directions, the right one that in which both differ most. A region that only the prior fills is one from which
# samples are drawn though no image is encoded there.

# %%
run.plots.codes()

# %% [markdown]
# ## Between two images
#
# Each row goes in a line from the code of one held-out image to that of another. If images in the middle still look
# like digits, the decoder knows what lies between the codes.

# %%
run.plots.interpolations()

# %% [markdown]
# ## Another weight
#
# λ decides between the two terms. With almost none the codes follow no prior: reconstructions become a little
# better, and samples become worse: it is nearly a plain auto-encoder.

# %%
weak = pf.train("wae-mmd", "digits", weight=0.01, steps=500, out="runs/weak")
print(weak.doctor())

# %%
weak.plots.samples(60)

# %%
for name, one in (("the default", run), ("weight 0.01", weak)):
    scores = one.evaluate(metrics=["reconstruction", "latent"])
    error, mmd = scores["reconstruction"]["squared_error"]["value"], scores["latent"]["mmd"]
    print(f"{name}: squared error {error:.2f}, latent MMD² {mmd:.3f}")

# %% [markdown]
# ## Where to go from here
#
# - `run.report()` writes all of this as one HTML page; `run.sample(1000)` returns samples as an array.
# - [What every number means](../metrics/index.md), and [every cause that the summary can name](../metrics/diagnoses.md).
# - [Why this is optimal transport](../ideas/transport.md).
