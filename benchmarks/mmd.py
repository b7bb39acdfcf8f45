"""Value and gradient of MMD² by the library, by matrix products with autograd, and by pythae's formula.

    python -m benchmarks.mmd [--threads 1] [--n 100 1000 10000] [--d 8 64] [--rounds 7]
    python -m benchmarks.mmd --device cuda --n 10000 100000

The U-statistic with seven inverse multiquadric kernels between codes, which need a gradient, and draws of
the prior; "exact prior" is the library's MMD from the prior itself, another statistic. The forms alternate in
one process, so that other load on the machine affects all of them; times are CPU time of the process (on an
accelerator: wall time until it is done), medians over rounds, and ratios are medians of the ratios within a
round. A form whose graph would not fit ``--memory`` is left out.

pythae's formula (its ``imq_kernel``) forms the differences of all pairs anew for every scale:
https://github.com/clementchadebec/benchmark_VAE/blob/main/src/pythae/models/wae_mmd/wae_mmd_model.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.discrepancies import IMQ, MMD, ExactPriorMMD
from pushforward.discrepancies.kernel import SEVEN
from pushforward.distributions import NormalPrior

Kernel = Callable[[Tensor, Tensor], Tensor]
FORMS = ("pythae", "matmul", "exact prior", "library")


def pairs_by_differences(x: Tensor, y: Tensor) -> Tensor:
    """The kernel of all pairs as pythae computes it."""
    base, total = 2.0 * x.shape[1], x.new_zeros(())
    for scale in SEVEN:
        C = scale * base
        total = total + C / (C + torch.norm(x.unsqueeze(1) - y.unsqueeze(0), dim=-1) ** 2)
    return total


def pairs_by_products(x: Tensor, y: Tensor) -> Tensor:
    """The kernel of all pairs from squared distances by one matrix product."""
    base, total = 2.0 * x.shape[1], x.new_zeros(())
    squares = (x.square().sum(1, keepdim=True) + y.square().sum(1) - 2 * x @ y.T).clamp_min(0)
    for scale in SEVEN:
        total = total + scale * base / (scale * base + squares)
    return total


def statistic(kernel: Kernel, q: Tensor, p: Tensor) -> Tensor:
    """The U-statistic of two samples of n rows from full kernel matrices."""
    n = len(q)
    of_q, of_p = kernel(q, q), kernel(p, p)
    within = of_q.sum() - of_q.diagonal().sum() + of_p.sum() - of_p.diagonal().sum()
    return within / (n * (n - 1)) - 2 * kernel(q, p).sum() / n**2


def graph_bytes(form: str, n: int, d: int) -> float:
    """What autograd keeps of one value, roughly: float32 tensors of all pairs, of three pairs of samples."""
    a_scale = {"pythae": d + 3, "matmul": 1}.get(form, 0)
    return 4.0 * n * n * 3 * len(SEVEN) * a_scale


def seconds(run: Callable[[], None], repeats: int, device: torch.device) -> float:
    """Seconds of one of several calls."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begun = clock()
    for _ in range(repeats):
        run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (clock() - begun) / repeats


def compare(n: int, d: int, rounds: int, memory: float, device: torch.device) -> dict[str, object]:
    """Median milliseconds of each form, and how many times as long as the library the others take."""
    generator = torch.Generator().manual_seed(0)
    q, p = (torch.randn(n, d, generator=generator).to(device) for _ in range(2))
    q.requires_grad_()
    ours, exact = MMD(IMQ(2.0 * d)), ExactPriorMMD(IMQ(2.0 * d), NormalPrior(d))
    values: dict[str, Callable[[], Tensor]] = {
        "pythae": lambda: statistic(pairs_by_differences, q, p),
        "matmul": lambda: statistic(pairs_by_products, q, p),
        "exact prior": lambda: exact(q, p),
        "library": lambda: ours(q, p),
    }
    forms = [form for form in FORMS if graph_bytes(form, n, d) < memory * 2**30]

    def run(form: str) -> None:
        q.grad = None
        torch.autograd.backward(values[form]())

    gradients = {}
    repeats = {}
    for form in forms:
        once = seconds(lambda: run(form), 1, device)  # noqa: B023
        assert q.grad is not None
        gradients[form] = q.grad
        repeats[form] = max(1, min(100, round(0.05 / once)))
    took: dict[str, list[float]] = {form: [] for form in forms}
    for i in range(rounds):
        for form in forms[:: 1 if i % 2 else -1]:
            took[form].append(seconds(lambda: run(form), repeats[form], device))  # noqa: B023
    result: dict[str, object] = {"n": n, "d": d, "rounds": rounds}
    for form in forms:
        result[f"{form}, ms"] = round(1e3 * statistics.median(took[form]), 3)
    for form in forms[:-1]:
        ratios = sorted(a / b for a, b in zip(took[form], took["library"], strict=True))
        if form == "exact prior":
            continue
        error = (gradients[form] - gradients["library"]).norm() / gradients["library"].norm()
        result[f"{form} / library"] = round(statistics.median(ratios), 1)
        result[f"{form} / library, range"] = [round(ratios[0], 1), round(ratios[-1], 1)]
        result[f"{form}, difference of gradients"] = float(f"{error.item():.1e}")
    return result


def main() -> None:
    """Print one JSON object per line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--n", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--d", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", type=float, default=16, help="GiB that the graph of a form may take")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    for n in arguments.n:
        for d in arguments.d:
            rounds = arguments.rounds if n < 10_000 else max(2, arguments.rounds // 2)
            print(json.dumps(compare(n, d, rounds, arguments.memory, device)), flush=True)


if __name__ == "__main__":
    main()
