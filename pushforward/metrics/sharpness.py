"""How sharp images are: the variance of their Laplacian."""

from __future__ import annotations

from torch import Tensor

from pushforward.metrics.arrays import takes_arrays

LUMA = (0.2989, 0.5870, 0.1140)


@takes_arrays
def sharpness(images: Tensor) -> Tensor:
    r"""The variance over pixels of :math:`-4x + x_\leftarrow + x_\rightarrow + x_\uparrow + x_\downarrow`.

    Colour images are made grey first; the border pixels, which lack a neighbour, are left out.
    The unit is the square of the data's: halving the contrast divides it by four. Noise raises
    it too, so it is no measure of quality by itself.

    Arguments:
        images: Shape (N, C, H, W) with C = 1 or 3; H and W of at least 3.

    Returns:
        One number for each image, shape (N,).

    References:
        | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), section 4, "sharpness"
        | https://arxiv.org/abs/1711.01558

    Example:
        >>> import torch
        >>> checkerboard = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
        >>> sharpness(checkerboard[None, None])  # (8a)^2 for values of ±a
        tensor([64.])
    """
    luma = images.new_tensor(LUMA).view(3, 1, 1)
    grey = images[:, 0] if images.shape[1] == 1 else (images * luma).sum(1)
    across = grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    along = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1]
    laplacian = across + along - 4 * grey[:, 1:-1, 1:-1]
    return laplacian.flatten(1).var(1, correction=0)


def has_sharpness(shape: tuple[int, ...]) -> bool:
    """Whether rows of this shape are images with a Laplacian.

    >>> has_sharpness((1, 28, 28)), has_sharpness((64,)), has_sharpness((1, 1, 64))
    (True, False, False)
    """
    return len(shape) == 3 and shape[0] in (1, 3) and min(shape[1:]) >= 3


__all__ = ["has_sharpness", "sharpness"]
