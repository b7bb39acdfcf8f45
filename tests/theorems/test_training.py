"""T34, T35, T36, T38: what every training loop owes its user."""

import copy
from dataclasses import replace
from itertools import pairwise

import checks
import pytest
import torch
from sklearn.datasets import load_digits
from speed import quick
from torch import nn

from pushforward import (
    IMQ,
    MMD,
    VAE,
    WAE,
    AutoEncoder,
    AutoWeight,
    Bernoulli,
    GaussianLikelihood,
    JensenShannon,
    SquaredError,
)
from pushforward.data import Split
from pushforward.distributions import DeterministicEncoder, GaussianEncoder, NoisyInput, NormalPrior
from pushforward.errors import DivergedError
from pushforward.networks import mlp
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.training import adam
from pushforward.training.pretrain import match_moments, moment_gap

SHAPE = (1, 16, 16)


def digits(n, side=2):
    """Handwritten digits in [0, 1], each pixel drawn side x side times."""
    images = torch.tensor(load_digits().images[:n], dtype=torch.float32) / 16
    return images.repeat_interleave(side, 1).repeat_interleave(side, 2).unsqueeze(1)


def squared_error(model, x):
    with torch.no_grad():
        return SquaredError()(model.decode(model.encode(x)), x).item()


# ------------------------------------------------------------------------------ T34: overfitting


def overfitting(system, latent_dim=16):
    prior, decoder = NormalPrior(latent_dim), mlp(latent_dim, SHAPE, [128], norm=None)
    encoder = DeterministicEncoder(mlp(SHAPE, latent_dim, [128], norm=None))
    gaussian = GaussianEncoder(mlp(SHAPE, 2 * latent_dim, [128], norm=None))
    match system:
        case "ae":
            return AutoEncoder(prior, decoder, encoder)
        case "wae-mmd":
            return WAE(prior, decoder, encoder, MMD(IMQ(prior.expected_sq_distance)), weight=10.0)
        case "wae-gan":
            critic = JensenShannon(mlp(latent_dim, 1, [64], norm=None))
            return WAE(prior, decoder, encoder, critic, weight=1.0)
        case "vae":
            return VAE(prior, decoder, gaussian, GaussianLikelihood(0.5, learnt=True))
        case "vae-bernoulli":
            return VAE(prior, decoder, gaussian, Bernoulli())


@pytest.mark.parametrize(
    "system", quick(["ae", "wae-mmd", "wae-gan", "vae", "vae-bernoulli"], "wae-gan", "vae")
)
def test_one_batch_is_overfitted(system):
    """T34: 16 images, 500 steps, and the squared error summed over pixels is below 1."""
    x = digits(16)
    assert x.var(0).sum() > 15  # what the best constant image would pay
    model = overfitting(system)
    loop = checks.looping(model, x, batch_size=16, lr=2e-3)
    for _ in range(500):
        loop.advance()
    assert squared_error(model.eval(), x) < 1


# --------------------------------------------------------------------------------- T35: updates of players


def wae_gan(norm="batch", non_saturating=True, n_critic=1):
    """A WAE-GAN whose decoder, encoder and critic all have BatchNorm."""
    decoder, encoder = checks.networks(norm)
    critic = JensenShannon(mlp(2, 1, [8], norm=norm), non_saturating, n_critic)
    return WAE(NormalPrior(2), decoder, encoder, critic, weight=3.0)


@pytest.mark.parametrize("non_saturating", [True, False])
def test_own_update(non_saturating):
    """T35: sleepers keep every bit, have no gradient, and their BatchNorms keep their statistics."""
    checks.own_update(checks.looping(wae_gan(non_saturating=non_saturating), torch.randn(64, 6)))


def test_the_critic_s_step_does_not_move_the_model():
    """T35: with the model's learning rate at 0 its weights stay bit-identical, and the other way round."""
    for frozen_batch_stats, prefix in (("model", ("decoder", "encoder")), ("critic", ("discrepancy",))):
        loop = checks.looping(wae_gan(norm=None), torch.randn(64, 6))
        for player_state in loop.player_states:
            if player_state.player.name == frozen_batch_stats:
                player_state.optimizer.param_groups[0]["initial_lr"] = 0.0
        before = checks.tensors(loop.model)
        for _ in range(3):
            loop.advance()
        for name, value in loop.model.state_dict().items():
            if not name.startswith("weight"):
                assert torch.equal(value, before[name]) == name.startswith(prefix), name


def test_the_critic_answers_the_model_s_step():
    """T35: the critic's update sees the same images and the same prior draws as the model's, re-encoded."""
    loop = checks.looping(wae_gan(), torch.randn(64, 6))
    seen = []
    for index, player_state in enumerate(loop.player_states):
        player = copy.copy(player_state.player)
        object.__setattr__(
            player, "loss", lambda s, loss=player.loss: (seen.append((s.x, s.z, s.Ex.detach())), loss(s))[1]
        )
        loop.player_states[index].player = player
    loop.advance()
    (x, z, codes), (again, same, anew) = seen
    assert torch.equal(x, again)
    assert torch.equal(z, same)
    assert not torch.equal(codes, anew)  # the encoder has moved in between


def test_updates():
    """T35: a critic with three updates moves three times, each time on another batch."""
    loop = checks.looping(wae_gan(n_critic=3), torch.randn(96, 6))
    loop.advance()
    steps = {
        player_state.player.name: {int(state["step"]) for state in player_state.optimizer.state.values()}
        for player_state in loop.player_states
    }
    assert steps == {"model": {1}, "critic": {3}}
    drawn = [loop.rows(draw).x for draw in range(3)]
    assert not any(torch.equal(a, b) for a, b in pairwise(drawn))


def test_frozen_parameters_stay_frozen():
    """T35: what the user froze is nobody's to move, and is still frozen afterwards."""
    model = wae_gan()
    model.decoder.requires_grad_(False)
    before = {name: p.clone() for name, p in model.decoder.named_parameters()}
    loop = checks.looping(model, torch.randn(64, 6))
    for _ in range(2):
        loop.advance()
    for name, p in model.decoder.named_parameters():
        assert torch.equal(p, before[name])
        assert not p.requires_grad
        assert p.grad is None


# ------------------------------------------------------------------------ T36: exact repetition


class Dropping(nn.Sequential):
    """A network with BatchNorm and dropout."""

    def __init__(self, inputs, outputs):
        super().__init__(
            nn.Linear(inputs, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, outputs)
        )


def everything():
    """A WAE-GAN with BatchNorm, dropout, noise on the input, an automatic weight and a learnt deviation."""
    prior = NormalPrior(2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        encoder = NoisyInput(DeterministicEncoder(Dropping(6, 2)), std=0.1)
        critic = JensenShannon(mlp(2, 1, [8], norm="batch"), n_critic=2)
        return WAE(
            prior,
            Dropping(2, 6),
            encoder,
            critic,
            GaussianLikelihood(0.5, learnt=True),
            AutoWeight(prior, batch_size=16, start=3.0, every=1),
        )


def digest(loop):
    """All bits that the next step depends on."""
    parts, numbers = loop.state()
    found = {
        f"{part}/{name}": value.clone() for part, inside in parts.items() for name, value in inside.items()
    }
    return found, numbers


def losses(loop, steps):
    return [{name: value.item() for name, value in loop.advance()[0].items()} for _ in range(steps)]


X = torch.randn(80, 6, generator=torch.Generator().manual_seed(7))


def test_same_seed_same_losses():
    """T36: one seed gives one sequence of losses, to the last bit; another seed another."""
    first, second, other = (losses(checks.looping(everything(), X, seed=s), 8) for s in (0, 0, 1))
    assert first == second
    assert all(a != b for a, b in zip(first, other, strict=True))
    assert set(first[0]) == {"reconstruction", "discrepancy", "critic"}


def test_stopping_anywhere_changes_nothing():
    """T36: at random cuts a new loop takes over and ends with the same bits: weights, BatchNorm, moments."""
    total = 13
    straight = checks.looping(everything(), X, schedule="cosine")
    expected = losses(straight, total)
    final, numbers = digest(straight)
    assert {name.split("/")[0] for name in final} == {"model", "optimizer-model", "optimizer-critic"}
    for part in (
        "running_mean",
        "running_var",
        "num_batches_tracked",
        "log_value",
        "average",
        "longer",
        "exp_avg_sq",
        "excess",
    ):
        assert any(name.endswith(part) for name in final), part
    for cut in torch.randperm(total - 1)[:3].add(1).tolist():
        torch.manual_seed(cut)  # the global generator must not matter
        first = checks.looping(everything(), X, schedule="cosine")
        heard = losses(first, cut)
        state = {name: {k: v.clone() for k, v in part.items()} for name, part in first.state()[0].items()}
        second = checks.looping(everything(), X, schedule="cosine")
        for parameter in second.model.parameters():
            parameter.data.normal_()
        second.restore(state, first.state()[1])
        heard += losses(second, total - cut)
        assert heard == expected
        found, found_numbers = digest(second)
        assert found_numbers == numbers
        assert found.keys() == final.keys()
        for name, value in found.items():
            assert torch.equal(value, final[name]), name


@pytest.mark.parametrize(
    "lost", ["running_mean", "average", "longer", "log_value", "exp_avg", "exp_avg_sq", "step"]
)
def test_nothing_of_the_state_is_idle(lost):
    """T36: lose any part of the state and the run ends elsewhere: the test above would see it."""
    loops = [checks.looping(everything(), X) for _ in range(2)]
    for loop in loops:
        losses(loop, 4)
    parts, numbers = loops[1].state()
    state = {
        part: {
            name: torch.zeros_like(value) if name.split(".")[-1] == lost else value.clone()
            for name, value in inside.items()
        }
        for part, inside in parts.items()
    }
    loops[1].restore(state, numbers)
    for loop in loops:
        losses(loop, 2)
    one, other = (digest(loop)[0] for loop in loops)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_number_that_is_not_finite_stops_the_step():
    """A loss that is not finite is named, and no parameter of the player has moved."""
    model = wae_gan()
    x = torch.randn(16, 6)
    x[3, 2] = float("nan")
    loop = checks.looping(model, x, batch_size=16)
    before = checks.tensors(model)
    with pytest.raises(DivergedError, match=r"step 0: the model's loss is not finite: reconstruction = nan"):
        loop.advance()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])


def test_a_critic_that_is_not_finite_does_not_move():
    """The player whose term is not finite has not moved when the run stops, nor has its optimizer."""
    model = wae_gan(norm=None)
    loop = checks.looping(model, torch.randn(64, 6))
    critic = loop.player_states[1]
    critic.player = replace(
        critic.player, loss=lambda s: {"critic": model.discrepancy(s.Ex, s.z) * float("nan")}
    )
    before = [parameter.detach().clone() for parameter in critic.parameters]
    with pytest.raises(DivergedError, match="the critic's loss is not finite: critic = nan"):
        loop.advance()
    assert all(torch.equal(a, b) for a, b in zip(critic.parameters, before, strict=True))
    assert not critic.optimizer.state


def test_batch_norm_without_parameters_keeps_statistics():
    """In a WAE-GAN, too, a BatchNorm with `affine=False` keeps running statistics in its owner's update."""
    model = wae_gan()
    model.encoder.net.append(nn.BatchNorm1d(2, affine=False))
    loop = checks.looping(model, torch.randn(64, 6))
    loop.advance()
    assert model.encoder.net[-1].num_batches_tracked == 1


# --------------------------------------------------------------------- T38: moment pretraining


@pytest.mark.parametrize("norm", ["batch", None])
def test_moment_pretraining(norm):
    """T38: at most 200 steps bring the codes' mean and covariance within .1 of the prior's."""
    x = digits(500, side=1)
    prior = NormalPrior(4)
    model = AutoEncoder(
        prior, mlp(4, (1, 8, 8), [16]), DeterministicEncoder(mlp((1, 8, 8), 4, [64], norm=norm))
    )
    decoder = checks.tensors(model.decoder)
    with torch.no_grad():
        assert moment_gap(model.encode(x), torch.randn(5000, 4)) > 0.15
    taken = []

    def counting(parameters):
        optimizer = adam(1e-3)(parameters)
        optimizer.register_step_post_hook(lambda *_: taken.append(1))
        return optimizer

    assert match_moments(model, Split(x), counting) < 0.1
    assert 0 < len(taken) < 200
    taken.clear()
    match_moments(model, Split(x), counting, enough=0.001)
    assert len(taken) <= 200
    with torch.no_grad():
        codes = model.encode(x)
    assert codes.mean(0).abs().max() < 0.1
    assert (codes.T.cov() - torch.eye(4)).square().mean() < 0.1**2
    assert all(torch.equal(value, decoder[name]) for name, value in model.decoder.state_dict().items())


def test_moment_gap():
    """T38: mean over L of squared means plus mean over L² of squared covariances, as the official code."""
    q, p = torch.randn(30, 3), torch.randn(40, 3)
    means = [(a - b) ** 2 for a, b in zip(q.mean(0), p.mean(0), strict=True)]
    covariances = (torch.cov(q.T) - torch.cov(p.T)) ** 2
    torch.testing.assert_close(moment_gap(q, p), sum(means) / 3 + covariances.sum() / 9)
    torch.testing.assert_close(moment_gap(q + 2, q), torch.tensor(4.0))


# ------------------------------------------------------------------------- the square, and noise


def test_one_draw_of_the_code():
    """Appendix B: the same draw of the code feeds decoder and discrepancy."""

    def make(decoder, discrepancy):
        return WAE(NormalPrior(2), decoder, GaussianEncoder(nn.Linear(5, 4)), discrepancy)

    checks.one_draw_of_the_code(make)
    checks.the_discrepancy_moves_the_encoder(make)


def test_the_square():
    """Given, made, back: six names, each drawn once, each what the design says."""
    model = wae_gan(norm=None)
    x = torch.randn(8, 6)
    s = Square(model, x, Noise(0))
    assert torch.equal(s.z, model.prior(8).rsample(Noise(0)("prior")))
    assert torch.equal(s.Ex, model.encoder(x).center)
    assert torch.equal(s.Gz, model.decoder(s.z))
    assert torch.equal(s.GEx, model.decoder(s.Ex))
    assert torch.equal(s.EGz, model.encoder(s.Gz).center)
    assert s.Ex is s.Ex
    assert s.z is s.z


def test_codes_in_evaluation_mode():
    """Codes in evaluation mode are those of evaluation: running statistics, which looking does not change."""
    model = wae_gan()
    x = torch.randn(16, 6)
    Square(model, x, Noise(0)).Ex.sum().backward()
    before = checks.tensors(model)
    s = Square(model, x + 1, Noise(0))
    eval_codes = s.eval_codes
    assert model.encoder.training
    assert not eval_codes.requires_grad
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(eval_codes, model.eval().encode(x + 1))
    model.train()
    assert not torch.equal(eval_codes, s.Ex)


def test_codes_in_evaluation_mode_leave_modes_as_they_were():
    """What the user put into evaluation inside an encoder, a frozen BatchNorm say, stays there."""
    model = wae_gan()
    norm = next(module for module in model.encoder.modules() if isinstance(module, nn.BatchNorm1d))
    norm.eval()
    assert Square(model, torch.randn(16, 6), Noise(0)).eval_codes.isfinite().all()
    assert not norm.training
    assert all(module.training for module in model.modules() if module is not norm)


def test_a_single_player_is_always_trainable():
    """With one player no parameter is frozen: its update is the plain gradient step."""
    model = AutoEncoder(NormalPrior(2), *checks.networks(norm="batch"))
    loop = checks.looping(model, torch.randn(64, 6), lr=0.1)
    paired = copy.deepcopy(model)
    optimizer = torch.optim.Adam(paired.parameters(), lr=0.1, fused=True)
    for step in range(3):
        x, _ = loop.rows(step)
        loss = SquaredError()(paired.decoder(paired.encoder(x).center), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loop.advance()
    for name, value in model.state_dict().items():
        assert torch.equal(value, paired.state_dict()[name]), name
