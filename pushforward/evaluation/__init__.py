"""What a run is asked: the context of an evaluation, groups of metrics, tables, and the diagnosis."""

from pushforward.evaluation import groups  # registers them
from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.diagnosis import Diagnosis, Finding
from pushforward.evaluation.registry import (
    METRICS,
    MetricSpec,
    check_metrics,
    default_metrics,
    evaluate,
    metric_group,
)
from pushforward.evaluation.symptoms import SYMPTOMS, diagnose

__all__ = [
    "METRICS",
    "SYMPTOMS",
    "Diagnosis",
    "EvaluationContext",
    "Finding",
    "MetricSpec",
    "check_metrics",
    "default_metrics",
    "diagnose",
    "evaluate",
    "groups",
    "metric_group",
]
