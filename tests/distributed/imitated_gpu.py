"""Steps of recipes on a device that computes nothing: ``imitated_gpu.py PROCESSES CASE ...``.

Its tensors have a shape, a type and a place, and no numbers (torch's FakeTensorMode). What would fail on a
GPU, since tensors of two places meet, fails here, and so does what takes its shape from numbers of the GPU
(masks, nonzero). What would wait for the GPU otherwise is noted: numbers that are taken from there, and
tensors that are sent there from memory that is not pinned. Prints what went wrong, and the places that wait,
of each case.
"""

import json
import sys
import traceback
from dataclasses import replace

import many
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

from pushforward import distributed, shared_numbers, torch_state
from pushforward.networks.shared_batch import shared_functions
from pushforward.process_group import imitated
from pushforward.recipes import RECIPES
from pushforward.torch_state import torch_seeded
from pushforward.training import Loop, placement

GPU = "gpu"
AGAIN = (4, 99)  # steps after the first: some state changes in every fourth, or in the hundredth
TOGETHER = (torch.ops.aten.cat, torch.ops.aten.stack)
INDEXING = (torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_)


def gru_cell(inputs, hidden, state, *biases):
    """The shapes of a fused step of a GRU: its state, and what is kept for the way back."""
    return torch.empty_like(state), state.new_empty(len(state), 5 * state.shape[1])


def gru_cell_back(gradient, kept, has_bias):
    """The shapes of its gradients: of both products, of the state, and of both biases."""
    three = gradient.new_empty(len(gradient), 3 * gradient.shape[1])
    return (
        three,
        three.clone(),
        gradient.clone(),
        three.new_empty(three.shape[1]),
        three.new_empty(three.shape[1]),
    )


# Operations that torch does not imitate.
UNKNOWN = {
    torch.ops.aten._thnn_fused_gru_cell.default: gru_cell,
    torch.ops.aten._thnn_fused_gru_cell_backward.default: gru_cell_back,
}


class Module(_DummyBackendModule):
    """What torch asks of a device with autocast."""

    def get_amp_supported_dtype(self):
        return [torch.bfloat16]


class OnGPU(TorchDispatchMode):
    """Computes what is on the device without numbers, and everything else as ever."""

    def __init__(self):
        super().__init__()
        self.fake = FakeTensorMode(allow_non_fake_inputs=True)
        self.waits = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        there = [x for x in tree_iter((args, kwargs)) if isinstance(x, FakeTensor)]
        device = str(kwargs.get("device"))
        if func is torch.ops.aten._local_scalar_dense.default and there:
            if args[0].device.type == GPU:
                self.wait()
            return 1.0 if args[0].is_floating_point() else 0
        if func.overloadpacket in TOGETHER:
            places = {x.device.type for x in args[0]}
            assert len(places) == 1, f"{func} of tensors on {places}"  # torch allows single numbers here
        if func.namespace == "c10d" and not there:
            self.wait()
        if not there and not device.startswith(GPU):
            return func(*args, **kwargs)
        if self.passes(func, args, kwargs):
            self.wait()
        with self.fake:
            args, kwargs = tree_map_only(torch.Tensor, self.imitation, (args, kwargs))
            return UNKNOWN.get(func, func)(*args, **kwargs)

    def passes(self, func, args, kwargs):
        """Whether numbers pass between the CPU and the device while the program stands still."""
        if func is torch.ops.aten._to_copy.default:
            source, target, free = args[0], kwargs.get("device") or args[0].device, kwargs.get("non_blocking")
        elif func is torch.ops.aten.copy_.default:
            target, source, free = args[0].device, args[1], len(args) > 2 and args[2]
        else:
            on_gpu = func.overloadpacket in INDEXING and args[0].device.type == GPU
            return on_gpu and any(one.device.type != GPU for one in args[1] if one is not None)
        places = source.device.type, torch.device(target).type
        return places == (GPU, "cpu") or (places == ("cpu", GPU) and not (free and hasattr(source, "pinned")))

    def imitation(self, x):
        """A tensor without its numbers."""
        return x if isinstance(x, FakeTensor) else self.fake.from_tensor(x)

    def wait(self):
        """Notes where in the package the device is waited for."""
        frames = [one for one in traceback.extract_stack() if "/pushforward/" in one.filename]
        self.waits.add(f"{frames[-1].filename.partition('/pushforward/')[2]} {frames[-1].name}")


def prepare():
    """Makes the device known, and what is asked of it besides tensors."""
    _setup_privateuseone_for_python_backend(GPU, backend_module=Module())
    known = {}

    def moved(module, fn, recurse=True):
        """As ``nn.Module._apply``, which refuses tensors without numbers."""
        for child in module.children():
            child._apply(fn)
        for name, parameter in module._parameters.items():
            if parameter is not None:
                if parameter not in known:
                    known[parameter] = nn.Parameter(fn(parameter.detach()), parameter.requires_grad)
                module._parameters[name] = known[parameter]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = fn(buffer)
        return module

    tensor = torch.tensor

    def tensor_of(values, device=None, **more):
        return tensor(values, **more) if device is None else tensor(values, **more).to(device)

    torch.tensor = tensor_of
    nn.Module._apply = moved
    torch.Tensor.pin_memory = pinned
    torch_state.WITH_PINNED = placement.WITH_PINNED = (GPU,)
    placement.fits = lambda rows, device: True


def pinned(x):
    """The same numbers, which are sent to the device without waiting."""
    x = x.view_as(x)
    x.pinned = True
    return x


def steps_of(case, processes):
    """Takes steps of a case; the places that wait for the device, or for processes, in all but the first."""
    recipe, options, kind = many.CASES[case]
    data = many.rows_of(kind)
    with torch_seeded(0):
        setup = RECIPES[recipe](data.spec, **options)
    with OnGPU() as mode, imitated(processes):
        training = replace(setup.training, batch_size=many.BATCH)
        loop = Loop(setup.model.train(), data.train, training, 100, seed=3, device=GPU)
        loop.take_step([], look=False)  # what is copied once is kept
        mode.waits.clear()
        for loop.step in AGAIN:
            loop.take_step([], look=False)
        waits = sorted(mode.waits)
        loop.check_same()
    return waits


def layer(processes):
    """Drops values by a layer of a user's own network, within a step; the places that wait for the device."""
    with OnGPU() as mode, imitated(processes), distributed.sharing(), shared_functions():
        shared_numbers.seed_layers(0, GPU)
        nn.Sequential(nn.Dropout()).train()(torch.ones(2, 3, device=GPU))
        return sorted(mode.waits)


if __name__ == "__main__":
    processes, *cases = sys.argv[1:]
    prepare()
    for case in cases:
        try:
            found = steps_of(case, int(processes)) if case in many.CASES else layer(int(processes))
        except Exception as error:
            traceback.print_exc()
            found = f"{type(error).__name__}: {error}"
        sys.stdout.write(json.dumps(found) + "\n")
