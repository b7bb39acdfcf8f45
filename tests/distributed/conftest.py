"""What several processes come to, computed once for all tests."""

from pathlib import Path

import pytest
import torch
from many import CASES, in_processes
from safetensors.torch import load_file

import pushforward

HERE = Path(__file__).parent
ROOT = Path(pushforward.__file__).parents[1]


@pytest.fixture(autouse=True)
def one_thread():
    """Sums are in the same order then as in the other processes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def many(tmp_path_factory):
    """Tensors of cases after some steps of several processes, by the name of the case."""
    known = {}

    def run(size, precision="double", steps=4, cases=tuple(CASES)):
        key = (size, precision, steps, cases)
        if key not in known:
            out = tmp_path_factory.mktemp("many")
            for code, _, errors in in_processes(
                size, ROOT, [HERE / "many.py", out, str(steps), precision, *cases]
            ):
                assert code == 0, errors
            known[key] = {case: load_file(out / f"{case}.safetensors") for case in cases}
        return known[key]

    return run
