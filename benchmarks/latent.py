"""Auto-encoders that compare codes with a prior, on MNIST and on generated data, evaluated alike.

    python -m benchmarks.latent --data-dir DATA --out RUNS [--only labels clusters] [--seeds 0 1 2]

Prints a table for each group (docs/results). Finished runs are not trained again.
"""

from __future__ import annotations

from benchmarks.groups import CODES, Group, run

SAMPLES = (*CODES, "samples", "reference")

GROUPS: dict[str, Group] = {
    "labels": Group(("aae-semi-supervised:n_labels=100",), 5000),
    "labels-1000": Group(("aae-semi-supervised:n_labels=1000",), 4000),
    "clusters": Group(("aae-clustering:n_clusters=16", "aae-clustering:n_clusters=30"), 3000),
    "plane": Group(("aae-reduction:n_labels=100",), 4000),
    "supervised": Group(("aae-supervised",), 6000),
    "mixture": Group(("aae:prior=mixture,encoder_lr=0.002",), 4000),
    "swiss-roll": Group(("aae:prior=swiss-roll,encoder_lr=0.002",), 4000),
    "label-regularised": Group(("aae-label-regularised:n_labels=10000",), 6000),
    "posteriors": Group(
        ("aae:posterior=deterministic", "aae:posterior=gaussian", "aae:posterior=implicit"), 1500, SAMPLES
    ),
    "avb": Group(("avb", "vae"), 4000, (*CODES, "likelihood")),
    "beta": Group(tuple(f"beta-vae:weight={beta}" for beta in (1, 4)), 3000, SAMPLES),
    "gaussian": Group(("vae:cost=gaussian", "vae:cost=gaussian-learnt"), 3000, SAMPLES),
    "info": Group(("info-vae:alpha=0", "info-vae:alpha=0.5", "info-vae:alpha=1"), 3000, SAMPLES),
    "fading": Group(
        ("wae-random:latent_dim=2,weight=20", "wae-random:latent_dim=2,weight=20,variance_weight=0"),
        3000, CODES, "fading-squares",
    ),
    "exact-prior": Group(
        ("wae:discrepancy=mmd", "wae:discrepancy=mmd-exact-prior"), 1500,
        ("reconstruction", "latent", "samples", "reference"), "digits",
    ),
    "sprites": Group(
        ("wae-random:latent_dim=10", "beta-vae:latent_dim=10"),
        3000, ("reconstruction", "latent", "disentanglement"), "sprites", 32,
    ),
}  # fmt: skip


if __name__ == "__main__":
    run(__doc__, GROUPS)
