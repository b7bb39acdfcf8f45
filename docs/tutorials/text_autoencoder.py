# %% [markdown]
# # An auto-encoder of text
#
# Train a variational auto-encoder on sentences, find that its codes hold nothing, cure it, and reconstruct, interpolate
# and sample sentences.
#
# [Open this notebook in Colab](https://colab.research.google.com/github/pushforward-dev/pushforward/blob/main/docs/tutorials/text_autoencoder.ipynb)
#
# The data are `phrases`, 8,000 sentences of a small grammar in plain and in old English; `"lines.txt"` would be a file
# of your own, one sentence a line.

# %%
# In Colab, first: !pip install "pushforward[text]"
import torch

import pushforward as pf
from pushforward.text.networks import GRUDecoder, GRUEncoder

data = pf.open_dataset("phrases")
words, length = len(data.vocabulary), data.shape[0]
print(f"{len(data.train)} training lines of at most {length} tokens, {words} different ones")
for line in data.vocabulary.lines(data.train.x[:4]):
    print(line)

# %% [markdown]
# The networks of text that a recipe brings have 256 units; here are smaller ones, with which this notebook takes two
# minutes ([own networks](../howto/own-networks.md)). A Gaussian encoder returns a mean and a log-variance for each of
# the 16 dimensions of a code.

# %%
LATENT = 16


def train(name, **options):
    """A VAE with small networks."""
    torch.manual_seed(0)  # of the networks' first weights
    networks = {
        "encoder": GRUEncoder(words, 2 * LATENT, width=64),
        "decoder": GRUDecoder(LATENT, words, length, width=96),
    }
    return pf.train(
        "vae", data, latent_dim=LATENT, steps=800, out=f"runs/{name}", progress=False, **networks, **options
    )


vae = train("vae")
vae.plots.reconstructions(6)

# %% [markdown]
# Each pair is a held-out line and what becomes of it: another sentence, as good as any. But samples are fine:

# %%
for line in vae.lines(vae.sample(6)):
    print(line)

# %% [markdown]
# This is **posterior collapse**. The decoder writes a word after reading those before it, and has learnt the
# grammar without the code. A VAE minimises
#
# $$E\,\bigl[-\log p(x \mid z)\bigr] + \lambda\, \mathrm{KL}(Q(Z \mid x), P_Z),$$
#
# where the second term is what the code costs, in nats. Each nat that the code says about the line saves at most one in
# the first term, so with λ = 1 nothing is gained by it. The grammar has 18,432 sentences in each style: a model that knows
# it perfectly, and nothing of the line, pays log 36,864 = 10.5 nats a line.
#
# ## Measured


# %%
def scores(run):
    """Prints how much codes hold, and how well lines come back."""
    found = run.evaluate(metrics=["objective", "latent", "text"], n_samples=400)
    text, terms = found["text"]["reconstruction"], found["objective"]["terms"]
    print(f"  -log p(x | z)        {terms['reconstruction']:6.2f} nats a line")
    print(f"  NLL per token        {text['nll_per_token']:6.2f} nats")
    print(f"  KL, of the code      {found['latent']['kl']:6.2f} nats a line")
    print(f"  reconstruction BLEU  {text['bleu']:6.1f}")
    print(f"  exact match          {text['exact_match']:6.1%}")


scores(vae)

# %% [markdown]
# ## The cure
#
# Make the code cheaper. With λ = 0.2 a nat in the code costs a fifth of what it saves. `free_bits=0.5` lets each
# dimension have half a nat without a cost, `warmup=2000` makes the code free at first and then as dear as before, and
# `word_dropout=0.3` hides words from the decoder, which then needs the code. All do the same: the decoder has to find the
# code useful before it is taught to ignore it.

# %%
cured = train("cured", weight=0.2)
scores(cured)

# %%
cured.plots.reconstructions(6)

# %% [markdown]
# In the history the discrepancy, here λ KL, rises in the place of falling to 0: codes say more and more about their
# lines. The reconstruction is above that of held-out lines, because the recipe replaces three tenths of the tokens of every
# second line in training (`token_replacement`).

# %%
cured.plots.history()

# %% [markdown]
# ## From one sentence to another
#
# In a line from code to code. What lies between is mostly a sentence, too, in which subject, verb and object change one
# after the other.

# %%
a, b = cured.rows(["you love the sea ."]), cured.rows(["the two men give away her ring every morning ."])
for line in cured.lines(cured.interpolate(a, b, steps=8)):
    print(line)

# %% [markdown]
# ## Samples
#
# Codes that hold more follow the prior less well, so that some draws of the prior are codes of no sentence. A density
# fitted to the training codes, `sampler="gmm"`, knows where they are.

# %%
for sampler in ("prior", "gmm"):
    print(f"{sampler}:")
    for line in cured.lines(cured.sample(6, sampler=sampler)):
        print(f"  {line}")

# %% [markdown]
# How fluent samples are is measured by an n-gram model of training lines, whose perplexity of held-out lines is the one to
# compare with (in brackets).

# %%
print(cured.doctor())

# %% [markdown]
# ## Go on
#
# - [Train on text](../howto/text.md): what to do with a file of your own.
# - [What the numbers of text mean](../metrics/text.md), and
#   [why a VAE pays for each nat in a code](../ideas/vae-wae.md).
# - [Rewrite lines in another style](../howto/style-transfer.md), for which `phrases` has two.
