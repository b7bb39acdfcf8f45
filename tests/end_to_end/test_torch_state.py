"""A run is a function of its configuration, whatever the state of torch around it, in any thread."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from speed import quick
from torch import nn

import pushforward as pf
from pushforward.errors import ConfigError
from pushforward.torch_state import threads, torch_seeded


class Shaky(nn.Module):
    """An encoder that draws from torch's own generator at every call."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 2))

    def forward(self, x):
        return self.layers(x)


def shaky():
    """An encoder with dropout, always of the same weights."""
    with torch_seeded(3):
        return pf.DeterministicEncoder(Shaky())


def trained(folder, seed, digits, encoder=None, **options):
    """The weights and the history of a run whose encoder has dropout."""
    encoder = encoder or shaky()
    run = pf.train(
        "wae-mmd", digits, out=folder, encoder=encoder, latent_dim=2, steps=12, seed=seed, progress=False,
        **options,
    )  # fmt: skip
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return run.model.state_dict(), history


def equal(first, second):
    """Whether two runs have the same bits."""
    same = all(torch.equal(value, second[0][name]) for name, value in first[0].items())
    return same and first[1] == second[1]


def test_runs_in_threads_are_those_of_their_seeds(tmp_path, digits):
    serial = [trained(tmp_path / f"serial-{seed}", seed, digits) for seed in range(2)]
    state = torch.get_rng_state()
    with ThreadPoolExecutor(2) as pool:
        together = [pool.submit(trained, tmp_path / f"thread-{seed}", seed, digits) for seed in range(2)]
        together = [future.result() for future in together]
    assert all(map(equal, serial, together))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == 1


def test_the_number_of_threads_outside_is_not_that_of_a_run_beside(tmp_path):
    with threads.held(2):
        assert torch.get_num_threads() == 2
        assert threads.outside() == 1
        with threads.held(3):
            assert threads.outside() == 1
    assert torch.get_num_threads() == 1


@pytest.fixture(scope="module")
def plain(tmp_path_factory, digits):
    """A run in the state that torch starts in."""
    return trained(tmp_path_factory.mktemp("plain") / "run", 0, digits)


@pytest.mark.parametrize(
    "surrounding", quick(["no_grad", "inference_mode", "autocast", "device"], "inference_mode")
)
def test_what_surrounds_training_does_not_reach_it(surrounding, tmp_path, digits, plain):
    context = {
        "no_grad": torch.no_grad,
        "inference_mode": torch.inference_mode,
        "autocast": lambda: torch.autocast("cpu"),
        "device": lambda: torch.device("meta"),
    }[surrounding]()
    encoder = shaky()
    with context:
        assert equal(trained(tmp_path / "run", 0, digits, encoder), plain)


def test_parameters_that_cannot_be_trained_are_refused(tmp_path, digits):
    with torch.inference_mode(), pytest.raises(ConfigError, match=r"made under torch\.inference_mode"):
        trained(tmp_path / "run", 0, digits, shaky())


def test_weights_of_another_type_are_refused(tmp_path, digits):
    run = pf.train("wae-mmd", digits, out=tmp_path, steps=1, progress=False)
    run.model.double()
    for question in (run.sample, run.evaluate, run.doctor, lambda: run.encode(digits.test.x[:2])):
        with pytest.raises(ConfigError, match=r"must be float32, found torch\.float64; call model\.float"):
            question()


@pytest.mark.parametrize("recipe", quick(["wae-mmd", "wgan-gp", "avb", "infogan"], "wgan-gp"))
def test_another_default_type_changes_nothing(recipe, tmp_path, digits):
    options = {"steps": 2, "progress": False}
    first = pf.train(recipe, digits, out=tmp_path / "32", **options)
    torch.set_default_dtype(torch.float64)
    try:
        second = pf.train(recipe, digits, out=tmp_path / "64", **options)
        assert torch.equal(pf.load(tmp_path / "64").sample(4), first.sample(4))
        if second.model.has_encoder:
            x = digits.test.batch(slice(0, 3)).x
            assert torch.equal(second.encode(x), first.encode(x))
            second.doctor(features="pixels")
        assert second.evaluate(n_samples=50, features="pixels", metrics=["samples"])["metrics"]
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name])
