"""T13, T14, T15: linear models, whose optimum is known: the WAE attains W2, the VAE shrinks."""

import math

import checks
import pytest
import torch
from closed_forms import bures, gaussian_kl, root, whitened
from torch import nn

from pushforward import IMQ, MMD, VAE, WAE, AutoEncoder, GaussianLikelihood
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import DeterministicEncoder, GaussianEncoder, NormalPrior
from pushforward.rng import Noise
from pushforward.square import Square


def linear(matrix):
    """The map x -> matrix x, as a network."""
    net = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False)
    net.weight.data = matrix.clone(memory_format=torch.contiguous_format)
    return net


def covariance(d):
    half = torch.randn(d, d)
    return half @ half.T / d + 0.1 * torch.eye(d)


def wae(A, E, weight=0.0):
    prior = NormalPrior(E.shape[0])
    return WAE(
        prior,
        linear(A),
        DeterministicEncoder(linear(E)),
        discrepancy=MMD(IMQ(prior.expected_sq_distance)),
        weight=weight,
    ).to(A)


def cost(model, x):
    return model.formula(Square(model, x, Noise(0)))["reconstruction"]


def best_encoder(S, A):
    """E = A⁻¹T, with T the optimal map from N(0, S) to N(0, AAᵀ)."""
    half = root(S)
    inverse = torch.linalg.inv(half)
    return torch.linalg.inv(A) @ inverse @ root(half @ A @ A.T @ half) @ inverse


@pytest.mark.usefixtures("float64")
class TestWasserstein:
    """X ~ N(0, S), G(z) = Az, P_Z = N(0, I)."""

    def test_bures_of_commuting_covariances(self):
        """T13: W2² = Σ(√a - √b)² where the covariances share their axes."""
        a, b = torch.rand(4) + 0.1, torch.rand(4) + 0.1
        assert bures(a.diag(), b.diag()) == pytest.approx((a.sqrt() - b.sqrt()).square().sum().item())

    @pytest.mark.parametrize("d", [1, 2, 4])
    def test_principal_components(self, d):
        """T14 (i): the best decoder of d dimensions is A = U Λ^½; W2² = Σ of the other eigenvalues."""
        S = covariance(5)
        values, vectors = (part.flip(-1) for part in torch.linalg.eigh(S))
        top, rest = values[:d], values[d:].sum().item()
        rotation = torch.linalg.qr(torch.randn(d, d)).Q
        A = vectors[:, :d] @ top.sqrt().diag() @ rotation
        E = rotation.T @ top.rsqrt().diag() @ vectors[:, :d].T
        assert bures(S, A @ A.T) == pytest.approx(rest, abs=1e-6)
        x = whitened(400, 5) @ root(S)
        codes = x @ E.T
        torch.testing.assert_close(codes.T @ codes / 400, torch.eye(d))
        model = wae(A, E)
        loss = cost(model, x)
        assert loss.item() == pytest.approx(rest, abs=1e-9)
        (gradient,) = torch.autograd.grad(loss, model.decoder.weight)
        assert gradient.abs().max() < 1e-9  # no other decoder of these codes is better

    @pytest.mark.parametrize("D", [2, 3, 5])
    def test_any_decoder(self, D):
        """T14 (ii): with E = A⁻¹T, Q_Z = N(0, I) exactly and the cost is the Bures number."""
        S, A = covariance(D), torch.randn(D, D)
        E = best_encoder(S, A)
        torch.testing.assert_close(E @ S @ E.T, torch.eye(D))
        x = whitened(300, D) @ root(S)
        assert cost(wae(A, E), x).item() == pytest.approx(bures(S, A @ A.T), abs=1e-9)

    def test_no_matched_encoder_is_cheaper(self):
        """T14 (ii): every other encoder that matches the prior is a rotation of the best, and no cheaper."""
        S, A = covariance(3), torch.randn(3, 3)
        x, E = whitened(300, 3) @ root(S), best_encoder(S, A)
        for _ in range(50):
            rotated = torch.linalg.qr(torch.randn(3, 3)).Q @ E
            assert cost(wae(A, rotated), x).item() >= bures(S, A @ A.T) - 1e-9

    @pytest.mark.parametrize(("s", "a"), [(1.0, 0.3), (2.0, -1.5), (0.5, 2.0)])
    def test_one_dimension(self, s, a):
        """T14 (iii): in one dimension the WAE pays (s - |a|)²."""
        x = s * whitened(50, 1)
        E = torch.tensor([[math.copysign(1, a) / s]])
        assert cost(wae(torch.tensor([[a]]), E), x).item() == pytest.approx((s - abs(a)) ** 2, abs=1e-12)

    def test_penalised_objective_meets_the_bures_number(self):
        """T14: as λ grows, the minimal cost rises from 0, the plain auto-encoder's, to W2²."""
        S, A = torch.tensor([[2.0, 0.6], [0.6, 0.5]]), torch.tensor([[0.7, 0.2], [-0.3, 1.4]])
        exact = bures(S, A @ A.T)
        x = whitened(50, 2) @ root(S)
        found = []
        for weight in (0.0, 1.0, 10.0, 100.0, 1e5):
            encoder = DeterministicEncoder(linear(torch.linalg.inv(A) + 0.1))
            model = WAE(NormalPrior(2), linear(A), encoder, discrepancy=GaussianMMD(h=1.5), weight=weight)
            optimizer = torch.optim.LBFGS(encoder.parameters(), max_iter=200, line_search_fn="strong_wolfe")

            def descend(model=model, optimizer=optimizer):
                optimizer.zero_grad()
                loss = sum(model.formula(Square(model, x, Noise(0))).values())
                loss.backward()
                return loss

            optimizer.step(descend)
            found.append(cost(model, x).item())
        assert found[0] == pytest.approx(0, abs=1e-9)
        assert found == sorted(found)
        assert found[1] < 0.95 * exact
        assert found[-1] == pytest.approx(exact, rel=1e-3)


class GaussianMMD(Discrepancy):
    """MMD² of N(0, covariance of q) and N(0, I), in closed form for the kernel exp(-r²/2h²)."""

    def __init__(self, h):
        super().__init__()
        self.h = h

    def forward(self, q, p):
        one = torch.eye(q.shape[1])
        S = q.T @ q / len(q)
        mean = lambda V: torch.linalg.det(one + V / self.h**2).rsqrt()  # noqa: E731
        return mean(2 * S) - 2 * mean(S + one) + mean(2 * one)


def test_trained_wae_meets_the_bures_number():
    """T14: a WAE-MMD trained on samples in the plane, its decoder given, pays W2² within 5 %."""
    S, A = torch.tensor([[2.0, 0.6], [0.6, 0.5]]), torch.tensor([[0.7, 0.2], [-0.3, 1.4]])
    exact = bures(S.double(), (A @ A.T).double())
    x = whitened(2000, 2).float() @ root(S)
    costs = []
    for weight in (0.0, 300.0):
        model = wae(A, torch.linalg.inv(A), weight)
        model.decoder.requires_grad_(False)
        loop = checks.looping(model, x, batch_size=200, lr=3e-2, schedule="cosine")
        loop.total = 500
        for _ in range(500):
            loop.advance()
        with torch.no_grad():
            costs.append(cost(model, x).item())
    assert costs[0] == pytest.approx(0, abs=1e-6)
    assert costs[1] == pytest.approx(exact, rel=0.05)


# ------------------------------------------------------------------------------- T15: the VAE


def linear_vae(s2, sigma2, beta):
    """The linear VAE at what T15 says is its optimum, and its a."""
    a = math.sqrt(max(0.0, s2 - beta * sigma2))
    tau2 = min(1.0, beta * sigma2 / s2)
    encoder = nn.Linear(1, 2)
    encoder.weight.data = torch.tensor([[a / s2], [0.0]])
    encoder.bias.data = torch.tensor([0.0, math.log(tau2)])
    decoder = linear(torch.tensor([[a]]))
    model = VAE(
        NormalPrior(1), decoder, GaussianEncoder(encoder), GaussianLikelihood(math.sqrt(sigma2)), beta
    )
    return model.double(), a


def exact_batch(s2, n=60):
    """Data and noise over which the mean of the formula is its expectation: ε = ±1 for every x and -x."""
    x = math.sqrt(s2) * whitened(n, 1)
    noise = torch.ones(n, 1)
    return torch.cat([x, x, -x, -x]), checks.Given(encoder=torch.cat([noise, -noise, noise, -noise]))


def value(model, x, noise):
    return sum(model.formula(Square(model, x, noise)).values())


@pytest.mark.usefixtures("float64")
class TestVariational:
    """X ~ N(0, s²), p(x|z) = N(az, σ²), q(z|x) = N(ex, τ²)."""

    @pytest.mark.parametrize(("s2", "sigma2"), [(2.0, 0.5), (1.0, 0.9), (5.0, 0.1)])
    def test_evaluation_context(self, s2, sigma2):
        """T15: at its optimum the VAE's formula is -E log N(x; 0, s²); 1.765512 for s² = 2."""
        model, a = linear_vae(s2, sigma2, 1.0)
        assert a**2 == pytest.approx(s2 - sigma2)
        nats = value(model, *exact_batch(s2)).item()
        assert nats == pytest.approx(0.5 * (math.log(2 * math.pi * s2) + 1), abs=1e-10)
        if s2 == 2.0:
            assert nats == pytest.approx(1.765512, abs=5e-7)

    @pytest.mark.parametrize(
        ("s2", "sigma2", "beta"),
        [(2.0, 0.5, 1.0), (2.0, 0.5, 3.0), (2.0, 0.5, 4.0), (2.0, 0.5, 6.0), (1.0, 2.0, 1.0)],
    )
    def test_optimum(self, s2, sigma2, beta):
        """T15: a² = max(0, s² - βσ²), τ² = min(1, βσ²/s²): there the slope is 0 and all around is worse."""
        model, _ = linear_vae(s2, sigma2, beta)
        x, noise = exact_batch(s2)
        best = value(model, x, noise)
        for gradient in torch.autograd.grad(best, list(model.parameters())):
            assert gradient.abs().max() < 1e-9
        start = checks.tensors(model)
        for _ in range(40):
            for name, parameter in model.named_parameters():
                parameter.data = start[name] + 0.1 * torch.randn_like(parameter)
            assert value(model, x, noise) > best - 1e-12

    @pytest.mark.parametrize("share", [0.97, 1.03])
    def test_collapse(self, share):
        """T15: the collapsed code is a minimum exactly from β = s²/σ² on."""
        s2, sigma2 = 2.0, 0.5
        model, a = linear_vae(s2, sigma2, share * s2 / sigma2)
        decoder, encoder = model.decoder.weight, model.encoder.net
        decoder.data.zero_()
        encoder.weight.data.zero_()
        encoder.bias.data.zero_()
        x, noise = exact_batch(s2)
        weights = [decoder, encoder.weight]
        gradients = torch.autograd.grad(value(model, x, noise), weights, create_graph=True)
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        assert flat.abs().max() < 1e-12
        rows = [
            torch.cat([g.flatten() for g in torch.autograd.grad(slope, weights, retain_graph=True)])
            for slope in flat
        ]
        lowest = torch.linalg.eigvalsh(torch.stack(rows)[:2, :2]).min()
        assert (lowest < 0) == (share < 1)
        assert (a > 0) == (share < 1)

    def test_wae_does_not_shrink(self):
        """T15: on the same data the WAE has a² = s² and pays nothing; the VAE has a² = s² - σ²."""
        s = math.sqrt(2.0)
        x = s * whitened(200, 1)
        model = wae(torch.tensor([[s]]), torch.tensor([[1 / s]]))
        loss = cost(model, x)
        assert loss.item() == pytest.approx(0, abs=1e-20)
        (gradient,) = torch.autograd.grad(loss, model.decoder.weight)
        assert gradient.abs() < 1e-12
        v = (1 / s) ** 2 * s**2
        assert gaussian_kl(v) == pytest.approx(0, abs=1e-12)
        made = x @ model.encoder.net.weight.T
        assert abs(model.discrepancy(made, whitened(200, 1)).item()) < 0.02
        shrunk = linear_vae(2.0, 0.5, 1.0)[1]
        assert cost(wae(torch.tensor([[shrunk]]), torch.tensor([[1 / s]])), x).item() == pytest.approx(
            (s - shrunk) ** 2
        )

    def test_weight_zero_is_the_plain_auto_encoder(self):
        """T15: at β = 0 the formula is the cost alone, and the unconstrained optimum is 0 error."""
        prior, decoder = NormalPrior(2), linear(torch.randn(2, 2))
        model = AutoEncoder(
            prior, decoder, DeterministicEncoder(linear(torch.linalg.inv(decoder.weight.data)))
        )
        assert cost(model, torch.randn(30, 2)).item() == pytest.approx(0, abs=1e-20)
