"""Metrics as pure functions of tensors. They import no model and can be used by themselves."""

from pushforward.metrics.ais import annealed, bidirectional
from pushforward.metrics.disentanglement import Disentanglement, disentanglement
from pushforward.metrics.frechet import Moments, MomentTree, frechet, frechet_distance, moments
from pushforward.metrics.inception_score import inception_score
from pushforward.metrics.kid import kid, kid_of_subsets
from pushforward.metrics.latent_fit import LatentFit, latent_fit, least_gaussian_plane, permutation_test
from pushforward.metrics.likelihood import importance_weighted
from pushforward.metrics.modes import label_modes, point_modes, stacked_labels
from pushforward.metrics.parzen import parzen, parzen_with_baselines
from pushforward.metrics.precision_recall import prd, prdc
from pushforward.metrics.sharpness import sharpness
from pushforward.metrics.transport import sliced_wasserstein, wasserstein
from pushforward.metrics.two_sample import classifier_test
from pushforward.metrics.uncertainty import Estimate, jackknife, mean_interval

__all__ = [
    "Disentanglement",
    "Estimate",
    "LatentFit",
    "MomentTree",
    "Moments",
    "annealed",
    "bidirectional",
    "classifier_test",
    "disentanglement",
    "frechet",
    "frechet_distance",
    "importance_weighted",
    "inception_score",
    "jackknife",
    "kid",
    "kid_of_subsets",
    "label_modes",
    "latent_fit",
    "least_gaussian_plane",
    "mean_interval",
    "moments",
    "parzen",
    "parzen_with_baselines",
    "permutation_test",
    "point_modes",
    "prd",
    "prdc",
    "sharpness",
    "sliced_wasserstein",
    "stacked_labels",
    "wasserstein",
]
