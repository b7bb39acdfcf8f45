"""Which cases of a test are quick enough for every day."""

from collections.abc import Iterable
from typing import Any

import pytest


def quick(cases: Iterable[Any], *kept: Any) -> list[Any]:
    """The cases as parameters of a test, a tuple for several; all but those kept are marked slow."""
    cases = list(cases)
    if unknown := [case for case in kept if case not in cases]:
        raise ValueError(f"cases to keep must be among the cases, found {unknown}")
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)), marks=[] if case in kept else pytest.mark.slow
        )
        for case in cases
    ]
