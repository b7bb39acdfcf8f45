"""How good it is: any model by one path, offline."""

from pushforward.evaluation.annealing import annealed, bidirectional
from pushforward.evaluation.classifier import Classifier, classifier_of, load_classifier, train_classifier
from pushforward.evaluation.disentanglement import Disentanglement, disentanglement
from pushforward.evaluation.doctor import Checkup, Finding, diagnose
from pushforward.evaluation.estimate import Estimate, jackknife, mean_interval
from pushforward.evaluation.evidence import Evidence
from pushforward.evaluation.features import PCA, Features, Module, Pixels, open_features
from pushforward.evaluation.frechet import Moments, MomentTree, frechet, frechet_distance, moments
from pushforward.evaluation.inception_score import inception_score
from pushforward.evaluation.judge import SECTIONS, USUAL, judge
from pushforward.evaluation.kid import kid, kid_of_subsets
from pushforward.evaluation.latent import LatentFit, latent_fit, least_gaussian_plane, permutation_test
from pushforward.evaluation.likelihood import importance_weighted
from pushforward.evaluation.manifold import prd, prdc
from pushforward.evaluation.modes import grid, label_modes, point_modes, ring, stacked_labels
from pushforward.evaluation.parzen import parzen, parzen_with_baselines
from pushforward.evaluation.sharpness import sharpness
from pushforward.evaluation.transport import sliced_wasserstein, wasserstein
from pushforward.evaluation.two_sample import classifier_test

__all__ = [
    "PCA",
    "SECTIONS",
    "USUAL",
    "Checkup",
    "Classifier",
    "Disentanglement",
    "Estimate",
    "Evidence",
    "Features",
    "Finding",
    "LatentFit",
    "Module",
    "MomentTree",
    "Moments",
    "Pixels",
    "annealed",
    "bidirectional",
    "classifier_of",
    "classifier_test",
    "diagnose",
    "disentanglement",
    "frechet",
    "frechet_distance",
    "grid",
    "importance_weighted",
    "inception_score",
    "jackknife",
    "judge",
    "kid",
    "kid_of_subsets",
    "label_modes",
    "latent_fit",
    "least_gaussian_plane",
    "load_classifier",
    "mean_interval",
    "moments",
    "open_features",
    "parzen",
    "parzen_with_baselines",
    "permutation_test",
    "point_modes",
    "prd",
    "prdc",
    "ring",
    "sharpness",
    "sliced_wasserstein",
    "stacked_labels",
    "train_classifier",
    "wasserstein",
]
