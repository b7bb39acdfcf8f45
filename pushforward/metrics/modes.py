"""How many modes of a known distribution samples cover, and how evenly: rings and grids of Gaussians,
stacked digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.discrepancies.kernel import squared_distances
from pushforward.errors import ConfigError, DataError, check_int
from pushforward.metrics.arrays import takes_arrays
from pushforward.metrics.two_sample import pair

CELLS = 2**22  # numbers of a block of distances
MOST = 10**7  # modes that are counted; more come of one-hot rows taken for digits


@dataclass(frozen=True)
class Modes:
    """What a sample makes of K modes.

    Attributes:
        captured: How many modes have at least one row: the count that papers print, and the kinder one. It
            grows with N, and rows strewn between the modes hit some by chance.
        held: How many modes have at least one row and at least ``least`` of all rows.
        high_quality: The share of rows that belong to a mode, in [0, 1].
        kl: KL of the modes' frequencies from the uniform distribution, in nats: 0 to log K. A perfect sampler
            scores about (K - 1) / 2n with n rows in modes, not 0. Not a number if no row belongs to a mode.
        counts: How many rows each mode has.
    """

    captured: int
    held: int
    high_quality: float
    kl: float
    counts: tuple[int, ...]

    @property
    def words(self) -> str:
        """The count of modes, and how many rows are near one."""
        near = f"{self.high_quality:.0%} of samples near one"
        return f"{self.captured} of {len(self.counts)} modes covered, {near}"


@takes_arrays
def point_modes(
    points: Tensor, centres: Tensor, sigma: float, within: float = 3.0, least: float = 0.01
) -> Modes:
    r"""Points (N, D) against a mixture of K Gaussians :math:`N(c_k, \sigma^2 I)` of equal weight.

    A point belongs to the nearest centre if it is at most :math:`3 \sigma` from it; in the plane so do
    :math:`1 - e^{-9/2}` = 98.9 % of the mixture itself.

    Arguments:
        points: Made points.
        centres: The centres c, shape (K, D), distinct.
        sigma: The standard deviation of a mode.
        within: The radius of a mode, in standard deviations.
        least: The share of *all* points that a mode must have to be held. The papers' customary 2500
            points and 1 % ask for 25.

    Raises:
        ConfigError: If ``sigma``, ``within`` or ``least`` is out of range, or two centres are equal.
        DataError: If shapes do not fit or numbers are not finite.

    References:
        | Unrolled Generative Adversarial Networks (Metz et al., 2017), the ring of eight
        | https://arxiv.org/abs/1611.02163
        | VEEGAN (Srivastava et al., 2017), "high quality samples"
        | https://arxiv.org/abs/1705.07761

    Example:
        >>> from pushforward.data.points import ring
        >>> found = point_modes(ring()[:4].repeat(5, 1), ring(), sigma=0.02)
        >>> found.captured, found.high_quality, round(found.kl, 4)  # half of them: log 2
        (4, 1.0, 0.6931)
    """
    if not (0 < sigma < math.inf and 0 < within < math.inf):
        raise ConfigError(f"sigma and within must be above 0, got sigma = {sigma}, within = {within}")
    points, centres = (rows.double() for rows in pair(points, centres, names=("points", "centres")))
    if len(centres.unique(dim=0)) < len(centres):
        raise ConfigError(f"centres must be distinct, got {len(centres)} with copies among them")
    middle = centres.mean(0)
    counts = torch.zeros(len(centres), dtype=torch.int64, device=points.device)
    for block in points.split(max(1, CELLS // len(centres))):
        squares, nearest = squared_distances(block - middle, centres - middle).min(1)
        counts += nearest[squares <= (within * sigma) ** 2].bincount(minlength=len(centres))
    return _modes(counts, len(points), least)


@takes_arrays
def label_modes(labels: Tensor, classes: int, least: float = 0.0) -> Modes:
    r"""Labels that a classifier gave to made images, against classes of equal frequency.

    Arguments:
        labels: One of ``classes`` for each row, shape (N,); or digits, shape (N, L), each one of ``classes``,
            for :math:`K = \mathrm{classes}^L` modes: stacked digits have L = 3, classes = 10.
        classes: The number of classes of a label or a digit.
        least: The share of all rows that a mode must have to be held. With 1000 modes a perfect sampler gives
            each 0.1 %.

    Raises:
        ConfigError: If ``classes`` is below 1 or ``least`` out of range.
        DataError: If labels are none.

    References:
        | Unrolled Generative Adversarial Networks (Metz et al., 2017), stacked digits
        | https://arxiv.org/abs/1611.02163
        | PacGAN (Lin et al., 2018): 26,000 images, 1000 modes
        | https://arxiv.org/abs/1712.04086

    Example:
        >>> label_modes(torch.tensor([0, 0, 2, 2]), classes=4)
        Modes(captured=2, held=2, high_quality=1.0, kl=0.693..., counts=(2, 0, 2, 0))
    """
    check_int("classes", classes, least=1)
    if labels.ndim not in (1, 2) or not labels.numel():
        raise DataError(f"labels must have shape (N,) or (N, L), got {tuple(labels.shape)}")
    if labels.is_floating_point() or labels.is_complex():
        raise DataError(f"labels must be whole numbers, got {labels.dtype}")
    if labels.min() < 0 or labels.max() >= classes:
        found = f"{int(labels.min())} to {int(labels.max())}"
        raise DataError(f"labels must be from 0 to {classes - 1}, got {found}")
    digits = labels if labels.ndim == 2 else labels[:, None]
    modes = classes ** digits.shape[1]
    if modes > MOST:
        raise ConfigError(f"{digits.shape[1]} digits of {classes} classes are more than {MOST} modes")
    counts = _number(digits, classes).bincount(minlength=modes)
    return _modes(counts, len(labels), least)


@takes_arrays
def stacked_labels(classify: Callable[[Tensor], Tensor], images: Tensor, classes: int = 10) -> Tensor:
    """The number 0..999 that three digits in red, green and blue make, red first.

    Arguments:
        classify: Maps images (N, 1, H, W) to labels (N,).
        images: Shape (N, 3, H, W).
        classes: The number of classes of a digit.

    Returns:
        One number for each image, shape (N,): labels of :func:`label_modes` with classes³ classes.

    Raises:
        DataError: If images have another shape, or the classifier makes something else of them.

    Example:
        >>> digits = torch.tensor([[4, 0, 7], [0, 0, 1]])
        >>> stacked_labels(lambda x: x.amax((1, 2, 3)), digits[:, :, None, None].expand(-1, -1, 28, 28))
        tensor([407,   1])
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise DataError(f"stacked images must have shape (N, 3, H, W), got {tuple(images.shape)}")
    found = [classify(channel) for channel in images.split(1, dim=1)]
    for labels in found:
        if labels.shape != images.shape[:1]:
            found_shape = tuple(labels.shape)
            raise DataError(
                f"the classifier must make one label of each of {len(images)} images, got {found_shape}"
            )
    return _number(torch.stack(found, dim=1), classes)


def _number(digits: Tensor, classes: int) -> Tensor:
    """The number whose digits (N, L) to a base are given, the first the highest; shape (N,)."""
    places = classes ** torch.arange(digits.shape[1] - 1, -1, -1, device=digits.device)
    return (digits.long() * places).sum(1)


def _modes(counts: Tensor, rows: int, least: float) -> Modes:
    K = len(counts)
    if not 0 <= least * K <= 1:
        raise ConfigError(f"least must be from 0 to 1/{K}, the share of a mode of {K}, got {least}")
    total = int(counts.sum())
    shares = counts.double() / total  # 0 / 0 is the documented not-a-number
    return Modes(
        captured=int((counts > 0).sum()),
        held=int((counts >= max(1.0, least * rows)).sum()),
        high_quality=total / rows,
        kl=max(0.0, (torch.xlogy(shares, shares).sum() + math.log(K)).item()) if total else math.nan,
        counts=tuple(counts.tolist()),
    )


__all__ = ["Modes", "label_modes", "point_modes", "stacked_labels"]
