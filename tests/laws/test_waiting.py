"""A step starts work on a device and waits for none of it.

The steps are taken on the device "meta", whose tensors have no values: whatever has to know one (``item``,
``float``, ``bool``, ``cpu``, ``nonzero``, a mask as an index) fails there, as it would wait on a GPU.
"""

import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import cache

import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import pushforward as pf
from pushforward.recipes import RECIPES
from pushforward.torch_state import to_device, to_like, torch_seeded
from pushforward.training import Loop

LINES = ("arae", "transfer-ae")
TEXT = {"word_dropout": 0.3, "encoder_word_dropout": 0.2, "token_replacement": 0.3}
CASES = {name: (name, {}, "phrases" if name in LINES else 8) for name in RECIPES} | {
    "wae-mmd, automatic weight": ("wae-mmd", {"weight": "auto"}, 8),
    "wae, sliced": ("wae", {"discrepancy": "sliced-w2"}, 8),
    "wae, implicit": ("wae-gan", {"posterior": "implicit", "conditional": True}, 8),
    "wae-mmd, noise": ("wae-mmd", {"input_noise": 0.1}, 8),
    "vae, warm-up": ("vae", {"warmup": 5}, 8),
    "vae of a table": ("vae", {}, None),
    "vae of text": ("vae", TEXT, "phrases"),
    "vae of text, transformer": ("vae", {"network": "transformer"}, "phrases"),
    "transfer-ae, pairs": ("transfer-ae", {"paired_fraction": 0.5}, "phrases"),
    "transfer-ae, MMD": ("transfer-ae", {"discrepancy": pf.MMD(pf.IMQ(8.0))}, "phrases"),
    "ebgan, pulling away": ("ebgan", {"pulling_away_weight": 0.1}, 8),
    "mmd-gan, penalty": ("mmd-gan", {"gp_weight": 1.0}, 8),
    "infogan of convolutions": ("infogan", {}, 16),
    "wae-mmd of convolutions": ("wae-mmd", {}, 16),
}
COPIES = {torch.ops.aten._to_copy.default: 0, torch.ops.aten.copy_.default: 1}  # where the source stands


class Copies(TorchDispatchMode):
    """Finds copies from the CPU that do not go through pinned memory, as :func:`to_device` makes them."""

    def __init__(self):
        super().__init__()
        self.waiting = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if func in COPIES and args[COPIES[func]].device.type == "cpu" and made.is_meta:
            frame, codes = sys._getframe(), []
            while frame:
                codes.append(frame.f_code)
                frame = frame.f_back
            # `constants` copies once in a run.
            if not {to_device.__code__, to_like.__code__} & set(codes):
                ours = [code for code in codes if "/pushforward/" in code.co_filename]
                if ours[0].co_name != "constants":
                    self.waiting.append(f"{ours[0].co_filename}: {ours[0].co_qualname}")
        return made


@cache
def data_of(side):
    """Few images, lines, or rows of a table."""
    if side == "phrases":
        return pf.open_dataset(side, max_length=12)
    if side is None:
        ages, jobs = [20 + i % 30 for i in range(60)], ["abc"[i % 3] for i in range(60)]
        return pf.open_dataset(pd.DataFrame({"age": ages, "job": jobs}))
    x = torch.rand(40, 1, side, side, generator=torch.Generator().manual_seed(0))
    return pf.open_dataset((x, torch.arange(40) % 4))


def loop_of(case, device, optimizing=None):
    """The loop of a case, before its first step."""
    recipe, options, side = CASES[case]
    data = data_of(side)
    with torch_seeded(0):
        setup = RECIPES[recipe](data.spec, **options)
    training = replace(setup.training, batch_size=8)
    if optimizing is not None:
        training = replace(training, optimizers=dict.fromkeys(training.optimizers, optimizing))
    return Loop(setup.model.train(), data.train, training, 100, seed=3, device=device)


@pytest.fixture
def on_meta(monkeypatch):
    """Takes steps of a case there."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which does not know the device

    def plain_adam(parameters):  # nor does the fused one
        return torch.optim.Adam(parameters, foreach=True)

    def steps(case, count=2):
        loop = loop_of(case, "meta", plain_adam)
        updates = []
        with Copies() as copies:
            for _ in range(count):
                loop.take_step(updates, look=False)
        assert {update.values.device.type for update in updates} == {"meta"}
        return copies.waiting

    return steps


@pytest.mark.parametrize("case", CASES)
def test_a_step_waits_for_nothing_on_its_device(case, on_meta):
    assert on_meta(case) == []


def test_a_copy_that_waits_is_found(on_meta, monkeypatch):
    monkeypatch.setattr("pushforward.distributions.base.to_like", lambda x, like: x.to(like))
    assert any("Gaussian.rsample" in found for found in on_meta("vae"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_no_step_waits_for_a_gpu_that_is_there():
    """Torch itself then says what waits, also within operations that the device "meta" does not have."""
    waiting = []
    for case in CASES:
        loop = loop_of(case, "cuda")
        loop.take_step([], look=False)
        torch.cuda.set_sync_debug_mode("error")
        try:
            for loop.step in (4, 99):  # some state changes in every fourth step, or in the hundredth
                loop.take_step([], look=False)
        except RuntimeError as error:
            waiting.append(f"{case}: {error}")
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert waiting == []
