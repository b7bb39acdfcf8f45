r"""Adversarial auto-encoders: reconstruction and discrepancy have updates of their own, not one sum.

At every step encoder and decoder descend the cost, the critics ascend their objectives, and the encoder alone
descends the discrepancy, each with an optimizer of its own: learning rates stand in the place of a weight.

.. math:: \text{(i)} \min_{E, G} E\,c(G(E(x)), x), \quad
    \text{(ii)} \max_T B_T(Q_Z, P_Z), \quad \text{(iii)} \min_E D_T(Q_Z, P_Z)

References:
    | Adversarial Autoencoders (Makhzani et al., 2015)
    | https://arxiv.org/abs/1511.05644
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from pushforward.costs import Cost
from pushforward.discrepancies import Discrepancy
from pushforward.distributions import Encoder, Prior, ProductPrior
from pushforward.errors import ConfigError, DataError
from pushforward.models.autoencoder import Augment, AutoEncoder
from pushforward.models.base import Comparison, Player, Terms
from pushforward.networks.conditional import one_hot
from pushforward.networks.precision import InFloat32
from pushforward.square import Square


class AAE(AutoEncoder):
    r"""The basic adversarial auto-encoder; with a conditional decoder, the supervised one.

    With a :class:`~pushforward.distributions.ProductPrior` of classes and style, and a discrepancy for each
    block, it is the clustering one: codes :math:`(\hat y, z)` whose first block learns to be one-hot.

    Arguments:
        prior: The distribution :math:`P_Z`.
        decoder: Maps codes (N, L) to data (N, \*).
        encoder: Maps data to distributions of codes.
        discrepancy: An adversarial discrepancy between codes and draws of the prior.
        cost: Compares data, row by row.
        augment: See :class:`AutoEncoder`.
    """

    def __init__(
        self,
        prior: Prior,
        decoder: nn.Module,
        encoder: Encoder,
        discrepancy: Discrepancy,
        cost: Cost | None = None,
        *,
        augment: Augment | None = None,
    ) -> None:
        super().__init__(prior, decoder, encoder, cost, augment=augment)
        self.discrepancy: Discrepancy = discrepancy

    @property
    def strength_option(self) -> str:
        """The option that sets how strongly the encoder follows its critic."""
        return "encoder_lr"

    def comparisons(self) -> Sequence[Comparison]:
        """Codes and draws of the prior, for which the encoder moves in a step of its own."""
        return [Comparison("discrepancy", self.pair, self.discrepancy, players=("encoder",))]


class LabelRegularisedAAE(AAE):
    r"""An AAE whose critic sees the label: each class is compared with its own part of the prior.

    .. math:: (E(x), \ell), \qquad (z, \ell), \; z \sim P_Z(\cdot \mid y)

    with :math:`\ell` the one-hot label of K + 1 classes, the last for "unknown"; for those rows z is drawn
    from the whole prior. Sections 2.3 and 3 of the paper.

    With a conditional decoder z does not depend on the label: codes then follow the prior within every class,
    so that they hold no information about it, and the decoder has to use the label that it is given.

    Arguments:
        prior: A prior of K classes, such as a mixture; any prior with a conditional decoder.
    """

    @property
    def classes_are_labels(self) -> bool:
        """True: a component of the prior is a class of the data."""
        return True

    def pair(self, s: Square) -> tuple[Tensor, Tensor]:
        """Codes and draws of the prior, each beside its label."""
        if s.y is None:
            raise ConfigError("the critic of a label-regularised AAE needs labels, and the data have none")
        label = one_hot(s.y, self.classes, unknown=True).to(s.Ex)
        z = self.distribution(len(s.x), s.y).rsample(s.noise("prior"))
        return torch.cat([s.Ex, label], dim=1), torch.cat([z, label], dim=1)


class SemiSupervisedAAE(AAE):
    r"""An AAE with codes :math:`(\hat y, z)` of a class and a style, and a few rows with known labels.

    It has one more player: the encoder descends the cross-entropy of :math:`\hat y` on rows with a known
    label. Section 2.4 of the paper.

    Arguments:
        prior: A :class:`~pushforward.distributions.ProductPrior` with a block ``y`` of classes.
    """

    prior: ProductPrior

    def labels(self, s: Square) -> Terms:
        """The cross-entropy of the class block, in nats, over rows with a label."""
        if s.y is None:
            raise DataError("a semi-supervised model needs rows with labels, and the data have none")
        known = s.y >= 0
        likelihood = self.prior.split(s.Ex)["y"].gather(1, s.y.clamp_min(0).unsqueeze(1)).squeeze(1)
        # A mask, and not an index: how many rows have a label is on the device.
        logs = likelihood.clamp_min(1e-30).log().masked_fill(~known, 0.0)
        return {"labels": -logs.sum() / known.sum()}

    def players(self) -> Iterator[Player]:
        """The players of the adversarial auto-encoder, and one that learns the known labels."""
        yield from super().players()
        yield Player("labels", self.labels, tuple(self.encoder.parameters()), labelled=True)


class ReductionAAE(SemiSupervisedAAE):
    r"""An AAE whose decoder sees codes :math:`(\hat y, z)` as points :math:`W \hat y + z` of few dimensions.

    .. math:: \text{(i)} \min E\,c(G(W \hat y + z), x) + \textstyle\sum_{i<j} (\eta - \|w_i - w_j\|)_+

    Section 6 of the paper. The point is what :meth:`view` returns; the decoder is :class:`ClusterHeads`.
    """

    decoder: ClusterHeads

    def reconstruction_terms(self, s: Square) -> Terms:
        """The reconstruction error, and the penalty of heads that are too near."""
        return super().reconstruction_terms(s) | {"heads": self.decoder.crowding()}

    def view(self, codes: Tensor) -> Tensor:
        """The points W y + z that codes stand for."""
        return self.decoder.point(codes)


def spaced(points: int, latent_dim: int) -> Tensor:
    r"""Points (K, L) at the corners of a regular polygon of side 1, in the first plane of L dimensions.

    Heads keep the order in which they begin: to change places they would have to pass through each other.

    >>> round(float(nn.functional.pdist(spaced(10, 2)).min()), 4)
    1.0
    """
    angle = 2 * math.pi * torch.arange(points) / points
    corners = torch.stack([angle.cos(), angle.sin()], dim=1) / (2 * math.sin(math.pi / points))
    return (
        nn.functional.pad(corners, (0, latent_dim - 2))
        if latent_dim >= 2
        else torch.arange(float(points))[:, None]
    )


class ClusterHeads(InFloat32):
    r"""A decoder of points :math:`W y + z`, where class k has a head :math:`w_k` away from the others.

    Arguments:
        net: Maps points (N, L) to data.
        classes: Number of heads K.
        latent_dim: Dimensions L of a point.
        head_distance: The distance :math:`\eta`.
    """

    def __init__(self, net: nn.Module, classes: int, latent_dim: int, head_distance: float) -> None:
        super().__init__()
        self.net = net
        self.head_distance = head_distance
        self.heads = nn.Parameter(head_distance * spaced(classes, latent_dim))

    def bfloat16_parts(self) -> Iterable[nn.Module]:
        """The network of points."""
        return (self.net,)

    def extra_repr(self) -> str:
        """The settings that ``repr`` shows."""
        return f"classes={len(self.heads)}, head_distance={self.head_distance:g}"

    def point(self, codes: Tensor) -> Tensor:
        """Points (N, L) of codes (N, K + L)."""
        classes = len(self.heads)
        return codes[:, :classes] @ self.heads + codes[:, classes:]

    def crowding(self) -> Tensor:
        """The penalty on pairs of heads that are too near, shape (); 0 iff all are far enough apart."""
        return (self.head_distance - nn.functional.pdist(self.heads)).relu().sum()

    def forward(self, codes: Tensor) -> Tensor:
        """The decoder's output for the points of codes."""
        return self.net(self.point(codes))


__all__ = ["AAE", "ClusterHeads", "LabelRegularisedAAE", "ReductionAAE", "SemiSupervisedAAE"]
