"""All numbers that the diagnosis of a run is read from, by name."""

from __future__ import annotations

from pushforward.evaluation.diagnosis import Diagnosis


def measurements(c: Diagnosis) -> dict[str, float]:
    """All measurements by name."""
    found = {
        "steps": float(c.steps),
        "value std": c.values.median().item() if len(c.values) else 0.0,
        "variety": c.variety,
    }
    for name, quality in (("samples", c.samples), ("reconstructions", c.reconstructions)):
        if quality is not None:
            found |= {f"{name}: share reached": quality.reached, f"{name}: accuracy": quality.accuracy}
    if c.decoded_share is not None:
        found["decoded share"] = c.decoded_share
    if c.fit is not None:
        found |= {
            "error/linear": c.error / max(c.linear_error, 1e-30),
            "error/spread": c.error / max(c.spread, 1e-30),
            "held out/training": c.error / max(c.training_error, 1e-30),
            "late fall": c.late_fall,
            "mmd": c.fit.mmd,
            "mmd/null": c.gauge,
            "active units": c.fit.active_units / c.model.prior.latent_dim,
            "holes": (c.fit.prior_coverage or 0.0) / max(c.fit.prior_coverage_reference or 0.0, 1e-9),
            "radius": c.fit.radius / c.fit.radius_prior,
        }
        if c.fit.mutual_information is not None:
            found["I(x; z)"] = c.fit.mutual_information
        if c.kernel is not None:
            found |= {"kernel mmd/null": c.kernel[0], "kernel across/within": c.kernel[1]}
        if c.critic is not None:
            found["critic accuracy"] = c.critic
    return found


__all__ = ["measurements"]
