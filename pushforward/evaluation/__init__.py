"""What a run is asked: the context of an evaluation, its sections, the table of metrics, the diagnosis."""

from pushforward.evaluation.context import Evidence
from pushforward.evaluation.diagnosis import Checkup, Finding, diagnose
from pushforward.evaluation.sections import SECTIONS, USUAL, judge

__all__ = [
    "SECTIONS",
    "USUAL",
    "Checkup",
    "Evidence",
    "Finding",
    "diagnose",
    "judge",
]
