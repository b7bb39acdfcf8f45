"""A small classifier trained on the data set itself: features that mean something on these data.

Features of a network trained on photographs mean little on digits or tables. This one is trained with one
command, offline, in a minute or two; its weights' sha256 stands beside every score made with it.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load, save
from torch import Tensor, nn

from pushforward.data.dataset import Dataset
from pushforward.distributed import is_first
from pushforward.errors import CheckpointError, DataError, reason
from pushforward.features.base import Features, Progress
from pushforward.files import make_folder, write_atomic, writing
from pushforward.networks import conv_encoder, mlp
from pushforward.reading import read_file, read_json
from pushforward.rng import Noise
from pushforward.torch_state import torch_seeded
from pushforward.wording import option_name

CACHE = "PUSHFORWARD_CACHE"
DIMENSIONS = 64  # features: enough to tell ten digits apart, few enough that 10,000 rows fix their covariance
BATCH = 128
STEPS = 1500
EPOCHS = 40  # at most: small sets are learnt sooner
LR = 2e-3
SCALE_ROWS = 10_000
VERSION = 1  # raised when the classifier of the same data becomes another


@dataclass(frozen=True)
class About:
    """What is known of a classifier: on what it was trained, and how well it does on held-out rows."""

    data: str
    fingerprint: str
    shape: tuple[int, ...]
    range: str
    classes: int
    accuracy: float
    steps: int
    sha256: str
    version: int = VERSION


class Classifier(Features):
    """A network's last hidden layer as features, and its classes' probabilities from them.

    Features are divided by one number, so that on training rows their mean variance is 1.
    """

    name = "classifier"

    def __init__(self, shape: tuple[int, ...], classes: int, about: About | None = None) -> None:
        super().__init__()
        self.trunk = _trunk(shape)
        self.head = nn.Linear(DIMENSIONS, classes)
        self.about = about
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, D) of a batch of data (N, \\*)."""
        features: Tensor = self.trunk(x) / self.scale
        return features

    def logits(self, features: Tensor) -> Tensor:
        """The logits (N, K) of the classes."""
        return self.head((features * self.scale).relu())

    def probabilities(self, features: Tensor) -> Tensor:
        """The classes' probabilities (N, K) from features (N, D)."""
        return self.logits(features.to(self.scale)).softmax(1)

    def card(self) -> dict[str, Any]:
        """What identifies these features, with the data and the accuracy of the classifier."""
        about = {} if self.about is None else {"data": self.about.data, "accuracy": self.about.accuracy}
        return super().card() | about


@torch.inference_mode(False)
@torch.enable_grad()
def train_classifier(
    data: Dataset,
    seed: int = 0,
    steps: int | None = None,
    progress: Progress | None = None,
) -> Classifier:
    """A classifier of the labels of ``data``, a function of data, seed and steps.

    Raises:
        DataError: If the data have no labels, or only one class.
    """
    y = data.train.y
    if y is None or data.test.y is None:
        raise DataError(
            f"{data.name} has no labels for a classifier; take {option_name('features', 'pca', 'pixels')}"
        )
    known = (y >= 0).nonzero().flatten()
    classes = int(y.max()) + 1
    if classes < 2 or not len(known):
        raise DataError(f"a classifier needs labels of at least 2 classes, {data.name} has {max(classes, 0)}")
    noise = Noise(seed, "classifier")
    with torch_seeded(noise("weights").integer()):
        model = Classifier(data.shape, classes)
    batch = min(BATCH, len(known))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=1e-2)
    per_epoch = max(len(known) // batch, 1)
    steps = steps or min(STEPS, EPOCHS * per_epoch)
    for step in range(steps):
        epoch, place = divmod(step, per_epoch)
        if place == 0:
            order = known[noise("order", epoch).permutation(len(known))]
        rows, labels = data.train.batch(order[place * batch : (place + 1) * batch])
        assert labels is not None
        for group in optimizer.param_groups:
            group["lr"] = LR * (1 + math.cos(math.pi * step / steps)) / 2
        loss = F.cross_entropy(model.logits(model(rows)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if progress:
            progress(step + 1, steps, "training a classifier of the labels, which is kept")
    model.eval().requires_grad_(False)
    # Deviations of 1 on average: distances of one data set are then of the order of another's.
    parts = known[:SCALE_ROWS].split(1000)
    made = torch.cat([model(data.train.batch(index).x) for index in parts])
    model.scale.copy_(made.var(0).mean().sqrt().clamp_min(1e-12))
    right = total = 0
    for index in torch.arange(len(data.test)).split(1000):
        rows, labels = data.test.batch(index)
        assert labels is not None
        guess = model.probabilities(model(rows)).argmax(1)
        right += int((guess == labels)[labels >= 0].sum())
        total += int((labels >= 0).sum())
    model.about = About(
        data.name, data.fingerprint, data.shape, data.range, classes, right / max(total, 1), steps,
        model.sha256,
    )  # fmt: skip
    return model


def save_classifier(model: Classifier, folder: Path) -> None:
    """Writes ``weights.safetensors`` and ``classifier.json``, the latter last and whole."""
    assert model.about is not None
    with writing(folder):
        make_folder(folder)
    files = {
        "weights.safetensors": save({name: value.contiguous() for name, value in model.state_dict().items()}),
        "classifier.json": (json.dumps(asdict(model.about), indent=1) + "\n").encode(),
    }
    for name, content in files.items():
        write_atomic(folder / name, content)


def load_classifier(folder: Path) -> Classifier:
    """A saved classifier, its weights checked against the sha256 they had.

    Raises:
        CheckpointError: If there is none, or it is damaged.
    """
    try:
        about = About(**read_json(folder / "classifier.json"))
        about = About(**{**asdict(about), "shape": tuple(about.shape)})
        with torch_seeded(0):  # first weights are drawn, and overwritten
            model = Classifier(about.shape, about.classes, about)
        model.load_state_dict(load(read_file(folder / "weights.safetensors")))
    except FileNotFoundError:
        raise CheckpointError(f"{folder} holds no classifier: expected classifier.json") from None
    except Exception as error:  # whatever a damaged file makes its reader say
        raise CheckpointError(f"{folder}: the classifier cannot be read: {reason(error)}") from error
    model.eval().requires_grad_(False)
    if model.sha256 != about.sha256:
        raise CheckpointError(
            f"{folder}: the classifier's weights are damaged: sha256 should be {about.sha256[:12]}…, "
            f"is {model.sha256[:12]}…"
        )
    return model


def classifier_folder(data: Dataset) -> Path:
    """Where the classifier of a data set is kept: under ``PUSHFORWARD_CACHE``, else in the user's cache."""
    root = os.environ.get(CACHE)
    if not root:
        import pooch

        root = pooch.os_cache("pushforward")
    return Path(root).expanduser() / "classifiers" / f"{data.fingerprint[:16]}-{VERSION}"


def classifier_of(data: Dataset, progress: Progress | None = None) -> Classifier:
    """The kept classifier of a data set; trained, and kept, when there is none or it is damaged."""
    folder = classifier_folder(data)
    if (folder / "classifier.json").exists():
        try:
            return load_classifier(folder)
        except CheckpointError as error:
            warnings.warn(f"{error}; training it again", stacklevel=2)
    model = train_classifier(data, progress=progress)
    try:
        if is_first():  # of several processes, each of which has trained it
            save_classifier(model, folder)
    except OSError as error:
        warnings.warn(f"the classifier could not be kept in {folder}: {reason(error)}", stacklevel=2)
    return model


def _trunk(shape: tuple[int, ...]) -> nn.Module:
    if len(shape) == 3 and min(shape[1:]) >= 8:
        return conv_encoder(shape, DIMENSIONS, [32, 64] if max(shape[1:]) <= 32 else [32, 64, 64, 128], 4)
    return mlp(shape if len(shape) > 1 else shape[0], DIMENSIONS, [256, 256])


__all__ = ["About", "Classifier", "classifier_folder", "classifier_of", "load_classifier", "save_classifier",
           "train_classifier"]  # fmt: skip
