"""Why samples are far from the data where no fault was found: the budget, the networks, or the codes.

The distance of samples from the data has two parts. One is there already in reconstructions, and is the
decoder's; the other comes from codes that the prior draws and the encoder does not.
"""

from __future__ import annotations

from pushforward.evaluation.diagnosis import Diagnosis, Finding
from pushforward.evaluation.grades import FEW_COPIES, samples_level
from pushforward.wording import option_name

NARROW = 0.4  # of the mean row's squared error: what good codes leave is less
WIDER = 0.75  # of a linear code's error with twice as many dimensions: up to there more of them help
STILL_LEARNING = 0.02  # of the cost's whole fall, over the last quarter of the run
NEARER = 0.2  # of the distance of samples, by which others must be nearer to be advised


def copies(c: Diagnosis) -> Finding | None:
    """Samples of text that are lines of the training data."""
    if c.fluency is None or c.fluency.excess_copies <= FEW_COPIES:
        return None
    copied, usual = c.fluency.copied, c.fluency.expected_copies
    return Finding(
        "copies of training lines",
        f"{copied:.0%} of samples are exact copies of training lines, where {usual:.0%} would be if none "
        "were memorised",
        f"use more lines, fewer steps, smaller networks, or {option_name('word_dropout')}",
        {"copied": copied, "usual": usual},
    )


def narrow_codes(c: Diagnosis) -> Finding | None:
    """Codes of so few dimensions that much of the data is not in them."""
    fit, latent_dim = c.fit, c.model.prior.latent_dim
    if not _falls_short(c) or fit is None or fit.active_units < latent_dim:
        return None
    left = c.error / max(c.spread, 1e-30)
    if left <= NARROW or c.wider_error >= WIDER:
        return None
    return Finding(
        "latent space too small",
        f"the squared error of reconstructions is {left:.0%} of the mean row's, and that of the best linear "
        f"code would fall by {1 - c.wider_error:.0%} with twice as many dimensions",
        f"use {option_name('latent_dim', 2 * latent_dim)}",
        {"error": left, "wider": c.wider_error},
        {"latent_dim": 2 * latent_dim},
    )


def budget(c: Diagnosis) -> Finding | None:
    """Samples that are far from the data after much fewer steps than the recipe takes by itself."""
    if not _falls_short(c) or c.steps >= c.usual_steps / 2:
        return None
    words = f"the run has had {c.steps} of the {c.usual_steps} steps that the recipe takes by itself"
    return _train_longer(c, "too few steps", words, {"steps": c.steps, "usual": c.usual_steps})


def codes_of_the_prior(c: Diagnosis) -> Finding | None:
    """Samples that are far from the data because draws of the prior are not like codes of the data."""
    if not _falls_short(c) or c.decoded_share is None or c.fitted is None:
        return None
    assert c.samples is not None
    name, fd = c.fitted
    if c.samples.fd - fd < NEARER * c.samples.excess:
        return None
    return Finding(
        "draws of the prior unlike codes",
        f"{1 - c.decoded_share:.0%} of the distance of samples from the data comes from the codes that the "
        f"prior draws: decoded from a {name} fitted to the codes, samples have FD {fd:.3g} in place of "
        f"{c.samples.fd:.3g} (training rows: {c.samples.best_fd:.3g})",
        f"sample with {option_name('sampler', name)}",
        {"fd": c.samples.fd, "fitted_fd": fd},
        {"sampler": name},
    )


def decoder(c: Diagnosis) -> Finding | None:
    """Samples that are far from the data, mostly because reconstructions are: budget or networks."""
    share = c.decoded_share
    if not _falls_short(c) or share is None or share < 0.5:
        return None
    assert c.reconstructions is not None
    latent_dim = c.model.prior.latent_dim
    numbers = {"share": share, "reconstruction_fd": c.reconstructions.fd, "late_fall": c.late_fall}
    words = (
        f"{share:.0%} of the distance of samples from the data is there already in reconstructions "
        f"(FD {c.reconstructions.fd:.3g}, of training rows {c.reconstructions.best_fd:.3g}); "
    )
    if c.late_fall > STILL_LEARNING:
        words += f"{c.late_fall:.0%} of the fall of the reconstruction term came in the run's last quarter"
        return _train_longer(c, "too few steps", words, numbers)
    words += "the networks or the code are too small for these data"
    advice = f"use larger networks, {option_name('latent_dim', 2 * latent_dim)}, or a larger budget"
    return Finding("model too small", words, advice, numbers, {"latent_dim": 2 * latent_dim})


def generator(c: Diagnosis) -> Finding | None:
    """Samples of a model without an encoder that are far from the data, without another finding."""
    if not _falls_short(c) or c.model.has_encoder:
        return None
    assert c.samples is not None
    words = f"samples are far from the data: {c.samples.words}"
    return _train_longer(c, "generator too weak", words, {"reached": c.samples.reached})


def _falls_short(c: Diagnosis) -> bool:
    """Whether samples are further from the data than a good model's."""
    return samples_level(c) in ("fair", "poor")


def _train_longer(c: Diagnosis, name: str, words: str, numbers: dict[str, float]) -> Finding:
    """A finding whose advice is to train on: to the recipe's own budget, or to three times as many steps."""
    steps = max(c.usual_steps, 3 * c.steps)
    return Finding(
        name, words, f"train longer: resume it with {option_name('steps', steps)}", numbers, {"steps": steps}
    )


SHORTFALLS = (copies, narrow_codes, budget, codes_of_the_prior, decoder, generator)

__all__ = ["SHORTFALLS"]
