"""One thread, one seed for every test, and float64 for those that ask for it."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small networks are faster on one thread. Imported here, torch does not hold up the start of workers."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def no_power_is_lost() -> Iterator[None]:
    """Nothing waits until it is on the disk: thousands of files would, and no test cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # which also fails on a file that is closed
        yield


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Every test begins with the same global generator, and leaves the one outside as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Classifiers are kept where the tests are, never in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        base = tmp_path_factory.getbasetemp()
        shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # by all workers of one session
        patch.setenv("PUSHFORWARD_CACHE", str(shared / "pushforward-cache"))
        yield


@pytest.fixture
def float64() -> Iterator[None]:
    """New tensors and networks are float64; afterwards they are what they were."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
