"""How close samples of a table come to held-out rows, column by column and as rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pushforward.evaluation.context import EvaluationContext
from pushforward.metrics.tabular import c2st_auc, column_distances
from pushforward.tables.schema import Schema


@dataclass(frozen=True)
class ColumnFit:
    """How close samples of a table come to held-out rows.

    Attributes:
        distance: The mean over columns of the Kolmogorov-Smirnov statistic of numbers and the total variation
            of categories.
        best_distance: The same of training rows.
        worst: The name of the column with the largest distance.
        worst_distance: That distance.
        auc: The area under the ROC curve of gradient boosting that tells samples from held-out rows.
    """

    distance: float
    best_distance: float
    worst: str
    worst_distance: float
    auc: float

    @classmethod
    def of(cls, context: EvaluationContext) -> ColumnFit | None:
        """The fit of samples; None of data that are no table."""
        schema, data = context.data.codec, context.data
        if not isinstance(schema, Schema):
            return None
        order = context.noise("column fit").permutation(len(data.train))[: context.n_samples]
        made = torch.cat([part.cpu() for part in context.drawn()])
        parts = (made, data.train.x[order], data.test.x[context.order])
        (q, categorical), (p, _), (given, _) = (schema.numbers(schema.decode(x)) for x in parts)
        found, best = (column_distances(rows, given, categorical) for rows in (q, p))
        worst = int(found.argmax())
        auc = c2st_auc(q, given, categorical, context.seed)
        return cls(float(found.mean()), float(best.mean()), schema.names[worst], float(found[worst]), auc)

    @property
    def excess(self) -> float:
        """By how much the mean distance of columns is above that of training rows."""
        return self.distance - self.best_distance

    @property
    def words(self) -> str:
        """The numbers, and what training rows have."""
        return (
            f"columns are {self.distance:.3f} from those of the data on average (training rows "
            f"{self.best_distance:.3f}), {self.worst!r} {self.worst_distance:.3f}; gradient boosting tells "
            f"samples from data with AUC {self.auc:.2f} (0.5 is chance)"
        )


__all__ = ["ColumnFit"]
