r"""A GRU whose backward pass on the CPU is written by hand.

On packed rows PyTorch's own backward pass allocates, for every time step, a gradient as large as all rows,
and adds them up. Here each time step writes the gradient of its own rows, and the gradients of the weights
are one matrix product at the end.

.. math:: r = \sigma(W_r x + U_r h), \quad u = \sigma(W_u x + U_u h), \quad
    c = \tanh(W_c x + r \odot U_c h), \quad h' = c + u \odot (h - c)

with a bias added to every product.

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
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from pushforward.torch_state import at_hand


def packed(rows: Tensor, sizes: Tensor) -> PackedSequence:
    r"""The first ``sizes`` (N,) elements of rows (N, T, \*), packed."""
    return pack_padded_sequence(rows, sizes.cpu(), batch_first=True, enforce_sorted=False)


class GRU(nn.GRU):
    """:class:`torch.nn.GRU` of one layer, with the same weights, outputs and gradients.

    Off the CPU, without gradients, and on rows that are not packed it is that very module. Its gradients
    cannot be differentiated again.

    Arguments:
        inputs: Dimensions of the input at each time step.
        width: Units of the hidden state.
        bidirectional: Whether a second GRU reads the rows from their end.

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
        """All states and the last ones, as :class:`torch.nn.GRU` returns them."""
        if not isinstance(rows, PackedSequence) or rows.data.device.type != "cpu":
            return super().forward(rows, first)
        tensors = (rows.data, *self.parameters(), *([] if first is None else [first]))
        if not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)):
            return super().forward(rows, first)
        data, sizes, order, inverse = rows
        directions = 2 if self.bidirectional else 1
        if first is None:
            first = data.new_zeros(directions, int(sizes[0]), self.hidden_size)
        elif order is not None:
            first = first[:, order]
        states, last = zip(
            *(self._direction(data, sizes.tolist(), first[way], way) for way in range(directions)),
            strict=True,
        )
        ends = torch.stack(last)
        ends = ends if inverse is None else ends[:, inverse]
        return PackedSequence(torch.cat(states, dim=1), sizes, order, inverse), ends

    def states(self, rows: Tensor, sizes: Tensor, first: Tensor | None = None) -> Tensor:
        r"""States (N, T, H) of rows (N, T, \*), read forwards; undefined after the ``sizes`` (N,) of rows.

        To pack rows, Python reads their sizes. A GPU would be waited for: there padding is read, too.
        """
        if not at_hand(rows):
            return super().forward(rows, first)[0]
        states, _ = self(packed(rows, sizes), first)
        padded: Tensor = pad_packed_sequence(states, batch_first=True, total_length=rows.shape[1])[0]
        return padded

    def ends(self, rows: Tensor, sizes: Tensor) -> Tensor:
        r"""The last states (N, 2 H) of rows (N, T, \*) of so many elements, read forwards and backwards.

        Where rows are not packed, those that are read backwards are moved to the end, and their padding to
        the front: it is read last. Both are one batch.
        """
        if at_hand(rows):
            forwards, backwards = self(packed(rows, sizes))[1]
            return torch.cat([forwards, backwards], dim=1)
        count, longest = rows.shape[:2]
        row = torch.arange(count, device=rows.device)
        moved = (torch.arange(longest, device=rows.device) + sizes.unsqueeze(1)) % longest
        states, _ = super().forward(torch.cat([rows, rows[row.unsqueeze(1), moved]]))
        forwards = states[row, sizes - 1, : self.hidden_size]
        backwards = states[count + row, longest - sizes, self.hidden_size :]
        return torch.cat([forwards, backwards], dim=1)

    def _direction(
        self, data: Tensor, sizes: Sequence[int], first: Tensor, way: int
    ) -> tuple[Tensor, Tensor]:
        """All states (M, H) of packed rows that are read in one direction, and the last state of each row."""
        suffix = "_l0_reverse" if way else "_l0"
        w_input, w_hidden, b_input, b_hidden = (
            getattr(self, name + suffix) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        result: tuple[Tensor, Tensor] = _Steps.apply(  # type: ignore[no-untyped-call]
            F.linear(data, w_input, b_input), w_hidden, b_hidden, first, tuple(sizes), bool(way)
        )
        return result


def _spans(sizes: Sequence[int], reverse: bool) -> list[tuple[int, slice]]:
    """For each time step the number of rows that take it, and their slice of the packed rows."""
    spans, start = [], 0
    for size in sizes:
        spans.append((size, slice(start, start + size)))
        start += size
    return spans[::-1] if reverse else spans


class _Steps(torch.autograd.Function):
    """All time steps: rows are sorted by length, so that those which take a step are the first ones."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor,
        first: Tensor,
        sizes: tuple[int, ...],
        reverse: bool,
    ) -> tuple[Tensor, Tensor]:
        width = first.shape[1]
        state = first.clone()
        states, before, gates, candidates, recurrent = (
            inputs.new_empty(len(inputs), size) for size in (width, width, 2 * width, width, width)
        )
        for size, span in _spans(sizes, reverse):
            old = before[span] = state[:size]
            product = torch.addmm(bias, old, weight.t())
            torch.sigmoid(inputs[span, : 2 * width] + product[:, : 2 * width], out=gates[span])
            recurrent[span] = product[:, 2 * width :]
            reset, update = gates[span].split(width, dim=1)
            torch.tanh(torch.addcmul(inputs[span, 2 * width :], reset, recurrent[span]), out=candidates[span])
            state[:size] = states[span] = torch.lerp(candidates[span], old, update)
        ctx.save_for_backward(weight, before, gates, candidates, recurrent)
        ctx.sizes, ctx.reverse = sizes, reverse
        return states, state

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor, d_state: Tensor) -> tuple[Tensor | None, ...]:
        weight, before, gates, candidates, recurrent = ctx.saved_tensors
        reset, update = gates.split(candidates.shape[1], dim=1)
        # The factors by which the gradient of a state is multiplied on its way to each sum, for all places.
        to_candidate = (1 - update) * (1 - candidates.square())
        to_reset = to_candidate * recurrent * reset * (1 - reset)
        to_update = (before - candidates) * update * (1 - update)
        factors = torch.stack([to_reset, to_update, to_candidate * reset], dim=1)
        d_product = torch.empty_like(factors)
        d_candidate = torch.empty_like(candidates)
        d_state = d_state.clone()
        for size, span in reversed(_spans(ctx.sizes, ctx.reverse)):
            d = d_state[:size] + d_states[span]
            torch.mul(factors[span], d.unsqueeze(1), out=d_product[span])
            torch.mul(to_candidate[span], d, out=d_candidate[span])
            d_state[:size] = torch.addmm(d * update[span], d_product[span].flatten(1), weight)
        d_inputs = torch.cat([d_product[:, :2].flatten(1), d_candidate], dim=1)
        d_product = d_product.flatten(1)
        return d_inputs, d_product.t() @ before, d_product.sum(0), d_state, None, None


__all__ = ["GRU", "packed"]
