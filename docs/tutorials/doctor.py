# %% [markdown]
# # Cure a bad run
#
# Train an auto-encoder with a weight that is far too small, let the doctor name what is wrong, follow its advice, and
# compare.
#
# [Open this notebook in Colab](https://colab.research.google.com/github/pushforward-dev/pushforward/blob/main/docs/tutorials/doctor.ipynb)

# %%
# In Colab, first: !pip install pushforward
import pushforward as pf

bad = pf.train("wae-mmd", "digits", weight=1e-4, steps=1000, out="runs/bad", progress=False)
bad.plots.samples(40)

# %% [markdown]
# These samples are poor. Reconstructions are not:

# %%
bad.plots.reconstructions(20)

# %% [markdown]
# ## What is wrong?
#
# The summary grades samples, reconstructions and latent fit apart. Numbers in brackets are what training rows score.

# %%
findings = bad.doctor()
print(findings)

# %% [markdown]
# The decoder is good where there are codes. But codes do not follow the prior, as the picture shows: draws of the prior
# (grey) fall where no code is, and the decoder has never been trained there.

# %%
bad.plots.codes()

# %% [markdown]
# Each finding has a name, its numbers, and what to do about it:

# %%
for finding in findings:
    print(f"{finding.name}: {finding.advice}")

# %% [markdown]
# ## Follow the advice
#
# The first finding has a change that can be passed on as it is: options of `train`, a sampler, or more steps.

# %%
change = findings[0].change
print(change)
good = pf.train("wae-mmd", "digits", **{"steps": 1000, **change}, out="runs/good", progress=False)
print(good.doctor())

# %%
good.plots.samples(40)

# %% [markdown]
# Before and after, on all held-out rows:

# %%
for name, run in {"before": bad, "after": good}.items():
    samples = run.evaluate(metrics=["samples"], features="pca")["samples"]
    print(f"{name}: FD {samples['fd']['value']:.3g}")

# %% [markdown]
# ## Go on
#
# - [Every cause that the doctor names](../metrics/diagnoses.md), with the threshold of each.
# - [Good reconstructions, bad samples](../howto/bad-samples.md).
# - `bad.report()` writes all of this as one page.
