"""The figures of a verdict by name: what the command prints, what comparisons average, what reports show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MetricSpec:
    """One number of a verdict (:func:`pushforward.evaluation.sections`).

    Attributes:
        name: What it is called in every table.
        path: Where it lies in the verdict; an estimate's value and error lie one level deeper.
        words: What it says and in which unit.
        better: 1 if more is better, -1 if less is, 0 if it is to be near another value, or if the
            values of two models need not be of one kind.
        beside: What must be printed beside it: a word, and where it lies.
    """

    name: str
    path: tuple[str, ...]
    words: str
    better: int = 0
    beside: tuple[str, tuple[str, ...]] | None = None

    def of(self, results: Mapping[str, Any]) -> tuple[float, float] | None:
        """Value and standard error (not a number where none is known), or None if it is not there."""
        found = _look(results, self.path)
        value, error = (found["value"], found.get("error")) if isinstance(found, Mapping) else (found, None)
        return None if value is None else (float(value), math.nan if error is None else float(error))

    def next_to(self, word: str, results: Mapping[str, Any]) -> float | None:
        """The number that is printed beside it under that word, if there is one."""
        found = _look(results, self.beside[1]) if self.beside and self.beside[0] == word else None
        return float(found) if isinstance(found, (int, float)) else None

    def worse(self, value: float) -> float:
        """How much is wrong by this figure; unbiased estimates of distances below 0 are as good as 0."""
        return max(value, 0.0) if self.better < 0 else -self.better * value


def _look(results: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if not isinstance(results, Mapping) or step not in results:
            return None
        results = results[step]
    return results


def _two_samples(section: str) -> tuple[MetricSpec, ...]:
    return (
        MetricSpec(
            "Fréchet",
            (section, "frechet"),
            "distance of the features' moments; biased upwards by about 1/n",
            -1,
        ),
        MetricSpec(
            "KID", (section, "kid"), "MMD² of features with the cubic kernel; unbiased, so 0 is perfect", -1
        ),
        MetricSpec("precision", (section, "precision"), "share of the made among the given's neighbours", 1),
        MetricSpec("recall", (section, "recall"), "share of the given among the made's neighbours", 1),
        MetricSpec(
            "density",
            (section, "density"),
            "how many given neighbourhoods hold a made row, over k; 1 is perfect",
        ),
        MetricSpec(
            "coverage", (section, "coverage"), "share of given neighbourhoods that hold a made row", 1
        ),
        MetricSpec(
            "sliced W2", (section, "sliced_wasserstein"), "sliced 2-Wasserstein distance of features", -1
        ),
        MetricSpec(
            "told apart", (section, "classifier_test", "accuracy"), "by a fresh classifier; 0.5 is chance"
        ),
        MetricSpec(
            "class score",
            (section, "inception_score"),
            "exp of the information on the class; at most the classes",
        ),
    )


SAMPLES = _two_samples("samples")
FLOOR = _two_samples("floor")
OTHERS = (
    MetricSpec(
        "squared error", ("reconstruction", "squared_error"), "of a held-out row, summed over its values", -1
    ),
    MetricSpec(
        "Fréchet back",
        ("reconstruction", "frechet"),
        "of reconstructions of one half of the rows, to the other half",
        -1,
    ),
    MetricSpec(
        "-ELBO",
        ("objective", "negative_elbo"),
        "nats, one draw of the code a row",
        0,
        ("observed with", ("objective", "observation")),
    ),
    MetricSpec(
        "log p(x)",
        ("likelihood", "log_likelihood"),
        "nats, an importance-weighted lower bound",
        0,
        ("observed with", ("likelihood", "observation")),
    ),
    MetricSpec(
        "ELBO, critic's",
        ("likelihood", "critics_elbo"),
        "nats, as far as the critic sees: no bound, to be read beside log p(x)",
    ),
    MetricSpec(
        "log p(x), annealed",
        ("annealing", "log_likelihood"),
        "nats, a stochastic lower bound",
        0,
        ("observed with", ("annealing", "observation")),
    ),
    MetricSpec("codes' MMD²", ("latent", "mmd"), "to the prior, seven scales; 0 is perfect", -1),
    MetricSpec(
        "codes' coverage",
        ("latent", "coverage"),
        "share of the prior's draws with a code nearby; less means holes",
        1,
    ),
    MetricSpec(
        "idle log-variance", ("latent", "idle_log_var"), "of the dimension that says least; 0 is the prior's"
    ),
    MetricSpec(
        "class error", ("classes", "error"), "share of held-out rows whose code names another class", -1
    ),
    MetricSpec(
        "majority error",
        ("classes", "majority_error"),
        "the same with each cluster called after its most frequent label",
        -1,
    ),
    MetricSpec(
        "matched error",
        ("classes", "matched_error"),
        "the same with clusters and labels matched one to one",
        -1,
    ),
    MetricSpec(
        "5-NN error",
        ("classes", "neighbours_error"),
        "share of held-out rows that neighbouring training codes take for another class",
        -1,
    ),
    MetricSpec("label leaks", ("classes", "leak"), "share of rows whose label neighbouring codes tell"),
    MetricSpec(
        "class asked", ("classes", "asked"), "share of samples read as the class they were asked for", 1
    ),
    MetricSpec(
        "label swapped", ("classes", "swapped"), "share of codes read as another label told with them", 1
    ),
    MetricSpec(
        "class information",
        ("objective", "diagnostics", "information_class"),
        "nats that samples tell of the class they were made of; at most the logarithm of the classes",
        1,
    ),
    MetricSpec(
        "energies' ratio",
        ("objective", "diagnostics", "ratio"),
        "of samples to data; BEGAN holds it at gamma",
    ),
    MetricSpec(
        "BEGAN's measure", ("objective", "diagnostics", "measure"), "of convergence; less is better", -1
    ),
    MetricSpec("modes", ("modes", "captured"), "that samples have", 1, ("of", ("modes", "modes"))),
    MetricSpec(
        "modes' KL", ("modes", "kl"), "of how often samples have each from how often data do, in nats", -1
    ),
    MetricSpec(
        "in modes", ("modes", "high_quality"), "share of samples within three deviations of a mode", 1
    ),
    MetricSpec("active", ("latent", "active"), "latent dimensions that say something about the data"),
    MetricSpec(
        "sharpness",
        ("sharpness", "samples"),
        "Laplacian's variance of samples",
        0,
        ("data", ("sharpness", "data")),
    ),
)
DETAILS = (
    MetricSpec("codes' mean", ("latent", "mean"), "largest gap of a dimension's mean to the prior's"),
    MetricSpec("codes' covariance", ("latent", "covariance"), "largest gap of an entry to the prior's"),
    MetricSpec(
        "codes' marginals", ("latent", "marginal"), "largest Kolmogorov-Smirnov distance of a dimension"
    ),
    MetricSpec(
        "codes' radius", ("latent", "radius"), "mean norm", 0, ("of draws", ("latent", "radius_prior"))
    ),
    MetricSpec("information", ("latent", "mutual_information"), "nats that codes carry about the data"),
)
FACTORS = (
    MetricSpec(
        "beta-VAE score",
        ("disentanglement", "beta_vae"),
        "accuracy of telling which factor pairs of rows share; chance is 1 over their number",
        1,
        ("factors", ("disentanglement", "factors")),
    ),
    MetricSpec(
        "FactorVAE score",
        ("disentanglement", "factor_vae"),
        "accuracy of telling it from the dimension that varies least; chance is 1 over their number",
        1,
    ),
    MetricSpec(
        "MIG",
        ("disentanglement", "mig"),
        "gap of information between the best two dimensions; below 1 for factors of over 20 values",
        1,
    ),
    MetricSpec(
        "DCI disentanglement", ("disentanglement", "disentanglement"), "of dimensions to one factor", 1
    ),
    MetricSpec("DCI completeness", ("disentanglement", "completeness"), "of factors in one dimension", 1),
    MetricSpec(
        "DCI informativeness",
        ("disentanglement", "informativeness"),
        "of factors told from all dimensions",
        1,
    ),
    MetricSpec(
        "SAP",
        ("disentanglement", "sap"),
        "gap of accuracy between the best two dimensions",
        1,
        ("perfect codes", ("disentanglement", "sap_ceiling")),
    ),
)
TEXT = (
    MetricSpec("BLEU back", ("text", "reconstruction", "bleu"), "percent, of lines as they come back", 1),
    MetricSpec(
        "unchanged", ("text", "reconstruction", "exact"), "share of lines that come back as they were", 1
    ),
    MetricSpec(
        "nats a token",
        ("text", "reconstruction", "nats_per_token"),
        "of held-out lines, each token told those before it",
        -1,
    ),
    MetricSpec(
        "forward perplexity",
        ("text", "samples", "forward"),
        "of samples' pieces under counts of training lines; dull lines are low too",
        0,
        ("training lines", ("text", "floor", "forward")),
    ),
    MetricSpec(
        "reverse perplexity",
        ("text", "samples", "reverse"),
        "of held-out lines' pieces under counts of samples",
        -1,
        ("training lines", ("text", "floor", "reverse")),
    ),
    MetricSpec(
        "self-BLEU",
        ("text", "samples", "self_bleu"),
        "percent, of samples against each other; more is less variety",
        0,
        ("training lines", ("text", "floor", "self_bleu")),
    ),
    MetricSpec(
        "distinct pairs",
        ("text", "samples", "distinct_2"),
        "share of different pairs of words",
        0,
        ("training lines", ("text", "floor", "distinct_2")),
    ),
    MetricSpec("unique lines", ("text", "samples", "unique"), "share of different ones among samples"),
    MetricSpec(
        "words a line",
        ("text", "samples", "words"),
        "of samples",
        0,
        ("training lines", ("text", "floor", "words")),
    ),
    MetricSpec(
        "style moved",
        ("transfer", "made", "accuracy"),
        "share judged to be of the wanted style",
        1,
        ("copying", ("transfer", "copied", "accuracy")),
    ),
    MetricSpec(
        "source BLEU", ("transfer", "made", "source_bleu"), "percent, moved lines with their sources", 0
    ),
    MetricSpec(
        "reference BLEU",
        ("transfer", "made", "reference_bleu"),
        "percent, moved lines with the same lines in the wanted style",
        1,
        ("copying", ("transfer", "copied", "reference_bleu")),
    ),
)
TABLE = (OTHERS[0], SAMPLES[0], SAMPLES[1], *SAMPLES[2:6], *OTHERS[1:], *FACTORS, *TEXT)
"""The columns of a comparison, in order; those that nobody has are left out."""


def written(value: float, error: float = math.nan) -> str:
    """A value with as many digits as its error allows: one of the error's, or two if the first is a 1.

    >>> written(11.28341, 0.0512), written(0.00123456), written(3, 0.0), written(1234.5, 20)
    ('11.28 ± 0.05', '0.001235', '3', '1230 ± 20')
    """
    if not math.isfinite(error) or error <= 0:
        return f"{value:.4g}"
    place = math.floor(math.log10(error))
    if error / 10**place < 1.95:  # a leading 1 gets a second digit
        place -= 1
    digits = max(0, -place)
    shown = [round(number, -place) for number in (value, error)]
    return " ± ".join(f"{number:.{digits}f}" for number in shown)


def extractor(results: Mapping[str, Any]) -> str:
    """What must stand beside every score: features, rows, resizing and range, and a sampler.

    >>> card = {"name": "pixels", "sha256": "e3b0c4429", "resize": "none", "dimensions": 64}
    >>> extractor({"rows": 10, "range": "[0, 1]", "features": card})
    'features: pixels (64 numbers, sha256 e3b0c442); n = 10; resize: none; data in [0, 1]'
    """
    card = results["features"]
    about = [f"{card['dimensions']} numbers", f"sha256 {card['sha256'][:8]}"]
    if "accuracy" in card:
        about.append(f"trained on {card['data']}, accuracy {card['accuracy']:.3f}")
    sampler = results.get("sampler", "prior")
    return (
        f"features: {card['name']} ({', '.join(about)}); n = {results['rows']}; "
        f"resize: {card['resize']}; data in {results['range']}"
        + ("" if sampler == "prior" else f"; samples decoded from a {sampler} fitted to codes")
    )


def reached(results: Mapping[str, Any]) -> str:
    """How near samples come to what training rows reach, in words; empty where that was not measured.

    >>> reached({"samples": {"coverage": 0.6}, "floor": {"coverage": 0.95}})
    "samples reach 60% of the data's neighbourhoods, training rows 95%"
    >>> reached({})
    ''
    """
    made, best = (_look(results, (section, "coverage")) for section in ("samples", "floor"))
    if made is None or best is None:
        return ""
    return f"samples reach {made:.0%} of the data's neighbourhoods, training rows {best:.0%}"


def lines(results: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Every figure of a verdict that is there: name, value, and what it says."""
    for figure in (*OTHERS, *DETAILS, *FACTORS, *TEXT):
        if (found := figure.of(results)) is not None:
            word, path = figure.beside or ("", ())
            value = _look(results, path) if path else None
            shown = f"{value:.4g}" if isinstance(value, float) else value
            shown = ", ".join(value) if isinstance(value, list) else shown
            yield figure.name, written(*found), figure.words + (f"; {word} {shown}" if shown else "")
    if "samples" in results and "frechet" not in results["samples"]:
        yield (
            "samples",
            "-",
            f"{results['samples']['rows']} held-out rows are too few to compare samples with",
        )
    for figure, base in zip(SAMPLES, FLOOR, strict=True):
        if (found := figure.of(results)) is not None:
            at_best = base.of(results)
            few = results["floor"]["rows"] if "floor" in results else results["rows"]
            named = "training rows" if few == results["rows"] else f"only {few} training rows"
            tail = "" if at_best is None else f"  ({named}: {written(*at_best)})"
            yield f"samples' {figure.name}", written(*found) + tail, figure.words


__all__ = [
    "DETAILS",
    "FACTORS",
    "FLOOR",
    "OTHERS",
    "SAMPLES",
    "TABLE",
    "TEXT",
    "MetricSpec",
    "extractor",
    "lines",
    "reached",
    "written",
]
