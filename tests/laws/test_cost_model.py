"""The model of time against closed forms, and figures that were measured on a GPU."""

from itertools import pairwise

import pytest
import torch

from pushforward.errors import ConfigError
from pushforward.recipes import RECIPES
from pushforward.training.cost_model import GPU, GPUS, Failures, Link, extrapolated
from pushforward.training.loop import Loop
from pushforward.training.step_cost import StepWork, measure_step

NOTHING = StepWork(flops=0, moved_bytes=0, kernels=0, exchanges=0, reduced_bytes=0, gathered_bytes=0)


def work(**parts):
    return StepWork(**(vars(NOTHING) | parts))


def test_one_process_waits_for_nobody():
    assert Link(1.0, 1.0).seconds(work(exchanges=5, reduced_bytes=100, gathered_bytes=10), 1) == 0


def test_what_a_ring_sends_grows_to_twice_its_content():
    link, content = Link(1e-12, 1.0), work(reduced_bytes=1000)
    took = [link.seconds(content, size) for size in (1, 2, 4, 8, 1024)]
    assert took[:3] == pytest.approx([0, 1000, 1500])
    assert all(a < b for a, b in pairwise(took))
    assert took[-1] == pytest.approx(2000, rel=1e-3)


def test_what_is_gathered_is_sent_to_each_other_process():
    assert Link(1e-12, 10.0).seconds(work(gathered_bytes=100), 5) == pytest.approx(40)


def test_latency_grows_with_the_depth_of_a_tree():
    link = Link(1.0, 1e12)
    assert [link.seconds(work(exchanges=3), size) for size in (2, 3, 4, 8, 1024)] == [3, 6, 6, 9, 30]


def test_a_gpu_takes_the_longer_of_starting_and_of_computing_and_moving():
    gpu = GPU("toy", {"fp32": 100.0}, 10.0, 1.0, Link(1, 1), reached=0.5, launch=1.0)
    assert gpu.seconds(work(kernels=7, flops=10), "fp32") == 7
    assert gpu.seconds(work(kernels=7, flops=1000, moved_bytes=50), "fp32") == (1000 / 100 + 50 / 10) / 0.5


# Images a second on one H200, batches of 100 images of 28x28: docs/results/throughput.md, 2026-11-27.
MEASURED = {
    ("wae-mmd", "mlp"): 28_780,
    ("wae-gan", "mlp"): 24_872,
    ("vae", "mlp"): 46_123,
    ("wae-mmd", "conv"): 21_103,
}


@pytest.mark.parametrize(("recipe", "network"), MEASURED, ids="-".join)
def test_steps_measured_on_a_gpu_are_predicted_within_a_factor_of_one_and_a_half(recipe, network):
    import pushforward as pf

    data = pf.open_dataset(torch.rand(2000, 1, 28, 28))
    setup = RECIPES[recipe](data.spec, network=network)
    loop = Loop(setup.model.train(), data.train, setup.training, 10)
    speed = setup.training.batch_size / GPUS["h200"].seconds(measure_step(loop).work, "fp32")
    assert 1 / 1.5 < speed / MEASURED[recipe, network] < 1.5


def test_the_best_interval_loses_least():
    failures = Failures(between=86_400.0, save=3.0, interval=60.0, restart=10.0)
    best = failures.best_interval(4)

    def lost(interval):
        return Failures(86_400.0, 3.0, interval, 10.0).lost(4)

    assert lost(best) < min(lost(0.9 * best), lost(1.1 * best))
    assert lost(best) - 10.0 * 4 / 86_400.0 == pytest.approx(
        2 * 3.0 / best
    )  # saving costs as much as redoing


def test_a_polynomial_of_degree_two_is_extrapolated_exactly():
    def of(size):
        return work(flops=5 + 3 * size + 2 * size**2, kernels=7, gathered_bytes=size)

    found = extrapolated([(size, of(size)) for size in (2, 5, 11)], 1000)
    for name, value in vars(of(1000)).items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Link(0.0, 1.0), "latency must be a positive number, got 0"),
        (lambda: Link(1.0, float("nan")), "bandwidth must be a positive number, got nan"),
        (lambda: Failures(1.0, 1.0, -1.0), "interval must be a positive number, got -1"),
    ],
)
def test_what_is_not_positive_is_refused(make, words):
    with pytest.raises(ConfigError, match=words):
        make()
