"""What the numbers of a line of progress are, and which way is good."""

from __future__ import annotations

from collections.abc import Iterable

from pushforward.costs import KL
from pushforward.models import Model

LESS, NEAR_0 = "less is better", "should come near 0"

# Terms and diagnostics by name; a name such as critic_y is that of the part y of the codes.
OF_CODES = {
    "discrepancy": "weight times the distance of codes from the prior, as training estimates it from a "
    "batch; it may stay below 0",
    "critic": "loss of the critic of codes and prior; if it falls, it tells them apart more easily",
    "std": "smallest standard deviation of a code dimension, should be that of the prior, {scale:.3g}",
    "mmd": f"MMD² of codes and prior in a batch, {NEAR_0}",
}
OF_A_KL = {
    "discrepancy": "KL of the codes of a row from the prior in nats; at 0 codes hold nothing of the data",
}
OF_A_LIKELIHOOD = {
    "reconstruction": f"negative log-likelihood of the data given their codes, in nats, {LESS}"
}
OF_SAMPLES = {
    "discrepancy": "distance of samples from data as the critic sees it; it rises while the critic learns, "
    "and should fall as samples improve",
    "critic": "loss of the critic of samples and data; if it falls, it tells them apart more easily",
}
OF_ALL = {
    "reconstruction": f"error of reconstructions, {LESS}",
    "kl": f"KL of the codes of a row from the prior, {LESS}",
    "noise": "penalty of encoder noise that dies out or grows",
    "labels": f"error of the inferred labels, {LESS}",
    "heads": f"penalty of class heads that lie close together, {LESS}",
    "style": f"distance of the codes of both styles, {NEAR_0}",
    "contrast": "KL of codes from their normal approximation, by the critic",
    "penalty": f"penalty of a critic that is too steep, {NEAR_0}",
    "code": f"negative log-likelihood of the code given the sample, {LESS}",
    "information": "lower bound on the information of a sample about its code, more is better",
    "spread": "standard deviation of samples over that of data, should come near 1",
    "made": "energy of samples, should come near that of data",
    "given": "energy of data, less is better",
    "k": "weight of the samples' energy in the critic's loss",
    "ratio": "energy of samples over that of data, held at gamma",
    "measure": f"convergence measure of BEGAN, {LESS}",
    "prior_norm": "norm of draws of the learnt prior, should come near that of codes",
    "code_norm": "norm of codes",
}


def legend(model: Model, names: Iterable[str]) -> str:
    """One line on all numbers of a line of progress that are known.

    Arguments:
        model: The model that is trained.
        names: The names of the numbers.

    Example:
        >>> from pushforward.data import open_dataset
        >>> from pushforward.recipes import vae
        >>> model = vae(open_dataset("digits").spec).model
        >>> legend(model, ["reconstruction", "own"])
        'reconstruction: negative log-likelihood of the data given their codes, in nats, less is better'
    """
    known = OF_ALL | (OF_CODES if model.has_encoder else OF_SAMPLES)
    known |= OF_A_KL if isinstance(model.discrepancy, KL) else {}
    known |= OF_A_LIKELIHOOD if model.cost.likelihood else {}
    said: dict[str, str] = {}
    for name in names:
        whole = name if name in known else name.partition("_")[0]
        if whole in known:
            said.setdefault(whole, known[whole].format(scale=model.prior.variance**0.5))
    return "; ".join(f"{name}: {words}" for name, words in said.items())


__all__ = ["legend"]
