"""``pushforward evaluate``."""

from __future__ import annotations

from pushforward.cli.application import app
from pushforward.cli.options import Features, JsonFlag, RunFolder, Sampler, Words
from pushforward.cli.output import print_findings, print_results
from pushforward.console import echo


@app.command
def evaluate(
    run: RunFolder,
    *,
    n_samples: int = 10_000,
    seed: int = 0,
    features: Features = "auto",
    metrics: Words = None,
    sampler: Sampler = "prior",
    data: str | None = None,
    json: JsonFlag = False,
) -> None:
    """Compute the metrics of a run on held-out data: of samples, reconstructions, sharpness and codes.

    The summary that training ends with comes first; it is left out if groups of metrics are named, and on
    other data.

    Arguments:
        data: Other data that the run is evaluated on, of the same shape, values and classes: all of their
            rows are held-out rows, next to the run's own training rows. Or the data that it was trained on,
            if they were given in memory or are no longer where they were.
        n_samples: Number of held-out rows, at most, and of samples.
        seed: Seed of the choice of rows, and of samples and codes.
        metrics: Names of groups of metrics: objective, reconstruction, samples, reference, sharpness, latent,
            classes, modes, text, transfer; and, only if they are named, likelihood, ais, parzen and
            disentanglement.
    """
    from pushforward.process_group import joined
    from pushforward.runs.api import load

    with joined():
        loaded = load(run, data)
        # The summary is of all of a run, of its own prior and of its own data.
        whole = metrics is None and sampler == "prior" and loaded.other is None
        findings = loaded.doctor(progress=True) if whole else None
        if findings is not None and not json:
            print_findings(findings, loaded)
            echo("")
        results = loaded.evaluate(n_samples, seed, features, metrics, True, sampler)
    print_results(results, json, metrics, findings)
