"""The cost of a step against closed forms."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from pushforward import distributed, process_group
from pushforward.data import Dataset, Split
from pushforward.discrepancies import IMQ, MMD, GradientPenalty, Wasserstein
from pushforward.distributions import DeterministicEncoder, NormalPrior
from pushforward.models import GAN, WAE, AutoEncoder
from pushforward.models.base import Model
from pushforward.recipes import RECIPES
from pushforward.training.loop import Loop, Training
from pushforward.training.player_state import adam
from pushforward.training.step_cost import measure_discrepancies, measure_step

BATCH = 16


def mlp(*widths: int) -> nn.Sequential:
    return nn.Sequential(*(m for n, k in pairwise(widths) for m in (nn.Linear(n, k), nn.Tanh())))


def loop_of(model: Model, batch: int = BATCH) -> Loop:
    optimizers = {player.name: adam(1e-2) for player in model.players()}
    rows = torch.rand(max(64, batch), 12, generator=torch.Generator().manual_seed(5))
    return Loop(model, Split(rows), Training(batch, optimizers), total=10)


def wae(batch: int = BATCH) -> Loop:
    prior = NormalPrior(3)
    encoder = DeterministicEncoder(mlp(12, 20, 3))
    mmd = MMD(IMQ(prior.expected_sq_distance))
    return loop_of(WAE(prior, mlp(3, 20, 12), encoder, discrepancy=mmd, weight=1.0), batch)


def autoencoder() -> Loop:
    return loop_of(AutoEncoder(NormalPrior(3), mlp(3, 20, 12), DeterministicEncoder(mlp(12, 20, 3))))


def test_an_autoencoder_costs_thrice_its_multiplications_without_the_gradient_of_the_data():
    cost = measure_step(autoencoder())
    multiplications = 12 * 20 + 20 * 3 + 3 * 20 + 20 * 12
    parameters = multiplications + 20 + 3 + 20 + 12
    assert cost.rows == BATCH
    assert cost.parameters == {"model": parameters}
    assert cost.work.flops == BATCH * 2 * (3 * multiplications - 12 * 20)
    assert cost.memory.gradients == 4 * parameters
    assert cost.memory.moments == 4 * (2 * parameters + 8)  # Adam: two a number, and a count for each tensor
    assert cost.memory.weights == 4 * parameters
    assert cost.work.exchanges == cost.work.reduced_bytes == cost.work.gathered_bytes == 0


def test_what_is_kept_for_the_backward_pass_is_the_input_of_each_layer_and_of_the_cost():
    """Tanh keeps its output, which the next layer takes; the cost keeps its difference."""
    cost = measure_step(autoencoder())
    layers = 12 + 20 + 3 + 20 + 12  # the rows, and the outputs of four tanh
    assert cost.memory.activations == 4 * BATCH * (layers + 12)


def test_a_player_counts_each_of_its_updates():
    def flops(n_critic: int) -> float:
        critic = Wasserstein(mlp(12, 8, 1), n_critic=n_critic)
        return measure_step(loop_of(GAN(NormalPrior(3), mlp(3, 20, 12), critic))).work.flops

    one, two, four = (flops(n) for n in (1, 2, 4))
    assert four - two == 2 * (two - one) > 0


def test_a_gradient_penalty_costs_more_operations():
    def cost(discrepancy: Wasserstein) -> float:
        return measure_step(loop_of(GAN(NormalPrior(3), mlp(3, 20, 12), discrepancy))).work.flops

    assert cost(Wasserstein(mlp(12, 8, 1), GradientPenalty())) > cost(Wasserstein(mlp(12, 8, 1)))


def test_one_of_several_processes_sums_gradients_and_terms_and_gathers_codes():
    alone = measure_step(wae()).work
    with process_group.imitated(4):
        shared = measure_step(wae(4 * BATCH))
    parameters = 2 * (12 * 20 + 20 * 3) + 20 + 3 + 20 + 12
    tensors, terms, codes = 8, 2, 3 * BATCH
    assert shared.rows == BATCH
    assert shared.work.exchanges == 2  # codes with draws of the prior, gradients
    assert shared.work.gathered_bytes == 4 * 2 * codes
    assert shared.work.reduced_bytes == 4 * (parameters + tensors + terms)
    assert shared.work.flops >= alone.flops
    assert distributed.size() == 1


@pytest.mark.parametrize(("recipe", "most"), [("wae-mmd", 2), ("vae", 1), ("wae", 2)])
@pytest.mark.parametrize("network", ["mlp", "mlp-wide"])
def test_a_step_exchanges_gradients_codes_and_twice_what_each_batchnorm_needs(recipe, network, most):
    """Forward its moments and backward their gradients: with no BatchNorm two exchanges, or one of a VAE."""
    x = torch.rand(64, 1, 8, 8)
    rows = Dataset("noise", Split(x), Split(x[:2]), in_unit_interval=True)
    setup = RECIPES[recipe](rows.spec, network=network)
    norms = sum(isinstance(module, nn.BatchNorm1d) for module in setup.model.modules())
    with process_group.imitated(2):
        found = measure_step(Loop(setup.model.train(), rows.train, setup.training, total=10)).work
    assert found.exchanges == most + 2 * norms <= 10


def test_pairs_of_a_discrepancy_grow_with_the_square_of_the_batch():
    flops = {batch: measure_discrepancies(wae(batch)).flops for batch in (64, 128, 1024, 2048)}
    assert flops[128] == 4 * flops[64]  # one block of all pairs
    assert 3 < flops[2048] / flops[1024] < 4  # and with blocks above the diagonal, a little less


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
