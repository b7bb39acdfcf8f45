"""Features by what a user calls them: a name, a file, a folder or a module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from pushforward.data.dataset import Dataset
from pushforward.data.modality import modality
from pushforward.errors import ConfigError, DataError, nearest
from pushforward.features.base import PCA, Columns, Features, Module, Pixels, Progress, Words
from pushforward.features.classifier import classifier_of, load_classifier
from pushforward.features.imagenet import ImageNet
from pushforward.features.inception import Inception
from pushforward.wording import option_name

QUICK = 8  # directions that tell good from bad samples, without the finest of what blurred ones lack


def open_features(what: object, data: Dataset, progress: Progress | None = None) -> Features:
    """Whatever a user means by features.

    Arguments:
        what: ``"auto"`` (words of text, columns of tables, a classifier where the data have labels, PCA
            elsewhere), ``"quick"`` (words of text, columns of tables, elsewhere the first 8 principal
            directions), ``"pixels"``, ``"pca"``, ``"words"``, ``"columns"``, ``"classifier"``,
            ``"imagenet"``, ``"inception"``, the folder of a classifier, a ``.safetensors`` file with
            Inception's FID weights, or any module.
        data: The data set: its training rows fit the PCA, its labels the classifier.
        progress: Called with (done, total) while a classifier is trained.

    Raises:
        ConfigError: If there are no such features.
        DataError: If these data do not allow them.
    """
    if isinstance(what, Features):
        return what
    if isinstance(what, nn.Module):
        return Module(what)
    only = modality(data.modality).features
    if only is not None and isinstance(what, (str, Path)):
        if what not in ("auto", "quick", only):
            raise ConfigError(
                f"{data.name} is {data.modality} data: {option_name('features')} must be {only!r} or a "
                f"module, got {what!r}"
            )
        what = only
    labelled = data.train.y is not None and data.test.y is not None and int(data.train.y.max()) > 0

    def of_photographs(make: Callable[[], Features]) -> Features:
        if not data.in_unit_interval:
            raise DataError(f"such features see images in [0, 1], the values of {data.name} are {data.range}")
        return make()

    def inception(path: Path | None) -> Features:
        return of_photographs(lambda: Inception(path))

    table: dict[str, Callable[[], Features]] = {
        "pixels": Pixels,
        "pca": lambda: PCA.of(data),
        "quick": lambda: PCA.quick(data, QUICK),
        "words": lambda: Words.of(data),
        "columns": lambda: Columns.of(data),
        "classifier": lambda: classifier_of(data, progress),
        "imagenet": lambda: of_photographs(ImageNet),
        "inception": lambda: inception(None),
    }
    if what == "auto":
        what = "classifier" if labelled else "pca"
    if isinstance(what, str) and what in table:
        return table[what]()
    if isinstance(what, (str, Path)):
        path = Path(what)
        if path.suffix == ".safetensors":
            return inception(path)
        if path.is_dir():
            found = load_classifier(path)
            assert found.about is not None
            if found.about.shape != data.shape:
                raise DataError(
                    f"{path} is for rows of shape {found.about.shape}, {data.name} has {data.shape}"
                )
            return found
    known = ("auto", *table)
    raise ConfigError(f"unknown features {what!r}: {nearest(what, known)}, a classifier's folder, a module")


__all__ = ["open_features"]
