# %% [markdown]
# # Classes from 100 labels
#
# Train an adversarial auto-encoder that knows the class of 100 images, classify the others, and draw samples of one class.
#
# [Open this notebook in Colab](https://colab.research.google.com/github/pushforward-dev/pushforward/blob/main/docs/tutorials/semi_supervised.ipynb)

# %%
# In Colab, first: !pip install pushforward
import pushforward as pf

run = pf.train(
    "aae-semi-supervised", "digits", n_labels=100, steps=1500, out="runs/few-labels", progress=False
)

# %% [markdown]
# The code of an image is a class and a style. Two critics compare them with a uniform class and a normal distribution, and
# the classes of the 100 labelled images are learnt with cross-entropy. All images train the reconstruction
# ([the model](../models/aae-semi-supervised.md)).
#
# ## How many held-out images are classified rightly?

# %%
x, y = run.held_out(slice(None))
classes = run.classify(x)
print(f"accuracy on {len(y)} held-out images: {(classes == y).float().mean():.1%}")

# %% [markdown]
# For comparison, the nearest of 100 labelled images by its pixels, which learns nothing from the others (another 100).

# %%
from sklearn.neighbors import KNeighborsClassifier

train = run.data.train.batch(slice(0, 100))
neighbours = KNeighborsClassifier(1).fit(train.x.flatten(1).numpy(), train.y.numpy())
print(f"nearest neighbour: {neighbours.score(x.flatten(1).numpy(), y.numpy()):.1%}")

# %% [markdown]
# ## Samples of each class
#
# A row is a class, a column one draw of the style.

# %%
run.plots.by_class()

# %% [markdown]
# ## Go on
#
# - [Sample one class](../howto/conditional.md): other models with labels.
# - On MNIST with 100 labels the error is 2.9 ± 0.8 % after 5,000 steps ([results](../results/latent-space.md)).
