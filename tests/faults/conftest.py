"""What makes tiny runs quick."""

import pytest

from pushforward.files import write_atomic
from pushforward.runs.run import Run
from pushforward.training import monitor

PNG = b"\x89PNG IEND...."


@pytest.fixture(autouse=True, scope="module")
def quick_runs():
    """Leaves out what takes longer than the few steps of these runs, and changes no file but the overview."""

    def overview(run):
        write_atomic(run.path / "overview.png", PNG)
        return run.path / "overview.png"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "overview", overview)
        patch.setattr(monitor, "null_deviation", lambda *_: 0.0)
        yield
