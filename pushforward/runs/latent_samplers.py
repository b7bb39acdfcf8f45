"""Samplers: densities that are fitted to the codes of training rows, and replace the prior in sampling.

Where the aggregate posterior does not match the prior, reconstructions are good and samples are bad, because
the decoder never saw codes such as the prior's. A density that is fitted to the codes after training avoids
this. A sampler is a :class:`~pushforward.distributions.Prior`; the model does not change, and the doctor
examines the samples of the model's own prior.

References:
    | From Variational to Deterministic Autoencoders (Ghosh et al., 2020), "ex-post density estimation"
    | https://arxiv.org/abs/1903.12436
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from pushforward.data.dataset import Split
from pushforward.distributions import FlowPrior, MixturePrior, Prior
from pushforward.errors import CheckpointError, ConfigError, DataError, nearest, reason
from pushforward.evaluation.context import map_rows
from pushforward.files import make_folder, write_atomic, writing
from pushforward.models import Model
from pushforward.reading import read_file, read_json
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.torch_state import plain_torch, torch_seeded
from pushforward.utils import eval_mode

PRIOR = "prior"  # the sampler that is not fitted: the model's own
ROWS = 20_000  # training rows to whose codes a density is fitted, at most
COMPONENTS = 10  # of a Gaussian mixture
LEAST_VARIANCE = 1e-6  # relative to the codes' mean variance: added to a mixture's, least of a flow's
STEPS, BATCH, LR = 1000, 128, 3e-3
EVERY, PATIENCE = (
    50,
    300,
)  # steps between two held-out likelihoods; steps without a better one to stop
VERSION = 1  # raised when the same codes give another sampler, so that kept ones are fitted again

Progress = Callable[[int, int], None]


def draw_codes(model: Model, rows: Split, noise: Noise) -> Tensor:
    """One code (N, L), drawn from its posterior, of each of at most :data:`ROWS` random rows.

    The model is in evaluation mode.

    Raises:
        DataError: If they are not finite.
    """
    order = noise("rows").permutation(len(rows))[:ROWS]
    device = model.prior.device_buffer.device

    def drawn(part: slice) -> Tensor:
        x, y = rows.batch(order[part]).to(device)
        return Square(model, x, noise.rows(part.start), y).Ex.cpu()

    with eval_mode(model), torch.no_grad():
        found = torch.cat([*map_rows(drawn, len(order))])
    if not found.isfinite().all():
        raise DataError("codes must be finite to fit a sampler to them; some are not")
    return found


def fit_gmm(
    codes: Tensor, noise: Noise, progress: Progress | None = None, components: int = COMPONENTS
) -> MixturePrior:
    """A Gaussian mixture with full covariances, fitted to codes by expectation-maximisation.

    Its mean and covariance are those of the codes, except for the little that is added to its variances. Each
    component has more than L codes on average: few codes have fewer components than asked for.

    Example:
        >>> codes = torch.cat([Noise(0).normal(500, 2), Noise(1).normal(500, 2) + 9])
        >>> fit_gmm(codes, Noise(0))
        MixturePrior(latent_dim=2, components=10)
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    components = max(1, min(components, len(codes) // (codes.shape[1] + 1)))
    seed = noise("mixture").integer() % 2**32
    model = GaussianMixture(components, reg_covar=_least_variance(codes), random_state=seed)
    with warnings.catch_warnings():  # a mixture that has not quite converged is good enough
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(codes.double().numpy())
    means, weights = (torch.from_numpy(value).float() for value in (model.means_, model.weights_))
    return MixturePrior(means, torch.linalg.cholesky(torch.from_numpy(model.covariances_)).float(), weights)


@plain_torch()
def fit_flow(codes: Tensor, noise: Noise, progress: Progress | None = None) -> FlowPrior:
    """A neural spline flow, fitted to codes by maximum likelihood.

    The flow is fitted to whitened codes, of mean 0 and covariance I, and starts as the normal distribution
    with the codes' moments. A tenth of the codes is held out, and the flow that gives them the highest
    likelihood is kept: on them it is no worse than that normal distribution.

    Raises:
        ConfigError: If zuko is not installed.
    """
    codes = codes.double()
    mean = codes.mean(0)
    values, axes = torch.linalg.eigh((codes - mean).T @ (codes - mean) / len(codes))
    deviations = values.clamp_min(_least_variance(codes)).sqrt()
    # With the symmetric root of the covariance, coordinates that are independent stay coordinates.
    with torch_seeded(noise("weights").integer()):
        prior = FlowPrior(mean, axes * deviations @ axes.T)
    order = noise("held out").permutation(len(codes))
    whitened = ((codes - mean) @ (axes / deviations) @ axes.T)[order]
    n_held_out = max(1, len(codes) // 10)
    held_out, train = whitened.split([n_held_out, len(codes) - n_held_out])
    _maximise_likelihood(prior.flow, train, held_out, noise, progress)
    return prior.requires_grad_(False)


def _maximise_likelihood(
    flow: nn.Module, train: Tensor, held_out: Tensor, noise: Noise, progress: Progress | None
) -> None:
    """Trains a flow on codes with Adam, and keeps the weights that are best on held-out codes.

    The learning rate falls to 0 along a cosine. Training stops early when the held-out likelihood has not
    improved for :data:`PATIENCE` steps.
    """
    optimizer = torch.optim.Adam(flow.parameters(), LR)
    batches = _batches(train, noise)
    best_loss, best_step = math.inf, 0
    best: dict[str, Tensor] = {}
    for step in range(STEPS + 1):
        if step % EVERY == 0:
            with torch.no_grad():
                loss = -flow().log_prob(held_out).mean().item()
            if loss < best_loss:
                best_loss, best_step = loss, step
                best = {name: value.clone() for name, value in flow.state_dict().items()}
        if step == STEPS or step - best_step >= PATIENCE:
            break
        optimizer.param_groups[0]["lr"] = LR * (1 + math.cos(math.pi * step / STEPS)) / 2
        optimizer.zero_grad()
        (-flow().log_prob(next(batches)).mean()).backward()
        optimizer.step()
        if progress:
            progress(step + 1, STEPS)
    if progress:
        progress(STEPS, STEPS)
    flow.load_state_dict(best)


def _batches(codes: Tensor, noise: Noise) -> Iterator[Tensor]:
    """Batches of codes without end; each pass has another order, and leaves out an incomplete batch."""
    size = min(BATCH, len(codes))
    for epoch in count():
        order = noise("order", epoch).permutation(len(codes))
        for place in range(len(codes) // size):
            yield codes[order[place * size : (place + 1) * size]]


def _least_variance(codes: Tensor) -> float:
    return max(LEAST_VARIANCE * codes.double().var(0, correction=0).mean().item(), 1e-12)


SAMPLERS: Mapping[str, Callable[[Tensor, Noise, Progress | None], Prior]] = {
    "gmm": fit_gmm,
    "flow": fit_flow,
}


def check_sampler(name: str) -> None:
    """Checks the name of a sampler.

    Raises:
        ConfigError: If it is unknown.
    """
    if name not in (PRIOR, *SAMPLERS):
        raise ConfigError(f"unknown sampler {name!r}: {nearest(name, (PRIOR, *SAMPLERS))}")


def sampler_key(step: int, seed: int, sha256: str) -> dict[str, Any]:
    """Everything that the sampler of a run depends on: its step, its seed, and the sha256 of its data."""
    return {"version": VERSION, "step": step, "seed": seed, "data": sha256}


def save_sampler(folder: Path, name: str, prior: Prior, key: Mapping[str, Any]) -> None:
    """Writes ``<name>-<step>.safetensors`` and then ``.json`` into a folder, each whole or not at all."""
    with writing(folder):
        make_folder(folder)
    weights = save({part: value.contiguous() for part, value in prior.state_dict().items()})
    about = {**key, "sha256": hashlib.sha256(weights).hexdigest()}
    if isinstance(prior, FlowPrior):
        about["settings"] = prior.settings
    files = {".safetensors": weights, ".json": (json.dumps(about, indent=1) + "\n").encode()}
    for ending, content in files.items():
        write_atomic(folder / f"{name}-{key['step']}{ending}", content)


def read_sampler(folder: Path, name: str, key: Mapping[str, Any]) -> Prior | None:
    """A kept sampler, or None if there is none with this key.

    Raises:
        CheckpointError: If it is damaged.
        ConfigError: If it is a flow, and zuko is not installed.
    """
    place = folder / f"{name}-{key['step']}.json"
    if not place.exists():
        return None
    try:
        about = read_json(place)
        if any(about[part] != value for part, value in key.items()):
            return None
        weights = read_file(place.with_suffix(".safetensors"))
        found = hashlib.sha256(weights).hexdigest()
        if found != about["sha256"]:
            raise ValueError(f"sha256 should be {about['sha256'][:12]}…, is {found[:12]}…")
        tensors = load(weights)
        if name == "gmm":
            return MixturePrior(tensors["means"], tensors["factors"], tensors["weights"])
        with torch_seeded(0):  # the first weights are random, and then overwritten
            prior = FlowPrior(tensors["mean"], tensors["root"], **about["settings"])
        prior.load_state_dict(tensors)
        return prior.requires_grad_(False)
    except ConfigError:
        raise
    except Exception as error:  # damaged files raise errors of many types
        raise CheckpointError(f"{place} and its weights cannot be read: {reason(error)}") from error


__all__ = [
    "PRIOR",
    "SAMPLERS",
    "check_sampler",
    "draw_codes",
    "fit_flow",
    "fit_gmm",
    "read_sampler",
    "sampler_key",
    "save_sampler",
]
