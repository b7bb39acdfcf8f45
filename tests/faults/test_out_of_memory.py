"""Memory that runs out: one line says with how many rows of what shape, where, and what to lower."""

import numpy as np
import pytest
import torch
from faulty_disk import FaultyDisk
from tiny import ROWS, TinyRun, fingerprint, left_over
from torch import nn

from pushforward.errors import ConfigError, OutOfMemoryError
from pushforward.out_of_memory import halving, memory_errors, ran_out
from pushforward.training import trainer

STEPS = 20
TINY = TinyRun("wae-mmd", STEPS, latent_dim=2)
# As they are raised: by PyTorch on the CPU, on CUDA and on MPS, and by Python.
ERRORS = {
    "cpu": lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
        "to allocate 40000000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "cuda": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ..."),
    "mps": lambda: RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, max allowed: 9.07 GB)"),
    "python": MemoryError,
}
ASKED = {"cpu": "; 40000000000 bytes were to be allocated", "cuda": "; 2.00 GiB were to be allocated"}


@pytest.fixture(autouse=True)
def few_plans(monkeypatch):
    """Checkpoints are planned at steps 10 and 20, and nothing is synced."""
    monkeypatch.setattr(trainer, "PICTURES", 2)
    with FaultyDisk():
        yield


class Hungry(nn.Module):
    """A layer that changes nothing; from some call on, memory runs out with more than so many rows."""

    def __init__(self):
        super().__init__()
        self.error, self.calls, self.most = None, 10**9, 0

    def forward(self, x):
        self.calls -= 1
        if self.error is not None and self.calls < 0 and len(x) > self.most:
            raise self.error()
        return x


def parts(hungry):
    torch.manual_seed(0)
    return {
        "encoder": nn.Sequential(nn.Flatten(), nn.Linear(64, 2)),
        "decoder": nn.Sequential(hungry, nn.Linear(2, 64), nn.Unflatten(1, (1, 8, 8))),
    }


def train(folder, hungry=None, **arguments):
    return TINY.train(folder, **parts(hungry or Hungry()), **arguments)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run, with its hungry layer."""
    hungry = Hungry()
    with FaultyDisk():
        return train(tmp_path_factory.mktemp("run") / "run", hungry), hungry


@pytest.fixture(params=ERRORS)
def starving(request, run):
    """A run whose decoder has no memory at all, and what the message says of the size."""
    made, hungry = run
    hungry.error, hungry.calls, hungry.most = ERRORS[request.param], 0, 0
    yield made, ASKED.get(request.param, "")
    hungry.error, hungry.calls = None, 10**9


@pytest.mark.parametrize("kind", ERRORS)
def test_training_says_what_to_lower_and_keeps_its_checkpoint(kind, tmp_path):
    whole = train(tmp_path / "whole")
    hungry = Hungry()
    hungry.error, hungry.calls = ERRORS[kind], 17
    with pytest.raises(OutOfMemoryError) as caught:
        train(tmp_path / "run", hungry, pictures=False)
    assert str(caught.value) == (
        f"the memory of cpu ran out with up to 5 rows of shape (1, 8, 8) at once{ASKED.get(kind, '')}; lower "
        "batch_size or image_size"
    )
    assert caught.value.exit_code == ConfigError.exit_code
    assert isinstance(caught.value, MemoryError)
    assert left_over(tmp_path / "run") == []
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["00000010"]
    train(tmp_path / "run", pictures=False)
    assert fingerprint(tmp_path / "run") == fingerprint(whole.path)


def test_samples_reconstructions_and_evaluations_say_it_too(starving, tmp_path):
    run, size = starving
    said = f"cpu ran out with up to 512 rows of shape \\(1, 8, 8\\) at once{size}; lower n or n_samples$"
    before = sorted(path.name for path in run.path.iterdir())
    for use in (
        lambda: run.sample(3),
        lambda: next(run.sample_parts(3)),
        lambda: run.decode(torch.zeros(2, 2)),
        lambda: run.reconstruct(ROWS),
        lambda: run.reconstruct_file(ROWS, tmp_path / "back.npy"),
        run.evaluate,
        run.doctor,
    ):
        with pytest.raises(OutOfMemoryError, match=said):
            use()
    assert list(tmp_path.iterdir()) == []
    assert sorted(path.name for path in run.path.iterdir()) == before


def test_encoding_says_it(run, tmp_path, monkeypatch):
    monkeypatch.setattr(nn.Flatten, "forward", lambda self, x: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(OutOfMemoryError, match="the memory of cpu ran out with up to 512 rows"):
        run[0].encode_file(ROWS, tmp_path / "codes.npy")
    assert list(tmp_path.iterdir()) == []


def test_fewer_rows_at_once_are_tried_first(run):
    made, hungry = run
    whole, codes = made.sample(100), made.decode(torch.ones(100, 2))
    hungry.error, hungry.calls, hungry.most = ERRORS["cuda"], 0, 20
    try:
        assert torch.allclose(made.sample(100), whole, atol=1e-6)
        assert torch.allclose(made.decode(torch.ones(100, 2)), codes, atol=1e-6)
    finally:
        hungry.error, hungry.calls = None, 10**9


def test_on_another_device_the_cpu_is_named():
    with (
        pytest.raises(
            OutOfMemoryError, match=r"the memory of cuda:1 ran out .*, or compute with device='cpu'$"
        ),
        memory_errors(8, (3,), "cuda:1", ["batch_size"]),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory.")


def test_other_errors_pass():
    said = "mat1 and mat2 shapes"
    with pytest.raises(RuntimeError, match=said), memory_errors(8, (3,), "cpu", ["batch_size"]):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    assert not ran_out(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(MemoryError) as caught:
        np.empty(2**57)
    assert ran_out(caught.value)
    with pytest.raises(RuntimeError, match="another"):
        next(halving(lambda start, stop: (_ for _ in ()).throw(RuntimeError("another")), 0, 9))
