"""One path by which every run is judged, on rows it has not learnt from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from pushforward.costs import SquaredError
from pushforward.data.dataset import Dataset
from pushforward.evaluation.latent import TEST_SIZES, latent_fit
from pushforward.evaluation.sharpness import can_be_judged, sharpness
from pushforward.models import VAE, AutoEncoder
from pushforward.randomness import Noise
from pushforward.square import Square

CHUNK = 500


def chunks(rows: int) -> Iterator[slice]:
    """Slices of nearly equal length, none of a single row, that cover ``rows`` rows.

    >>> [part.stop - part.start for part in chunks(1001)]
    [334, 334, 333]
    """
    start = 0
    for left in range(-(-rows // CHUNK), 0, -1):
        stop = start + -(-(rows - start) // left)
        yield slice(start, stop)
        start = stop


@torch.inference_mode()
def judge(
    model: AutoEncoder,
    data: Dataset,
    rows: int = 10_000,
    seed: int = 0,
    test_sizes: Sequence[int] = TEST_SIZES,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Every figure of a model at rest, on at most ``rows`` test rows and as many samples.

    Returns:
        ``reconstruction``: the squared error of a row, summed over features, through the codes'
        centres; ``objective``: the formula's terms with drawn codes (a mean over chunks);
        ``sharpness`` of data, reconstructions and samples, for images; ``latent``: a
        :class:`~pushforward.evaluation.latent.LatentFit` of drawn codes. Also the number of
        rows, the range of the data, and for a VAE with a likelihood and weight 1 ``negative_elbo``
        in nats.
    """
    rows = min(rows, len(data.test))
    # In random order: files are often sorted, and the match of a chunk must be that of a fair sample.
    order = Noise(seed, "evaluate", "rows").permutation(len(data.test))[:rows]
    squared = SquaredError()
    codes: list[Tensor] = []
    errors: list[Tensor] = []
    sharp: dict[str, list[Tensor]] = {"data": [], "reconstructions": [], "samples": []}
    terms: dict[str, float] = {}
    judged = can_be_judged(data.shape)
    device = model.prior.anchor.device
    for part in chunks(rows):
        x, y = data.test.batch(order[part])
        noise = Noise(seed, "evaluate").rows(part.start)
        x = x.to(device)
        square = Square(model, x, noise, None if y is None else y.to(device))
        back = model.decode(square.q.center)
        codes.append(square.Ex.cpu())
        errors.append(squared.rows(back, x))
        for name, value in model.formula(square).items():
            terms[name] = terms.get(name, 0.0) + value.item() * len(x) / rows
        if judged:
            sharp["data"].append(sharpness(x))
            sharp["reconstructions"].append(sharpness(back))
            sharp["samples"].append(sharpness(model.sample(len(x), noise("samples"))))
        if progress:
            progress(part.stop, rows)
    result: dict[str, Any] = {
        "rows": rows,
        "range": data.range,
        "reconstruction": {"squared_error": torch.cat(errors).mean().item()},
        "objective": terms,
    }
    if isinstance(model, VAE) and model.cost.likelihood and float(model.weight) == 1:
        result["negative_elbo"] = sum(terms.values())
    if judged:
        result["sharpness"] = {name: torch.cat(values).mean().item() for name, values in sharp.items()}
    result["latent"] = asdict(latent_fit(torch.cat(codes), model.prior, seed, test_sizes))
    return result
