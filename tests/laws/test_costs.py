"""What every cost owes. To join: one line in ``FAMILY``."""

import pytest
import torch
from torch.nn.functional import logsigmoid

from pushforward import L1, L2, AutoEncoder, Bernoulli, GaussianLikelihood, SquaredError
from pushforward.distributions import DeterministicEncoder, NormalPrior
from pushforward.errors import ConfigError
from pushforward.models import decode_as
from pushforward.networks.conditional import Conditional
from pushforward.rng import Noise

# name: how it is made, and the power by which it grows with the number of features
FAMILY = {
    "SquaredError": (SquaredError, 1.0),
    "L1": (L1, 1.0),
    "L2": (L2, 0.5),
    "Bernoulli": (Bernoulli, 1.0),
    "GaussianLikelihood": (GaussianLikelihood, 1.0),
    "GaussianLikelihood .1": (lambda: GaussianLikelihood(0.1), 1.0),
    "GaussianLikelihood learnt": (lambda: GaussianLikelihood(0.5, learnt=True), 1.0),
}
everyone = pytest.mark.parametrize(("make", "power"), FAMILY.values(), ids=FAMILY)
pytestmark = pytest.mark.usefixtures("float64")


def batch(n=7, shape=(2, 3)):
    """What a decoder made, and data in [0, 1]."""
    return torch.randn(n, *shape), 0.1 + 0.8 * torch.rand(n, *shape)


def as_made(cost, given):
    """The decoder's output that stands for the given data."""
    return given.logit() if cost.logits else given


@everyone
def test_rows(make, power):
    """One value for each row, which depends on no other row; the cost is their mean."""
    cost = make()
    made, given = batch()
    rows = cost.rows(made, given)
    assert rows.shape == (7,)
    torch.testing.assert_close(cost(made, given), rows.sum() / 7)
    for i in range(7):
        torch.testing.assert_close(cost.rows(made[i : i + 1], given[i : i + 1])[0], rows[i])


@everyone
def test_sum_over_features(make, power):
    """Twice the features, the same again, cost twice (a norm √2 times)."""
    cost = make()
    made, given = batch()
    twice = cost.rows(torch.cat([made, made], 1), torch.cat([given, given], 1))
    torch.testing.assert_close(twice, 2**power * cost.rows(made, given), rtol=1e-6, atol=0)


@everyone
def test_mean_over_the_batch(make, power):
    """Twice the rows, the same again, cost the same."""
    cost = make()
    made, given = batch()
    torch.testing.assert_close(cost(made.repeat(3, 1, 1), given.repeat(3, 1, 1)), cost(made, given))


@everyone
def test_shape(make, power):
    """Vectors, images and sequences of the same numbers cost the same."""
    cost = make()
    made, given = batch(5, (2, 3, 4))
    for shape in ((24,), (6, 4), (1, 4, 6)):
        torch.testing.assert_close(cost(made.reshape(5, *shape), given.reshape(5, *shape)), cost(made, given))


@everyone
def test_least_where_made_is_given(make, power):
    """Nothing is cheaper than the given data themselves."""
    cost = make()
    _, given = batch()
    best = cost.rows(as_made(cost, given), given)
    for scale in (1e-3, 0.1, 1.0):
        other = as_made(cost, given) + scale * torch.randn_like(given)
        assert (cost.rows(other, given) > best).all()
    torch.testing.assert_close(cost.point(as_made(cost, given)), given)


@pytest.mark.parametrize(("make", "least"), [(SquaredError, 0.0), (L1, 0.0), (L2, 1e-4)])
def test_zero(make, least):
    """Errors are 0 at the data (L2 is 1e-4 there, so that its slope is finite), and that slope is finite."""
    _, given = batch()
    made = given.clone().requires_grad_()
    cost = make()(made, given)
    assert cost.item() == pytest.approx(least, abs=1e-15)
    (slope,) = torch.autograd.grad(cost, made)
    assert (slope == 0).all()


@everyone
def test_gradient_is_the_derivative(make, power):
    """The gradient agrees with finite differences, by the made data and by the cost's own parameters."""
    cost = make()
    made, given = batch(3)
    made.requires_grad_()

    def value(made, *parameters):
        return torch.func.functional_call(cost, dict(zip(names, parameters, strict=True)), (made, given))

    names = [name for name, _ in cost.named_parameters()]
    assert torch.autograd.gradcheck(value, (made, *cost.parameters()))


@everyone
def test_gradient_by_row_does_not_depend_on_the_other_rows(make, power):
    """The slope at a row is its own divided by n."""
    cost = make()
    made, given = batch()
    made.requires_grad_()
    (slope,) = torch.autograd.grad(cost(made, given), made)
    (own,) = torch.autograd.grad(cost(made[:1], given[:1]), made)
    torch.testing.assert_close(slope[0], own[0] / 7)


@everyone
def test_float32(make, power):
    """Single precision gives the same value to six digits."""
    made, given = batch(50)
    torch.testing.assert_close(
        make().float()(made.float(), given.float()).double(), make()(made, given), rtol=1e-5, atol=0
    )


@everyone
def test_inputs_are_left_alone(make, power):
    """Neither side is changed."""
    made, given = batch()
    copies = made.clone(), given.clone()
    make()(made, given)
    assert torch.equal(made, copies[0])
    assert torch.equal(given, copies[1])


def test_formulas():
    """Each cost is its formula, written out."""
    made, given = batch(4)
    wrong = made - given
    expected = {
        SquaredError: (wrong**2).sum((1, 2)),
        L1: wrong.abs().sum((1, 2)),
        L2: ((wrong**2).sum((1, 2)) + 1e-8) ** 0.5,
        Bernoulli: -(given * logsigmoid(made) + (1 - given) * logsigmoid(-made)).sum((1, 2)),
    }
    for make, rows in expected.items():
        torch.testing.assert_close(make().rows(made, given), rows)


@pytest.mark.parametrize("guidance_scale", [0.0, 0.4, 1.0, 3.0])
def test_what_leans_away_is_the_normalised_product_of_powers(guidance_scale):
    """Up to a constant, log p_s = s log p + (1 - s) log p̃, p the likelihood of any data x."""
    cost = Bernoulli()
    made, away = batch()[0], batch()[0]
    distributions = (cost.guided(made, away, guidance_scale), made, away)
    none, all_ = (
        [-cost.rows(distribution, x) for distribution in distributions]
        for x in (torch.zeros_like(made), torch.ones_like(made))
    )
    rises = [b - a for a, b in zip(none, all_, strict=True)]
    torch.testing.assert_close(rises[0], guidance_scale * rises[1] + (1 - guidance_scale) * rises[2])


def test_samples_of_a_linear_gaussian_model_have_its_covariance():
    """Of x = W z + s ε the covariance is W Wᵀ + s² I; that of decoded codes alone lacks the s²."""
    decoder = torch.nn.Linear(2, 3, bias=False)
    model = AutoEncoder(
        NormalPrior(2), decoder, DeterministicEncoder(torch.nn.Linear(3, 2)),
        cost=GaussianLikelihood(0.5, learnt=True),
    )  # fmt: skip
    with torch.no_grad():
        samples = model.sample(40_000, Noise(0))
        wanted = decoder.weight @ decoder.weight.T + 0.25 * torch.eye(3)
    assert torch.allclose(samples.T.cov(), wanted, atol=0.02)
    assert torch.equal(model.sample(10, Noise(1)), model.sample(20, Noise(1))[:10])
    for unchanged in (GaussianLikelihood(0.5), SquaredError()):
        assert torch.equal(unchanged.sample(samples, Noise(0)), samples)
    images = samples.reshape(-1, 1, 3, 1)
    assert torch.equal(model.cost.sample(images, Noise(0)), images)


def test_what_would_leave_the_range_of_data_is_refused():
    """Guided outputs exist for costs that define them; other costs are refused by name."""
    decoder = Conditional(torch.nn.Linear(2 + 2, 3), 2)
    made, y = torch.randn(7, 2), torch.zeros(7).long()
    for cost in (SquaredError(), L1(), L2(), GaussianLikelihood()):
        model = AutoEncoder(NormalPrior(2), decoder, DeterministicEncoder(torch.nn.Identity()), cost)
        with pytest.raises(
            ConfigError, match=f"guidance_scale must be 1 with the cost {type(cost).__name__}"
        ):
            decode_as(model, made, y, 1 - y, 2.0)
        assert decode_as(model, made, y, 1 - y).shape == (7, 3)


@pytest.mark.parametrize("std", [0.0101, 0.5, 2.0, 710.0, 1e30])
def test_a_learnt_deviation_begins_where_it_was_set(std):
    """Its softplus is inverted, for which e^std is not needed."""
    assert GaussianLikelihood(std, learnt=True).std.item() == pytest.approx(std)
