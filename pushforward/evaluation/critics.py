"""Critics that win: of codes and prior, or of samples and data."""

from __future__ import annotations

from typing import Any

from pushforward.discrepancies import Adversarial, Discrepancy
from pushforward.evaluation.diagnosis import Diagnosis, Finding
from pushforward.evaluation.grades import samples_level
from pushforward.wording import option_name

SURE = 0.95  # accuracy
PENALTY = "a critic whose gradient does not vanish, by a gradient penalty (recipe wgan-gp)"


def critic_saturated(c: Diagnosis) -> Finding | None:
    """A critic that is always right, so that its gradient vanishes."""
    if c.critic is None or c.critic < SURE:
        return None
    if c.fit is None:
        return _winning_critic(c, c.critic)
    discrepancy = c.model.discrepancy
    assert isinstance(discrepancy, Discrepancy)
    if c.model.discrepancy_weight is not None and c.model.discrepancy_weight < 0.02 * c.spread:
        return None  # with a small weight codes are easy to distinguish from draws
    non_saturating = all(
        module.non_saturating for module in discrepancy.modules() if isinstance(module, Adversarial)
    )
    advice = (
        f"divide {option_name('critic_lr')} by 10"
        if non_saturating
        else f"use {option_name('non_saturating', True)}"
    )
    return Finding(
        "critic saturated",
        f"the critic tells codes from draws of the prior with accuracy {c.critic:.1%}, with "
        f"{_updates(discrepancy)} a step: where it is certain its gradient vanishes",
        advice if discrepancy.n_critic == 1 or not non_saturating else f"set {option_name('n_critic', 1)}",
        {"accuracy": c.critic, "n_critic": discrepancy.n_critic},
        {"non_saturating": True} if not non_saturating else {},
    )


def _winning_critic(c: Diagnosis, accuracy: float) -> Finding | None:
    """A critic of samples and data that is always right, where samples are not good."""
    if samples_level(c) not in ("fair", "poor"):
        return None
    discrepancy = c.model.discrepancy
    assert isinstance(discrepancy, Discrepancy)
    words = (
        f"the critic tells samples from held-out rows with accuracy {accuracy:.1%}, with "
        f"{_updates(discrepancy)} a step: where it is certain its gradient vanishes"
    )
    change: dict[str, Any] = {}
    if c.changed:
        own = " and ".join(option_name(name, value) for name, value in c.changed.items())
        advice, change = (
            f"train again with the recipe's own balance of critic and generator: {own}",
            {**c.changed},
        )
    elif c.steps < c.usual_steps / 2:
        words += (
            f"; early in training that is usual, and the run has had {c.steps} of the {c.usual_steps} steps "
            f"that the recipe takes by itself; if the critic still wins then, take {PENALTY}"
        )
        advice = f"train longer: resume it with {option_name('steps', c.usual_steps)}"
        change = {"steps": c.usual_steps}
    else:
        fewer = f"set {option_name('n_critic', 1)}"
        less = fewer if discrepancy.n_critic > 1 else f"lower {option_name('critic_lr')}"
        advice = f"hold the critic back: {less}, or take {PENALTY}"
    numbers = {"accuracy": accuracy, "n_critic": discrepancy.n_critic}
    return Finding("critic saturated", words, advice, numbers, change)


def _updates(discrepancy: Discrepancy) -> str:
    return f"{discrepancy.n_critic} update{'s' * (discrepancy.n_critic > 1)}"


__all__ = ["critic_saturated"]
