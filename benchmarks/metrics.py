"""Accuracy, speed and memory of the Fréchet distance and of KID.

    python -m benchmarks.metrics [--threads 2] [--rows 10000] [--features 2048]

Prints tables for docs/results. Alternatives are timed in the same process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable

import torch
from scipy.linalg import sqrtm
from torch import Tensor

from pushforward.discrepancies import MMD, Polynomial
from pushforward.metrics.frechet import BLOCK, Moments, MomentTree, frechet_distance, moments
from pushforward.metrics.kid import kid, kid_of_subsets
from pushforward.rng import Noise


def features(name: str, rows: int, columns: int) -> Tensor:
    """Correlated, rectified rows: like features of images they are not Gaussian."""
    noise = Noise("benchmark", "metrics")
    mixing = noise("mixing").normal(columns, columns) / columns**0.5
    scale = torch.logspace(0, -2, columns) * (1.1 if name == "made" else 1.0)
    return ((noise(name).normal(rows, columns) * scale) @ mixing).relu()


def seconds(work: Callable[[], object], times: int) -> tuple[float, object]:
    """The shortest of several runs, and the last result."""
    best, result = float("inf"), None
    for _ in range(times):
        begun = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - begun)
    return best, result


def general_root(q: Moments, p: Moments) -> float:
    """The usual implementation: scipy's general matrix square root of the product, float64."""
    Q, P = q.covariance.numpy(), p.covariance.numpy()
    root = sqrtm(Q @ P)
    return float(((q.mean - p.mean) ** 2).sum()) + float(Q.trace() + P.trace() - 2 * root.real.trace())


def eigenvalues(q: Moments, p: Moments) -> float:
    """The implementation of torchmetrics: eigenvalues of the product."""
    Q, P = q.covariance, p.covariance
    root = torch.linalg.eigvals(Q @ P).sqrt().real.sum()
    return ((q.mean - p.mean).square().sum() + Q.trace() + P.trace() - 2 * root).item()


def reference(q: Moments, p: Moments) -> float:
    """The distance by the symmetric square root of one covariance, all in float64."""
    Q, P = q.covariance, p.covariance
    values, vectors = torch.linalg.eigh(Q)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    inner = torch.linalg.eigvalsh(root @ P @ root).clamp_min(0).sqrt().sum()
    return ((q.mean - p.mean).square().sum() + Q.trace() + P.trace() - 2 * inner).item()


def share(job: tuple[int, int, int, int]) -> MomentTree:
    """One worker's blocks of the made features: every ``workers``-th one."""
    worker, workers, rows, columns = job
    torch.set_num_threads(1)
    x, tree = features("made", rows, columns), MomentTree()
    for start in range(worker * BLOCK, rows, workers * BLOCK):
        tree.add(x[start : start + BLOCK], start)
    return tree


def megabytes() -> float:
    """Peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--stream", type=int, default=1_000_000)
    arguments = parser.parse_args()
    rows, columns = arguments.rows, arguments.features
    torch.set_num_threads(arguments.threads)

    size = 256
    before = megabytes()
    print(f"| rows of {size} features | peak memory, MB above that at the start | seconds |\n|---|---|---|")
    noise = Noise("benchmark", "stream")
    for length in (arguments.stream // 10, arguments.stream):
        begun = time.perf_counter()
        stream = (noise(i).normal(10_000, size) for i in range(length // 10_000))
        count = moments(stream).count
        print(f"| {count} | {megabytes() - before:.0f} | {time.perf_counter() - begun:.1f} |", flush=True)

    made, given = features("made", rows, columns), features("given", rows, columns)
    spent, q = seconds(lambda: moments(made), 2)
    p = moments(given)
    assert isinstance(q, Moments)
    print(f"\nmoments of {rows} x {columns}: {spent:.2f} s\n")
    exact = reference(q, p)
    print("| trace term | seconds | ratio | value | relative error |\n|---|---|---|---|---|")
    ours, value = seconds(lambda: frechet_distance(q, p), 3)
    for name, spent, found in (
        ("ours", ours, value),
        ("eigenvalues of the product (torchmetrics)", *seconds(lambda: eigenvalues(q, p), 1)),
        ("general matrix square root (scipy.linalg.sqrtm)", *seconds(lambda: general_root(q, p), 1)),
    ):
        error = abs(float(str(found)) / exact - 1)
        print(
            f"| {name} | {spent:.2f} | {spent / ours:.1f} | {float(str(found)):.9g} | {error:.1e} |",
            flush=True,
        )
    few_q, few_p = moments(made[: columns // 2]), moments(given[: columns // 2])
    spent, found = seconds(lambda: frechet_distance(few_q, few_p), 1)
    X, Y = (x[: columns // 2].double() - x[: columns // 2].double().mean(0) for x in (made, given))
    nuclear = torch.linalg.svdvals(X @ Y.T).sum() / (len(X) - 1)
    means = (few_q.mean - few_p.mean).square().sum()
    exact = (means + few_q.covariance.trace() + few_p.covariance.trace() - 2 * nuclear).item()
    error = abs(float(str(found)) / exact - 1)
    print(
        f"\n{columns // 2} rows of {columns} features (singular): {spent:.2f} s, relative error {error:.1e}\n"
    )

    print("| workers | moments are bitwise equal | distance |\n|---|---|---|")
    torch.set_num_threads(1)
    alone = share((0, 1, rows, columns)).total()
    for workers in (1, 2, 4):
        with multiprocessing.get_context("spawn").Pool(min(workers, 2)) as pool:
            trees = pool.map(share, [(worker, workers, rows, columns) for worker in range(workers)])
        total = MomentTree()
        for tree in reversed(trees):
            total.merge(tree)
        merged = total.total()
        same = torch.equal(merged.mean, alone.mean) and torch.equal(merged.scatter, alone.scatter)
        print(f"| {workers} | {same} | {frechet_distance(merged, p)!r} |", flush=True)

    torch.set_num_threads(arguments.threads)
    print("\n| KID | seconds | value |\n|---|---|---|")
    spent, found = seconds(lambda: kid(made, given), 1)
    print(f"| all pairs, with standard error | {spent:.1f} | {found} |", flush=True)
    spent, found = seconds(lambda: MMD(Polynomial())(made.double(), given.double()).item(), 1)
    print(f"| MMD with the polynomial kernel, float64 | {spent:.1f} | {found} |", flush=True)
    spent, found = seconds(lambda: kid_of_subsets(made, given, Noise(0)), 1)
    print(f"| 100 subsets of 1000: mean, standard deviation | {spent:.1f} | {found} |", flush=True)


if __name__ == "__main__":
    main()
