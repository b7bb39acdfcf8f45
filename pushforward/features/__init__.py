"""Feature extractors: what samples are compared by."""

from pushforward.features.base import PCA, Features, Module, Pixels
from pushforward.features.classifier import Classifier, classifier_of, load_classifier, train_classifier
from pushforward.features.open import open_features

__all__ = [
    "PCA",
    "Classifier",
    "Features",
    "Module",
    "Pixels",
    "classifier_of",
    "load_classifier",
    "open_features",
    "train_classifier",
]
