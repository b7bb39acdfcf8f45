"""A plan that several processes make: what passes between them is measured, and the first prints."""

import json
from pathlib import Path

import pytest
from many import in_processes

ROOT = Path(__file__).parents[2]
PLAN = ["-m", "pushforward", "plan", "vae", "digits", "--latent-dim", "2", "--world-size", "1", "--gpus", "8"]


@pytest.mark.slow
def test_processes_that_are_there_are_measured():
    (code, printed, errors), (other, nothing, _) = in_processes(2, ROOT, [*PLAN, "--threads", "1", "--json"])
    assert (code, other) == (0, 0), errors
    assert nothing == ""
    found = json.loads(printed)
    alone, two = found["here"]
    assert (alone["world_size"], alone["measured"]) == (1, None)
    assert (two["world_size"], two["rows"]) == (2, 50)
    assert two["measured"] > two["computing"] / 10
    assert found["link_measured"]
    assert 0 < found["link"]["latency"] < 1
