"""What passes between processes: the gather and its derivatives, BatchNorm, agreement, a lost process."""

import json
import sys
from pathlib import Path

import pytest
import torch
from many import in_processes

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json
import sys
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from pushforward import distributed, process_group, shared_numbers
from pushforward.networks import GaussianNoise
from pushforward.networks.shared_batch import shared_functions

torch.set_num_threads(1)
x = torch.rand(8, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def norm(kind):
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), kind(4), nn.Tanh(), nn.Conv2d(4, 2, 1)).double()


def second(net, x):
    # a penalty on slopes: its gradient needs the second derivative of BatchNorm
    x = x.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(net(x).square().sum(), x, create_graph=True)
    return slopes


with process_group.joined():
    rank, size = distributed.rank(), distributed.size()
    own = distributed.own_slice(8)
    for name, body in json.loads(sys.argv[1]).items():
        exec(body)
        print(name)
"""
GATHER = """
weights = torch.arange(8, dtype=torch.float64)
leaf = x[own].flatten(1).requires_grad_()
one = x.flatten(1).requires_grad_()
(expected,) = torch.autograd.grad((weights * (one.sum(1) ** 3)).sum(), one, create_graph=True)
(bent,) = torch.autograd.grad(((size * expected) ** 2).sum(), one)
for gather in (distributed.all_gather, lambda rows: distributed.gather_replicated(rows)[0]):
    with distributed.sharing():
        whole = gather(leaf)
        (gradient,) = torch.autograd.grad((weights * (whole.sum(1) ** 3)).sum(), leaf, create_graph=True)
        (curvature,) = torch.autograd.grad((gather(gradient) ** 2).sum(), leaf)
    assert torch.equal(whole, x.flatten(1))
    # the mean over processes divides by their number
    torch.testing.assert_close(gradient, size * expected[own])
    torch.testing.assert_close(curvature, size * bent[own])
    assert gather(leaf) is leaf  # no step is being taken
# a penalty on this process's own slopes
with distributed.sharing():
    whole, numbers = distributed.gather_replicated(leaf, torch.arange(8)[own])
    (gradient,) = torch.autograd.grad((whole ** 3).sum(1).dot(weights), leaf, create_graph=True)
    (curvature,) = torch.autograd.grad((gradient ** 2).mean(), leaf)
assert torch.equal(numbers, torch.arange(8))
(expected,) = torch.autograd.grad((one ** 3).sum(1).dot(weights), one, create_graph=True)
(bent,) = torch.autograd.grad(((size * expected) ** 2).mean(), one)
torch.testing.assert_close(curvature, size * bent[own])
"""
NORM = """
class Gain(nn.BatchNorm2d):
    # of a user's own
    def forward(self, x):
        return 3 * super().forward(x)


class ByFunction(nn.BatchNorm2d):
    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, training=True)


for kind in (nn.BatchNorm2d, Gain, ByFunction):
    net, one = norm(kind), norm(kind)
    with distributed.sharing(), shared_functions():
        made, slopes = net(x[own]), second(net, x[own])
        (slopes ** 2).sum().backward()
    for parameter in net.parameters():
        if parameter.grad is not None:
            (parameter.grad,) = distributed.average(parameter.grad)
    expected = one(x)
    (second(one, x) ** 2).sum().backward()
    torch.testing.assert_close(made, expected[own])
    for found, wanted in zip(net.parameters(), one.parameters(), strict=True):
        if wanted.grad is not None:
            torch.testing.assert_close(found.grad * size, wanted.grad, rtol=1e-9, atol=1e-9)
    for found, wanted in zip(net.buffers(), one.buffers(), strict=True):
        torch.testing.assert_close(found, wanted)
    assert type(net[1]) is kind
"""
SELECTION = """
# rows that a network chooses: processes have unequally many of them, or none
for chosen in ([0, 1, 2, 3, 4], [1, 2], [3, 5, 6, 7], [2]):
    mask = torch.zeros(8, dtype=torch.bool)
    mask[chosen] = True
    found, wanted = (nn.BatchNorm2d(3).double() for _ in range(2))
    leaf, one = x[own].clone().requires_grad_(), x.clone().requires_grad_()
    with distributed.sharing(), shared_functions():
        made = leaf.clone().masked_scatter(mask[own, None, None, None], found(leaf[mask[own]]))
        (made ** 3).sum().backward()
    expected = one.clone().masked_scatter(mask[:, None, None, None], wanted(one[mask]))
    (expected ** 3).sum().backward()
    torch.testing.assert_close(made, expected[own])
    torch.testing.assert_close(leaf.grad, one.grad[own])
    for one, other in zip(found.buffers(), wanted.buffers(), strict=True):
        torch.testing.assert_close(one, other)
"""
DROPOUT = """
class Half(nn.Dropout):
    # of a user's own
    def forward(self, x):
        return super().forward(x) / 2


kinds = (nn.Dropout, Half, nn.AlphaDropout, nn.Dropout2d, nn.Dropout3d, nn.FeatureAlphaDropout)
for layer in (*(kind(0.3) for kind in kinds), nn.Dropout(0.3, inplace=True), GaussianNoise(0.3)):
    torch.manual_seed(5)
    shared_numbers.seed_layers(5, "cpu")
    wanted = [layer(x.clone()) for _ in range(2)]
    torch.manual_seed(rank)
    given = x[own].clone()
    with distributed.sharing(), shared_functions():
        found = [layer(given.clone()), layer(given)]
    assert all(torch.equal(mine, whole[own]) for mine, whole in zip(found, wanted, strict=True)), layer
    assert torch.equal(given, found[1] if getattr(layer, "inplace", False) else x[own])
with distributed.sharing(), distributed.gathered(), shared_functions():
    shared_numbers.seed_layers(5, "cpu")
    distributed.check_same("dropout of all rows", {"x": F.dropout(x)})
"""
CHECKPOINT = """
# a layer that is computed again has the numbers that it had
torch.manual_seed(1)
net = nn.Sequential(
    nn.Linear(75, 4), nn.BatchNorm1d(4), nn.Dropout(0.4), GaussianNoise(0.5), nn.Tanh(), nn.Linear(4, 4)
).double()
rows = x.flatten(1)


def gradients(rows, reentrant, times):
    net.zero_grad()
    rows = rows.clone().requires_grad_()
    again = net if reentrant is None else lambda h: checkpoint(net, h, use_reentrant=reentrant)
    (sum(again(rows) ** 3 for _ in range(times)) + net(rows) ** 3).sum().backward()
    return [parameter.grad.clone() for parameter in net.parameters()], rows.grad


for reentrant in (False, True):
    torch.manual_seed(5)
    expected, slopes = gradients(rows, None, 2)
    torch.manual_seed(rank)
    shared_numbers.seed_layers(5, "cpu")
    with distributed.sharing(), shared_functions():
        found, own_slopes = gradients(rows[own], reentrant, 2)
    for one, other in zip(distributed.average(*found), expected, strict=True):
        torch.testing.assert_close(size * one, other, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(own_slopes, slopes[own], rtol=1e-12, atol=1e-12)
"""
PATHS = """
# all processes skip a block, or none does, as one process would
rows, decisions = x.flatten(1), []
norm_of_rows, one = nn.BatchNorm1d(75).double(), nn.BatchNorm1d(75).double()


def made_of(rows, norm):
    with distributed.gathered():
        skips = bool(shared_numbers.layer_numbers(torch.rand, 1, device=rows.device) < 0.5)
    decisions.append(skips)
    return rows if skips else norm(rows)


torch.manual_seed(5)
expected = [made_of(rows, one) for _ in range(8)]
torch.manual_seed(rank)
shared_numbers.seed_layers(5, "cpu")
with distributed.sharing(), shared_functions():
    found = [made_of(rows[own], norm_of_rows) for _ in range(8)]
assert decisions[:8] == decisions[8:] and 0 < sum(decisions) < 16
for mine, whole in zip(found, expected, strict=True):
    torch.testing.assert_close(mine, whole[own])
"""
OTHER_PATHS = """
with distributed.sharing(), shared_functions():
    if rank == 1:
        nn.BatchNorm1d(75).double()(x[own].flatten(1))
    distributed.wait()
"""
BLOCKS = """
from pushforward.discrepancies import IMQ, MMD, SquareRoot, pair_sums

pair_sums.TILE["cpu"], pair_sums.SMALL = 2, 0
kernel, computed = IMQ(4.0), []
former = kernel.value_and_slope
kernel.value_and_slope = lambda squares, *rest: computed.append(squares) or former(squares, *rest)
q, p = x.flatten(1), x.flip(0).flatten(1) + 0.5
for discrepancy in (MMD(kernel), SquareRoot(MMD(kernel, "v"))):
    one = q.clone().requires_grad_()
    computed.clear()
    expected = discrepancy(one, p)
    expected.backward()
    blocks = len(computed)
    leaf = q[own].clone().requires_grad_()
    computed.clear()
    with distributed.sharing():
        value = discrepancy(leaf, p[own])
        value.backward()
    assert blocks == 36 and len(computed) == 36 // size  # above the diagonal: 10 + 16 + 10
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(leaf.grad, size * one.grad[own])
"""
AGREE = """
assert distributed.any_process(False, rank == 1) == (False, True)
assert distributed.from_first({"of": rank, "words": ["a", None]}) == {"of": 0, "words": ["a", None]}
distributed.check_same("x", {"x": x})
distributed.tensors_from_first([x])
try:
    distributed.check_same("the weights", {"first": x, "second": x + rank * 1e-15})
except Exception as error:
    said = f"{type(error).__name__} {error}"
assert said == "ProcessError the weights must be the same in all 2 processes, but second is not", said
"""
ALIKE = """
from pushforward.training.alike import begin_alike, check_alike


def said_by(function):
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__} {error}"


class Frequencies(nn.Module):
    # has numbers that no checkpoint holds, and follows its rows
    def __init__(self, kinds):
        super().__init__()
        self.plain = torch.randn(3)
        self.constant = torch.zeros(1).expand(3)  # which torch does not write to
        self.register_buffer("kept", torch.randn(kinds), persistent=False)
        self.register_buffer("mean", torch.zeros(()))


torch.manual_seed(rank)
module = nn.Sequential(nn.Linear(2, 2), Frequencies(3))
begin_alike(module)
distributed.check_same("tensors", {"plain": module[1].plain, **module.state_dict(), "kept": module[1].kept})
check_alike(module, 1)
module[1].plain += rank  # such as the last batch
check_alike(module, 1)
module[1].kept += rank
said = said_by(lambda: check_alike(module, 2))
fault = "the buffers of step 2 must be the same in all 2 processes, but 1.kept is not"
assert said.startswith(f"ProcessError {fault}"), said
assert "has to see the rows of all processes" in said
module[1].kept -= rank
for gather in (distributed.all_gather, lambda rows: rows):
    with distributed.sharing():
        module[1].mean.lerp_(gather(x[own]).mean().float(), 0.1)
    said = said_by(lambda: check_alike(module, 3))
    assert (said is None) == (gather is distributed.all_gather), said
said = said_by(lambda: begin_alike(Frequencies(3 + rank)))
if rank == 1:
    fault = "need the same kept, process 1 has ['torch.float32', 4], process 0 ['torch.float32', 3]"
    assert said == f"ConfigError all processes of a run {fault}", said
"""
THREADS = """
import os
import pathlib

policies = {
    (thread / "comm").read_bytes().strip(): os.sched_getscheduler(int(thread.name))
    for thread in pathlib.Path("/proc/self/task").iterdir()
}
assert policies.pop(b"gloo_tcp_loop") == os.SCHED_BATCH, policies
assert set(policies.values()) == {os.SCHED_OTHER}, policies
"""
LOST = """
if rank == 1:
    sys.exit(3)
distributed.wait()
"""
BODIES = {
    "gather": GATHER, "BatchNorm": NORM, "selection": SELECTION, "dropout": DROPOUT, "checkpoint": CHECKPOINT,
    "paths": PATHS,
    "agreement": AGREE, "MMD": BLOCKS, "alike": ALIKE,
}  # fmt: skip


def run(bodies):
    """The exit codes, output and errors of two processes that run these bodies one after the other."""
    return in_processes(2, ROOT, ["-c", PROGRAM, json.dumps(bodies)])


@pytest.fixture(scope="module")
def ended():
    """Of each process the bodies that it ran to their end, and its errors."""
    return [(printed.split(), errors) for _, printed, errors in run(BODIES)]


@pytest.mark.parametrize(
    "name", ["gather", "BatchNorm", "selection", "dropout", "checkpoint", "paths", "MMD"]
)
def test_derivatives_and_statistics_are_those_of_one_process(name, ended):
    for done, errors in ended:
        assert name in done, errors


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux says of threads")
@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 13),
    reason="gloo of older releases names no thread",
)
def test_the_thread_of_gloo_that_tries_locks_displaces_no_other():
    """Else it keeps a core from the thread that holds the lock: exchanges took up to 4 ms instead of 0.2."""
    for code, _, errors in run({"threads": THREADS}):
        assert code == 0, errors


def test_processes_agree_or_say_that_they_do_not(ended):
    for done, errors in ended:
        assert "agreement" in done, errors


def test_processes_begin_alike_and_say_what_becomes_different(ended):
    """Buffers and attributes are of the first process, also those that no checkpoint holds."""
    for done, errors in ended:
        assert "alike" in done, errors


def test_torch_can_be_asked_which_process_is_elsewhere(monkeypatch):
    """As the page says; it costs another exchange each time."""
    monkeypatch.setenv("TORCH_DISTRIBUTED_DEBUG", "DETAIL")
    for code, _, errors in run({"paths": OTHER_PATHS}):
        assert code == 1
        assert "Detected mismatch between collectives on ranks" in errors
        assert "ProcessError" in errors


def test_a_process_that_has_lost_another_says_so():
    (_, _, errors), (code, _, _) = run({"lost": LOST})
    assert code == 3
    assert "ProcessError: one of the 2 processes was lost (" in errors
    assert ".cc" not in errors.splitlines()[-1]  # of the source of gloo, which helps nobody who trains
