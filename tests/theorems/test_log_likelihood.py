"""log p(x) of explicit decoders: importance weighting and annealing where the truth is known."""

import math
from itertools import product
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

import pushforward.metrics.ais as ais
from pushforward.costs import L1, Bernoulli, GaussianLikelihood, SquaredError
from pushforward.distributions import (
    DeterministicEncoder,
    GaussianEncoder,
    ImplicitEncoder,
    NormalPrior,
    UniformPrior,
)
from pushforward.errors import ConfigError, DataError
from pushforward.metrics.ais import annealed, bidirectional, sigmoid
from pushforward.metrics.likelihood import importance_weighted, joint
from pushforward.models import VAE
from pushforward.rng import Noise

pytestmark = pytest.mark.usefixtures("float64")


class Linear:
    """x = Wz + b + sε with z ~ N(0, σ²I) and orthogonal columns W: Gaussian p(x), diagonal Gaussian p(z | x).

    The encoder is the posterior, moved by ``shift`` of its deviations and ``wider`` in variance.
    """

    def __init__(self, lengths=(0.5, 1.0, 2.0), features=5, std=0.7, sigma=1.5, shift=0.0, wider=1.0):
        lengths = torch.tensor(lengths)
        latent_dim = len(lengths)
        W = torch.linalg.qr(torch.randn(features, latent_dim))[0] * lengths
        b = torch.randn(features)
        precision = 1 / sigma**2 + lengths.square() / std**2
        decoder, net = nn.Linear(latent_dim, features), nn.Linear(features, 2 * latent_dim)
        to_mean = W.T / std**2 / precision.unsqueeze(1)
        decoder.weight.data, decoder.bias.data = W, b
        net.weight.data = torch.cat([to_mean, torch.zeros_like(to_mean)])
        net.bias.data = torch.cat([shift / precision.sqrt() - to_mean @ b, (wider / precision).log()])
        self.distribution = MultivariateNormal(b, sigma**2 * W @ W.T + std**2 * torch.eye(features))
        self.posterior = lambda x: Independent(Normal((x - b) @ to_mean.T, precision**-0.5), 1)
        self.model = VAE(
            NormalPrior(latent_dim, sigma), decoder, GaussianEncoder(net), GaussianLikelihood(std), 1.0
        )

    def encoder(self, x):
        q = self.model.encoder(x)
        return Independent(Normal(q.center, (q.log_var / 2).exp()), 1)


def mean_and_error(values):
    return values.mean().item(), values.std().item() / math.sqrt(len(values))


def second_moment(p, q):
    """E_q (p/q)² of diagonal Gaussians; finite where 2 Var q > Var p in every dimension."""
    (m, v), (a, w) = ((distribution.mean, distribution.variance) for distribution in (p, q))
    return (w / (v * (2 * w - v)).sqrt() * ((m - a).square() / (2 * w - v)).exp()).prod(-1)


class Curve(nn.Sequential):
    """A decoder of one latent dimension that is not linear, with an integral that a grid can do."""

    def __init__(self, features=4):
        super().__init__(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, features))
        for parameter in self.parameters():
            parameter.data = 1.5 * torch.randn_like(parameter)

    def log_prob(self, x, log_likelihood):
        """log ∫ N(z; 0, 1) p(x | z) dz of every row, by the trapezoidal rule, exact to rounding here."""
        z = torch.linspace(-12, 12, 4001)
        made = self(z.unsqueeze(1)).detach()
        values = log_likelihood(made.unsqueeze(0), x.unsqueeze(1)).sum(-1) + Normal(0.0, 1.0).log_prob(z)
        return values.logsumexp(1) + math.log(24 / 4000)


class Constant(nn.Module):
    """A decoder from whose output no graph leads back to the code."""

    def forward(self, z):
        return torch.ones(len(z), 5)


def all_binary(features):
    return torch.tensor(list(product((0.0, 1.0), repeat=features)))


def bernoulli(logits, x):
    return torch.distributions.Bernoulli(logits=logits).log_prob(x)


# ------------------------------------------------------------------------ importance weighting


@pytest.mark.parametrize("samples", [1, 2, 50])
def test_exact_posterior_has_no_variance(samples):
    """With q(z | x) = p(z | x) every weight is p(x), so that the bound is exact at every K."""
    linear = Linear()
    x = 3 * torch.randn(9, 5)
    values = importance_weighted(linear.model, x, samples, Noise(0))
    assert values.dtype == torch.float64
    torch.testing.assert_close(values, linear.distribution.log_prob(x), rtol=1e-12, atol=1e-11)


def test_one_sample_is_the_evidence_lower_bound():
    """K = 1 averages to log p(x) - KL(q(z | x), p(z | x)), and its deviation is not 0."""
    linear = Linear(shift=0.7, wider=0.4)
    x = linear.distribution.sample((1,))
    exact = linear.distribution.log_prob(x) - kl_divergence(linear.encoder(x), linear.posterior(x))
    mean, error = mean_and_error(importance_weighted(linear.model, x.repeat(20_000, 1), 1, Noise(0)))
    assert 0 < error < 0.02
    assert abs(mean - exact.item()) < 4 * error


def test_bound_rises_to_the_likelihood():
    """With a wrong posterior the mean bound rises with K, never above log p(x), and attains it."""
    linear = Linear(shift=0.5, wider=1.5)
    x = linear.distribution.sample((1,))
    exact = linear.distribution.log_prob(x).item()
    repeated = x.repeat(4000, 1)
    means, errors = zip(
        *(mean_and_error(importance_weighted(linear.model, repeated, K, Noise(0))) for K in (1, 4, 16, 64)),
        strict=True,
    )
    for i in range(3):
        assert means[i + 1] - means[i] > 4 * errors[i + 1]
    assert all(mean < exact + 3 * error for mean, error in zip(means, errors, strict=True))
    many = importance_weighted(linear.model, x, 40_000, Noise(1))
    assert many.item() == pytest.approx(exact, abs=4 * math.sqrt(1 / 40_000))


def test_gap_at_many_samples():
    """log p(x) - E IWAE_K is Var(w / p(x)) / 2K for large K, and the variance is a closed form."""
    linear = Linear(shift=0.3, wider=1.5)
    x = linear.distribution.sample((1,))
    variance = second_moment(linear.posterior(x).base_dist, linear.encoder(x).base_dist).item() - 1
    K = 32
    values = importance_weighted(linear.model, x.repeat(20_000, 1), K, Noise(0))
    gap, error = mean_and_error(linear.distribution.log_prob(x) - values)
    assert gap > 6 * error
    assert abs(gap - variance / (2 * K)) < 4 * error


def test_probabilities_of_all_images_sum_to_one():
    """Against quadrature, for all 16 images of 4 pixels, with the prior as encoder: and their sum is 1."""
    decoder, x = Curve(), all_binary(4)
    net = nn.Linear(4, 2)
    net.weight.data.zero_(), net.bias.data.zero_()
    model = VAE(NormalPrior(1), decoder, GaussianEncoder(net), Bernoulli())
    exact = decoder.log_prob(x, bernoulli)
    assert exact.exp().sum().item() == pytest.approx(1, abs=1e-10)
    values = importance_weighted(model, x, 20_000, Noise(0))
    assert values.exp().sum().item() == pytest.approx(1, abs=0.03)
    torch.testing.assert_close(values, exact, rtol=0, atol=0.2)


def test_importance_weights_do_not_depend_on_the_work_s_division():
    """Chunks of any size give the same numbers; rows have their own draws; K = 5 begins as K = 3 does."""
    linear = Linear(shift=1.0)
    x, noise = torch.randn(11, 5), Noise(3)
    whole = importance_weighted(linear.model, x, 5, noise)
    for chunk in (1, 3, 7, 10, 1000):
        torch.testing.assert_close(
            importance_weighted(linear.model, x, 5, noise, chunk=chunk), whole, rtol=0, atol=1e-12
        )
    later = importance_weighted(linear.model, x[4:], 5, noise.rows(4))
    torch.testing.assert_close(later, whole[4:], rtol=0, atol=1e-12)
    # log(Σ⁵w - Σ³w) exists for every row only if the first three weights are among the five.
    three = importance_weighted(linear.model, x, 3, noise)
    assert (whole + math.log(5) > three + math.log(3)).all()
    assert not torch.isclose(importance_weighted(linear.model, x, 5, Noise(4)), whole).any()


# ----------------------------------------------------------------------------------- annealing


@pytest.mark.parametrize("temperatures", [1, 2, 7, 100])
def test_schedule(temperatures):
    """It rises from exactly 0 to exactly 1, and falls from 1 to 0 as it rises."""
    betas = sigmoid(temperatures)
    assert len(betas) == temperatures + 1
    assert (betas[0], betas[-1]) == (0, 1)
    assert (betas.diff() > 0).all()
    torch.testing.assert_close(betas.flip(0), 1 - betas)
    if temperatures == 100:  # flat ends: the slope of the logistic function there, σ'(4) / σ'(0) = 0.0707
        assert (betas[1] / (betas[51] - betas[50])).item() == pytest.approx(0.0707, rel=0.05)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("temperatures", [1, 2, 30])
def test_decoder_that_ignores_its_code(reverse, temperatures):
    """Then p(x | z) = p(x): every weight is p(x), at any number of temperatures, in both directions."""
    linear = Linear(lengths=(0.0, 0.0))
    x, z = torch.randn(6, 5), torch.randn(6, 2) if reverse else None
    values = annealed(linear.model, x, Noise(0), temperatures, 3, 2, reverse, z)
    assert values.dtype == torch.float64
    torch.testing.assert_close(values, linear.distribution.log_prob(x), rtol=1e-12, atol=1e-11)

    constant = SimpleNamespace(prior=NormalPrior(2), decoder=Constant())
    values = annealed(
        constant, x, Noise(0), temperatures, 3, 2, reverse, z, observation=GaussianLikelihood(0.7)
    )
    torch.testing.assert_close(values, Normal(1.0, 0.7).log_prob(x).sum(1), rtol=1e-12, atol=1e-11)


def test_one_temperature_is_importance_sampling_from_the_prior():
    """No transition is seen by a weight: E w = p(x), E w² as of draws of the prior, whatever the leapfrog."""
    linear = Linear(lengths=(0.4, 0.8), sigma=1.2, std=1.4)
    x = (linear.distribution.mean + 1.0).unsqueeze(0)
    exact = linear.distribution.log_prob(x)
    values = annealed(linear.model, x.repeat(20_000, 1), Noise(0), 1, leapfrog=1, chains=1, chunk=20_000)
    prior = Normal(torch.zeros(2), 1.2 * torch.ones(2))
    second = second_moment(linear.posterior(x).base_dist, prior).item()
    for power, moment in ((1, 1.0), (2, second)):
        mean, error = mean_and_error((power * (values - exact)).exp())
        assert abs(mean - moment) < 4 * error
        assert error < 0.1 * moment
    others = annealed(linear.model, x.repeat(50, 1), Noise(0), 1, leapfrog=7, chains=1)
    torch.testing.assert_close(others, values[:50], rtol=0, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("temperatures", "leapfrog"), [(4, 1), (4, 5), (12, 3)])
def test_weights_are_unbiased_at_any_pace(reverse, temperatures, leapfrog):
    """E w = p(x) forwards and E 1/w = 1/p(x) backwards, even for a few rough transitions."""
    linear = Linear(lengths=(0.5, 1.0), sigma=1.3, std=1.4)  # inverse weights have a variance: s > |w| σ
    n = 15_000
    x = (linear.distribution.mean + 1.0).unsqueeze(0)
    start = linear.posterior(x).sample((n,)).squeeze(1) if reverse else None
    values = annealed(
        linear.model, x.repeat(n, 1), Noise(1), temperatures, leapfrog, 1, reverse, start, chunk=4 * n
    )
    gaps = values - linear.distribution.log_prob(x)
    assert gaps.std() > 0.1  # so that the bounds, not exactness, are tested
    mean, error = mean_and_error((-gaps if reverse else gaps).exp())
    assert abs(mean - 1) < 4 * error
    assert error < 0.02
    middle, error = mean_and_error(gaps)
    assert middle > 4 * error if reverse else middle < -4 * error


def test_both_directions_meet_at_the_likelihood():
    """Forward mean ≤ log p(x) ≤ reverse mean; both within 0.05 at 200 temperatures; the gap falls as 1/T."""
    linear = Linear(features=6)
    n, gaps = 60, {}
    z = 1.5 * torch.randn(n, 3)
    x = linear.model.decoder(z).detach() + 0.7 * torch.randn(n, 6)
    exact = linear.distribution.log_prob(x)
    for temperatures in (25, 200):
        lower = annealed(linear.model, x, Noise(0), temperatures, 4, 10) - exact
        upper = annealed(linear.model, x, Noise(0), temperatures, 4, 10, reverse=True, start=z) - exact
        (low, low_error), (high, high_error) = mean_and_error(lower), mean_and_error(upper)
        assert low < 3 * low_error
        assert high > -3 * high_error
        gaps[temperatures] = high - low
    assert max(abs(low), abs(high)) < 0.05
    assert gaps[200] < gaps[25] / 4


def test_more_chains_tighten_both_bounds():
    """Chains are averaged as weights forwards, as inverse weights backwards: more of them, less gap."""
    linear = Linear(lengths=(0.6, 1.2), sigma=1.3, std=0.9)
    n = 400
    z = 1.3 * torch.randn(n, 2)
    x = linear.model.decoder(z).detach() + 0.9 * torch.randn(n, 5)
    exact = linear.distribution.log_prob(x)
    for start in (None, z):
        sign = 1 if start is None else -1
        one, many = (
            sign * (annealed(linear.model, x, Noise(0), 8, 3, chains, start is not None, start) - exact)
            for chains in (1, 30)
        )
        assert one.mean() < many.mean() - 0.05
        assert many.mean() < 3 * mean_and_error(many)[1]


def test_steps_are_accepted_two_times_in_three():
    """The pilot's sizes at β = 1 make 65 % of proposals acceptable, in wide and in narrow posteriors."""
    for std in (0.05, 1.0):
        linear = Linear(lengths=(1.0, 1.0, 1.0, 1.0), features=8, std=std, sigma=1.0)
        x = linear.distribution.sample((50,))
        path = ais.Path(joint(linear.model), x, Noise(0), sigmoid(150).tolist(), 5)
        size = path.pilot(lambda _: None)[-1]
        state = path._state(linear.posterior(x).sample((40,)).transpose(0, 1))
        _, chance = path._move(state, 1.0, size, Noise("test"))
        assert chance.mean().item() == pytest.approx(0.65, abs=0.12)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_trajectories_keep_their_energy(beta):
    """Small steps follow the flow of prior and likelihood: over one unit of time hardly any is refused."""
    linear = Linear(sigma=2.0)
    x = linear.distribution.sample((20,))
    path = ais.Path(joint(linear.model), x, Noise(0), [0.0, 1.0], 50)
    start = path._state(torch.randn(20, 30, 3))
    end, chance = path._move(start, beta, torch.full((20, 1), 0.02), Noise("test"))
    assert chance.mean() > 0.99
    assert (end.u - start.u).square().mean() > 0.3


def test_all_images_by_annealing():
    """Every one of 16 images under a Bernoulli decoder that is not linear, against quadrature."""
    decoder, x = Curve(), all_binary(4)
    model = SimpleNamespace(prior=NormalPrior(1), decoder=decoder, cost=Bernoulli())
    exact = decoder.log_prob(x, bernoulli)
    values = annealed(model, x, Noise(0), temperatures=60, leapfrog=5, chains=100)
    torch.testing.assert_close(values, exact, rtol=0, atol=0.3)
    assert values.exp().sum().item() == pytest.approx(1, abs=0.06)


def test_annealing_does_not_depend_on_the_work_s_division():
    """Chunks of any size give the same numbers, and rows have their own draws, both ways."""
    linear = Linear()
    x, z, noise = torch.randn(7, 5), torch.randn(7, 3), Noise(3)
    for start in (None, z):

        def run(part, noise, chunk=10_000, start=start):
            at = None if start is None else start[part]
            return annealed(linear.model, x[part], noise, 6, 2, 3, at is not None, at, chunk=chunk)

        whole = run(slice(None), noise)
        for chunk in (1, 8, 13):
            torch.testing.assert_close(run(slice(None), noise, chunk), whole, rtol=0, atol=1e-10)
        torch.testing.assert_close(run(slice(2, None), noise.rows(2)), whole[2:], rtol=0, atol=1e-10)
        assert not torch.isclose(run(slice(None), Noise(4)), whole).any()


# --------------------------------------------------------------------------- observation models


def test_observation_model_of_a_decoder_without_likelihood():
    """A GAN (no cost, no encoder) and a WAE (squared error) under a stated s, against quadrature."""
    decoder, observation = Curve(), GaussianLikelihood(0.6)
    x = decoder(torch.randn(5, 1)).detach() + 0.6 * torch.randn(5, 4)
    exact = decoder.log_prob(x, lambda made, x: Normal(made, 0.6).log_prob(x))
    gan = SimpleNamespace(prior=NormalPrior(1), decoder=decoder)
    wae = SimpleNamespace(prior=NormalPrior(1), decoder=decoder, cost=SquaredError())
    values = [
        annealed(model, x, Noise(0), 150, 5, 100, observation=observation, chunk=10_000)
        for model in (gan, wae)
    ]
    assert torch.equal(*values)
    torch.testing.assert_close(values[0], exact, rtol=0, atol=0.3)


def test_observation_model_sees_what_the_outputs_stand_for():
    """Logits become data before a Gaussian observes them, and stay logits before a Bernoulli does."""
    decoder, x = Curve(), torch.rand(4, 4)
    net = nn.Linear(4, 2)
    net.weight.data.zero_(), net.bias.data.zero_()
    vae = VAE(NormalPrior(1), decoder, GaussianEncoder(net), Bernoulli())
    exact = decoder.log_prob(x, lambda made, x: Normal(made.sigmoid(), 0.5).log_prob(x))
    values = importance_weighted(vae, x, 20_000, Noise(0), observation=GaussianLikelihood(0.5))
    torch.testing.assert_close(values, exact, rtol=0, atol=0.05)
    assert torch.equal(
        importance_weighted(vae, x, 5, Noise(0), observation=Bernoulli()),
        importance_weighted(vae, x, 5, Noise(0)),
    )


# ---------------------------------------------------------------------------------- both bounds


def test_bidirectional_encloses_the_entropy():
    """On data sampled from the model log p(x) is minus its entropy on average, between both bounds."""
    linear = Linear(features=4)
    n = 300
    both = bidirectional(linear.model, n, Noise(0), temperatures=100, leapfrog=4, chains=5)
    chance = 3 * math.sqrt(4 / 2 / n)  # log p(x) is -χ²/2 plus a constant, with variance D/2
    assert both.lower - chance < -linear.distribution.entropy().item() < both.upper + chance
    assert -3 * both.error < both.gap < 0.3
    assert both.gap == pytest.approx(both.upper - both.lower, abs=1e-12)
    assert both.rows == n
    assert 0 < both.error < 0.05


def test_bidirectional_of_binary_images():
    """The same for a Bernoulli decoder: Σ p log p over all 16 images, by quadrature."""
    decoder = Curve()
    model = SimpleNamespace(prior=NormalPrior(1), decoder=decoder, cost=Bernoulli())
    exact = decoder.log_prob(all_binary(4), bernoulli)
    n = 500
    both = bidirectional(model, n, Noise(0), temperatures=60, leapfrog=4, chains=5)
    mean = (exact.exp() * exact).sum()
    chance = 3 * ((exact.exp() * (exact - mean).square()).sum() / n).sqrt().item()
    assert both.lower - chance < mean < both.upper + chance
    assert -3 * both.error < both.gap < 0.3


def test_gap_is_large_where_annealing_fails():
    """With one temperature and a sharp posterior neither bound is any good, and the gap says so."""
    linear = Linear(std=0.05)
    assert bidirectional(linear.model, 50, Noise(0), temperatures=1, chains=2).gap > 100


def test_bidirectional_error_and_chunks():
    """The standard error is the deviation of the gap over repetitions, and chunks do not matter."""
    model = Linear(lengths=(0.5, 1.0), std=1.4).model
    runs = [bidirectional(model, 30, Noise(seed), 6, 2, 2) for seed in range(40)]
    deviation = torch.tensor([run.gap for run in runs]).std().item()
    assert sum(run.error for run in runs) / 40 == pytest.approx(deviation, rel=4 / math.sqrt(2 * 39))
    chunked = bidirectional(model, 30, Noise(0), 6, 2, 2, chunk=7)
    assert (chunked.lower, chunked.upper) == (pytest.approx(runs[0].lower), pytest.approx(runs[0].upper))


# --------------------------------------------------------------------------------- good manners


def test_networks_are_evaluated_in_evaluation_mode_and_left_as_they_were():
    """BatchNorm uses and keeps its running statistics, no gradient is left behind, no global draw made."""
    decoder = nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.Unflatten(1, (1, 2, 3)))
    encoder = GaussianEncoder(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(6), nn.Linear(6, 4)))
    model = VAE(NormalPrior(2), decoder, encoder, GaussianLikelihood(0.5, learnt=True))
    x = torch.randn(5, 1, 2, 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    in_training = importance_weighted(model, x, 4, Noise(0)), annealed(model, x, Noise(0), 5, 2, 3)
    assert decoder.training
    assert encoder.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), generator)
    model.eval()
    with torch.inference_mode():
        eval_mode = importance_weighted(model, x, 4, Noise(0)), annealed(model, x, Noise(0), 5, 2, 3)
        bidirectional(model, 2, Noise(0), 2, 2, 2)
    for one, other in zip(in_training, eval_mode, strict=True):
        assert torch.equal(one, other)
        assert not one.requires_grad


def test_single_precision_models():
    """A float32 model gives the figures of its float64 twin but for rounding."""
    linear = Linear()
    x = linear.distribution.sample((4,))
    values = importance_weighted(linear.model.double(), x, 20, Noise(0))
    exact = linear.distribution.log_prob(x)
    torch.testing.assert_close(
        importance_weighted(linear.model.float(), x, 20, Noise(0)), values, atol=1e-4, rtol=0
    )
    torch.testing.assert_close(annealed(linear.model, x, Noise(0), 200, 4, 20), exact, atol=0.3, rtol=0)


def test_progress():
    """Rows are counted by importance weighting, transitions by annealing; both end at their total."""
    linear, seen = Linear(), []
    importance_weighted(linear.model, torch.randn(5, 5), 2, Noise(0), 4, progress=lambda *at: seen.append(at))
    assert seen == [(2, 5), (4, 5), (5, 5)]
    for run, total in (
        (
            lambda tick: annealed(linear.model, torch.randn(5, 5), Noise(0), 3, 1, 2, chunk=8, progress=tick),
            18,
        ),
        (lambda tick: bidirectional(linear.model, 5, Noise(0), 3, 1, 2, chunk=8, progress=tick), 36),
    ):
        seen.clear()
        run(lambda *at: seen.append(at))
        assert seen == [(done, total) for done in range(1, total + 1)]


# ----------------------------------------------------------------------------------- bad input


X = torch.zeros(2, 5)


def run_importance(**change):
    parts = {"model": Linear().model, "x": X.double(), "samples": 2, "noise": Noise(0)}
    return importance_weighted(**(parts | change))


def run_annealed(**change):
    parts = {"model": Linear().model, "x": X.double(), "noise": Noise(0), "temperatures": 2, "leapfrog": 1}
    return annealed(**(parts | change))


def part(**change):
    model = Linear().model
    own = {name: getattr(model, name) for name in ("prior", "encoder", "decoder", "cost")}
    return SimpleNamespace(**(own | change))


@pytest.mark.parametrize("run", [run_importance, run_annealed])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda: {"model": part(cost=SquaredError())}, ConfigError, "needs a likelihood, got SquaredError"),
        (lambda: {"observation": L1()}, ConfigError, "needs a likelihood, got L1 as cost"),
        (lambda: {"model": part(cost=None)}, ConfigError, "needs a likelihood, got no cost"),
        (lambda: {"observation": Bernoulli()}, ConfigError, "Bernoulli observes logits, but the decoder"),
        (lambda: {"model": part(prior=UniformPrior(3))}, ConfigError, "a normal prior, got UniformPrior"),
        (lambda: {"x": torch.zeros(0, 5)}, DataError, r"data must have shape \(N, \*\)"),
        (lambda: {"x": torch.zeros(5)}, DataError, r"data must have shape \(N, \*\)"),
        (lambda: {"x": torch.full((1, 5), math.inf)}, DataError, "data must be finite"),
        (lambda: {"model": part(decoder=nn.Linear(3, 1))}, DataError, r"shape \(1,\), data \(5,\)"),
        (lambda: {"chunk": 0}, ConfigError, "chunk must be at least 1, got 0"),
    ],
)
def test_what_has_no_likelihood(run, change, error, message):
    with pytest.raises(error, match=message):
        run(**change())


@pytest.mark.parametrize(
    ("run", "change", "error", "message"),
    [
        (run_importance, {"samples": 0}, ConfigError, "samples must be at least 1"),
        (run_annealed, {"temperatures": 0}, ConfigError, "temperatures must be at least 1"),
        (run_annealed, {"leapfrog": 0}, ConfigError, "leapfrog must be at least 1"),
        (run_annealed, {"chains": 0}, ConfigError, "chains must be at least 1"),
        (run_annealed, {"reverse": True}, ConfigError, "reverse=True needs start"),
        (run_annealed, {"start": torch.zeros(2, 3)}, ConfigError, "start needs reverse=True"),
        (run_annealed, {"start": torch.zeros(2, 2), "reverse": True}, DataError, r"of shape \(2, 3\)"),
        (
            run_annealed,
            {"start": torch.full((2, 3), math.nan), "reverse": True},
            DataError,
            "start must be fin",
        ),
        (run_annealed, {"schedule": lambda n: torch.linspace(0.1, 1, n + 1)}, ConfigError, "from 0 to 1"),
        (run_annealed, {"schedule": lambda n: torch.tensor([0.0, 1.0, 1.0])}, ConfigError, "from 0 to 1"),
    ],
)
def test_what_cannot_be_run(run, change, error, message):
    with pytest.raises(error, match=message):
        run(**change)


class Skewed(nn.Module):
    """A head that adds the noise of an implicit encoder to its trunk; ``bend`` skews the distribution."""

    def __init__(self, deviation, bend=0.0):
        super().__init__()
        self.deviation, self.bend = deviation, bend

    def forward(self, rows):
        trunk, eta = rows.chunk(2, dim=1)
        return trunk + self.deviation * (eta + self.bend * (eta.square() - 1))


def implicit(linear, bend=0.0):
    """The model of ``linear`` with an encoder that has no density; unless bent, it is the same encoder."""
    own = linear.model
    weight, bias = own.encoder.net.weight, own.encoder.net.bias
    latent_dim = own.prior.latent_dim
    trunk = nn.Linear(weight.shape[1], latent_dim)
    trunk.weight.data, trunk.bias.data = weight.data[:latent_dim], bias.data[:latent_dim]
    encoder = ImplicitEncoder(trunk, Skewed((bias.data[latent_dim:] / 2).exp(), bend), noise=latent_dim)
    return SimpleNamespace(prior=own.prior, decoder=own.decoder, cost=own.cost, encoder=encoder)


@pytest.mark.parametrize("samples", [1, 50])
def test_a_distribution_without_density_gives_way_to_its_moments(samples):
    """An implicit encoder that is Gaussian has the Gaussian one's bound, but for its estimated moments.

    Those of 64 draws cost (1/2)(1/64 + 1/63) nats a dimension in KL at most, and nothing in log p(x).
    """
    linear = Linear()
    x = linear.distribution.sample((400,))
    exact = linear.distribution.log_prob(x)
    torch.testing.assert_close(importance_weighted(linear.model, x, samples, Noise(0)), exact)
    mean, error = mean_and_error(importance_weighted(implicit(linear), x, samples, Noise(0)) - exact)
    assert -3 * 0.5 * (1 / 64 + 1 / 63) - 4 * error < mean < 4 * error
    assert 0 < error < 0.03


def test_a_skewed_distribution_still_bounds_the_likelihood():
    """If it is not Gaussian, the weights are those of its moments: a bound that K draws tighten."""
    linear = Linear()
    x = linear.distribution.sample((400,))
    exact = linear.distribution.log_prob(x)
    gaps = []
    for samples in (1, 50, 2000):
        mean, error = mean_and_error(importance_weighted(implicit(linear, 0.7), x, samples, Noise(0)) - exact)
        assert mean < 4 * error
        gaps.append(-mean)
    assert gaps[0] > 2 * gaps[1] > 0
    assert abs(gaps[2]) < 0.01


def test_moments_of_a_row_do_not_depend_on_the_work_s_division():
    """Rows in one piece and in several, from wherever they start, have the same proposals."""
    linear = Linear()
    x = torch.randn(7, 5)
    whole = importance_weighted(implicit(linear), x, 3, Noise(0))
    torch.testing.assert_close(importance_weighted(implicit(linear), x, 3, Noise(0), chunk=6), whole)
    part = importance_weighted(implicit(linear), x[4:], 3, Noise(0).rows(4))
    torch.testing.assert_close(part, whole[4:])


def test_what_only_one_of_them_needs():
    """Importance weights need a random encoder, a simulation something that can be drawn from."""
    with pytest.raises(ConfigError, match="need a random encoder; got Dirac codes"):
        run_importance(model=part(encoder=DeterministicEncoder(nn.Linear(5, 3))))

    class Laplace(L1):
        likelihood = True

    with pytest.raises(ConfigError, match="cannot be simulated from Laplace"):
        bidirectional(part(cost=Laplace()), 2, Noise(0), 2)
    with pytest.raises(ConfigError, match="n must be at least 2, got 1"):
        bidirectional(part(), 1, Noise(0), 2)
