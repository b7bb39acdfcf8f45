"""The peers' bugs, planted here one by one: for each, an assertion that this suite makes must fail.

Every check is called twice: on the library, where it holds, and on a mutant that carries the
bug, where it must not. A suite that lets one of these pass has lost its teeth.
"""

import copy
import math
from contextlib import contextmanager, nullcontext

import checks
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy, mse_loss

from pushforward import IMQ, KL, MMD, WAE, Bernoulli, JensenShannon, SquaredError
from pushforward.discrepancies import LogPriorCritic
from pushforward.discrepancies.pair_sums import Weights
from pushforward.distributions import (
    DeterministicEncoder,
    Gaussian,
    GaussianEncoder,
    NormalPrior,
    SpherePrior,
)
from pushforward.models.base import Player
from pushforward.models.weight import Weight
from pushforward.square import Square


@contextmanager
def caught():
    """The check inside must fail."""
    with pytest.raises(AssertionError):
        yield


# ------------------------------------------------------------------------------------ kernels


class KeptDiagonal(MMD):
    """A V-statistic under the name of U."""

    def weights(self, n, m):
        return Weights(1 / n**2, -2 / (n * m), 1 / m**2)


class KeptDiagonalOverPairs(MMD):
    """The pairs l = j are kept, and the sum is divided as if they were not."""

    def weights(self, n, m):
        return super().weights(n, m)._replace(own_pairs=True)


class DividedTwice(MMD):
    """PyTorch-VAE: a mean over pairs, divided by n(n - 1) once more."""

    def weights(self, n, m):
        return Weights(1 / (n * (n - 1)) ** 2, -2 / (n * m), 1 / (m * (m - 1)) ** 2, own_pairs=False)


class DividedOnce(MMD):
    """schelotto: the sum divided by n - 1, so that the MMD grows with the batch."""

    def weights(self, n, m):
        return Weights(1 / (n - 1), -2 / (n * m), 1 / (m - 1), own_pairs=False)


class PairedCross(MMD):
    """The cross term without its n pairs l = j, but still divided by n²."""

    def forward(self, q, p):
        return super().forward(q, p) + 2 * self.kernel((q - p).square().sum(1)).sum() / len(q) ** 2


class HalfCross(MMD):
    """E k(q, p) subtracted once instead of twice."""

    def forward(self, q, p):
        return super().forward(q, p) + self.kernel.sum(q, p) / (len(q) * len(p))


@pytest.mark.parametrize(
    "mutant", [KeptDiagonal, KeptDiagonalOverPairs, DividedTwice, DividedOnce, PairedCross, HalfCross]
)
def test_statistics_that_are_not_u(mutant):
    """T21 sees any estimator that is biased."""
    checks.unbiased(MMD, 2)
    with caught():
        checks.unbiased(mutant, 2)


class MeanOverFeatures(IMQ):
    """PyTorch-VAE: squared distances averaged over dimensions, as if C were d times larger."""

    def forward(self, squares):
        return super().forward(squares / (self.C / 2))


class MeanOfScales(IMQ):
    """The mean of the seven kernels instead of their sum."""

    def forward(self, squares):
        return super().forward(squares) / len(self.scales)


@pytest.mark.parametrize("distribution", ["N(0, 2I)", "point mass at 0"])
@pytest.mark.parametrize(
    "mutant",
    [
        lambda C: IMQ(C, [1.0]),
        MeanOfScales,
        MeanOverFeatures,
        lambda C: IMQ(C / 2),  # the spread of one draw, not of the difference of two
        lambda C: IMQ(4 * C),  # the reproduction's σ = 2 where σ² = 2 was meant
        lambda C: IMQ(C, (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)),
    ],
)
def test_kernels_that_are_not_seven_scales(mutant, distribution):
    """T20 sees a single scale, a mean of scales, a missing one and a wrong constant."""
    checks.seven_scales(IMQ, 8, distribution)
    with caught():
        checks.seven_scales(mutant, 8, distribution)


class Flipped(MMD):
    """pythae's InfoVAE: α + λ - 1 = -.999, so that training maximises the MMD."""

    def forward(self, q, p):
        return -0.999 * super().forward(q, p)


class Clamped(MMD):
    """The reproduction: the statistic clamped to be small has no slope where it is needed."""

    def forward(self, q, p):
        return super().forward(q, p).clamp(max=0.1)


def test_discrepancy_of_the_wrong_sign():
    """The tests of discrepancies see one that pushes codes away."""
    for check in (checks.far_is_worse, checks.moves_towards_the_prior):
        check(MMD(IMQ(4.0)))
        with caught():
            check(Flipped(IMQ(4.0)))
    with caught():
        checks.moves_towards_the_prior(Clamped(IMQ(4.0)))


def test_roles_of_the_adversarial_discrepancy():
    """The test sees a model that descends the critic's own loss, and made and given exchanged."""

    class Ally(JensenShannon):
        def forward(self, q, p):
            return -self.critic_objective(q, p)

    torch.manual_seed(0)
    critic = nn.Linear(2, 1)
    critic.weight.data, critic.bias.data = torch.tensor([[-2.0, -2.0]]), torch.tensor([4.0])
    for non_saturating in (True, False):
        checks.moves_towards_the_prior(JensenShannon(critic, non_saturating))
    with caught():
        checks.moves_towards_the_prior(Ally(critic))


# -------------------------------------------------------------------------------------- costs


class MeanOverPixels(SquaredError):
    """PyTorch-VAE: a mean over pixels, which makes the weight hundreds of times stronger."""

    def rows(self, made, given):
        return super().rows(made, given) / made[0].numel()


class SummedOverTheBatch(SquaredError):
    """The reproduction: MSELoss(size_average=False) sums over the batch too."""

    def forward(self, made, given):
        return mse_loss(made, given, reduction="sum")


def test_mean_over_pixels():
    """The test of the scale of costs sees a mean over features."""
    checks.sums_over_features(SquaredError())
    with caught():
        checks.sums_over_features(MeanOverPixels())


def test_sum_over_the_batch():
    """T39 sees a sum over rows."""
    checks.averages_over_the_batch(SquaredError())
    with caught():
        checks.averages_over_the_batch(SummedOverTheBatch())


def bernoulli_slope(cost, logit, pixel):
    made = torch.tensor([[logit]], requires_grad=True)
    (slope,) = torch.autograd.grad(cost(made, torch.tensor([[pixel]])), made)
    return slope.item()


class OnProbabilities(Bernoulli):
    """Cross-entropy of a sigmoid's output: clamped at 100, and without a slope where it is most wrong."""

    def rows(self, made, given):
        return binary_cross_entropy(made.sigmoid(), given, reduction="none").flatten(1).sum(1)


def test_sigmoid_before_the_cross_entropy():
    """The Bernoulli cost keeps its slope at ±200; after a sigmoid it is gone."""

    def keeps_its_slope(cost):
        for logit, pixel, slope in ((200.0, 0.0, 1.0), (-200.0, 1.0, -1.0), (30.0, 0.0, 1.0)):
            assert bernoulli_slope(cost, logit, pixel) == pytest.approx(slope)

    keeps_its_slope(Bernoulli())
    with caught():
        keeps_its_slope(OnProbabilities())


# ------------------------------------------------------------------------------------- critics


class SigmoidFirst(JensenShannon):
    """A sigmoid, then the loss that has one of its own."""

    def bound(self, Tq, Tp):
        return super().bound(Tq.sigmoid(), Tp.sigmoid())


class LogOfSigmoid(JensenShannon):
    """log(σ(x) + 1e-8): the non-saturating loss saturates."""

    def bound(self, Tq, Tp):
        return (Tp.sigmoid() + 1e-8).log().mean() + (1 - Tq.sigmoid() + 1e-8).log().mean()


class NeverExchanged(JensenShannon):
    """The min-max of the definition, where the algorithm exchanges the roles."""

    def forward(self, q, p):
        return self.bound(self.critic(q), self.critic(p))


@pytest.mark.parametrize(
    ("mutant", "logit"), [(SigmoidFirst, -10.0), (LogOfSigmoid, -30.0), (NeverExchanged, -10.0)]
)
def test_adversarial_discrepancies_whose_slopes_are_wrong(mutant, logit):
    """T7 sees a sigmoid too many, a saturating logarithm, and roles that were not exchanged."""
    checks.slopes_of_the_loss(JensenShannon, logit)
    with caught():
        checks.slopes_of_the_loss(mutant, logit)


def test_log_prior_that_broadcasts():
    """T27 sees the official gan_p_trick, whose logits are N x N; and a density without its σ."""

    class Official(LogPriorCritic):
        def forward(self, z):
            return self.net(z) + self.prior(len(z)).log_prob(z)

    class UnitPrior(LogPriorCritic):
        def forward(self, z):
            return self.net(z) + NormalPrior(3)(len(z)).log_prob(z).unsqueeze(-1)

    checks.one_logit_for_each_code(LogPriorCritic, 2.0)
    for mutant in (Official, UnitPrior):
        with caught():
            checks.one_logit_for_each_code(mutant, 2.0)


# ------------------------------------------------------------------------------------ encoders


def test_clamps_that_are_another_model():
    """T33 sees the deviation clamped instead of the log-variance, no clamp, and σ for σ²."""

    class ClampedDeviation(GaussianEncoder):
        def forward(self, x):
            mean, log_var = self.net(x).chunk(2, dim=-1)
            return Gaussian(mean, 2 * (log_var / 2).exp().clamp(-30.0, 20.0).log())

    class Unclamped(GaussianEncoder):
        def forward(self, x):
            return Gaussian(*self.net(x).chunk(2, dim=-1))

    class Deviation(Gaussian):
        def rsample(self, noise):
            return self.center + self.log_var.exp() * noise.normal(*self.center.shape)

    class VarianceForDeviation(GaussianEncoder):
        def forward(self, x):
            q = super().forward(x)
            return Deviation(q.center, q.log_var)

    checks.clamps_the_log_variance(GaussianEncoder)
    for mutant in (ClampedDeviation, Unclamped, VarianceForDeviation):
        with caught():
            checks.clamps_the_log_variance(mutant)


def test_sphere_normalised_over_the_batch():
    """The official sphere branch normalises over axis 0; codes then leave the sphere."""

    def on_the_sphere(prior):
        torch.testing.assert_close(prior.to_support(torch.randn(20, 3)).norm(dim=1), torch.ones(20))

    class Official(SpherePrior):
        def to_support(self, codes):
            return nn.functional.normalize(codes, dim=0)

    on_the_sphere(SpherePrior(3))
    with caught():
        on_the_sphere(Official(3))


def test_kl_of_other_factors():
    """T1 sees a KL averaged over dimensions, one without its ½, and one of the wrong sign."""

    def known(kl):
        q, p = Gaussian(torch.ones(4, 3), torch.zeros(4, 3)), NormalPrior(3)(4)
        assert kl(q, p).item() == pytest.approx(1.5)

    known(KL())
    for factor in (1 / 3, 2.0, -1.0):

        class Mutant(KL):
            def rows(self, q, p, factor=factor):
                return factor * super().rows(q, p)

        with caught():
            known(Mutant())


# -------------------------------------------------------------------------------------- models


def test_two_draws_of_the_code():
    """Appendix B sees two encoder passes, one to decode and another to compare."""

    class TwoPasses(Square):
        @property
        def Ex(self):
            return self.model.encoder(self.x).rsample(self.noise("encoder", torch.rand(()).item()))

    def make(formula):
        class Model(WAE):
            pass

        Model.formula = formula
        return lambda decoder, discrepancy: Model(
            NormalPrior(2), decoder, GaussianEncoder(nn.Linear(5, 4)), discrepancy
        )

    checks.one_draw_of_the_code(make(WAE.formula))
    with caught():
        checks.one_draw_of_the_code(make(lambda m, s: WAE.formula(m, TwoPasses(m, s.x, s.noise))))


def test_detached_codes():
    """The tests of models see a discrepancy whose codes were detached: the encoder has no gradient of it."""

    class Detached(WAE):
        def pair(self, s):
            return s.Ex.detach().requires_grad_(), s.z

    def make(kind):
        return lambda decoder, discrepancy: kind(
            NormalPrior(2), decoder, GaussianEncoder(nn.Linear(5, 4)), discrepancy
        )

    checks.the_discrepancy_moves_the_encoder(make(WAE))
    with caught():
        checks.the_discrepancy_moves_the_encoder(make(Detached))


def wae_gan(kind=WAE):
    decoder, encoder = checks.networks(norm="batch")
    critic = JensenShannon(nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)))
    return kind(NormalPrior(2), decoder, encoder, critic, weight=3.0)


def test_critic_on_codes_that_are_trainable(monkeypatch):
    """T35 sees a critic's update that also trains the encoder: its gradients and running statistics move."""
    x = torch.randn(64, 6)
    checks.own_update(checks.looping(wae_gan(), x))
    loop = checks.looping(wae_gan(), x)
    monkeypatch.setattr(loop, "updating", lambda player_state: nullcontext())
    with caught():
        checks.own_update(loop)


def test_critic_that_moves_the_encoder():
    """T35 and the partition of parameters see a critic's optimizer that holds the encoder as well."""

    class Greedy(WAE):
        def players(self):
            model, critic = super().players()
            yield model
            both = (*critic.parameters, *self.encoder.parameters())
            yield Player(critic.name, critic.loss, both, critic.updates)

    def shared_out(model):
        owned = [id(p) for player in model.players() for p in player.parameters]
        assert len(owned) == len(set(owned))

    shared_out(wae_gan())
    with caught():
        shared_out(wae_gan(Greedy))
    with caught():
        checks.own_update(checks.looping(wae_gan(Greedy), torch.randn(64, 6)))


def test_critic_that_never_trains():
    """Keras-GAN's AAE never trains its critic: the partition of parameters sees a player forgotten."""

    class Alone(WAE):
        def players(self):
            yield next(super().players())

    def all_are_owned(model):
        owned = {id(p) for player in model.players() for p in player.parameters}
        assert owned == {id(p) for p in model.parameters()}

    all_are_owned(wae_gan())
    with caught():
        all_are_owned(wae_gan(Alone))


def test_state_that_forgets(monkeypatch):
    """T36 sees a restart that loses BatchNorm statistics or the optimizer's moments."""
    x = torch.randn(64, 6)

    def resumes(forget):
        first = checks.looping(wae_gan(), x)
        for _ in range(3):
            first.advance()
        tensors, numbers = first.state()
        state = {part: {k: v.clone() for k, v in inside.items()} for part, inside in tensors.items()}
        second = checks.looping(copy.deepcopy(first.model), x)
        second.restore(forget(state), numbers)
        for loop in (first, second):
            loop.advance()
        for name, value in first.model.state_dict().items():
            assert torch.equal(value, second.model.state_dict()[name])

    def without(word):
        def forget(state):
            return {
                part: {k: torch.zeros_like(v) if k.endswith(word) else v for k, v in inside.items()}
                for part, inside in state.items()
            }

        return forget

    resumes(lambda state: state)
    for word in ("running_var", "running_mean", "exp_avg", "exp_avg_sq", "step", "num_batches_tracked"):
        with caught():
            resumes(without(word))


def test_weights_that_forget_their_scale():
    """The tests see a weight that multiplies nothing (bolts' kl_coeff), or too little (pythae's)."""

    class Ignored(WAE):
        def formula(self, s):
            return {"reconstruction": self.cost(s.GEx, s.x), "discrepancy": self.discrepancy(*self.pair(s))}

    def weighs(kind):
        values = []
        for weight in (1.0, 10.0):
            torch.manual_seed(0)
            model = kind(
                NormalPrior(2),
                nn.Linear(2, 6),
                DeterministicEncoder(nn.Linear(6, 2)),
                MMD(IMQ(4.0)),
                weight=weight,
            )
            torch.manual_seed(0)
            square = Square(model, torch.rand(16, 6), checks.Given(prior=torch.zeros(16, 2)))
            square.__dict__["z"] = torch.randn(16, 2)
            values.append(model.formula(square)["discrepancy"].item())
        assert values[1] == pytest.approx(10 * values[0], rel=1e-5)

    weighs(WAE)
    with caught():
        weighs(Ignored)
    with pytest.raises(ValueError, match="at least 0"):
        Weight(-0.999)
    assert float(Weight(math.pi)) == pytest.approx(math.pi)
