"""Models of text: reconstructions, samples, and style transfer.

    python -m benchmarks.text --data-dir DATA --out RUNS [--only shakespeare] [--seeds 0 1 2]

Prints a table for each group (docs/results). Finished runs are not trained again. An upper baseline of style
transfer, trained on all pairs, is ``benchmarks.translator``.
"""

from __future__ import annotations

from benchmarks.groups import Group, run

LINES = ("objective", "latent", "text")
STYLES = ("latent", "classes", "text", "transfer")
TRANSFERS = tuple(f"transfer-ae:paired_fraction={share}" for share in (0, 0.01, 0.1, 1))
GROUPS: dict[str, Group] = {
    "shakespeare": Group(
        ("ae", "wae-mmd", "arae", "vae:warmup=3000,free_bits=0.1,word_dropout=0.3"),
        6000,
        LINES,
        "shakespeare",
    ),
    "transfer": Group(TRANSFERS, 6000, STYLES, "shakespeare"),
    "transfer-bible": Group(TRANSFERS, 6000, STYLES, "bible"),
}

if __name__ == "__main__":
    run(__doc__, GROUPS)
