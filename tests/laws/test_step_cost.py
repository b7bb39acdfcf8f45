"""The cost of a step against closed forms."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from pushforward.data import Split
from pushforward.discrepancies import GradientPenalty, JensenShannon, Wasserstein
from pushforward.distributions import DeterministicEncoder, NormalPrior
from pushforward.errors import ConfigError
from pushforward.models import GAN, AutoEncoder
from pushforward.models.base import Model
from pushforward.training.loop import Loop, Training
from pushforward.training.player_state import adam
from pushforward.training.step_cost import measure_step, ring_bytes, save_interval

BATCH = 16


def mlp(*widths: int) -> nn.Sequential:
    return nn.Sequential(*(m for n, k in pairwise(widths) for m in (nn.Linear(n, k), nn.Tanh())))


def loop_of(model: Model) -> Loop:
    optimizers = {player.name: adam(1e-2) for player in model.players()}
    rows = torch.rand(64, 12, generator=torch.Generator().manual_seed(5))
    return Loop(model, Split(rows), Training(BATCH, optimizers), total=10)


def autoencoder() -> Loop:
    return loop_of(AutoEncoder(NormalPrior(3), mlp(3, 20, 12), DeterministicEncoder(mlp(12, 20, 3))))


def test_an_autoencoder_costs_thrice_its_multiplications_without_the_gradient_of_the_data():
    cost = measure_step(autoencoder())
    multiplications = 12 * 20 + 20 * 3 + 3 * 20 + 20 * 12
    parameters = multiplications + 20 + 3 + 20 + 12
    assert cost.parameters == {"model": parameters}
    assert cost.flops_per_row == 2 * (3 * multiplications - 12 * 20)
    assert cost.gradient_bytes == 4 * parameters
    assert cost.moments_bytes == 4 * (2 * parameters + 8)  # Adam: two a number, and a count for each tensor


def test_an_adversarial_model_sends_the_gradients_of_every_update_of_its_players():
    loop = loop_of(GAN(NormalPrior(3), mlp(3, 20, 12), JensenShannon(mlp(12, 8, 1))))
    cost = measure_step(loop)
    sent = sum(p.player.updates * cost.parameters[p.player.name] for p in loop.player_states)
    assert cost.parameters == {"model": 3 * 20 + 20 + 20 * 12 + 12, "critic": 12 * 8 + 8 + 8 + 1}
    assert cost.gradient_bytes == 4 * sent


def test_a_gradient_penalty_costs_more_operations():
    def cost(discrepancy: Wasserstein) -> float:
        return measure_step(loop_of(GAN(NormalPrior(3), mlp(3, 20, 12), discrepancy))).flops_per_row

    assert cost(Wasserstein(mlp(12, 8, 1), GradientPenalty())) > cost(Wasserstein(mlp(12, 8, 1)))


def test_the_measured_step_is_undone():
    measured, untouched = autoencoder(), autoencoder()
    untouched.model.load_state_dict(measured.model.state_dict())
    measure_step(measured)
    assert measured.step == 0
    for loop in (measured, untouched):
        loop.advance()
        loop.advance()
    for name, value in untouched.model.state_dict().items():
        assert torch.equal(measured.model.state_dict()[name], value), name


def test_what_a_ring_sends_grows_to_twice_its_content():
    assert ring_bytes(1000, 1) == 0
    sent = [ring_bytes(1000, world_size) for world_size in (1, 2, 4, 8, 1024)]
    assert sent == sorted(sent)
    assert sent[-1] < 2000
    with pytest.raises(ConfigError, match="world_size must be at least 1, got 0"):
        ring_bytes(1000, 0)


def test_the_interval_of_checkpoints_is_where_saving_costs_as_much_as_lost_work():
    save, between = 3.0, 86_400.0
    interval = save_interval(save, between)
    assert save / interval == pytest.approx(interval / 2 / between)
    with pytest.raises(ConfigError, match="between_failures must be a positive number, got inf"):
        save_interval(1.0, float("inf"))
    with pytest.raises(ConfigError, match="save must be a positive number, got 0"):
        save_interval(0, 1.0)
