"""What a run is asked: the context of an evaluation, its sections, the table of metrics, the diagnosis."""

from pushforward.evaluation.context import EvaluationContext
from pushforward.evaluation.diagnosis import Diagnosis, Finding, diagnose
from pushforward.evaluation.sections import SECTIONS, USUAL, evaluate

__all__ = [
    "SECTIONS",
    "USUAL",
    "Diagnosis",
    "EvaluationContext",
    "Finding",
    "diagnose",
    "evaluate",
]
