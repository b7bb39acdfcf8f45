"""Pushforward: generative models as two distributions that shall meet.

>>> import pushforward as pf
>>> run = pf.train("wae-mmd", "digits", steps=1, out="/dev/null/no-folder")
Traceback (most recent call last):
    ...
pushforward.errors.OutputError: /dev/null/no-folder cannot be written: Not a directory
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from pushforward.costs import KL, L1, L2, Bernoulli, GaussianLikelihood, SquaredError
    from pushforward.data import Dataset, open_dataset
    from pushforward.discrepancies import (
        IMQ,
        MMD,
        Blockwise,
        DensityRatio,
        GaussianKernel,
        JensenShannon,
    )
    from pushforward.models import AAE, AVB, VAE, WAE, AutoEncoder, AutoWeight, InfoVAE, RandomWAE
    from pushforward.runs.api import load, resume, train
    from pushforward.runs.compare import Comparison, compare
    from pushforward.runs.run import Run

# Imported when first used: the command line answers --help without loading torch.
_HOMES = {
    "costs": ["KL", "L1", "L2", "Bernoulli", "GaussianLikelihood", "SquaredError"],
    "data": ["Dataset", "open_dataset"],
    "discrepancies": ["IMQ", "MMD", "Blockwise", "DensityRatio", "GaussianKernel", "JensenShannon"],
    "models": ["AAE", "AVB", "VAE", "WAE", "AutoEncoder", "AutoWeight", "InfoVAE", "RandomWAE"],
    "runs.compare": ["Comparison", "compare"],
    "runs.run": ["Run"],
    "runs.api": ["load", "resume", "train"],
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AAE",
    "AVB",
    "IMQ",
    "KL",
    "L1",
    "L2",
    "MMD",
    "VAE",
    "WAE",
    "AutoEncoder",
    "AutoWeight",
    "Bernoulli",
    "Blockwise",
    "Comparison",
    "Dataset",
    "DensityRatio",
    "GaussianKernel",
    "GaussianLikelihood",
    "InfoVAE",
    "JensenShannon",
    "RandomWAE",
    "Run",
    "SquaredError",
    "compare",
    "load",
    "open_dataset",
    "resume",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pushforward' has no attribute {name!r}")
    return getattr(import_module(f"pushforward.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
