"""The device of a run and its precision: what was asked for, or the best that is there and works."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F

from pushforward.errors import ConfigError, nearest
from pushforward.launch import launched_here, launched_size
from pushforward.networks.precision import has_bfloat16
from pushforward.options import checked
from pushforward.process_group import use_own_gpu
from pushforward.torch_state import threads as torch_threads
from pushforward.wording import option_name, plural

MOST_THREADS = 4096  # with some more, the system ends the process


def find_threads(threads: int | None) -> int:
    """The number of threads on a CPU; by default that of torch.

    Raises:
        ConfigError: If it is not a whole number from 1 to 4096.
    """
    asked = torch_threads.outside() if threads is None else threads
    return int(checked("threads", asked, int, {"ge": 1, "le": MOST_THREADS}))


def find_device(device: str | torch.device) -> str:
    """The name of a device, once a tensor has been put on it.

    Arguments:
        device: Its name; "auto" is CUDA if it is there, else MPS if it is there and works, else the CPU. Of
            several processes each takes as "cuda" the GPU of its LOCAL_RANK.

    Raises:
        ConfigError: If there is none, it cannot be used, or this machine has more processes than GPUs.
    """
    use_own_gpu()
    if device == "auto":
        device = best_device()
        _check_own_gpu(device)
        return device
    if not isinstance(device, (str, torch.device)):
        raise ConfigError(
            f"{option_name('device')} must be a name such as 'cpu' or a torch.device, got {device!r}"
        )
    if launched_size() > 1 and str(device).startswith("cuda:"):
        raise ConfigError(
            f"{option_name('device')} of several processes must be cuda, of which each takes the GPU of its "
            f"LOCAL_RANK, got {device}"
        )
    _check_own_gpu(str(device))
    try:
        torch.zeros(1).to(device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"device {str(device)!r} cannot be used: {str(error).splitlines()[0]}") from None
    return str(device)


def _check_own_gpu(device: str) -> None:
    """Refuses more processes than there are GPUs, of which two would have the same one."""
    if device != "cuda" or launched_size() == 1 or not torch.cuda.is_available():
        return
    here, gpus = launched_here(), torch.cuda.device_count()
    if here > gpus:
        raise ConfigError(
            f"each process needs a GPU of its own, but there are {here} processes on this machine and {gpus} "
            f"{plural(gpus, 'GPU')}: start at most {gpus} here, or give {option_name('device', 'cpu')}"
        )


def best_device() -> str:
    """CUDA if it is there, else MPS if it is there and works, else the CPU.

    >>> best_device() in ("cuda", "mps", "cpu")
    True
    """
    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available() and works("mps"):
        return "mps"
    return "cpu"


def works(device: str | torch.device) -> bool:
    """Whether a device computes what networks of images need, forwards and backwards; a warning says if not.

    >>> works("cpu")
    True
    """
    try:
        with torch.enable_grad():
            x = torch.ones(2, 1, 4, 4).to(device).requires_grad_()
            weight = torch.ones(1, 1, 2, 2).to(device)
            there = F.conv2d(x, weight, stride=2)
            F.conv_transpose2d(there, weight, stride=2).square().sum().backward()
            assert x.grad is not None
            return bool(x.grad.isfinite().all())
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        warnings.warn(f"device {str(device)!r} is there but cannot be used: {words}", stacklevel=3)
        return False


def device_of_run(asked: str | torch.device | None, begun: str) -> str:
    """The device on which a run goes on: the one that was asked for, else the one that it began on.

    If that is not there, it is the best that is, with a warning.

    Raises:
        ConfigError: If the one that was asked for cannot be used, or there are more processes than GPUs.
    """
    if asked is not None:
        return find_device(asked)
    try:
        return find_device(begun)
    except ConfigError as error:
        device = find_device("auto")
        warnings.warn(f"the run began on another device: {error}; it goes on on {device}", stacklevel=4)
        return device


def find_precision(precision: str, device: str) -> str:
    """The precision of networks in training: what was asked for, or what the device is made for.

    Raises:
        ConfigError: If there is no such precision.
    """
    known = ("fp32", "bf16", "auto")
    if precision not in known:
        raise ConfigError(f"unknown {option_name('precision')} {precision!r}: {nearest(precision, known)}")
    if precision == "auto":
        return "bf16" if has_bfloat16(device) else "fp32"
    return precision


__all__ = ["best_device", "device_of_run", "find_device", "find_precision", "works"]
