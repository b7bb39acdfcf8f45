"""MMD of features: what it is for the identity, what its order and its decoder add, and its root."""

import pytest
import torch
from torch import nn

from pushforward import IMQ, MMD, GaussianKernel
from pushforward.discrepancies import Clipping, DeepKernelMMD, GradientPenalty, SquareRoot
from pushforward.errors import ConfigError
from pushforward.rng import Noise

KERNEL = GaussianKernel([1.0, 2.0])


def samples(n=40, shift=0.5):
    return torch.randn(n, 3, dtype=torch.float64) + shift, torch.randn(n, 3, dtype=torch.float64)


def plain(**settings):
    return DeepKernelMMD(nn.Identity(), KERNEL, back=0.0, order=0.0, **settings)


def test_the_identity_is_plain_mmd():
    """With f = id and nothing else, it is the biased MMD of the samples (T22b), or its square by U."""
    q, p = samples()
    expected = MMD(KERNEL, "v")(q, p)
    torch.testing.assert_close(plain()(q, p), expected.sqrt(), rtol=0, atol=1e-4)
    torch.testing.assert_close(plain(root=False)(q, p), expected)
    torch.testing.assert_close(plain(root=False, estimator="u")(q, p), MMD(KERNEL)(q, p))


def test_an_invertible_linear_map_moves_the_kernel():
    """f = 2x is the same as kernels of half the bandwidth."""
    q, p = samples()
    double = nn.Linear(3, 3, bias=False).double()
    double.weight.data = 2 * torch.eye(3, dtype=torch.float64)
    learnt = DeepKernelMMD(double, KERNEL, back=0.0, order=0.0, root=False)
    torch.testing.assert_close(learnt(q, p), MMD(GaussianKernel([0.5, 1.0]), "v")(q, p))


def test_the_order_of_means_is_paid_where_it_is_broken():
    """The mean over features of (mean f(q) - mean f(p))_+, subtracted o times on both objectives."""
    q, p = samples()
    q, p = q - q.mean(0), p - p.mean(0)
    shift = torch.tensor([0.5, -2.0, 0.0], dtype=torch.float64)
    ordered = DeepKernelMMD(nn.Identity(), KERNEL, back=0.0, order=16.0)
    gap = plain()(q + shift, p) - ordered(q + shift, p)
    assert gap.item() == pytest.approx(16 * 0.5 / 3)
    assert ordered.critic_objective(q + shift, p) == ordered(q + shift, p)


def test_a_decoder_that_inverts_costs_nothing():
    q, p = samples()
    exact = DeepKernelMMD(nn.Identity(), KERNEL, nn.Identity(), back=8.0, order=0.0)
    assert exact.critic_objective(q, p) == plain()(q, p)
    zero = nn.Linear(3, 3).double()
    nn.init.zeros_(zero.weight), nn.init.zeros_(zero.bias)
    lost = DeepKernelMMD(nn.Identity(), KERNEL, zero, back=8.0, order=0.0)
    paid = plain()(q, p) - lost.critic_objective(q, p)
    assert paid.item() == pytest.approx(8 * (q.square().mean() + p.square().mean()).item())
    assert lost(q, p) == plain()(q, p)  # the model does not pay for it


def test_clipping_leaves_the_decoder_alone():
    discrepancy = DeepKernelMMD(nn.Linear(3, 2), KERNEL, nn.Linear(2, 3), constraint=Clipping(0.01))
    before = discrepancy.decoder.weight.clone()
    with torch.no_grad():
        discrepancy.critic.weight.fill_(1.0)
    discrepancy.project()
    assert discrepancy.critic.weight.abs().max() <= 0.01
    assert torch.equal(discrepancy.decoder.weight, before)


def test_the_penalty_is_on_the_slope_of_the_witness():
    """Of one row each, the witness is k(f(t), f(p)) - k(f(t), f(q)); its slope is differentiable in f."""
    q, p = torch.zeros(1, 1, dtype=torch.float64), torch.full((1, 1), 2.0, dtype=torch.float64)
    scale = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(scale.weight, 1.0)
    discrepancy = DeepKernelMMD(
        scale, GaussianKernel([1.0]), back=0.0, order=0.0, constraint=GradientPenalty(1.0, slope=0.0)
    )
    paid = discrepancy.penalties(q, p, Noise(0))["penalty"]
    t = 2 * (1 - Noise(0).uniform(1).double())  # lerp(p, q, α)
    slope = -(t - 2) * (-((t - 2) ** 2) / 2).exp() + t * (-(t**2) / 2).exp()
    torch.testing.assert_close(paid, slope.square().squeeze())
    assert torch.autograd.grad(paid, scale.weight)[0].abs() > 0


def test_the_root_is_finite_where_the_samples_are_one():
    """GMMN's loss of a batch with itself is 0, with a finite gradient; below 0 an estimate counts as 0."""
    q, _ = samples()
    q.requires_grad_()
    root = SquareRoot(MMD(KERNEL, "v"))
    value = root(q, q.detach().clone())
    assert value.item() == pytest.approx(0, abs=1e-4)
    assert torch.autograd.grad(value, q)[0].isfinite().all()
    below = SquareRoot(MMD(IMQ(1.0)), eps=1e-4)(torch.full((2, 1), 0.0), torch.tensor([[1.0], [-1.0]]))
    assert below >= 0


def test_the_root_s_value():
    q, p = samples()
    torch.testing.assert_close(
        SquareRoot(MMD(KERNEL, "v"))(q, p), MMD(KERNEL, "v")(q, p).sqrt(), rtol=0, atol=2e-4
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: SquareRoot(MMD(KERNEL), eps=0.0),
        lambda: DeepKernelMMD(nn.Identity(), KERNEL, back=-1.0),
        lambda: DeepKernelMMD(nn.Identity(), KERNEL, order=-1.0),
        lambda: DeepKernelMMD(nn.Identity(), KERNEL, n_critic=0),
        lambda: DeepKernelMMD(nn.BatchNorm1d(3), KERNEL, constraint=GradientPenalty()),
    ],
)
def test_impossible_settings(wrong):
    with pytest.raises(ConfigError):
        wrong()
