"""The MMD from a normal prior itself: closed forms, and the mean over draws of the prior."""

import pytest
import torch
from closed_forms import gaussian_kernel, imq_kernel

from pushforward import IMQ, MMD, GaussianKernel
from pushforward.discrepancies import ExactPriorMMD, Radial
from pushforward.distributions import NormalPrior, UniformPrior
from pushforward.errors import ConfigError

pytestmark = pytest.mark.usefixtures("float64")

TEN = tuple(c / 2 for c in (0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 0.8, 1.0, 2.0))
KERNELS = [IMQ(16.0), IMQ(16.0, [1.0]), IMQ(16.0, TEN), GaussianKernel([1.5, 4.0])]
every_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=repr)


@every_kernel
def test_kernels_are_mixtures_of_gaussians(kernel):
    """The sum of Gaussian kernels is the kernel, at any distance, within 3e-8 of each scale."""
    weights, rates = (torch.tensor(values) for values in kernel.gaussians())
    squares = torch.cat([torch.zeros(1), torch.logspace(-6, 4, 41)])
    mixture = (-squares[:, None] * rates).exp() @ weights
    torch.testing.assert_close(mixture, kernel(squares), rtol=0, atol=3e-8 * kernel.peak)


def test_sixty_nodes_are_enough():
    """The expectations of the seven scales are those of a grid eight times as fine, within 1e-6."""
    weights, rates = (torch.tensor(values) for values in IMQ(16.0).gaussians())
    fine = torch.linspace(rates.log()[0], rates.log()[-1], 8 * len(rates)).exp()
    step = (fine[1] / fine[0]).log()
    density = sum(s * 16 * fine * (-fine * s * 16).exp() for s in IMQ(16.0).scales)
    for variance in (1.0, 2.0):
        coarse_sum = (weights * (1 + 2 * rates * variance) ** -4).sum()
        fine_sum = (step * density * (1 + 2 * fine * variance) ** -4).sum()
        torch.testing.assert_close(coarse_sum, fine_sum, rtol=0, atol=1e-6)


@pytest.mark.parametrize("std", [1.0, 2.0])
@pytest.mark.parametrize("d", [1, 8, 64])
def test_mean_embedding(d, std):
    """E k(z, p) over p ~ N(0, σ² I) is the closed form, of each kernel and at any radius of z."""
    C, h = 2.0 * d * std**2, d**0.5
    for radius in (0.0, 1.0, 3.0, 20.0):
        z = torch.zeros(1, d)
        z[0, 0] = radius
        for kernel, exact in (
            (IMQ(C), sum(imq_kernel(d, s * C, radius**2, std**2) for s in IMQ(C).scales)),
            (GaussianKernel([h]), gaussian_kernel(d, h, radius**2, std**2)),
        ):
            found = ExactPriorMMD(kernel, NormalPrior(d, std)).embedding(z)
            assert found.item() == pytest.approx(exact, abs=3e-7)


@every_kernel
@pytest.mark.parametrize("estimator", ["u", "v"])
def test_it_is_the_mean_over_draws_of_the_prior(kernel, estimator):
    """With codes fixed, MMD² to draws of the prior averages to it, and scatters more than it does not."""
    prior = NormalPrior(3, 1.3)
    q = 0.5 + 0.8 * torch.randn(40, 3)
    exact = ExactPriorMMD(kernel, prior, estimator)(q, q)
    to_draws = torch.stack([MMD(kernel)(q, 1.3 * torch.randn(200, 3)) for _ in range(300)])
    if estimator == "v":  # the two estimators differ by the made sample's own pairs alone
        to_draws += MMD(kernel, "v").within(q) - MMD(kernel).within(q)
    assert abs(to_draws.mean() - exact) < 4 * to_draws.std() / 300**0.5 + 1e-6


def test_its_variance_is_smaller():
    """Of two samples of the prior its deviation is a half to two thirds of that of the MMD to draws."""
    exact, drawn = ExactPriorMMD(IMQ(16.0), NormalPrior(8)), MMD(IMQ(16.0))
    pairs = [(torch.randn(100, 8), torch.randn(100, 8)) for _ in range(400)]
    deviations = [torch.stack([mmd(q, p) for q, p in pairs]).std().item() for mmd in (exact, drawn)]
    assert 0.4 < deviations[0] / deviations[1] < 0.6  # of uncorrelated pairs: (1 / n²) / (4 / n²), its root
    means = torch.stack([exact(q, p) for q, p in pairs])
    assert abs(means.mean()) < 4 * means.std() / 20  # unbiased


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_value_of_another_normal_distribution(shift):
    """Codes from N(shift, 0.5 I): the closed form of MMD² to N(0, I)."""
    d, h = 2, 1.5
    exact = (
        gaussian_kernel(d, h, 0, 1.0)
        + gaussian_kernel(d, h, 0, 2.0)
        - 2 * gaussian_kernel(d, h, d * shift**2, 1.5)
    )
    mmd = ExactPriorMMD(GaussianKernel([h]), NormalPrior(d))
    values = torch.stack([mmd(shift + 0.5**0.5 * torch.randn(100, d), torch.zeros(1, d)) for _ in range(200)])
    assert abs(values.mean() - exact) < 4 * values.std() / 200**0.5


@pytest.mark.parametrize("fast", [True, False])
@every_kernel
def test_gradient_is_the_derivative_of_it(kernel, fast):
    """The gradient agrees with finite differences; without ``fast`` the second derivative does, too."""
    mmd = ExactPriorMMD(kernel, NormalPrior(3), fast=fast)
    q = torch.randn(5, 3, requires_grad=True)
    assert torch.autograd.gradcheck(lambda q: mmd(q, q.detach()), q)
    if not fast:
        assert torch.autograd.gradgradcheck(lambda q: mmd(q, q.detach()), q)


def test_float32_is_exact_to_rounding():
    """In float32, and of codes far from the prior, value and gradient are those of float64."""
    mmd = ExactPriorMMD(IMQ(16.0), NormalPrior(8))
    for offset in (0.0, 0.3, 30.0):
        results = []
        for dtype in (torch.float32, torch.float64):
            q = (torch.randn(100, 8, generator=torch.Generator().manual_seed(0)) + offset).float().to(dtype)
            q.requires_grad_()
            value = mmd(q, q.detach())
            results.append((value.detach().double(), torch.autograd.grad(value, q)[0].double()))
        torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-8)


def test_what_it_cannot_integrate_is_refused():
    """A prior that is not normal, a kernel that is no mixture of Gaussian ones, and rows of another width."""

    class Laplace(Radial):
        peak = 1.0

        def forward(self, squares):
            return (-squares.sqrt()).exp()

        def value_and_slope(self, squares, memory, with_slope=True):
            raise NotImplementedError

    with pytest.raises(ConfigError, match="needs a normal prior, got UniformPrior; for this prior use"):
        ExactPriorMMD(IMQ(4.0), UniformPrior(2))
    with pytest.raises(ConfigError, match="Laplace has no known form as a sum of Gaussian kernels"):
        ExactPriorMMD(Laplace(), NormalPrior(2))
    with pytest.raises(ConfigError, match="the prior has 2 dimensions, got rows of 3"):
        ExactPriorMMD(IMQ(4.0), NormalPrior(2))(torch.zeros(4, 3), torch.zeros(4, 3))
    with pytest.raises(ConfigError, match="needs at least 2 samples in a batch, got 1"):
        ExactPriorMMD(IMQ(4.0), NormalPrior(2))(torch.zeros(1, 2), torch.zeros(1, 2))
