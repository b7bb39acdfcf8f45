"""How good it is: any model by one path, offline."""

from pushforward.evaluation.doctor import Checkup, Finding, diagnose
from pushforward.evaluation.evidence import Evidence
from pushforward.evaluation.features import PCA, Features, Module, Pixels, open_features
from pushforward.evaluation.frechet import MomentTree, frechet_distance, moments
from pushforward.evaluation.judge import SECTIONS, USUAL, judge
from pushforward.evaluation.kid import kid, kid_of_subsets
from pushforward.evaluation.latent import LatentFit, latent_fit, permutation_test
from pushforward.evaluation.manifold import prdc
from pushforward.evaluation.sharpness import sharpness

__all__ = [
    "PCA",
    "SECTIONS",
    "USUAL",
    "Checkup",
    "Evidence",
    "Features",
    "Finding",
    "LatentFit",
    "Module",
    "MomentTree",
    "Pixels",
    "diagnose",
    "frechet_distance",
    "judge",
    "kid",
    "kid_of_subsets",
    "latent_fit",
    "moments",
    "open_features",
    "permutation_test",
    "prdc",
    "sharpness",
]
