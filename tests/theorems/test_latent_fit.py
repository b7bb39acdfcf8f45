"""14.11, T16: what is said of codes is what was put into them."""

import math

import pytest
import torch

from pushforward.discrepancies import IMQ, MMD
from pushforward.distributions import Dirac, Gaussian, NormalPrior, SpherePrior, UniformPrior
from pushforward.errors import DataError
from pushforward.metrics.latent_fit import _slope, information_split, least_gaussian_plane, permutation_test
from pushforward.metrics.latent_fit import latent_fit as full_latent_fit
from pushforward.rng import Noise

NOISE = Noise("latent fit")


def latent_fit(codes, prior, **more):
    """With small two-sample tests, which cost the most."""
    return full_latent_fit(codes, prior, test_sizes=(100,), **more)


def codes_of(prior, n=2000, place="codes"):
    return prior(n).rsample(NOISE(place))


# --------------------------------------------------------------------------------- at home, away


@pytest.mark.parametrize("prior", [NormalPrior(3), NormalPrior(2, 2.0), UniformPrior(3), SpherePrior(4)])
def test_draws_of_the_prior_fit_it(prior):
    fit = latent_fit(codes_of(prior), prior)
    assert abs(fit.mmd) < 0.01
    assert all(test["p_value"] > 0.001 for test in fit.tests)
    assert fit.marginal_p > 0.001
    assert fit.radius == pytest.approx(fit.radius_prior, rel=0.05)
    assert fit.prior_coverage == pytest.approx(fit.prior_coverage_reference, abs=0.03)
    assert fit.least_gaussian < 20 * fit.least_gaussian_prior + 0.01
    assert fit.active_units == prior.latent_dim
    assert fit.inactive_units == ()


def test_radius_of_a_normal_distribution():
    """The norm of N(0, I_d) has mean √2 Γ((d+1)/2) / Γ(d/2), about √(d - ½)."""
    d = 16
    exact = math.sqrt(2) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    assert latent_fit(codes_of(NormalPrior(d)), NormalPrior(d)).radius == pytest.approx(exact, rel=0.01)
    assert exact == pytest.approx(math.sqrt(d - 0.5), rel=1e-3)


def test_a_shell_has_the_moments_and_not_the_radius():
    """Codes on the sphere of radius √d have mean 0 and covariance I; their radius gives them away."""
    d = 8
    prior = NormalPrior(d)
    shell = math.sqrt(d) * torch.nn.functional.normalize(codes_of(prior, 4000), dim=1)
    fit = latent_fit(shell, prior)
    assert fit.mean < 0.1
    assert fit.covariance < 0.12
    # Half of a chi distribution is on either side of its median: the distance of a point mass is about 1/2.
    assert fit.radius_distance == pytest.approx(0.5, abs=0.08)


def test_marginals_name_the_largest_gap():
    """Of N(1, 1) and N(0, 1) the Kolmogorov-Smirnov distance is 2Φ(½) - 1 = .3829, on whichever axis."""
    codes = codes_of(NormalPrior(5), 5000)
    codes[:, 3] += 1
    fit = latent_fit(codes, NormalPrior(5))
    assert fit.marginal == pytest.approx(0.3829, abs=0.03)
    assert fit.marginal_p < 1e-6
    assert fit.mean == pytest.approx(1, abs=0.08)


def test_holes():
    """A quarter of the plane without codes is a quarter of the prior's draws without one nearby."""
    prior = NormalPrior(2)
    codes = codes_of(prior, 8000)
    codes = codes[(codes > 0).sum(1) < 2][:4000]
    fit = latent_fit(codes, prior)
    assert fit.prior_coverage_reference - fit.prior_coverage == pytest.approx(0.25, abs=0.05)


def test_dead_dimensions():
    """A dimension whose centres do not vary is inactive, however much its draws do."""
    prior = NormalPrior(4)
    center = codes_of(prior)
    center[:, 2] *= 0.05
    distributions = Gaussian(center, torch.zeros_like(center))
    fit = latent_fit(distributions.rsample(NOISE), prior, distributions=distributions)
    assert fit.inactive_units == (2,)
    assert fit.active_units == 3
    scaled = latent_fit(0.05 * codes_of(UniformPrior(3)), UniformPrior(3))
    assert scaled.inactive_units == (0, 1, 2)


# ------------------------------------------------------------------------------- the worst plane


def test_least_gaussian_plane_finds_what_was_planted():
    """Variance 4 in one plane of eight dimensions: the plane is found, with (4 - 1)² twice."""
    d = 8
    rotation = torch.linalg.qr(NOISE("turn").normal(d, d)).Q
    codes = codes_of(NormalPrior(d), 20_000)
    codes[:, :2] *= 2
    axes, score = least_gaussian_plane(codes @ rotation.T, codes_of(NormalPrior(d), 20_000, "prior"), NOISE)
    planted = rotation[:, :2].double()
    assert torch.linalg.svdvals(axes.T @ planted).min() > 0.99
    assert score == pytest.approx(2 * 9, rel=0.06)
    torch.testing.assert_close(axes.T @ axes, torch.eye(2).double(), atol=1e-6, rtol=0)


def test_slope_of_a_plane_is_that_of_its_score():
    """The gradient by hand agrees with automatic differentiation through the QR decomposition."""
    root, shift = torch.randn(5, 5).double(), torch.randn(5).double()
    gap, free = root + root.T, torch.randn(3, 5, 2).double().requires_grad_()
    axes = torch.linalg.qr(free).Q
    score = (axes.mT @ gap @ axes).square().sum() + (axes.mT @ shift).square().sum()
    (wanted,) = torch.autograd.grad(score, free)
    torch.testing.assert_close(_slope(free.detach(), gap, shift), wanted)


def test_least_gaussian_plane_sees_a_mean():
    """A shift m along one axis scores |m|², with a covariance that agrees."""
    codes = codes_of(NormalPrior(6), 20_000)
    codes[:, 4] += 1.5
    axes, score = least_gaussian_plane(codes, codes_of(NormalPrior(6), 20_000, "prior"), NOISE)
    assert score == pytest.approx(1.5**2, rel=0.05)
    assert axes[4].norm() > 0.99


@pytest.mark.parametrize("d", [1, 2])
def test_least_gaussian_plane_in_few_dimensions(d):
    prior = NormalPrior(d)
    axes, score = least_gaussian_plane(2 * codes_of(prior, 20_000), codes_of(prior, 20_000, "prior"), NOISE)
    assert axes.shape == (d, d)
    assert score == pytest.approx(9 * d, rel=0.08)


# -------------------------------------------------------------------------- T16: what is in a KL


def test_kl_is_information_and_mismatch():
    """T16: X ~ N(0, s²), q = N(ex, τ²): KL = ½(v - 1 - log τ²) = ½(v - 1 - log v) + ½ log(v/τ²)."""
    s, e, tau2, n = 1.5, 0.8, 0.4, 5000
    x = s * NOISE("x").normal(n, 1)
    v = e**2 * s**2 + tau2
    distributions = Gaussian(e * x, torch.full((n, 1), math.log(tau2)))
    split = information_split(distributions, NormalPrior(1), NOISE)
    assert split["kl"] == pytest.approx(0.5 * (v - 1 - math.log(tau2)), abs=0.04)
    assert split["mutual_information"] == pytest.approx(0.5 * math.log(v / tau2), abs=0.03)
    assert split["marginal_kl"] == pytest.approx(0.5 * (v - 1 - math.log(v)), abs=0.04)
    assert split["kl"] == pytest.approx(split["mutual_information"] + split["marginal_kl"])


def test_information_is_at_most_log_n():
    """T16: with codes that do not overlap it is log N; with codes that are all alike it is 0."""
    apart = Gaussian(20 * torch.arange(200.0).view(-1, 1), torch.zeros(200, 1))
    split = information_split(apart, NormalPrior(1), NOISE)
    assert split["mutual_information"] == pytest.approx(math.log(200), abs=1e-7)
    assert "marginal_kl" not in split  # at its limit the information says nothing of the rest
    alike = Gaussian(torch.zeros(200, 3), torch.zeros(200, 3))
    split = information_split(alike, NormalPrior(3), NOISE)
    assert split["mutual_information"] == pytest.approx(0, abs=1e-9)
    assert split["kl"] == 0


def test_only_densities_have_a_split():
    """Codes without a density have no KL, and say nothing of it."""
    prior = NormalPrior(2)
    codes = codes_of(prior)
    assert latent_fit(codes, prior, distributions=Dirac(codes)).kl is None
    assert latent_fit(codes, prior, distributions=Gaussian(codes, torch.zeros_like(codes))).kl > 0
    uniform = UniformPrior(2)
    distributions = Gaussian(codes_of(uniform), torch.zeros(2000, 2))
    assert latent_fit(codes_of(uniform), uniform, distributions=distributions).kl is None


@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (5,)])
def test_bad_codes(shape):
    with pytest.raises(DataError, match=r"codes must have shape \(N, 2\) with N of at least 2, got"):
        latent_fit(torch.zeros(shape), NormalPrior(2))


def test_two_sample_test_needs_two_rows():
    with pytest.raises(DataError, match="two samples of one size, at least 2, are needed, got 1 and 1 rows"):
        permutation_test(MMD(IMQ(4.0)), torch.zeros(1, 2), torch.zeros(1, 2), NOISE)
