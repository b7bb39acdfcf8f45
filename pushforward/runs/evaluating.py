"""The evaluation of a run: on its own held-out rows, or on other data that fit it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from pushforward.data.alike import described
from pushforward.data.dataset import Dataset, hold_out
from pushforward.distributed import check_agreed, is_first
from pushforward.distributions import Prior
from pushforward.errors import DataError
from pushforward.evaluation import default_metrics, evaluate
from pushforward.evaluation.context import EvaluationContext
from pushforward.features.base import Progress
from pushforward.features.open import open_features
from pushforward.parts import check_same, once, shared_out
from pushforward.report.display import Results
from pushforward.report.progress import bar, longest
from pushforward.runs.latent_samplers import PRIOR, SAMPLERS
from pushforward.runs.results import evaluation_key, holds, read_results, results_name, write_results
from pushforward.runs.sampling import Sampling
from pushforward.runs.trained_model import computes
from pushforward.utils import eval_mode

LONG = 10.0  # seconds of an evaluation, from which on it is said what took them


class Evaluating(Sampling):
    """A trained model that is evaluated."""

    @cached_property
    def evaluation_data(self) -> Dataset:
        """The data that evaluations are of, the run's own unless it was loaded with others.

        All rows of other data are held-out rows; training rows are the run's own. If these are not there, as
        of data in memory, one half of the other rows stand in for them, and the other half are held out.
        """
        if self.other is None:
            return self.data
        name, rows = self.other
        own = self._own_if_there
        if own is not None:
            return described(self.spec, name, own.train, rows)
        data = described(self.spec, name, *map(rows.rows, hold_out(len(rows), share=0.5)))
        data.need_rows()
        return data

    @cached_property
    def _own_if_there(self) -> Dataset | None:
        try:
            return self._own
        except DataError:
            return None

    @property
    def _about_other(self) -> dict[str, Any] | None:
        """What results on other data say of them."""
        if self.other is None:
            return None
        test = self.evaluation_data.test
        return {
            "name": self.other[0],
            "sha256": described(self.spec, self.other[0], test, test).fingerprint,
            "n_rows": len(test),
            "training_rows": self.other[0] if self._own_if_there is None else self.config["data"]["name"],
            "trained_on": self.config["data"]["name"],
        }

    @computes
    @shared_out()
    def evaluate(
        self,
        n_samples: int = 10_000,
        seed: int = 0,
        features: Any = "auto",
        metrics: Sequence[str] | None = None,
        progress: bool = False,
        sampler: str = PRIOR,
    ) -> Results:
        """Computes metrics on held-out rows, and writes them to ``evaluation.json``.

        With a sampler other than the prior the file is ``evaluation-<sampler>.json``. If the run was loaded
        with other data (:func:`pushforward.load`), all rows of these are the held-out rows, and the file is
        ``evaluations/<name of the data>-<sha256>.json``.

        Several processes that ``torchrun`` has started share the work out; all of them have to call it. Each
        returns the results, whose bits are those of one process; the first writes them.

        Arguments:
            n_samples: Number of held-out rows, at most, and of samples.
            seed: Seed of the choice of rows, and of samples and codes.
            features: The features in which samples are compared with data: "auto" (a classifier where the
                data have labels, else PCA), "pixels", "pca", "classifier", "inception", the folder of a
                classifier, a ``.safetensors`` file of Inception weights, or a module.
            metrics: Names of groups of metrics; by default all but "likelihood", "ais", "parzen" and
                "disentanglement", which take longer.
            progress: Whether to show progress on standard error.
            sampler: Distribution of the codes that samples are decoded from: see :meth:`sampler`. The codes
                of held-out rows are compared with the prior all the same.

        Returns:
            The results by group of metrics, as written to the file: a dict that is shown as a table.

        Raises:
            ConfigError: If there are no such metrics, features or sampler, or processes have other arguments.
            ProcessError: If one of several processes fails or is lost.
        """
        key = evaluation_key(self.step, seed, n_samples, features, sampler, self._about_other)
        names = [*(default_metrics() if metrics is None else metrics)]
        self.check_agreed("an evaluation", {**key, "metrics": names})
        progress = progress and is_first()
        prior = self.sampler(sampler, progress)
        with bar("evaluating", progress) as show, eval_mode(self.model):
            context = self.evaluation_context(n_samples, seed, features, show, prior)
            parts: dict[str, float] = {}
            results = evaluate(context, names, parts.__setitem__)
            if sum(parts.values()) > LONG:
                show.say(f"evaluated in {longest(parts)}")
        return Results(once(lambda: write_results(self.path, key, names, results)))

    def check_agreed(self, what: str, arguments: dict[str, Any]) -> None:
        """Checks that all processes that share out work on a run have the same run and the same arguments.

        Raises:
            ConfigError: If this one has other arguments than the first.
            ProcessError: If the weights differ, or buffers, also those that the run's files do not hold.
        """
        check_agreed(what, {"run": self.config["id"], **json.loads(json.dumps(arguments, default=str))})
        model = self.model
        check_same(
            "the weights of the run", {**dict(model.named_parameters()), **dict(model.named_buffers())}
        )

    @shared_out()
    def evaluate_once(
        self,
        n_samples: int = 10_000,
        seed: int = 0,
        features: Any = "auto",
        metrics: Sequence[str] | None = None,
        progress: bool = False,
    ) -> Results:
        """The last evaluation if it has these metrics at this step with these arguments; else a new one.

        It is of the run's own data.
        """
        data, kept = self.data, Results(once(lambda: read_results(self.path)))
        names = metrics or default_metrics()
        if holds(kept, evaluation_key(self.step, seed, n_samples, features), names):
            current = open_features(features, data)  # the classifier of a name may have changed
            if current.sha256 == kept["features"]["sha256"]:
                return kept
        return self.evaluate(n_samples, seed, features, metrics, progress)

    def evaluation_context(
        self,
        n_samples: int = 10_000,
        seed: int = 0,
        features: Any = "auto",
        progress: Progress | None = None,
        prior: Prior | None = None,
    ) -> EvaluationContext:
        """The model and data as metrics see them."""
        sizes = (self.config["resolved"]["batch_size"], 1000)
        data = self.evaluation_data
        if self.other is not None:  # the features are those of the run's own evaluation
            features = open_features(features, self._own_if_there or data, progress)
        return EvaluationContext(self.model, data, features, n_samples, seed, sizes, progress, prior)

    @property
    def outdated(self) -> list[str]:
        """What the folder holds of an earlier step, such as an evaluation of before the run was extended."""
        steps = {results_name(name): read_results(self.path, name).get("step") for name in (PRIOR, *SAMPLERS)}
        return [
            f"{name} is of step {step}, the run is at step {self.step}"
            for name, step in steps.items()
            if step not in (None, self.step)
        ]


__all__ = ["Evaluating"]
