"""The state of torch that belongs to the whole process, and how runs share it.

Torch's own generators, its default type and its number of threads are global: two runs in two threads of one
process (joblib, Optuna's ``n_jobs``) would draw from each other's generator, and the caller's default type
would decide what networks are made of. What a run computes depends on its configuration alone, so whoever
needs such a state takes it from here, and leaves it behind as it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Generic, Self, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")
WITHOUT_DOUBLE = ("mps",)  # kinds of devices that have no float64
WITH_PINNED = ("cuda",)  # kinds of devices that copy from pinned memory by themselves
AT_HAND = ("cpu",)  # kinds of devices whose numbers Python reads without waiting
_GENERATORS = threading.RLock()  # held while someone draws from torch's own generators


@contextmanager
def torch_seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Inside, what torch draws by itself (weights, dropout) is a function of a seed.

    Other threads that draw wait meanwhile. Afterwards torch's generators are as they were.

    Arguments:
        seed: The seed.
        device: The device whose generator is seeded as well as the CPU's.

    Example:
        >>> with torch_seeded(7):
        ...     first = torch.rand(2)
        >>> with torch_seeded(7):
        ...     bool((torch.rand(2) == first).all())
        True
    """
    with _GENERATORS:
        # Not torch.random.fork_rng and torch.manual_seed: at every step they would be felt.
        generators = torch_generators(device)
        before = [generator.get_state() for generator in generators]
        for generator in generators:
            generator.manual_seed(seed)
        try:
            yield
        finally:
            for generator, state in zip(generators, before, strict=True):
                generator.set_state(state)


def torch_generators(device: torch.device | str) -> list[torch.Generator]:
    """Torch's own generator of the CPU, and that of a device which has one: not those of all GPUs there are.

    >>> torch_generators("cpu") == [torch.default_generator]
    True
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.init()
        number = torch.cuda.current_device() if device.index is None else device.index
        return [torch.default_generator, torch.cuda.default_generators[number]]
    if device.type == "mps":
        return [torch.default_generator, torch.mps._get_default_mps_generator()]
    return [torch.default_generator]


class Shared(Generic[T]):
    """A setting of the process that several threads may hold at once; the last one restores it.

    Arguments:
        get: Reads it.
        put: Writes it.
        per_thread: Whether each thread has a value of its own, which a new thread inherits.
    """

    def __init__(self, get: Callable[[], T], put: Callable[[T], object], per_thread: bool = False) -> None:
        self._get, self._put, self._per_thread = get, put, per_thread
        self._lock = threading.Lock()
        self._holders = 0
        self._outside = get()

    def outside(self) -> T:
        """Its value outside of all :meth:`held` contexts: the user's own."""
        with self._lock:
            return self._outside if self._holders else self._get()

    @contextmanager
    def held(self, value: T) -> Iterator[None]:
        """Inside, the setting has this value."""
        with self._lock:
            if not self._holders:
                self._outside = self._get()
            self._holders += 1
            self._change(value)
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if self._per_thread or not self._holders:
                    self._change(self._outside)

    def _change(self, value: T) -> None:
        if self._get() != value:
            self._put(value)


threads: Shared[int] = Shared(torch.get_num_threads, torch.set_num_threads, per_thread=True)
_dtype: Shared[torch.dtype] = Shared(torch.get_default_dtype, torch.set_default_dtype)


# The kinds of products for which torch has a setting.
_PRODUCTS = ("cuda.matmul", "cudnn.conv", "cudnn.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")
EXACT = ("ieee",) * len(_PRODUCTS)


def float32_products() -> tuple[str, ...]:
    """How torch multiplies float32 numbers, by kind of product: as they are ("ieee"), or rounded before."""
    return tuple(str(attrgetter(kind)(torch.backends).fp32_precision) for kind in _PRODUCTS)


def set_float32_products(settings: tuple[str, ...]) -> None:
    """Sets what :func:`float32_products` returns."""
    matmul, convolution, _, on_cpu, *_ = settings
    # Torch refuses to read its older settings, as it does here and there, where they say otherwise.
    torch.backends.cudnn.allow_tf32 = convolution == "tf32"
    torch.set_float32_matmul_precision(
        "highest" if matmul != "tf32" else "medium" if on_cpu == "bf16" else "high"
    )
    for kind, value in zip(_PRODUCTS, settings, strict=True):
        attrgetter(kind)(torch.backends).fp32_precision = value


_products: Shared[tuple[str, ...]] = Shared(float32_products, set_float32_products)


@contextmanager
def plain_torch() -> Iterator[None]:
    """Inside, torch computes as runs expect: in float32, on the CPU by default, with gradients.

    Products of float32 numbers are those of float32: on GPUs torch rounds the factors of convolutions to
    TensorFloat-32, of 10 bits, by default.

    Whatever surrounds the call (``torch.no_grad``, ``inference_mode``, ``autocast``, another default type or
    device) has no influence on it. It also decorates functions.

    Example:
        >>> @plain_torch()
        ... def trains():
        ...     return torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        >>> with torch.inference_mode():
        ...     trains()
        True
    """
    with (
        _dtype.held(torch.float32),
        _products.held(EXACT),
        _on_cpu(),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        yield


@contextmanager
def _on_cpu() -> Iterator[None]:
    # As a context, a device slows every call of torch: it is entered only where it changes something.
    if torch.get_default_device().type == "cpu":
        yield
    else:
        with torch.device("cpu"):
            yield


def at_hand(x: Tensor) -> bool:
    """Whether Python can read a tensor's numbers, to decide on shapes, without waiting for a device.

    >>> at_hand(torch.ones(1)), at_hand(torch.ones(1, device="meta"))
    (True, False)
    """
    return x.device.type in AT_HAND


def to_device(x: Tensor, device: torch.device | str) -> Tensor:
    """A tensor of the CPU on a device, without waiting for what the device has still to do.

    A copy from memory that is not pinned waits for it.

    >>> to_device(torch.ones(1), "cpu")
    tensor([1.])
    """
    if torch.device(device).type in WITH_PINNED and x.device.type == "cpu":
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)


def to_like(x: Tensor, like: Tensor) -> Tensor:
    """A tensor of the CPU with the dtype of another one and on its device, without waiting, as above.

    >>> to_like(torch.arange(2), torch.ones(1))
    tensor([0., 1.])
    """
    return to_device(x, like.device).to(like.dtype)


def in_layout_of(like: Tensor, x: Tensor) -> Tensor:
    """The values of ``x`` in the order of memory of another tensor of its shape.

    Fused optimizers walk through the memory of weights, gradients and moments together: on a CPU they do not
    check that all have one order, on a GPU they refuse others. "channels last" is another one than usual.

    >>> weight = torch.ones(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    >>> in_layout_of(weight, torch.zeros(2, 3, 4, 4)).stride() == weight.stride()
    True
    """
    if x.stride() == like.stride():
        return x
    return torch.empty_like(like, dtype=x.dtype, device=x.device).copy_(x)


class OnCPU(nn.Module):
    """A module whose own buffers are numbers that Python reads: they stay on the CPU, with their dtype.

    Reading them waits for no device then, and some devices (MPS) have no float64. Modules inside of it move.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        numbers, self._buffers = self._buffers, {}
        try:
            super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        finally:
            self._buffers = numbers
        return self


def with_double(device: torch.device) -> torch.device:
    """A device, or the CPU if it has no float64, as MPS.

    >>> with_double(torch.device("mps", 0))
    device(type='cpu')
    """
    return torch.device("cpu") if device.type in WITHOUT_DOUBLE else device


def in_double(x: Tensor) -> Tensor:
    """A tensor in float64: where it is, or on the CPU if its device has no float64.

    >>> in_double(torch.ones(1)).dtype
    torch.float64
    """
    return (x.cpu() if x.device.type in WITHOUT_DOUBLE else x).double()


def widest(device: torch.device) -> torch.dtype:
    """The most precise floating dtype of a device, in which long sums are formed."""
    return torch.float32 if device.type in WITHOUT_DOUBLE else torch.float64


__all__ = ["OnCPU", "Shared", "at_hand", "in_double", "in_layout_of", "plain_torch", "threads", "to_device",
           "to_like", "torch_generators", "torch_seeded", "widest", "with_double"]  # fmt: skip
