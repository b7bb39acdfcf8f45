"""A run in bfloat16 leaves a user's modules, and its own, as a run in float32 would."""

import copy
import io

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.errors import DivergedError

ROWS = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))
QUICK = dict(steps=4, latent_dim=2, batch_size=8, progress=False, pictures=False)


class Body(nn.Sequential):
    """A class of a user."""


def parts():
    torch.manual_seed(0)
    encoder = Body(nn.Conv2d(1, 3, 3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 2))
    decoder = nn.Sequential(nn.Linear(2, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))
    critic = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    return dict(encoder=encoder, decoder=decoder, critic=critic)


def form(modules):
    """Classes, and how weights lie in memory."""
    return [
        (type(module), [value.stride() for value in (*module.parameters(), *module.buffers())])
        for whole in modules
        for module in whole.modules()
    ]


def check(own, before, model=None):
    """That the parts are in the form that they had, can be saved, and compute in float32."""
    assert form(own.values()) == before
    torch.save([*own.values(), model], io.BytesIO())
    other = parts()
    for name, part in own.items():
        other[name].load_state_dict(part.state_dict())
        x = ROWS if name == "encoder" else torch.randn(5, 2)
        assert torch.equal(part.train()(x), other[name].train()(x))


def test_parts_are_what_they_were_after_a_run_in_bfloat16(tmp_path):
    own = parts()
    before = form(own.values())
    run = pf.train("wae-gan", ROWS, out=tmp_path / "run", precision="bf16", **own, **QUICK)
    samples, codes = run.sample(5), run.encode(ROWS)
    again = pf.load(run.path, **parts())
    assert torch.equal(again.sample(5), samples)
    assert torch.equal(again.encode(ROWS), codes)
    check(own, before, run.model)
    run = pf.resume(run.path, ROWS, steps=6, progress=False, **own)
    check(own, before, run.model)


def test_networks_of_a_recipe_are_what_they_were(tmp_path):
    run, full = (
        pf.train("wae-gan", ROWS, out=tmp_path / name, precision=name, network="conv", **QUICK)
        for name in ("bf16", "fp32")
    )
    assert form([run.model]) == form([full.model])
    torch.save(run.model, io.BytesIO())


def test_a_run_in_float32_after_one_in_bfloat16_is_one_in_float32(tmp_path):
    own = parts()
    pf.train("wae-gan", ROWS, out=tmp_path / "low", precision="bf16", **own, **QUICK)
    fresh = parts()
    for name, part in fresh.items():
        part.load_state_dict(own[name].state_dict())
    found, wanted = (
        pf.train("wae-gan", ROWS, out=tmp_path / name, **given, **QUICK).model.state_dict()
        for name, given in (("again", own), ("fresh", fresh))
    )
    assert [name for name, value in wanted.items() if not torch.equal(found[name], value)] == []


def test_the_same_parts_can_be_trained_in_bfloat16_twice(tmp_path):
    own = parts()
    for name in "ab":
        kept = copy.deepcopy(own)
        run = pf.train("wae-gan", ROWS, out=tmp_path / name, precision="bf16", **own, **QUICK)
    other = pf.train("wae-gan", ROWS, out=tmp_path / "c", precision="bf16", **kept, **QUICK)
    weights = run.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in other.model.state_dict().items())


class Failing(pf.SquaredError):
    """Fails, or is not finite, in the third step."""

    def __init__(self, with_error):
        super().__init__()
        self.with_error, self.calls = with_error, 0

    def rows(self, made, given):
        self.calls += self.training
        if self.calls == 3 and self.with_error:
            raise RuntimeError("no more")
        return super().rows(made, given) * (float("nan") if self.calls == 3 else 1)


@pytest.mark.parametrize("with_error", [True, False])
def test_parts_are_what_they_were_after_an_error(tmp_path, with_error):
    own, cost = parts(), Failing(with_error)
    before = form(own.values())
    with pytest.raises(RuntimeError if with_error else DivergedError):
        pf.train("wae-gan", ROWS, out=tmp_path / "run", precision="bf16", cost=cost, **own, **QUICK)
    check(own, before)
