"""Priors: their spread, their classes, and where they live."""

import math

import pytest
import torch
from scipy.stats import kstest

from pushforward.distributions import (
    MixturePrior,
    NormalPrior,
    OneHotPrior,
    ProductPrior,
    SpherePrior,
    SwissRollPrior,
    UniformPrior,
    petals,
)
from pushforward.errors import ConfigError
from pushforward.rng import Noise

MANY = 100_000
MEANS = torch.tensor([[0.0, 3.0], [-2.0, 0.5], [5.0, -1.0]])
FACTORS = torch.tensor([[[1.0, 0.0], [0.8, 0.3]], [[0.2, 0.0], [0.0, 2.0]], [[0.5, 0.5], [-0.5, 0.5]]])
WEIGHTS = torch.tensor([1.0, 5.0, 2.0])


def mixture():
    return MixturePrior(MEANS, FACTORS, WEIGHTS)


def product():
    return ProductPrior({"y": OneHotPrior(4), "z": NormalPrior(3, 2.0)})


PRIORS = {
    "normal": lambda: NormalPrior(3, 2.0),
    "uniform": lambda: UniformPrior(3, 2.0),
    "sphere": lambda: SpherePrior(3, 2.0),
    "one-hot": lambda: OneHotPrior(7),
    "mixture": mixture,
    "petals": petals,
    "three petals": lambda: petals(3, 2.0, 0.7, 0.3),
    "swiss roll": SwissRollPrior,
    "thick roll": lambda: SwissRollPrior(4, 0.8),
    "product": product,
    "product of mixtures": lambda: ProductPrior({"a": mixture(), "b": SpherePrior(2), "c": petals()}),
}
everyone = pytest.mark.parametrize("make", PRIORS.values(), ids=PRIORS)
WITH_CLASSES = ["one-hot", "mixture", "petals", "three petals", "swiss roll", "thick roll", "product"]
with_classes = pytest.mark.parametrize("make", [PRIORS[name] for name in WITH_CLASSES], ids=WITH_CLASSES)


def near(values, expected):
    """Whether means of independent rows are what they should be, within 4 standard errors."""
    error = values.std(0) / len(values) ** 0.5
    assert ((values.mean(0) - expected).abs() < 4 * error + 1e-6).all()


def drawn(prior, n=MANY, y=None, seed=0):
    return prior(n, y).rsample(Noise(seed)).double()


@everyone
def test_spread(make):
    """``expected_sq_distance`` is E|z - z'|² of two draws, whatever the weights of the components."""
    prior = make()
    near((drawn(prior, seed=1) - drawn(prior, seed=2)).square().sum(1), prior.expected_sq_distance)


@everyone
def test_draws_are_functions_of_their_row(make):
    """Rows drawn in parts, with or without classes, are the rows drawn at once."""
    prior = make()
    y = torch.arange(600) % (prior.classes or 1)
    y[::3] = -1
    for labels in (None, y):
        whole = prior(600, labels).rsample(Noise(4))
        assert whole.shape == (600, prior.latent_dim)
        for start, stop in ((0, 100), (100, 411), (411, 600)):
            some = None if labels is None else labels[start:stop]
            part = prior(stop - start, some).rsample(Noise(4).rows(start))
            assert torch.equal(part, whole[start:stop])


@with_classes
def test_unknown_classes_come_from_the_whole(make):
    """-1 is "any": such rows are those that are drawn without labels; others do not depend on them."""
    prior = make()
    whole = drawn(prior, 300)
    assert torch.equal(drawn(prior, 300, torch.full((300,), -1)), whole)
    y = torch.full((300,), -1)
    y[100:] = 1
    some = drawn(prior, 300, y)
    assert torch.equal(some[:100], whole[:100])
    assert torch.equal(some[100:], drawn(prior, 300, torch.ones(300).long())[100:])
    assert not torch.equal(some[100:], whole[100:])


@with_classes
def test_classes_that_there_are_not(make):
    """A class beyond the last, or labels of another number of rows, are refused."""
    prior = make()
    y = torch.zeros(5).long()
    for wrong in (torch.full((5,), prior.classes), y[:4]):
        with pytest.raises(ConfigError, match=f"y must be 5 classes below {prior.classes}, got"):
            prior(5, wrong).rsample(Noise(0))
    assert prior(5, y + prior.classes - 1).rsample(Noise(0)).isfinite().all()


# ------------------------------------------------------------------------------------ mixtures


@pytest.mark.parametrize("k", range(3))
def test_components_of_a_mixture(k):
    """Draws of class k have the mean and covariance of component k."""
    z = drawn(mixture(), y=torch.full((MANY,), k))
    near(z, MEANS[k].double())
    away = z - MEANS[k]
    near((away.unsqueeze(2) * away.unsqueeze(1)).flatten(1), (FACTORS[k] @ FACTORS[k].T).double().flatten())


def test_shares_of_a_mixture():
    """Draws of no class have the mixture's own mean and second moments: each component has its share."""
    z = drawn(mixture())
    shares = (WEIGHTS / WEIGHTS.sum()).double()
    near(z, shares @ MEANS.double())
    second = FACTORS @ FACTORS.mT + MEANS.unsqueeze(2) * MEANS.unsqueeze(1)
    near(
        (z.unsqueeze(2) * z.unsqueeze(1)).flatten(1),
        torch.einsum("k,kij->ij", shares, second.double()).flatten(),
    )


def test_a_component_without_weight_never_comes():
    """A share of 0 is none."""
    prior = MixturePrior(torch.tensor([[9.0], [0.0], [9.0]]), torch.zeros(3, 1, 1), torch.tensor([0.0, 1, 0]))
    assert (drawn(prior, 5000) == 0).all()


@pytest.mark.parametrize("components", [1, 3, 10])
def test_petals(components):
    """Petal k lies 1.4 away along its ray, 0.5 long along it and 0.05 wide across it."""
    for k in range(components):
        angle = 2 * math.pi * k / components
        ray = torch.tensor([math.cos(angle), math.sin(angle)]).double()
        across = torch.tensor([-math.sin(angle), math.cos(angle)]).double()
        z = drawn(petals(components), 20_000, torch.full((20_000,), k))
        near(z @ ray, 1.4)
        near(z @ across, 0.0)
        near((z @ ray - 1.4).square(), 0.25)
        near((z @ across).square(), 0.0025)


# ------------------------------------------------------------------------------------ the roll


@pytest.mark.parametrize("classes", [1, 10])
def test_classes_of_the_roll(classes):
    """Class k lies on its stretch: radius 3t and angle 4πt with t² uniform in [k/K, (k + 1)/K)."""
    for k in range(classes):
        z = drawn(SwissRollPrior(classes, thickness=0.0), 5000, torch.full((5000,), k))
        t = z.norm(dim=1) / 3
        angle = 4 * math.pi * t
        torch.testing.assert_close(
            z, 3 * t.unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], 1), atol=1e-4, rtol=0
        )
        place = t.square() * classes - k
        assert place.min() > -1e-4
        assert place.max() < 1 + 1e-4
        assert kstest(place.numpy(), "uniform").pvalue > 1e-3


def test_thickness_of_the_roll():
    """Around the roll there is normal noise of the stated deviation in both directions."""
    thin, thick = (drawn(SwissRollPrior(5, thickness)) for thickness in (0.0, 0.3))
    noise = (thick - thin) / 0.3
    assert kstest(noise[:20_000].flatten().numpy(), "norm").pvalue > 1e-3
    assert noise.T.corrcoef()[0, 1].abs() < 4 / MANY**0.5


# --------------------------------------------------------------------------- one-hot and products


def test_one_hot_draws():
    """Each of K classes is as likely, and draws are one-hot rows of the class that is asked for."""
    z = drawn(OneHotPrior(5))
    assert torch.equal(z.sort(dim=1).values, torch.eye(5).double()[-1].expand(MANY, 5))
    near(z, torch.full((5,), 0.2).double())
    y = torch.randint(0, 5, (100,))
    assert torch.equal(drawn(OneHotPrior(5), 100, y).argmax(1), y)


def test_codes_of_classes_lie_on_the_simplex():
    """Encoders of classes end with a softmax: rows are the class probabilities."""
    prior = OneHotPrior(5)
    logits = 5 * torch.randn(40, 5)
    codes = prior.to_support(logits)
    torch.testing.assert_close(codes.sum(1), torch.ones(40))
    assert (codes >= 0).all()
    torch.testing.assert_close(codes.log() - codes.log()[:, :1], logits - logits[:, :1], atol=1e-4, rtol=1e-4)
    assert torch.equal(prior.class_probabilities(codes), codes)


def test_blocks_of_a_product():
    """Each block is drawn from its own distribution, mapped by its own map, and independent of the others."""
    prior = product()
    z = drawn(prior)
    y, style = prior.split(z).values()
    assert (y.shape[1], style.shape[1], prior.latent_dim) == (4, 3, 7)
    near(y, torch.full((4,), 0.25).double())
    assert kstest(style[:20_000].flatten().numpy() / 2, "norm").pvalue > 1e-3
    across = torch.cat([y[:, :3], style], 1).T.corrcoef()[:3, 3:]
    assert across.abs().max() < 4 / MANY**0.5
    logits = torch.randn(30, 7)
    torch.testing.assert_close(prior.to_support(logits)[:, :4], logits[:, :4].softmax(1))
    assert torch.equal(prior.to_support(logits)[:, 4:], logits[:, 4:])


def test_blocks_of_one_distribution_are_independent():
    """Two blocks of the same kind draw from streams of their own."""
    z = drawn(ProductPrior({"a": NormalPrior(2), "b": NormalPrior(2)}))
    assert z.T.corrcoef()[:2, 2:].abs().max() < 4 / MANY**0.5


def test_styles_do_not_depend_on_the_class():
    """Asked for another class, a product draws the same style."""
    prior = product()
    one, other = (drawn(prior, 50, torch.full((50,), k)) for k in (0, 3))
    assert torch.equal(one[:, 4:], other[:, 4:])
    assert (one[:, 0] == 1).all()
    assert (other[:, 3] == 1).all()


def test_classes_of_a_product_are_those_of_one_block():
    """The first block that has classes is asked for them; others are drawn whole."""
    prior = ProductPrior({"z": NormalPrior(1), "y": OneHotPrior(12), "plane": petals(10)})
    assert prior.classes == 12
    y = torch.arange(12).repeat(200)
    z = prior.split(drawn(prior, 2400, y))
    assert torch.equal(z["y"].argmax(1), y)
    assert torch.equal(z["plane"], prior.split(drawn(prior, 2400))["plane"])


def test_class_probabilities_are_those_of_the_block_of_classes():
    """The probabilities of classes are read off their block; distributions without classes hold none."""
    codes = torch.rand(6, 7)
    assert torch.equal(product().class_probabilities(codes), codes[:, :4])
    assert ProductPrior({"a": NormalPrior(3), "b": NormalPrior(4)}).class_probabilities(codes) is None
    for prior in (NormalPrior(2), petals(), SwissRollPrior()):
        assert prior.class_probabilities(torch.rand(3, 2)) is None


@pytest.mark.parametrize("classes", [1, 0, -2, 2.5])
def test_one_hot_of_too_few(classes):
    """A choice needs two classes."""
    with pytest.raises(ConfigError, match="classes"):
        OneHotPrior(classes)


def test_a_roll_by_name_is_a_roll():
    """The noise around the swiss roll that recipes take is far below the distance of its windings."""
    from pushforward.distributions.named import PRIORS

    roll = PRIORS["swiss-roll"](2, 1.0)
    t = torch.linspace(0, 1, 2000).sqrt()
    line = 3 * t * torch.stack([(4 * math.pi * t).cos(), (4 * math.pi * t).sin()])
    away = torch.cdist(drawn(roll, 2000).float(), line.T).min(1).values
    assert away.mean() < 0.15
