"""Samplers after training: a law fitted to the codes of training rows stands for the prior.

Codes that do not follow the prior give good reconstructions and bad samples: decoded draws of the prior come
from where no code ever was. The cheapest cure is to draw from where codes are. A sampler is nothing but a
:class:`~pushforward.distributions.Prior`; the model is not touched, and the doctor still judges its own.

References:
    | From Variational to Deterministic Autoencoders (Ghosh et al., 2020), "ex-post density estimation"
    | https://arxiv.org/abs/1903.12436
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from pushforward.data.dataset import Split
from pushforward.distributions import FlowPrior, MixturePrior, Prior
from pushforward.errors import CheckpointError, ConfigError, DataError, nearest, reason
from pushforward.evaluation.context import chunks
from pushforward.models import Model
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.utils import eval_mode

PRIOR = "prior"  # the sampler that is not fitted: the model's own
ROWS = 20_000  # training rows whose codes are fitted, at most
COMPONENTS = 10
FLOOR = 1e-6  # of the codes' mean variance: added to a mixture's variances, the least of a flow's directions
STEPS, BATCH, LR = 1000, 128, 3e-3
EVERY, PATIENCE = 50, 300  # steps between looks at held-out codes; steps without a gain after which to stop
VERSION = 1  # raised when a sampler of the same codes becomes another, so that kept ones are fitted again

Progress = Callable[[int, int], None]


def drawn_codes(model: Model, rows: Split, noise: Noise) -> Tensor:
    """One drawn code (N, L) each of at most :data:`ROWS` rows at random, the model at rest.

    Raises:
        DataError: If they are not finite.
    """
    order = noise("rows").permutation(len(rows))[:ROWS]
    device = model.prior.device_buffer.device
    codes = []
    with eval_mode(model), torch.no_grad():
        for part in chunks(len(order)):
            x, y = rows.batch(order[part])
            labels = None if y is None else y.to(device)
            codes.append(Square(model, x.to(device), noise.rows(part.start), labels).Ex.cpu())
    found = torch.cat(codes)
    if not found.isfinite().all():
        raise DataError("codes must be finite for a sampler to be fitted; some are not")
    return found


def fit_gmm(
    codes: Tensor, noise: Noise, progress: Progress | None = None, components: int = COMPONENTS
) -> MixturePrior:
    """A mixture of normal laws with full covariances, by expectation and maximisation.

    Of few codes there are fewer components than asked for: each has more than L codes on average. The
    mixture's mean and covariance are those of the codes, but for the floor on its variances.

    Example:
        >>> codes = torch.cat([Noise(0).normal(500, 2), Noise(1).normal(500, 2) + 9])
        >>> fit_gmm(codes, Noise(0))
        MixturePrior(latent_dim=2, components=10)
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    components = max(1, min(components, len(codes) // (codes.shape[1] + 1)))
    seed = noise("mixture").integer() % 2**32
    model = GaussianMixture(components, reg_covar=_floor(codes), random_state=seed)
    with (
        warnings.catch_warnings()
    ):  # what has nearly converged, or has fewer distinct codes, is a law as well
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(codes.double().numpy())
    means, weights = (torch.from_numpy(value).float() for value in (model.means_, model.weights_))
    return MixturePrior(means, torch.linalg.cholesky(torch.from_numpy(model.covariances_)).float(), weights)


@torch.inference_mode(False)
@torch.enable_grad()
def fit_flow(codes: Tensor, noise: Noise, progress: Progress | None = None) -> FlowPrior:
    """A neural spline flow, by maximum likelihood on codes of mean 0 and covariance I.

    It begins as the normal law of the codes' moments. A tenth of the codes is held out, and the flow that
    gives them the highest likelihood is kept, so that it is no worse than that law on them.

    Raises:
        ConfigError: If zuko is not installed.
    """
    codes = codes.double()
    mean = codes.mean(0)
    values, axes = torch.linalg.eigh((codes - mean).T @ (codes - mean) / len(codes))
    deviations = values.clamp_min(_floor(codes)).sqrt()
    # The symmetric root: coordinates that are independent stay the coordinates.
    with torch.random.fork_rng():
        torch.manual_seed(noise("weights").integer())
        prior = FlowPrior(mean, axes * deviations @ axes.T)
    order = noise("held out").permutation(len(codes))
    standard = ((codes - mean) @ (axes / deviations) @ axes.T)[order]
    held, learnt = standard.split([max(1, len(codes) // 10), len(codes) - max(1, len(codes) // 10)])
    flow, batch = prior.flow, min(BATCH, len(learnt))
    optimizer = torch.optim.Adam(flow.parameters(), LR)
    best, at = math.inf, 0
    kept: dict[str, Tensor] = {}
    for step in range(STEPS + 1):
        if step % EVERY == 0:
            with torch.no_grad():
                loss = -flow().log_prob(held).mean().item()
            if loss < best:
                best, at = loss, step
                kept = {name: value.clone() for name, value in flow.state_dict().items()}
        if step == STEPS or step - at >= PATIENCE:
            break
        epoch, place = divmod(step, len(learnt) // batch)
        if place == 0:
            shuffled = noise("order", epoch).permutation(len(learnt))
        optimizer.param_groups[0]["lr"] = LR * (1 + math.cos(math.pi * step / STEPS)) / 2
        x = learnt[shuffled[place * batch : (place + 1) * batch]]
        loss = -flow().log_prob(x).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if progress:
            progress(step + 1, STEPS)
    if progress:
        progress(STEPS, STEPS)
    flow.load_state_dict(kept)
    return prior.requires_grad_(False)


def _floor(codes: Tensor) -> float:
    return max(FLOOR * codes.double().var(0, correction=0).mean().item(), 1e-12)


SAMPLERS: Mapping[str, Callable[[Tensor, Noise, Progress | None], Prior]] = {
    "gmm": fit_gmm,
    "flow": fit_flow,
}


def check_sampler(name: str) -> None:
    """Refuses a sampler that there is not.

    Raises:
        ConfigError: If there is none of this name.
    """
    if name not in (PRIOR, *SAMPLERS):
        raise ConfigError(f"unknown sampler {name!r}: {nearest(name, (PRIOR, *SAMPLERS))}")


def key_of(step: int, seed: int, sha256: str) -> dict[str, Any]:
    """All that the codes of a run are a function of: its step, its seed, and the sha256 of its data."""
    return {"version": VERSION, "step": step, "seed": seed, "data": sha256}


def save_sampler(folder: Path, name: str, prior: Prior, key: Mapping[str, Any]) -> None:
    """Writes ``<name>-<step>.safetensors`` and ``.json`` into a folder, the latter last and whole."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = save({part: value.contiguous() for part, value in prior.state_dict().items()})
    about = {**key, "sha256": hashlib.sha256(weights).hexdigest()}
    if isinstance(prior, FlowPrior):
        about["settings"] = prior.settings
    files = {".safetensors": weights, ".json": (json.dumps(about, indent=1) + "\n").encode()}
    for ending, content in files.items():
        place = folder / f"{name}-{key['step']}{ending}"
        stage = place.with_name(f".{place.name}.{os.getpid()}")
        stage.write_bytes(content)
        stage.replace(place)


def read_sampler(folder: Path, name: str, key: Mapping[str, Any]) -> Prior | None:
    """A kept sampler, or None if there is none of this key.

    Raises:
        CheckpointError: If it is damaged.
        ConfigError: If it is a flow, and zuko is not installed.
    """
    place = folder / f"{name}-{key['step']}.json"
    if not place.exists():
        return None
    try:
        about = json.loads(place.read_bytes())
        if any(about[part] != value for part, value in key.items()):
            return None
        weights = place.with_suffix(".safetensors").read_bytes()
        found = hashlib.sha256(weights).hexdigest()
        if found != about["sha256"]:
            raise ValueError(f"sha256 should be {about['sha256'][:12]}…, is {found[:12]}…")
        parts = load(weights)
        if name == "gmm":
            return MixturePrior(parts["means"], parts["factors"], parts["weights"])
        with torch.random.fork_rng():  # first weights are drawn, and overwritten
            prior = FlowPrior(parts["mean"], parts["root"], **about["settings"])
        prior.load_state_dict(parts)
        return prior.requires_grad_(False)
    except ConfigError:
        raise
    except Exception as error:  # whatever a damaged file makes its reader say
        raise CheckpointError(f"{place} and its weights cannot be read: {reason(error)}") from error


__all__ = [
    "PRIOR",
    "SAMPLERS",
    "check_sampler",
    "drawn_codes",
    "fit_flow",
    "fit_gmm",
    "key_of",
    "read_sampler",
    "save_sampler",
]
