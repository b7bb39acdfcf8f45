"""Auto-encoders as scikit-learn estimators, for pipelines, grid searches and data frames.

This module is imported when it is first used: ``import pushforward.sklearn``, or ``pf.sklearn``.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from pushforward.errors import ConfigError, DataError
from pushforward.recipes import RECIPES
from pushforward.runs.api import train
from pushforward.runs.run import Run

Array = NDArray[Any]


def _infers_classes(estimator: Autoencoder) -> bool:
    """Whether rows can be classified; before :meth:`Autoencoder.fit`, whether the recipe is of that kind."""
    run = getattr(estimator, "run_", None)
    return run.model.classes > 0 if run is not None else "n_labels" in _option_names(estimator.recipe)


def _option_names(recipe: str) -> set[str]:
    return {option.name for option in RECIPES[recipe].options} if recipe in RECIPES else set()


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    r"""An auto-encoder of any recipe that encodes: rows become codes, and codes rows.

    ``fit`` trains on all rows. Columns are scaled as :func:`pushforward.train` scales them, and come back in
    their own units.

    Arguments:
        recipe: A name that ``pushforward list`` prints, of a model with an encoder.
        latent_dim: Dimensions of a code; None for the preset's number, as of all options below.
        weight: The factor λ of the discrepancy, or "auto".
        network: The name of the networks.
        batch_size: Rows in a batch.
        lr: The learning rate.
        options: All other options of the recipe, by name.
        preset: The values of options that are not given.
        steps: Budget in updates of the model; by default the recipe's own.
        epochs: Budget in passes over the data.
        minutes: Budget in time.
        shape: Shape of a row that is an image, such as (1, 28, 28): rows come as vectors of that many values.
        out: The run's folder, where ``pushforward evaluate`` and the other commands find it; by default it is
            temporary, and goes with the estimator.
        random_state: Seed of the weights, batches and samples: a number, a RandomState, or None for another
            one each time.
        device: "auto", "cpu" or another.
        progress: Whether to show progress on standard error.

    Attributes:
        run_: The trained :class:`~pushforward.runs.run.Run`.
        n_features_in_: Number of columns.
        classes_: The classes, of recipes that infer them.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.linear_model import LogisticRegression
        >>> x, y = load_iris(return_X_y=True)
        >>> codes = Autoencoder("wae-mmd", latent_dim=2, steps=20, random_state=0).fit_transform(x)
        >>> codes.shape
        (150, 2)
        >>> pipeline = make_pipeline(Autoencoder(steps=20, random_state=0), LogisticRegression())
        >>> pipeline.fit(x, y).predict(x[:3]).shape
        (3,)
    """

    def __init__(
        self,
        recipe: str = "wae-mmd",
        *,
        latent_dim: int | None = None,
        weight: float | str | None = None,
        network: str | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        options: dict[str, Any] | None = None,
        preset: str = "small",
        steps: int | None = None,
        epochs: float | None = None,
        minutes: float | None = None,
        shape: tuple[int, int, int] | None = None,
        out: str | Path | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        progress: bool = False,
    ) -> None:
        self.recipe = recipe
        self.latent_dim = latent_dim
        self.weight = weight
        self.network = network
        self.batch_size = batch_size
        self.lr = lr
        self.options = options
        self.preset = preset
        self.steps = steps
        self.epochs = epochs
        self.minutes = minutes
        self.shape = shape
        self.out = out
        self.random_state = random_state
        self.device = device
        self.progress = progress

    def fit(self, X: Any, y: Any = None) -> Autoencoder:
        """Trains the model.

        Arguments:
            X: Rows (N, D), at least 2.
            y: Labels (N,) for recipes that use them, -1 where unknown; all others ignore them.

        Raises:
            ConfigError: If the recipe or an option is unknown, or the model has no encoder.
            DataError: If labels are needed and missing.
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        given = {
            name: getattr(self, name) for name in ("latent_dim", "weight", "network", "batch_size", "lr")
        } | (self.options or {})
        arguments = {name: value for name, value in given.items() if value is not None}
        rows = self._shaped(X)
        # All rows are training rows: the caller keeps those apart on which the estimator is evaluated.
        data: dict[str, Any] = {"x_train": rows, "x_test": rows}
        if self._uses_labels(arguments):
            if y is None:
                raise DataError(f"recipe {self.recipe!r} needs labels y, got None")
            data |= {"y_train": y, "y_test": y}
        seed = int(check_random_state(self.random_state).randint(2**31))
        folder = self.out
        if folder is None:
            temporary = tempfile.mkdtemp(prefix="pushforward-")
            self._finalizer = weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)
            folder = Path(temporary) / "run"
        run = train(
            self.recipe, data, preset=self.preset, out=folder, seed=seed, steps=self.steps,
            epochs=self.epochs,            minutes=self.minutes, device=self.device, progress=self.progress,
            pictures=self.out is not None, **arguments,
        )  # fmt: skip
        if not run.model.has_encoder:
            raise ConfigError(f"recipe must be one whose model encodes, got {self.recipe!r}, which does not")
        self.run_: Run = run
        if self._uses_labels(arguments):
            self.classes_ = np.unique(np.asarray(y)[np.asarray(y) != -1])
        return self

    def transform(self, X: Any) -> Array:
        """The codes (N, L) of rows (N, D): the means of their posteriors."""
        X = self._checked(X)
        return self.run_.encode(self._shaped(X)).numpy()

    def inverse_transform(self, Z: Any) -> Array:
        """The rows (N, D) that codes (N, L) are decoded to, in the units of the data."""
        check_is_fitted(self)
        Z = check_array(Z, dtype=[np.float64, np.float32], input_name="Z")
        return self.run_.decode(Z).flatten(1).numpy()

    def sample(self, n_samples: int = 1) -> Array:
        """Rows (n_samples, D): decoded draws of the prior, others each time without ``random_state``."""
        check_is_fitted(self)
        seed = int(check_random_state(self.random_state).randint(2**31))
        return self.run_.sample(n_samples, seed).flatten(1).numpy()

    def score_samples(self, X: Any) -> Array:
        """How usual each row is, (N,): minus the cost of its reconstruction from the mean of its code.

        More is more usual. Where the cost is a likelihood (of ``vae`` and its relatives) it is
        :math:`\\log p(x \\mid z)` in nats, else minus the squared error of the scaled columns.
        """
        X = self._checked(X)
        run = self.run_
        found = []
        with torch.no_grad():
            for part in run.rows(self._shaped(X)).split(1000):
                made = run.model.generate(run.model.encode(part))
                found.append(-run.model.cost.rows(made, part))
        return torch.cat(found).numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of :meth:`score_samples`, which a grid search maximises."""
        return float(self.score_samples(X).mean())

    @available_if(_infers_classes)  # type: ignore[untyped-decorator]
    def predict(self, X: Any) -> Array:
        """The most probable class (N,) of each row, of recipes that infer it, such as aae-semi-supervised."""
        found: Array = np.asarray(self.run_.classify(self._shaped(self._checked(X))))
        return found

    @property
    def _n_features_out(self) -> int:
        return int(self.run_.model.prior.latent_dim)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn is to expect: codes are 32-bit numbers, whatever the rows are."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the temporary folder, which goes with this object."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_finalizer"}

    def _uses_labels(self, arguments: dict[str, Any]) -> bool:
        names = _option_names(self.recipe)
        return bool(arguments.get("conditional")) or "n_labels" in names or self.recipe in NEED_LABELS

    def _checked(self, X: Any) -> Array:
        check_is_fitted(self)
        checked: Array = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return checked

    def _shaped(self, X: Array) -> Array:
        """Rows as the run takes them."""
        if self.shape is None:
            return X
        if X.shape[1] != int(np.prod(self.shape)):
            raise DataError(
                f"shape {self.shape} needs rows of {np.prod(self.shape)} values, got {X.shape[1]}"
            )
        return X.reshape(len(X), *self.shape)


NEED_LABELS = ("aae-label-regularised", "aae-supervised", "aae-reduction")

__all__ = ["Autoencoder"]
