r"""Conditional auto-encoders that decode a row's code under another label: style transfer, translation.

.. math:: \min_{E, G}\; E\,c(G(E(x), y), x) + \lambda\, D(Q_Z, P_Z) + \mu\, D(Q_{Z \mid 1}, Q_{Z \mid 0})

If codes do not depend on the label, the decoder has to take it from its second input. Both samples of the
last term are codes: made by the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pushforward.costs import Cost
from pushforward.discrepancies import Discrepancy
from pushforward.distributed import gather_replicated, gathered
from pushforward.distributions import Encoder, Prior
from pushforward.errors import ConfigError, DataError
from pushforward.models.autoencoder import WAE, Augment
from pushforward.models.base import Comparison, Model, Terms
from pushforward.models.weight import Weight
from pushforward.square import Square
from pushforward.torch_state import to_device
from pushforward.wording import option_name


class TransferAE(WAE):
    r"""A conditional auto-encoder whose codes have one distribution for both labels.

    Where a row's counterpart under the other label is known (:attr:`Square.paired
    <pushforward.square.Square>`), the cost of decoding the row's code to it is added: with all counterparts
    it is a translator through a code, with none it is unsupervised.

    Arguments:
        prior: The distribution :math:`P_Z`.
        decoder: Maps codes (N, L) and labels (N,) to data (N, \*).
        encoder: Maps data to distributions of codes.
        discrepancy: Compares a sample of codes with a sample of the prior.
        styles: Compares codes of label 1 with codes of label 0.
        cost: Compares data, row by row.
        weight: The factor :math:`\lambda` of the discrepancy.
        style_weight: The factor :math:`\mu`.
        augment: See :class:`~pushforward.models.autoencoder.AutoEncoder`.

    References:
        | Adversarially Regularized Autoencoders (Zhao et al., 2018), section 3, "unaligned transfer"
        | https://arxiv.org/abs/1706.04223
    """

    def __init__(
        self,
        prior: Prior,
        decoder: nn.Module,
        encoder: Encoder,
        discrepancy: Discrepancy,
        styles: Discrepancy,
        cost: Cost | None = None,
        weight: float | Weight = 10.0,
        style_weight: float = 1.0,
        *,
        augment: Augment | None = None,
    ) -> None:
        super().__init__(prior, decoder, encoder, discrepancy, cost, weight, augment=augment)
        self.styles = styles
        self.style_weight = style_weight

    def comparisons(self) -> Sequence[Comparison]:
        """Codes with the prior, and codes of one style with those of the other."""
        style = Comparison("style", self.style_pair, self.styles, self.style_weight, gathers=True)
        return [*super().comparisons(), style]

    def style_pair(self, s: Square) -> tuple[Tensor, Tensor] | None:
        """Codes of label 1 and codes of label 0, or None if the batch has fewer than two of either."""
        labels = s.known.y
        if labels is None:
            raise DataError("rows must have labels for their codes to be compared between labels")
        (codes,) = gather_replicated(s.Ex)
        q, p = (codes[to_device((labels == label).nonzero().flatten(), codes.device)] for label in (1, 0))
        return (q, p) if min(len(q), len(p)) > 1 else None

    def regularisers(self, s: Square) -> Terms:
        """The cost of decoding rows to their known counterparts; a mean over all rows of the batch."""
        labels, paired = s.known
        if paired is None or labels is None:
            return {}
        (codes,) = gather_replicated(s.Ex)
        known = (paired.flatten(1)[:, 0] >= 0).nonzero().flatten()
        if not len(known):
            return {"pairs": codes.new_zeros(())}
        rows, others, paired = (
            to_device(one, codes.device) for one in (known, 1 - labels[known], paired[known])
        )
        with gathered():  # processes have unequally many known counterparts, so each decodes those of all
            return {"pairs": self.cost.rows(self.generate(codes[rows], others), paired).sum() / len(codes)}


def transfer(model: Model, x: Tensor, y: Tensor | None, to: Tensor, guidance_scale: float = 1.0) -> Tensor:
    """Encodes rows (N, \\*) of labels ``y`` (N,) and decodes their codes under the labels ``to`` (N,).

    See :func:`decode_as`.
    """
    return decode_as(model, model.encode(x, y=y), y, to, guidance_scale)


def decode_as(
    model: Model, codes: Tensor, y: Tensor | None, to: Tensor, guidance_scale: float = 1.0
) -> Tensor:
    """Decodes codes (N, L) of labels ``y`` (N,) under the labels ``to`` (N,).

    A ``guidance_scale`` above 1 exaggerates the difference from the output under ``y``.

    Raises:
        ConfigError: If ``guidance_scale`` is not 1 and there are no labels ``y``, or the cost cannot be
            guided.
    """
    made = model.generate(codes, to)
    if guidance_scale != 1:
        guided = getattr(model.cost, "guided", None)
        if guided is None:
            raise ConfigError(
                f"{option_name('guidance_scale')} must be 1 with the cost {model.cost}, got "
                f"{guidance_scale}: "
                "other values need the cost of tokens or Bernoulli"
            )
        if y is None:
            raise ConfigError("guidance away from the rows' own labels needs those labels, found none")
        made = guided(made, model.generate(codes, y), guidance_scale)
    return model.cost.point(made)


__all__ = ["TransferAE", "decode_as", "transfer"]
