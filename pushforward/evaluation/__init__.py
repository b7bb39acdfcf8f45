"""How good it is."""

from pushforward.evaluation.judge import judge
from pushforward.evaluation.latent import LatentFit, latent_fit, permutation_test
from pushforward.evaluation.sharpness import sharpness

__all__ = ["LatentFit", "judge", "latent_fit", "permutation_test", "sharpness"]
