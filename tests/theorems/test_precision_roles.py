"""What computes in bfloat16 follows from the role of a module, whoever wrote its class."""

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.discrepancies.adversarial import Adversarial
from pushforward.distributions import Dirac, Encoder
from pushforward.models import WAE
from pushforward.networks.precision import InFloat32, in_precision, networks_of
from pushforward.training import Training, adam

ROWS = torch.rand(24, 6, generator=torch.Generator().manual_seed(0))
LOW, FULL = torch.bfloat16, torch.float32
QUICK = dict(steps=3, precision="bf16", progress=False, pictures=False)


class Watched(nn.Sequential):
    """Two layers that remember in what the first has computed in training."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Linear(inputs, 5), nn.Tanh(), nn.Linear(5, outputs))
        self.seen: set[torch.dtype] = set()
        self[0].register_forward_hook(self.look)

    def look(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if layer.training:
            self.seen.add(output.dtype)


class Looking:
    """Remembers in what its formula was computed."""

    def saw(self, *values: Tensor) -> None:
        vars(self).setdefault("seen", set()).update(value.dtype for value in values)


class MyModel(Looking, WAE):
    def regularisers(self, s):
        self.saw(s.Ex, s.GEx, s.EGz)
        return {"cycle": (s.EGz - s.z).square().sum(1).mean()}


class MyEncoder(Looking, Encoder):
    """Its second network is in a list, which has no forward."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.heads = Watched(6, 4), nn.ModuleList([Watched(4, 2)])
        self.scale = nn.Parameter(torch.ones(2, 2))

    def forward(self, x, y=None):
        codes = self.heads[0](self.body(x)) @ self.scale
        self.saw(codes)
        return Dirac(codes)


class MyDistance(Looking, Adversarial):
    def bound(self, Tq, Tp):
        self.saw(Tq, Tp)
        return (Tp.tanh().mean() - Tq.tanh().mean()) / 2


class MyCost(Looking, pf.Cost):
    """The squared distance of features."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features

    def rows(self, made, given):
        found = self.features(made) - self.features(given)
        self.saw(found)
        return found.square().sum(1)


class FeatureMoments(Looking, pf.Discrepancy):
    """The squared distance of means of features that are given."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features.requires_grad_(False)

    def forward(self, q, p):
        gap = self.features(q).mean(0) - self.features(p).mean(0)
        self.saw(gap)
        return gap.square().sum()


def mmd():
    return pf.MMD(pf.IMQ(4.0))


def train(model, tmp_path, **optimizers):
    how = Training(batch_size=8, optimizers={"model": adam(1e-3), **optimizers})
    return pf.train(model, ROWS, training=how, out=tmp_path / "run", **QUICK)


def test_a_model_of_ones_own_computes_in_float32_and_its_networks_do_not(tmp_path):
    encoder, decoder = Watched(6, 2), Watched(2, 6)
    model = MyModel(pf.NormalPrior(2), decoder, pf.DeterministicEncoder(encoder), mmd())
    train(model, tmp_path)
    assert (encoder.seen, decoder.seen, model.seen) == ({LOW}, {LOW}, {FULL})


def test_an_encoder_of_ones_own_gives_codes_in_float32(tmp_path):
    encoder, discrepancy = MyEncoder(), FeatureMoments(nn.Identity())
    train(WAE(pf.NormalPrior(2), Watched(2, 6), encoder, discrepancy), tmp_path)
    assert (encoder.body.seen, encoder.heads[0].seen) == ({LOW}, {LOW})
    assert encoder.seen == discrepancy.seen == {FULL}


def test_a_bound_of_ones_own_is_in_float32_in_all_updates_and_its_critic_is_not(tmp_path):
    critic = Watched(2, 1)
    distance = MyDistance(critic)
    pf.train("wae", ROWS, discrepancy=distance, latent_dim=2, out=tmp_path / "run", **QUICK)
    assert (critic.seen, distance.seen) == ({LOW}, {FULL})


@pytest.mark.parametrize("trained", [False, True])
def test_features_of_a_cost_of_ones_own_are_in_float32(tmp_path, trained):
    features, decoder = Watched(6, 3).requires_grad_(trained), Watched(2, 6)
    cost = MyCost(features)
    model = WAE(pf.NormalPrior(2), decoder, pf.DeterministicEncoder(nn.Linear(6, 2)), mmd(), cost)
    train(model, tmp_path)
    assert (features.seen, cost.seen, decoder.seen) == ({FULL}, {FULL}, {LOW})


def test_given_features_of_a_discrepancy_are_in_float32(tmp_path):
    features = Watched(2, 3)
    discrepancy, encoder = FeatureMoments(features), Watched(6, 2)
    model = WAE(pf.NormalPrior(2), Watched(2, 6), pf.DeterministicEncoder(encoder), discrepancy)
    train(model, tmp_path, critic=adam(1e-3))
    assert (features.seen, discrepancy.seen, encoder.seen) == ({FULL}, {FULL}, {LOW})


def test_further_parts_of_a_model_are_networks_if_they_are_trained(tmp_path):
    """Those that are not are features of a term; encoder and decoder are networks in any case."""

    class Guessing(WAE):
        def regularisers(self, s):
            return {"guess": (self.further(s.GEx) - self.features(s.x)).square().sum(1).mean()}

    further, features, encoder = Watched(6, 3), Watched(6, 3), Watched(6, 2)
    encoder.requires_grad_(False)
    model = Guessing(pf.NormalPrior(2), Watched(2, 6), pf.DeterministicEncoder(encoder), mmd())
    model.further, model.features = further, features.requires_grad_(False)
    train(model, tmp_path)
    assert (further.seen, features.seen, encoder.seen) == ({LOW}, {FULL}, {LOW})


def test_a_network_that_a_cost_uses_too_is_in_float32(tmp_path):
    """As in a model whose cost compares features of its critic: the rest of the critic is a network still."""
    shared, head = Watched(2, 4), Watched(4, 1)
    critic = nn.Sequential(shared, head)
    model = WAE(
        pf.NormalPrior(2), nn.Linear(2, 2), pf.DeterministicEncoder(nn.Linear(2, 2)), MyDistance(critic)
    )
    model.cost = MyCost(shared)
    assert networks_of(model) == [model.decoder, model.encoder.net, head]


def test_a_formula_in_a_network_stays_in_float32():
    """Such as a cost in an energy of one's own, whose networks are found all the same."""

    class Energy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.cost = Watched(2, 2), MyCost(nn.Linear(2, 2))

        def forward(self, x):
            return self.cost.rows(self.net(x), x)

    energy = Energy()
    with in_precision(energy, "bf16"):
        energy(torch.ones(3, 2))
    assert (energy.net.seen, energy.cost.seen) == ({LOW}, {FULL})


def test_a_module_of_ones_own_may_say_that_it_stays_in_float32():
    class Exact(InFloat32):
        def __init__(self) -> None:
            super().__init__()
            self.net = Watched(2, 2)

        def forward(self, x):
            return self.net(x)

    exact, net = Exact(), Watched(2, 2)
    chain = nn.Sequential(exact, net)
    with in_precision(chain, "bf16"):
        assert chain(torch.ones(3, 2)).dtype == FULL
    assert (exact.net.seen, net.seen) == ({FULL}, {LOW})
