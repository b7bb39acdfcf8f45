"""Feature extractors: what samples are compared by."""

from pushforward.features.base import PCA, Features, Module, Pixels, open_features
from pushforward.features.classifier import Classifier, classifier_of, load_classifier, train_classifier

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
