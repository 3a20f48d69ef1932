"""What CUDA does otherwise than the CPU: what it allows and lacks, and what no library promises.

Asked by `pretended`, of operations as torch dispatches them.
"""

from __future__ import annotations

import torch

_aten = torch.ops.aten

_COPY = _aten.copy_.default


def _overloads(*packets):
    return {getattr(packet, overload) for packet in packets for overload in packet.overloads()}


_LOOKING_UP = _overloads(
    _aten.index, _aten.index_put, _aten.index_put_, _aten._index_put_impl_, _aten._unsafe_index
)
"""What takes indices of the CPU for a tensor of any device."""

_NUMBERED = {
    *(_aten.fill.Tensor, _aten.fill_.Tensor, _aten.masked_fill.Tensor, _aten.masked_fill_.Tensor),
    *(_aten.index_fill.int_Tensor, _aten.index_fill_.int_Tensor),
}
"""What takes a number of the CPU, beside all that works element by element."""

_PRODUCTS = _overloads(_aten.mm, _aten.bmm, _aten.addmm, _aten.baddbmm, _aten.mv, _aten.addmv, _aten.dot)
_PRODUCTS |= _overloads(_aten.convolution)
"""What CUDA does of fractions alone."""

_APPROXIMATE = "sum mean var cumsum linalg_vector_norm exp log tanh convolution_backward _fft_c2r"
_APPROXIMATE += " _linalg_eigh _linalg_svd _linalg_solve_ex linalg_inv_ex linalg_cholesky_ex"
_ROUNDED = _PRODUCTS | _overloads(*(getattr(_aten, name) for name in _APPROXIMATE.split()))
"""What rounds otherwise there: sums in another order, and functions by other approximations."""


def allows(func, args, here):
    """Whether it takes these tensors of the CPU beside its own."""
    if func is _COPY:
        return True
    first = not any(args[0] is each for each in here)
    if func in _LOOKING_UP:
        put = [each for each in here for value in args[2:] if each is value]
        return first and all(each.ndim == 0 for each in put)
    elementwise = torch.Tag.pointwise in func.tags or func in _NUMBERED
    return elementwise and (first or not func._schema.is_mutable) and all(each.ndim == 0 for each in here)


def lacks(func, dtype):
    """Whether it has no such operation for this kind of number."""
    return func in _PRODUCTS and not (dtype.is_floating_point or dtype.is_complex)


def chosen(func):
    """What it chooses by itself among the ways of an operation."""
    return _CHOSEN.get(func, {})


def turned(func, out):
    """What comes out, every second vector turned round where a sign is anyone's choice."""
    turn = _TURNED.get(func)
    return out if turn is None else turn(out)


def rounded(func, out, dice):
    """What comes out, each number off by about one bit where sums or approximations are at work."""
    if func not in _ROUNDED or func._schema.is_mutable:
        return out
    return tuple(_shaken(each, dice) for each in out) if isinstance(out, tuple) else _shaken(out, dice)


def _shaken(x, dice):
    if x is None or not x.dtype.is_floating_point:
        return x
    return x * (1.0 + torch.finfo(x.dtype).eps * torch.randn(x.shape, generator=dice, dtype=x.dtype))


def _signs(x):
    """(k,) −1 and 1 in turn, as many as columns."""
    return 1.0 - 2.0 * (torch.arange(x.shape[-1], dtype=x.dtype) % 2 == 0)


def _of_symmetric(out):
    """Of values and vectors: the vectors."""
    return out[0], out[1] * _signs(out[1])


def _of_singular(out):
    """Of U S Vᵀ: both of a pair."""
    count = min(out[0].shape[-1], out[2].shape[-2])
    signs = _signs(out[0][..., :count])
    left, right = out[0].clone(), out[2].clone()
    left[..., :count] *= signs
    right[..., :count, :] *= signs[:, None]
    return left, out[1], right


def _of_frame(out):
    """Of Q R: columns and rows."""
    return out[0] * _signs(out[0]), out[1] * _signs(out[0])[: out[1].shape[-2], None]


_CHOSEN = {_aten.linalg_lstsq.default: {"driver": "gels"}}
"""Least squares by the rule for full rank, the only one that it has."""

_TURNED = {
    _aten._linalg_eigh.default: _of_symmetric,
    _aten._linalg_svd.default: _of_singular,
    _aten.linalg_qr.default: _of_frame,
}
