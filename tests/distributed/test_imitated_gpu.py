"""Steps on a GPU that computes nothing: everything is where it is needed, and nothing waits for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch.utils.backend_registration

PROGRAM = Path(__file__).with_name("imitated_gpu.py")
# A kernel, a critic, layers that draw, BatchNorm, labels, a state beside the weights, projections, lines.
CASES = [
    "wae, sliced", "wae-mmd, automatic weight", "wae-gan", "ebgan, pulling away", "infogan",
    "aae-semi-supervised", "began", "wgan-gp", "mmd-gan", "dropout", "transfer-ae, pairs",
    "vae of text",
]  # fmt: skip
pytestmark = pytest.mark.skipif(
    not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch knows no device that is written in Python",
)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_step_needs_no_number_of_the_gpu_and_no_tensor_beside_it(processes):
    made = subprocess.run(
        [sys.executable, PROGRAM, str(processes), *CASES], capture_output=True, text=True, check=True
    )
    found = dict(zip(CASES, map(json.loads, made.stdout.splitlines()), strict=True))
    assert {case: waits for case, waits in found.items() if waits} == {}, made.stderr
