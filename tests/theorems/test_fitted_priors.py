"""Densities fitted to codes: what they recover, that densities are densities, and that draws are derived."""

import sys

import pytest
import torch
import torch.nn.functional as F

import pushforward.runs.latent_samplers as samplers
from pushforward.discrepancies import IMQ, MMD
from pushforward.distributions import FlowPrior, MixturePrior, NormalPrior, petals
from pushforward.errors import CheckpointError, ConfigError, DataError
from pushforward.metrics.latent_fit import permutation_test
from pushforward.rng import Noise
from pushforward.runs.latent_samplers import (
    SAMPLERS,
    fit_flow,
    fit_gmm,
    read_sampler,
    sampler_key,
    save_sampler,
)

KEY = sampler_key(7, 0, "0123")


@pytest.fixture(scope="module")
def bent():
    """Codes on a bent cloud that is far from normal, with mean (3, 1), and as many fresh ones."""

    def draw(noise):
        x = noise.normal(4000, 2)
        return torch.stack([3 + 2 * x[:, 0], x[:, 0].square() + 0.4 * x[:, 1]], dim=1)

    return draw(Noise("codes")), draw(Noise("fresh"))


@pytest.fixture(scope="module")
def flow(bent):
    return fit_flow(bent[0], Noise(0))


@pytest.fixture
def brief(monkeypatch):
    """Flows that learn for a moment."""
    monkeypatch.setattr(samplers, "STEPS", 30)
    monkeypatch.setattr(samplers, "EVERY", 10)


# -------------------------------------------------------------------------------------- mixtures


def test_a_mixture_is_recovered():
    """Of components far apart every code's own is known: what is fitted scatters as their moments do."""
    means = torch.tensor([[0.0, 0.0], [20.0, 0.0], [0.0, 30.0]])
    factors = torch.tensor([[[1.0, 0.0], [0.5, 1.0]], [[2.0, 0.0], [0.0, 0.3]], [[1.0, 0.0], [-1.0, 0.5]]])
    weights = torch.tensor([0.2, 0.3, 0.5])
    n = 6000
    fitted = fit_gmm(MixturePrior(means, factors, weights).draw(n, Noise(0)), Noise(0), components=3)
    order = torch.cdist(means, fitted.means).argmin(1)
    assert sorted(order.tolist()) == [0, 1, 2]
    share = (weights * (1 - weights) / n).sqrt()
    assert ((fitted.weights[order] - weights).abs() < 4 * share).all()
    covariances = factors @ factors.mT
    variances = covariances.diagonal(dim1=1, dim2=2)
    assert ((fitted.means[order] - means).abs() < 4 * (variances / (n * weights[:, None])).sqrt()).all()
    error = (covariances**2 + variances[:, :, None] * variances[:, None]) / (n * weights[:, None, None])
    found = (fitted.factors @ fitted.factors.mT)[order]
    assert ((found - covariances).abs() < 4 * error.sqrt()).all()


@pytest.mark.parametrize("components", [1, 4, 10])
def test_moments_are_those_of_the_codes(components, bent):
    """Every M-step gives the mixture the mean and the covariance of the codes, converged or not."""
    codes, _ = bent
    fitted = fit_gmm(codes, Noise(0), components=components)
    torch.testing.assert_close(fitted.weights @ fitted.means, codes.mean(0), rtol=1e-4, atol=1e-4)
    variance = codes.var(0, correction=0).sum().item()
    assert fitted.expected_sq_distance == pytest.approx(2 * variance, rel=1e-4)


# -------------------------------------------------------------------------------------- flows


def test_an_untrained_flow_is_normal():
    """Before training the flow is N(m, A Aᵀ), in density and draws."""
    mean, root = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([[2.0, 0, 0], [1, 0.5, 0], [0, 0.3, 1]])
    prior = FlowPrior(mean, root)
    distribution = torch.distributions.MultivariateNormal(mean.double(), scale_tril=root.double())
    z = distribution.sample((50,))
    torch.testing.assert_close(prior.log_prob(z), distribution.log_prob(z))
    noise = Noise(0)
    draws = prior.draw(50, noise)
    torch.testing.assert_close(draws, mean.double() + noise.normal(50, 3).double() @ root.double().T)
    assert prior.expected_sq_distance == pytest.approx(2 * distribution.variance.sum().item())


@pytest.mark.slow
def test_a_density_integrates_to_one(flow, bent):
    """Change of variables: beyond five deviations the density is normal, and holds less than 1e-6."""
    side = torch.linspace(-7, 7, 281, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    cell = (side[1] - side[0]) ** 2 * torch.linalg.det(flow.root).abs()
    with torch.no_grad():
        density = torch.cat(
            [flow.log_prob(flow.mean + part @ flow.root.T).exp() for part in grid.split(20_000)]
        )
    assert (density.sum() * cell).item() == pytest.approx(1, abs=2e-3)
    # It has learnt the bend: fresh codes are likelier than under the normal distribution of the same moments.
    normal = FlowPrior(flow.mean, flow.root)
    with torch.no_grad():
        assert flow.log_prob(bent[1]).mean() > normal.log_prob(bent[1]).mean() + 0.3


@pytest.mark.slow
def test_moments_of_a_normal_distribution():
    """Codes of N(m, S): the draws' moments are m and S within four errors of codes and draws together."""
    mean = torch.tensor([1.0, -2.0, 0.5])
    factor = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [-1.0, 0.3, 1.0]])
    codes = mean + Noise(3).normal(5000, 3) @ factor.T
    draws = fit_flow(codes, Noise(0)).draw(20_000, Noise(1)).float()
    covariance = factor @ factor.T
    variance = covariance.diagonal()
    share = 1 / len(codes) + 1 / len(draws)
    assert ((draws.mean(0) - mean).abs() < 4 * (variance * share).sqrt()).all()
    error = ((covariance**2 + torch.outer(variance, variance)) * share).sqrt()
    assert ((draws.T.cov() - covariance).abs() < 4 * error).all()


def test_flows_are_a_function_of_codes_and_noise(brief):
    codes = petals().draw(600, Noise(0))
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, again, other = (fit_flow(codes, Noise(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(first.draw(5, Noise(0)), other.draw(5, Noise(0)))
    with torch.inference_mode():
        assert torch.equal(fit_flow(codes.clone(), Noise(0)).draw(5, Noise(0)), first.draw(5, Noise(0)))


# -------------------------------------------------------------------------------------- both


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_cannot_be_distinguished_from_fresh_codes(name, bent, flow):
    """A two-sample test of 400 rows at level 1 % sees nothing, and distinguishes the prior from the codes."""
    codes, fresh = bent
    fitted = flow if name == "flow" else fit_gmm(codes, Noise(0))
    mmd = MMD(IMQ(fitted.expected_sq_distance))
    draws = fitted(400).rsample(Noise(5))
    assert draws.dtype == torch.float32
    assert permutation_test(mmd, draws, fresh[:400], Noise(0)) > 0.01
    prior = NormalPrior(2).draw(400, Noise(5))
    assert permutation_test(mmd, prior, fresh[:400], Noise(0)) == 0.001


@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_do_not_depend_on_chunks(name, brief, monkeypatch):
    fitted = SAMPLERS[name](petals().draw(500, Noise(0)), Noise(0), None)
    whole = fitted.draw(700, Noise(1))
    parts = [fitted.draw(n, Noise(1).rows(start)) for start, n in ((0, 299), (299, 1), (300, 400))]
    torch.testing.assert_close(torch.cat(parts), whole)
    monkeypatch.setattr("pushforward.distributions.flow.BLOCK", 64)
    torch.testing.assert_close(fitted.draw(700, Noise(1)), whole)


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_was_saved_is_read_bit_for_bit(name, brief, tmp_path):
    fitted = SAMPLERS[name](petals().draw(500, Noise(0)), Noise(0), None)
    save_sampler(tmp_path, name, fitted, KEY)
    read = read_sampler(tmp_path, name, KEY)
    assert torch.equal(read.draw(50, Noise(1)), fitted.draw(50, Noise(1)))
    assert read.expected_sq_distance == fitted.expected_sq_distance
    assert repr(read) == repr(fitted)
    for other in (
        sampler_key(8, 0, "0123"),
        sampler_key(7, 1, "0123"),
        sampler_key(7, 0, "4567"),
        {**KEY, "version": 0},
    ):
        assert read_sampler(tmp_path, name, other) is None
    weights = tmp_path / f"{name}-7.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(CheckpointError, match="sha256 should be"):
        read_sampler(tmp_path, name, KEY)
    (tmp_path / f"{name}-7.json").write_text("{}")
    with pytest.raises(CheckpointError, match="'version'"):
        read_sampler(tmp_path, name, KEY)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(
    "codes",
    [
        pytest.param(torch.ones(50, 3), id="one point"),
        pytest.param(torch.linspace(0, 1, 50)[:, None] * torch.tensor([1.0, 2.0, 0.0]), id="a line"),
        pytest.param(Noise(0).normal(2, 8), id="two codes"),
        pytest.param(1e4 + 1e-3 * Noise(0).normal(60, 1), id="one dimension, far away"),
        pytest.param(F.one_hot(torch.arange(40) % 4).float(), id="corners of a simplex"),
    ],
)
def test_poor_codes_have_a_density(name, codes, brief):
    """What has no density gets one; draws stay where the codes are."""
    draws = SAMPLERS[name](codes, Noise(0), None)(200).rsample(Noise(1))
    assert draws.shape == (200, codes.shape[1])
    assert draws.isfinite().all()
    reach = (codes - codes.mean(0)).norm(dim=1).max() + 1e-2
    assert (draws.mean(0) - codes.mean(0)).norm() < reach


def test_without_zuko(monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(ConfigError, match=r"a flow needs zuko \(pip install 'pushforward\[flows\]'\)"):
        fit_flow(Noise(0).normal(50, 2), Noise(0))
    fit_gmm(Noise(0).normal(50, 2), Noise(0))


def test_codes_must_be_finite():
    import pushforward as pf
    from pushforward.data.dataset import Split
    from pushforward.distributions import DeterministicEncoder

    encoder = DeterministicEncoder(torch.nn.Linear(3, 2))
    encoder.net.bias.data[0] = torch.nan
    model = pf.AutoEncoder(NormalPrior(2), torch.nn.Linear(2, 3), encoder)
    with pytest.raises(DataError, match="codes must be finite"):
        samplers.draw_codes(model, Split(torch.rand(5, 3)), Noise(0))
