"""The section on disentanglement: perfect codes, noise, and what cannot be answered."""

from dataclasses import replace

import pytest
import torch

import pushforward as pf
from pushforward.data import Dataset, Split
from pushforward.distributions import DeterministicEncoder, NormalPrior
from pushforward.errors import DataError
from pushforward.evaluation import METRICS, EvaluationContext, default_metrics, evaluate
from pushforward.evaluation.table import lines
from pushforward.metrics.disentanglement import disentanglement
from pushforward.networks import mlp
from pushforward.rng import Noise

NAMES = ("a", "b", "c")


def world(rows=3000, sizes=(3, 4, 5)):
    """Rows that are their own factors, to be learnt from and held out."""
    factors = torch.stack([torch.randint(size, (2 * rows,)) for size in sizes], 1)
    whole = Split(factors.float(), factors=factors)
    parts = (whole.rows(part) for part in (torch.arange(rows), torch.arange(rows, 2 * rows)))
    return Dataset("world", *parts, in_unit_interval=False, factors=NAMES[: len(sizes)])


class Codes(torch.nn.Module):
    """An encoder that is a function of the row."""

    def __init__(self, code):
        super().__init__()
        self.code = code

    def forward(self, x):
        return self.code(x)


def model(code, latent_dim=3, shape=3):
    prior = NormalPrior(latent_dim)
    return pf.AutoEncoder(prior, mlp(latent_dim, shape, [4]), DeterministicEncoder(Codes(code))).eval()


def asked(subject, data, **settings):
    return evaluate(EvaluationContext(subject, data, "pixels", **settings), ["disentanglement"])


def test_perfect_codes():
    """Each dimension one factor, in another order and unit."""
    found = asked(model(lambda x: 5 - 2 * x[:, [2, 0, 1]]), world())["disentanglement"]
    assert found["factors"] == ["a", "b", "c"]
    assert (found["beta_vae"], found["factor_vae"], found["informativeness"]) == (1, 1, 1)
    assert found["mig"] > 0.95
    assert min(found["disentanglement"], found["completeness"]) > 0.99
    assert found["sap_ceiling"] == pytest.approx(1 - (1 / 3 + 1 / 4 + 1 / 5) / 3)
    assert found["sap"] > found["sap_ceiling"] - 0.05
    assert (found["n_samples"], found["active_units"]) == (3000, 3)


def test_codes_that_are_noise():
    """Chance: 1/3 for accuracies of three factors, 0 for gaps."""
    noise = Noise("codes").normal(3000, 3)
    found = asked(model(lambda x: noise[: len(x)] + 0 * x), world())["disentanglement"]
    assert found["beta_vae"] == pytest.approx(1 / 3, abs=0.06)
    assert found["factor_vae"] == pytest.approx(1 / 3, abs=0.06)
    assert max(found["mig"], found["sap"]) < 0.05
    assert found["informativeness"] == pytest.approx((1 / 3 + 1 / 4 + 1 / 5) / 3, abs=0.05)


def test_rows_and_their_factors_are_of_one_order():
    """Held-out rows are evaluated in random order; fewer of them are the first of that order."""
    data = world()
    for rows in (3000, 700):
        context = EvaluationContext(model(lambda x: x), data, "pixels", n_samples=rows)
        assert not torch.equal(context.order, torch.arange(rows))
        found = evaluate(context, ["disentanglement"])["disentanglement"]
        assert found["n_samples"] == rows
        assert found["informativeness"] == 1
        factors = data.test.factors[context.order]
        expected = disentanglement(factors.double(), factors)
        assert (found["mig"], found["sap"]) == pytest.approx((expected.mig, expected.sap))


def test_factors_that_never_change_are_left_out():
    data = world()
    still = replace(data, test=replace(data.test, factors=data.test.factors * torch.tensor([1, 0, 1])))
    found = asked(model(lambda x: x), still)["disentanglement"]
    assert found["factors"] == ["a", "c"]
    assert found["beta_vae"] > 0.9


def test_who_cannot_answer():
    """No factors, one, or one that changes; a model without an encoder. By default nobody is asked."""
    data, perfect = world(300), model(lambda x: x)
    bare = Dataset("bare", Split(data.train.x), Split(data.test.x), in_unit_interval=False)
    lone = world(300, sizes=(3,))
    still = replace(data, test=replace(data.test, factors=data.test.factors * torch.tensor([0, 0, 1])))
    assert "disentanglement" not in asked(perfect, bare)
    assert "disentanglement" not in asked(model(lambda x: x, 1, 1), lone)
    assert "disentanglement" not in asked(perfect, still)

    class Sampler(pf.AutoEncoder):
        has_encoder = False

    sampler = Sampler(perfect.prior, perfect.decoder, perfect.encoder).eval()
    assert "disentanglement" not in asked(sampler, data)
    assert "disentanglement" in METRICS
    assert "disentanglement" not in default_metrics()


def test_too_few_rows_say_so():
    with pytest.raises(DataError, match="factor 0 must have a value that rows share"):
        asked(model(lambda x: x, 2, 2), world(300, sizes=(2000, 2000)), n_samples=6)


def test_it_is_printed_with_its_factors():
    results = asked(model(lambda x: x), world(1000))
    printed = {name: (value, words) for name, value, words in lines(results)}
    assert {"beta-VAE score", "FactorVAE score", "MIG", "SAP", "DCI completeness"} <= set(printed)
    assert printed["beta-VAE score"][0] == "1"
    assert printed["beta-VAE score"][1].endswith("factors a, b, c")
    assert printed["SAP"][1].endswith("perfect codes 0.7389")


def test_a_run_on_a_world(tmp_path):
    """Asked for by name of a run; the results are kept."""
    run = pf.train(
        "ae", world(300), out=tmp_path / "run", latent_dim=2, steps=5, batch_size=20, progress=False
    )
    found = run.evaluate(features="pixels", metrics=["disentanglement"])
    assert found["metrics"] == ["disentanglement"]
    assert found["disentanglement"]["factors"] == ["a", "b", "c"]
    assert run.evaluate_once(features="pixels", metrics=["disentanglement"]) == found
