"""T39: doubling the batch changes no loss in expectation (a loss summed over the batch would double)."""

import checks
import pytest
import torch
from torch import nn

from pushforward import (
    IMQ,
    KL,
    L1,
    L2,
    MMD,
    VAE,
    WAE,
    Bernoulli,
    GaussianKernel,
    GaussianLikelihood,
    JensenShannon,
    SquaredError,
)
from pushforward.distributions import DeterministicEncoder, Gaussian, GaussianEncoder, NormalPrior
from pushforward.rng import Noise
from pushforward.square import Square

COSTS = [SquaredError(), L1(), L2(), Bernoulli(), GaussianLikelihood(), GaussianLikelihood(0.5, learnt=True)]
KERNELS = [IMQ(4.0), GaussianKernel([1.0, 2.0])]


@pytest.mark.parametrize("cost", COSTS, ids=repr)
def test_costs(cost):
    """T39: a cost of the same rows twice is the same cost."""
    checks.averages_over_the_batch(cost)


def test_kl():
    """T39: so is the KL."""
    q, p = Gaussian(torch.randn(5, 3), torch.randn(5, 3)), NormalPrior(3)
    twice = Gaussian(q.center.repeat(2, 1), q.log_var.repeat(2, 1))
    torch.testing.assert_close(KL()(twice, p(10)), KL()(q, p(5)))


@pytest.mark.parametrize("non_saturating", [True, False])
def test_adversarial_discrepancies(non_saturating):
    """T39: so are both objectives of an adversarial discrepancy."""
    discrepancy = JensenShannon(nn.Linear(3, 1), non_saturating)
    q, p = torch.randn(5, 3), torch.randn(7, 3)
    torch.testing.assert_close(discrepancy(q.repeat(2, 1), p.repeat(2, 1)), discrepancy(q, p))
    torch.testing.assert_close(
        discrepancy.critic_objective(q.repeat(2, 1), p.repeat(2, 1)), discrepancy.critic_objective(q, p)
    )


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_u_statistic(kernel):
    """T39: U has one expectation at every size, here over all samples of sizes 2 and 3."""
    sizes = [
        checks.mean_over_all_samples(MMD(kernel), n, checks.ONE_SUPPORT, checks.OTHER_SUPPORT) for n in (2, 3)
    ]
    assert sizes[0] == pytest.approx(sizes[1], abs=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_v_statistic_is_the_exception(kernel):
    """T39: V exceeds U's expectation by Σ (k(0) - E k)/n: the one loss that falls with the batch, as 1/n."""
    truth = checks.exact_mmd(kernel, checks.ONE_SUPPORT, checks.OTHER_SUPPORT)
    excess = [
        n
        * (
            checks.mean_over_all_samples(MMD(kernel, "v"), n, checks.ONE_SUPPORT, checks.OTHER_SUPPORT)
            - truth
        )
        for n in (2, 3)
    ]
    assert excess[0] == pytest.approx(excess[1], abs=1e-12)
    assert excess[0] > 0


def whole_models():
    prior, features = NormalPrior(2), 6
    decoder, gaussian = nn.Linear(2, features), GaussianEncoder(nn.Linear(features, 4))
    encoder = DeterministicEncoder(nn.Linear(features, 2))
    return {
        "WAE-MMD": WAE(prior, decoder, encoder, MMD(IMQ(prior.expected_sq_distance)), weight=5.0),
        "WAE-GAN": WAE(prior, decoder, encoder, JensenShannon(nn.Linear(2, 1)), weight=5.0),
        "VAE": VAE(prior, decoder, gaussian, Bernoulli()),
    }


@pytest.mark.parametrize("name", whole_models())
def test_models(name):
    """T39: every term of every player has one mean at 20 rows and at 40, within 4 standard errors."""
    torch.manual_seed(3)
    model = whole_models()[name]
    data = torch.rand(4000, 6)
    for player in model.players():
        values = {}
        for n in (20, 40):
            terms = []
            for i in range(200):
                x = data[torch.randint(4000, (n,))]
                with torch.no_grad():
                    terms.append(torch.stack(list(player.loss(Square(model, x, Noise(n, i))).values())))
            values[n] = torch.stack(terms)
        error = sum(v.var(0) / len(v) for v in values.values()).sqrt()
        assert ((values[20].mean(0) - values[40].mean(0)).abs() < 4 * error).all()
