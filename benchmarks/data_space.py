"""Generative models in data space on points, MNIST and stacked MNIST, evaluated alike.

    python -m benchmarks.data_space --out RUNS [--data-dir DATA] [--only ring mnist-dcgan] [--seeds 0 1 2]

Prints a table for each group (docs/results). Finished runs are not trained again.
"""

from __future__ import annotations

from benchmarks.groups import Group, run

ALL = ("objective", "samples", "reference", "modes", "classes", "reconstruction", "latent")
GROUPS: dict[str, Group] = {
    "ring": Group(("wgan-gp", "gmmn"), 4000, ("modes",), "ring"),
    "ring-mmd-gan": Group(("mmd-gan",), 3000, ("modes",), "ring"),
    "ring-others": Group(
        ("gan", "lsgan", "f-gan:divergence=kl", "f-gan:divergence=reverse-kl", "sngan", "wgan", "ebgan",
         "began"),
        4000, ("modes",), "ring",
    ),
    "grid": Group(("wgan-gp", "gmmn"), 4000, ("modes",), "grid"),
    "mnist-dcgan": Group(("dcgan",), 6000, ALL),
    "mnist-infogan": Group(("infogan",), 6000, ALL),
    "mnist-adversarial": Group(("lsgan", "f-gan:divergence=kl", "wgan", "sngan", "ebgan"), 1500, ALL),
    "mnist-critics": Group(("wgan-gp", "mmd-gan"), 1500, ALL),
    "mnist-began": Group(("began",), 1500, ALL),
    "mnist-gmmn": Group(("gmmn",), 2000, ALL),
    "mnist-gmmn-ae": Group(("gmmn-ae",), 4000, ALL),
    "stacked": Group(("dcgan",), 1500, ("modes",), "stacked-mnist"),
}  # fmt: skip

if __name__ == "__main__":
    run(__doc__, GROUPS)
