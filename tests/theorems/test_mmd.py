"""T18 to T22: the maximum mean discrepancy against expectations, enumerations and itself."""

import math

import checks
import pytest
import torch
from closed_forms import (
    DISTRIBUTIONS,
    SEVEN,
    centred_square,
    gaussian_kernel,
    imq_kernel,
    mmd_squared,
    null_deviation,
    seven_imq,
)
from scipy.special import exp1
from torch.utils._python_dispatch import TorchDispatchMode

import pushforward.models.weight as weight
from pushforward import IMQ, MMD, GaussianKernel
from pushforward.discrepancies import ExactPriorMMD, Polynomial, pair_sums
from pushforward.discrepancies.kernel import constants
from pushforward.distributions import NormalPrior

pytestmark = pytest.mark.usefixtures("float64")


def repeated(mmd, make, times):
    """The mean of a statistic over independent pairs of samples, and its standard error."""
    values = torch.tensor([mmd(*make()).item() for _ in range(times)])
    return values.mean().item(), values.std().item() / times**0.5


# ---------------------------------------------------------------------- T18, T19: expectations


@pytest.mark.parametrize(
    ("d", "h", "distance2", "variance"), [(1, 1.0, 0, 2.0), (3, 2.0, 4.0, 1.5), (8, 3.0, 1.0, 2.0)]
)
def test_expected_gaussian_kernel(d, h, distance2, variance):
    """T18: E k = (h²/(h²+v))^{d/2} exp(-|m|²/2(h²+v)) for the library's kernel and the distribution of r²."""
    found = checks.expected_kernel(GaussianKernel([h]), d, distance2, variance)
    assert found == pytest.approx(gaussian_kernel(d, h, distance2, variance), abs=1e-8)


@pytest.mark.parametrize("estimator", ["u", "v"])
def test_mmd_of_two_gaussians(estimator):
    """T18: U averages to the closed form; V to the closed form plus (k(0) - E k)/n for each sample."""
    d, h, n, m, shift = 2, 1.5, 60, 90, 0.6
    s1, s2 = 0.5, 1.2

    def k(distance2, v):
        return gaussian_kernel(d, h, distance2, v)

    exact = k(0, 2 * s1) + k(0, 2 * s2) - 2 * k(d * shift**2, s1 + s2)
    if estimator == "v":
        exact += (1 - k(0, 2 * s1)) / n + (1 - k(0, 2 * s2)) / m
    mmd = MMD(GaussianKernel([h]), estimator)
    mean, error = repeated(
        mmd, lambda: (shift + s1**0.5 * torch.randn(n, d), s2**0.5 * torch.randn(m, d)), times=300
    )
    assert abs(mean - exact) < 4 * error
    assert error < 0.02 * exact


@pytest.mark.parametrize("s", SEVEN)
def test_expected_imq_kernel_in_the_plane(s):
    """T19: d = 2, C = 4s, two draws of the prior: E k = s e^s E1(s), by the library's kernel."""
    closed = s * math.exp(s) * exp1(s)
    assert imq_kernel(2, 4 * s, 0, 2) == pytest.approx(closed, abs=1e-9)
    assert checks.expected_kernel(IMQ(4.0, [s]), 2, 0, 2) == pytest.approx(closed, abs=1e-8)


def test_printed_values_of_the_imq_kernel():
    """T19: .596347 at s = 1, and 4.048338 summed over the seven scales."""
    assert checks.expected_kernel(IMQ(4.0, [1.0]), 2, 0, 2) == pytest.approx(0.596347, abs=5e-7)
    assert checks.expected_kernel(IMQ(4.0), 2, 0, 2) == pytest.approx(4.048338, abs=5e-7)


@pytest.mark.parametrize(
    ("d", "distance2", "variance"), [(1, 4.0, 1.0), (8, 0, 2.0), (8, 9.0, 3.0), (64, 64.0, 2.0)]
)
def test_expected_imq_kernel(d, distance2, variance):
    """T19: E k = ∫ e^{-t} (1+2tv/C)^{-d/2} exp(-t|m|²/(C+2tv)) dt."""
    found = checks.expected_kernel(IMQ(2.0 * d, [0.5]), d, distance2, variance)
    assert found == pytest.approx(imq_kernel(d, float(d), distance2, variance), abs=1e-8)


# --------------------------------------------------------------------- T20: the table of MMD²


@pytest.mark.parametrize("d", [2, 8, 64])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_table_of_mmd(distribution, d):
    """T20: the table of seven-scale MMD² to N(0, I_d), from the integral of T19."""
    variance, squared, printed = DISTRIBUTIONS[distribution]
    value = mmd_squared(lambda away2, v: seven_imq(d, away2, v), variance, squared * d)
    assert value == pytest.approx(printed[d], abs=1.5e-6)


@pytest.mark.parametrize("d", [2, 8, 64])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_table_of_mmd_by_the_library_s_kernel(distribution, d):
    """T20: the same table from the library's kernel of E|z - z'|² and the density of r²."""
    assert NormalPrior(d).expected_sq_distance == 2 * d
    checks.seven_scales(IMQ, d, distribution)


@pytest.mark.parametrize("d", [2, 8, 64])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_table_of_mmd_by_samples(distribution, d):
    """T20: the library's U-statistic on samples agrees with the table within 4 standard errors."""
    variance, squared, printed = DISTRIBUTIONS[distribution]
    mmd = MMD(IMQ(NormalPrior(d).expected_sq_distance))
    mean, error = repeated(
        mmd, lambda: (squared**0.5 + variance**0.5 * torch.randn(400, d), torch.randn(400, d)), times=12
    )
    assert abs(mean - printed[d]) < 4 * error
    assert error < 0.03


# ------------------------------------------------------------------------ T21: the estimators


@pytest.mark.parametrize("fast", [True, False])
def test_u_statistic_is_unbiased(fast):
    """T21: over all 27 x 27 samples of size 3 from two three-point distributions, the mean of U is MMD²."""
    checks.unbiased(lambda kernel: MMD(kernel, fast=fast))


def test_paired_u_statistic_is_unbiased_too():
    """T21: so is the variant that drops the pairs l = j from the cross term as well."""

    class Paired(MMD):
        def forward(self, q, p):
            n = len(q)
            paired = self.kernel((q - p).square().sum(1)).sum()
            return self.within(q) + self.within(p) - 2 * (self.kernel.sum(q, p) - paired) / (n * (n - 1))

    checks.unbiased(Paired)


def test_v_statistic_exceeds_by_its_diagonal():
    """T21: for P = Q the mean of V is (2/n)(k(0) - E k)."""
    kernel, distribution, n = IMQ(2.0, [0.5, 1.0]), checks.ONE_SUPPORT, 3
    expected = kernel(torch.cdist(distribution, distribution).square()).mean().item()
    mean = checks.mean_over_all_samples(MMD(kernel, "v"), n, distribution, distribution)
    assert mean == pytest.approx(2 / n * (kernel.peak - expected), abs=1e-12)


NULL = {  # seven scales, one scale; at n = 100, 200, 1000
    2: ((0.027, 0.0133, 0.0030), (0.0045, 0.0023, 0.0005)),
    8: ((0.0116, 0.0064, 0.0012), (0.0024, 0.0013, 0.0002)),
    64: ((0.0040, 0.0019, 0.0004), (0.0008, 0.0005, 0.0001)),
}


@pytest.mark.parametrize("d", NULL)
@pytest.mark.parametrize("scales", [SEVEN, [1.0]])
def test_null_deviation_by_theory(d, scales):
    """T21: with a centred kernel all pairs are uncorrelated, so the deviation is 2√2 (E k̃²)^½ / n."""
    centred = centred_square(IMQ(2.0 * d, scales), d)
    for n, printed in zip((100, 200, 1000), NULL[d][len(scales) == 1], strict=True):
        half = 0.5 * 10 ** -(3 if printed == 0.027 else 4)  # of the last printed digit
        exact = null_deviation(centred, n)
        assert abs(exact - printed) < 0.12 * printed + half


@pytest.mark.parametrize(("d", "n", "draws"), [(2, 100, 200), (8, 100, 200), (64, 100, 200), (8, 200, 150)])
def test_null_deviation_of_the_library(d, n, draws):
    """T21: what the weight's gauge takes for chance is the deviation of theory, within 4 errors."""
    kernel = IMQ(2.0 * d)
    found = weight.null_deviation(MMD(kernel), NormalPrior(d), n, draws)
    exact = null_deviation(centred_square(kernel, d), n)
    kurtosis = 6.0 if d == 2 else 3.5  # a sum of weighted chi-squares; heavier than the normal's 3
    assert abs(found / exact - 1) < 4 * ((kurtosis - 1) / (4 * draws)) ** 0.5


def test_u_statistic_is_negative_half_the_time():
    """T21: if both samples have one distribution, U is below 0 in about half of all batches, V never."""
    samples = [(torch.randn(50, 8), torch.randn(50, 8)) for _ in range(300)]
    below = sum(MMD(IMQ(16.0))(q, p).item() < 0 for q, p in samples) / 300
    assert 0.5 - 4 * 0.029 < below < 0.6 + 4 * 0.029
    assert all(MMD(IMQ(16.0), "v")(q, p) > 0 for q, p in samples)


# ------------------------------------------------------------------------- T22: invariances


@pytest.mark.parametrize("estimator", ["u", "v"])
@pytest.mark.parametrize("fast", [True, False])
def test_order_and_roles_do_not_matter(estimator, fast):
    """T22: permuting either batch or swapping the two changes nothing."""
    mmd = MMD(IMQ(16.0), estimator, fast)
    q, p = torch.randn(20, 8) + 1, torch.randn(30, 8)
    value = mmd(q, p)
    for other in (mmd(q[torch.randperm(20)], p), mmd(q, p[torch.randperm(30)]), mmd(p, q)):
        torch.testing.assert_close(other, value, rtol=0, atol=1e-13)


def test_shift_and_scale():
    """T22: a shift of both samples changes nothing, nor does a scale of samples and kernel together."""
    q, p = torch.randn(20, 8) + 1, torch.randn(30, 8)
    value = MMD(IMQ(16.0))(q, p)
    torch.testing.assert_close(MMD(IMQ(16.0))(q + 50, p + 50), value, rtol=0, atol=1e-12)
    torch.testing.assert_close(MMD(IMQ(16.0 * 9))(3 * q, 3 * p), value, rtol=0, atol=1e-12)


@pytest.mark.parametrize("fast", [True, False])
def test_diagonal_does_not_enter_u(fast):
    """T22: a kernel with another value at distance 0 gives the same U and a greater V."""

    class Spiked(IMQ):
        def __init__(self, C):
            super().__init__(C)
            self.peak += 5

        def forward(self, squares):
            return super().forward(squares) + 5 * (squares == 0)

        def value_and_slope(self, squares, memory, with_slope=True):
            value, slope = super().value_and_slope(squares, memory, with_slope)
            return value + 5 * (squares == 0), slope

    q, p = torch.randn(20, 8) + 1, torch.randn(30, 8)
    torch.testing.assert_close(MMD(Spiked(16.0), fast=fast)(q, p), MMD(IMQ(16.0), fast=fast)(q, p))
    excess = MMD(Spiked(16.0), "v", fast)(q, p) - MMD(IMQ(16.0), "v", fast)(q, p)
    torch.testing.assert_close(excess, torch.tensor(5 / 20 + 5 / 30))


def test_pull_on_an_outlier():
    """T22: a code at radius 20, d = 8, is pulled with 3.65e-3 by IMQ and with 7.5e-6 by a Gaussian kernel."""
    step = 1e-3
    exact = {
        "imq": [imq_kernel(8, 16.0, (20 + side) ** 2, 1.0) for side in (-step, step)],
        "gaussian": [gaussian_kernel(8, 4.0, (20 + side) ** 2, 1.0) for side in (-step, step)],
    }
    pull = {name: (near - far) / (2 * step) for name, (near, far) in exact.items()}
    assert pull["imq"] == pytest.approx(3.65e-3, rel=1e-2)  # exactly 3.624e-3
    assert pull["gaussian"] == pytest.approx(7.5e-6, rel=5e-2)  # exactly 7.18e-6

    given = torch.randn(50_000, 8)
    for name, kernel in (("imq", IMQ(16.0, [1.0])), ("gaussian", GaussianKernel([4.0]))):
        outlier = torch.zeros(1, 8)
        outlier[0, 0] = 20.0
        outlier.requires_grad_()
        (gradient,) = torch.autograd.grad(kernel.sum(outlier, given) / len(given), outlier)
        assert -gradient[0, 0].item() == pytest.approx(pull[name], rel=0.03)
        assert gradient[0, 1:].abs().max() < 0.1 * pull[name]


# ------------------------------------------------------------------------------ the fast form


@pytest.mark.parametrize("estimator", ["u", "v"])
@pytest.mark.parametrize("kernel", [IMQ(6.0), GaussianKernel([1.0, 3.0])], ids=["imq", "gaussian"])
@pytest.mark.parametrize(("n", "m"), [(2, 3), (15, 16), (16, 16), (16, 33), (17, 48), (47, 32)])
def test_fast_equals_readable(kernel, estimator, n, m, monkeypatch):
    """One pass over tiles gives the value and gradient of the readable form, at every tile edge."""
    monkeypatch.setattr(pair_sums, "TILE", {"cpu": 16})
    monkeypatch.setattr(pair_sums, "SMALL", 0)
    samples = (torch.randn(n, 3) + 0.5, torch.randn(m, 3))
    results = []
    for fast in (True, False):
        q, p = (sample.clone().requires_grad_() for sample in samples)
        value = MMD(kernel, estimator, fast)(q, p)
        results.append((value.detach(), *torch.autograd.grad(3 * value, (q, p))))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("n", "m"), [(255, 257), (255, 258), (257, 256), (513, 10)])
def test_fast_equals_readable_at_its_own_tile(n, m):
    """The same at the tile that is used, for the made sample's gradient alone."""
    assert (pair_sums.TILE, pair_sums.SMALL) == ({"cpu": 256}, 512)
    made, p = torch.randn(n, 3) + 0.5, torch.randn(m, 3)
    results = []
    for fast in (True, False):
        q = made.clone().requires_grad_()
        value = MMD(IMQ(6.0), fast=fast)(q, p)
        results.append((value.detach(), *torch.autograd.grad(value, q)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("small", [0, 512])
@pytest.mark.parametrize("sides", [(True, False), (False, True), (True, True)])
def test_gradient_of_either_side(sides, small, monkeypatch):
    """A sample that needs no gradient gets none, and that of the other one is as it was."""
    monkeypatch.setattr(pair_sums, "SMALL", small)
    samples = torch.randn(20, 3) + 0.5, torch.randn(30, 3)
    results = []
    for fast in (True, False):
        q, p = (x.clone().requires_grad_(wanted) for x, wanted in zip(samples, sides, strict=True))
        MMD(IMQ(6.0), fast=fast)(q, p).backward()
        results.append((q.grad, p.grad))
    for wanted, one, other in zip(sides, *results, strict=True):
        assert (one is not None) == (other is not None) == wanted
        if wanted:
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("estimator", ["u", "v"])
def test_gradient_is_the_derivative(fast, estimator):
    """The gradient agrees with finite differences, in either argument."""
    mmd = MMD(IMQ(6.0), estimator, fast)
    q, p = torch.randn(5, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    assert torch.autograd.gradcheck(mmd, (q, p))


def test_readable_form_has_a_second_derivative():
    """The readable form can be differentiated twice; the fast one says that it cannot."""
    q, p = torch.randn(5, 3, requires_grad=True), torch.randn(4, 3)
    assert torch.autograd.gradgradcheck(lambda q: MMD(IMQ(6.0), fast=False)(q, p), q)
    with pytest.raises(NotImplementedError, match="fast=False"):
        torch.autograd.grad(MMD(IMQ(6.0))(q, p), q, create_graph=True)


@pytest.mark.parametrize("fast", [True, False])
def test_far_from_the_origin(fast):
    """Float32 codes shifted by 3000 give the value and gradient of float64: the batch is centred first."""
    q, p = ((torch.randn(80, 8) + offset + 3000).float() for offset in (0.3, 0.0))
    results = []
    for dtype in (torch.float32, torch.float64):
        x = q.to(dtype).requires_grad_()
        value = MMD(IMQ(16.0), fast=fast)(x, p.to(dtype))
        results.append((value.detach().double(), torch.autograd.grad(value, x)[0].double()))
    (value, gradient), (true_value, true_gradient) = results
    assert value == pytest.approx(true_value.item(), rel=2e-4)
    torch.testing.assert_close(gradient, true_gradient, rtol=2e-3, atol=1e-6)


def test_low_precision_is_refused_its_way():
    """Under autocast, and of bfloat16 codes, the statistic is computed in float32."""
    q, p = torch.randn(64, 8).float(), torch.randn(64, 8).float()
    mmd = MMD(IMQ(16.0))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mmd(q, p), mmd(q, p).float())
        inside = mmd(q, p)
    assert torch.equal(inside, mmd(q, p))
    rough = mmd(q.bfloat16(), p.bfloat16())
    assert rough.dtype == torch.float32
    torch.testing.assert_close(
        rough, mmd(q.bfloat16().double(), p.bfloat16().double()).float(), rtol=1e-3, atol=1e-5
    )


def test_a_device_without_float64(monkeypatch):
    """Where there is no float64, sums are formed in float32, and no tensor is of another dtype."""

    class NoDouble(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            found = func(*args, **(kwargs or {}))
            assert not isinstance(found, torch.Tensor) or found.dtype != torch.float64, func
            return found

    q, p = (torch.randn(40, 8).float().requires_grad_() for _ in range(2))
    mmds = MMD(IMQ(16.0)), MMD(Polynomial()), ExactPriorMMD(IMQ(16.0), NormalPrior(8))
    expected = [mmd(q, p).item() for mmd in mmds]
    monkeypatch.setattr("pushforward.torch_state.WITHOUT_DOUBLE", ("cpu",))
    constants.cache_clear()
    with NoDouble():
        for mmd, value in zip(mmds, expected, strict=True):
            found = mmd(q, p)
            found.backward()
            assert found.item() == pytest.approx(value, abs=3e-5)
