"""Several processes with slices of a batch take the steps that one process with the whole batch takes."""

import pytest
from many import CASES, NO_CRITIC, largest_difference, steps_of

every_case = pytest.mark.parametrize("case", CASES)
# Each has a term that is no mean over rows, or a layer whose output depends on other rows.
OF_THE_WHOLE_BATCH = (
    "wae-mmd", "wae, sliced", "gmmn", "dcgan of convolutions", "ebgan, pulling away", "vae, free bits",
    "mmd-gan", "transfer-ae, MMD", "vae of text", "MyDiscrepancy of index.md",
    "EnergyDistance of discrepancy.md", "an own bound of a logarithm", "an own term of a covariance",
    "an own layer that normalises",
)  # fmt: skip

OF_FOUR = ("wae-mmd", "dcgan of convolutions", "ebgan, pulling away", "transfer-ae, MMD")
SMOOTH = ("wae-mmd", "vae", "beta-vae", "info-vae", "wae, sliced")


@every_case
def test_steps_of_two_processes_are_those_of_one(many, case):
    """Weights, moments of optimizers, statistics of BatchNorm and terms, in float64, after four steps."""
    gap, place = largest_difference(many(2)[case], steps_of(case))
    assert gap <= 1e-12, place


@pytest.mark.slow
@pytest.mark.parametrize("case", OF_FOUR)
def test_steps_of_four_processes_are_those_of_one(many, case):
    gap, place = largest_difference(many(4, "double", 4, OF_FOUR)[case], steps_of(case))
    assert gap <= 1e-12, place


@pytest.mark.soak
@every_case
def test_steps_of_four_processes_are_those_of_one_in_every_case(many, case):
    gap, place = largest_difference(many(4)[case], steps_of(case))
    assert gap <= 1e-12, place


@pytest.mark.soak
@pytest.mark.parametrize("case", NO_CRITIC)
def test_two_hundred_steps_in_float64_are_those_of_one(many, case):
    gap, place = largest_difference(many(2, "double", 200, tuple(NO_CRITIC))[case], steps_of(case, 200))
    assert gap <= 1e-11, place


@pytest.mark.soak
@pytest.mark.parametrize("case", SMOOTH)
def test_two_hundred_steps_in_float32_are_those_of_one(many, case):
    """Where rounding does not grow, as it does at kinks: free bits, the root of an MMD, absolute values."""
    found = many(2, "single", 200, SMOOTH)[case]
    gap, place = largest_difference(found, steps_of(case, 200, double=False))
    assert gap <= 1e-5, place


@pytest.mark.parametrize("case", OF_THE_WHOLE_BATCH)
def test_means_over_processes_alone_are_another_objective(many, case):
    """Else the tests above could not see a term that is not gathered."""
    gap, _ = largest_difference(many(2, "naive", 4, OF_THE_WHOLE_BATCH)[case], steps_of(case))
    assert gap > 1e-3
