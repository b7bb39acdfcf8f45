r"""A recurrent network whose backward pass on a CPU is written out.

PyTorch's own, on packed rows, fills a gradient as large as all rows with zeros for every step of time and
adds them up. Here each step fills its own rows, and weights get their gradient in one product at the end.

.. math:: r = \sigma(W_r x + U_r h), \quad u = \sigma(W_u x + U_u h), \quad
    c = \tanh(W_c x + r \odot U_c h), \quad h' = c + u \odot (h - c)

with biases beside every product.

References:
    | Learning Phrase Representations using RNN Encoder-Decoder (Cho et al., 2014), section 2.3
    | https://arxiv.org/abs/1406.1078
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import PackedSequence


class GRU(nn.GRU):
    """:class:`torch.nn.GRU` of one layer: the same weights, numbers and gradients.

    Off the CPU, where nothing is learnt and on rows that are not packed, it is that very network. Gradients
    cannot be differentiated again.

    Arguments:
        inputs: Numbers that are read at each step.
        width: Units of a state.
        bidirectional: Whether a second one reads from the end.

    Example:
        >>> from torch.nn.utils.rnn import pack_sequence
        >>> rows = pack_sequence([torch.rand(3, 2), torch.rand(1, 2)])
        >>> net, own = GRU(2, 4), nn.GRU(2, 4, batch_first=True)
        >>> _ = own.load_state_dict(net.state_dict())
        >>> bool(torch.allclose(net(rows)[0].data, own(rows)[0].data, atol=1e-6))
        True
    """

    def __init__(self, inputs: int, width: int, bidirectional: bool = False) -> None:
        super().__init__(inputs, width, batch_first=True, bidirectional=bidirectional)

    def forward(self, rows: Any, first: Tensor | None = None) -> tuple[Any, Tensor]:
        if not isinstance(rows, PackedSequence) or rows.data.device.type != "cpu":
            return super().forward(rows, first)
        learnt = (rows.data, *self.parameters(), *([] if first is None else [first]))
        if not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in learnt)):
            return super().forward(rows, first)
        data, sizes, order, back = rows
        ways = 2 if self.bidirectional else 1
        if first is None:
            first = data.new_zeros(ways, int(sizes[0]), self.hidden_size)
        elif order is not None:
            first = first[:, order]
        made, last = zip(
            *(self._way(data, sizes.tolist(), first[way], way) for way in range(ways)), strict=True
        )
        ends = torch.stack(last)
        ends = ends if back is None else ends[:, back]
        return PackedSequence(torch.cat(made, dim=1), sizes, order, back), ends

    def _way(self, data: Tensor, sizes: Sequence[int], first: Tensor, way: int) -> tuple[Tensor, Tensor]:
        """States (M, H) at all places of packed rows, read in one direction, and the last of each row."""
        suffix = "_l0_reverse" if way else "_l0"
        read, kept, read_bias, kept_bias = (
            getattr(self, name + suffix) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        made: tuple[Tensor, Tensor] = _Steps.apply(  # type: ignore[no-untyped-call]
            F.linear(data, read, read_bias), kept, kept_bias, first, tuple(sizes), bool(way)
        )
        return made


def _spans(sizes: Sequence[int], reverse: bool) -> list[tuple[int, slice]]:
    """For each step of time how many rows take it, and where in packed rows they are."""
    spans, start = [], 0
    for size in sizes:
        spans.append((size, slice(start, start + size)))
        start += size
    return spans[::-1] if reverse else spans


class _Steps(torch.autograd.Function):
    """All steps of time: rows are sorted by length, so that those which take a step are the first ones."""

    @staticmethod
    def forward(
        ctx: Any,
        read: Tensor,
        kept: Tensor,
        bias: Tensor,
        first: Tensor,
        sizes: tuple[int, ...],
        reverse: bool,
    ) -> tuple[Tensor, Tensor]:
        width = first.shape[1]
        state = first.clone()
        made, before, gates, candidates, heard = (
            read.new_empty(len(read), size) for size in (width, width, 2 * width, width, width)
        )
        for size, span in _spans(sizes, reverse):
            old = before[span] = state[:size]
            said = torch.addmm(bias, old, kept.t())
            torch.sigmoid(read[span, : 2 * width] + said[:, : 2 * width], out=gates[span])
            heard[span] = said[:, 2 * width :]
            reset, update = gates[span].split(width, dim=1)
            torch.tanh(torch.addcmul(read[span, 2 * width :], reset, heard[span]), out=candidates[span])
            state[:size] = made[span] = torch.lerp(candidates[span], old, update)
        ctx.save_for_backward(kept, before, gates, candidates, heard)
        ctx.sizes, ctx.reverse = sizes, reverse
        return made, state

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_made: Tensor, d_state: Tensor) -> tuple[Tensor | None, ...]:
        kept, before, gates, candidates, heard = ctx.saved_tensors
        reset, update = gates.split(candidates.shape[1], dim=1)
        # What a state's gradient is multiplied by on its way to each sum, at all places at once.
        to_candidate = (1 - update) * (1 - candidates.square())
        to_reset = to_candidate * heard * reset * (1 - reset)
        to_update = (before - candidates) * update * (1 - update)
        factors = torch.stack([to_reset, to_update, to_candidate * reset], dim=1)
        d_said = torch.empty_like(factors)
        d_candidate = torch.empty_like(candidates)
        d_state = d_state.clone()
        for size, span in reversed(_spans(ctx.sizes, ctx.reverse)):
            d = d_state[:size] + d_made[span]
            torch.mul(factors[span], d.unsqueeze(1), out=d_said[span])
            torch.mul(to_candidate[span], d, out=d_candidate[span])
            d_state[:size] = torch.addmm(d * update[span], d_said[span].flatten(1), kept)
        d_read = torch.cat([d_said[:, :2].flatten(1), d_candidate], dim=1)
        d_said = d_said.flatten(1)
        return d_read, d_said.t() @ before, d_said.sum(0), d_state, None, None


__all__ = ["GRU"]
