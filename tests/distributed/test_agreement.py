"""What processes must agree on, whatever their clocks and arguments say."""

from pathlib import Path

import pytest
from many import in_processes

import pushforward as pf

ROOT = Path(pf.__file__).parents[1]

BY_TIME = """
import os, sys, time
import pushforward as pf
if os.environ["RANK"] == "1":  # its clock goes three times as fast
    monotonic = time.monotonic
    time.monotonic = lambda: 3 * monotonic()
options = dict(latent_dim=2, schedule="step-decay", progress=False, pictures=False)
run = pf.train("wae-mmd", "digits", out=sys.argv[1], minutes=0.02, **options)
longer = pf.resume(sys.argv[1], minutes="+0.02", progress=False, pictures=False)
print(run.step, longer.step, longer.config["total_steps"])
"""


def test_a_budget_in_time_is_that_of_the_first_process(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(BY_TIME)
    (code, printed, errors), (other, same, others) = in_processes(2, ROOT, [program, tmp_path / "run"])
    assert (code, other) == (0, 0), errors + others
    assert printed == same
    first, longer, total = map(int, printed.split())
    assert 0 < first < longer == total


DIFFER = """
import os, sys
import pushforward as pf
from pushforward.errors import ConfigError
rank = int(os.environ["RANK"])
options = dict(steps=4, latent_dim=2, progress=False, pictures=False)
try:
    if sys.argv[2] == "resume":
        pf.resume(sys.argv[1], steps=6 + rank, progress=False)
    else:
        pf.train("vae", "digits", out=sys.argv[1] + "x" * rank * (sys.argv[2] == "out"),
                 precision=["fp32", "bf16"][rank * (sys.argv[2] == "precision")], **options)
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("what", "wanted"),
    [("out", "the same out, process 1 has "), ("precision", "the same precision, process 1 has 'bf16'"),
     ("resume", "the same steps, process 1 has 7, process 0 6")],
)  # fmt: skip
def test_arguments_that_differ_are_named(what, wanted, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(DIFFER)
    if what == "resume":
        pf.train("vae", "digits", out=tmp_path / "run", steps=4, latent_dim=2, progress=False, pictures=False)
    ended = in_processes(2, ROOT, [program, tmp_path / "run", what])
    assert wanted in ended[1][1], ended
