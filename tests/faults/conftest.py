"""Tiny runs are quick."""

import pytest
from tiny import leave_out


@pytest.fixture(autouse=True, scope="module")
def quick_runs():
    with pytest.MonkeyPatch.context() as patch:
        leave_out(patch)
        yield
