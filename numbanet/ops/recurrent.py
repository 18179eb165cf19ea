"""Recurrent networks as compositions: a sequence unrolled, and the steps of LSTM and GRU.

The steps of a sequence are recorded one after the other, so its length must be known. What does
not depend on the state, the products of all inputs with their weights, is one product before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from numbanet.errors import ShapeError
from numbanet.ir.value import Value
from numbanet.ops.activations import sigmoid
from numbanet.ops.comparison import where
from numbanet.ops.creation import zeros_like
from numbanet.ops.shapes import expand, expand_dims, squeeze
from numbanet.ops.slices import slice as slice_
from numbanet.ops.slices import split, stack
from numbanet.ops.transcendental import tanh

State = tuple[Value | None, ...]
"""What a step remembers, ``[N, H]`` each; None is zeros."""
Found = tuple[Value, ...]
"""The same after a step. The first is the output."""
Step = Callable[[Value, State], Found]
"""From what the inputs of one moment add to the gates, ``[N, G]``, and the state before."""
Activation = Callable[[Value], Value]


class Unrolled(NamedTuple):
    """Outputs in the order in which they were computed, and the last state."""

    outputs: tuple[Value, ...]
    state: Found

    def together(self, *, reverse: bool = False) -> Value:
        """All outputs, ``[T, N, H]``: with the ``reverse`` of `unroll` in the inputs' order."""
        return stack(self.outputs[::-1] if reverse else self.outputs)


def unroll(
    step: Step,
    x: Value,
    state: State,
    *,
    reverse: bool = False,
    mask: Value | None = None,
    zero_masked: bool = False,
) -> Unrolled:
    """Apply ``step`` to each moment of ``x``.

    Parameters
    ----------
    step : callable
    x : Value
        ``[T, N, G]`` of known ``T``.
    state : tuple of Value or None
        Before the first step.
    reverse : bool
        Begin with the last moment.
    mask : Value, optional
        Bools ``[T, N]``. Where it is false the state stays, and with it the output.
    zero_masked : bool
        Such outputs are zeros instead.

    Raises
    ------
    ShapeError
        If ``T`` is unknown, or zero.
    """
    length = x.shape[0]
    if not length:
        raise ShapeError(
            "a recurrent network needs to know how many steps there are, one at least",
            got=str(x.type),
            expected="[T, N, F]",
        )
    moments = [squeeze(part, 0) for part in split(x, length)]
    kept = [None] * length if mask is None else [expand_dims(m, -1) for m in _rows(mask)]
    outputs: list[Value] = []
    found: Found = ()
    for moment, keep in list(zip(moments, kept, strict=True))[:: -1 if reverse else 1]:
        found = step(moment, state)
        output = found[0]
        if keep is not None:
            found = tuple(_where(keep, *pair) for pair in zip(found, state, strict=True))
            output = _where(keep, output, None) if zero_masked else found[0]
        outputs.append(output)
        state = found
    return Unrolled(tuple(outputs), found)


def _rows(mask: Value) -> list[Value]:
    return [squeeze(row, 0) for row in split(mask, mask.type.shape[0] or 1)]


def _where(keep: Value, new: Value, old: Value | None) -> Value:
    return where(keep, new, zeros_like(new) if old is None else old)


def zero_state(x: Value, width: int) -> Value:
    """Zeros ``[N, width]`` for the batch of ``x`` ``[N, ..]``, whose size may be unknown."""
    first = slice_(x, [slice(None), slice(0, 1)])
    return expand(zeros_like(first), (-1, width))


def added(a: Value, b: Value | None) -> Value:
    """The sum, if there is something to add."""
    return a if b is None else a + b


def lstm(
    gates: Value,
    cell: Value | None,
    *,
    activation: Activation = tanh,
    gate_activation: Activation = sigmoid,
) -> tuple[Value, Value]:
    """The end of a step of an LSTM (Hochreiter and Schmidhuber, 1997), with forget gates (Gers
    et al., 2000).

    Parameters
    ----------
    gates : Value
        ``[N, 4 H]``: input gate, forget gate, candidate and output gate side by side.
    cell : Value, optional
        ``[N, H]``; zeros by default.

    Returns
    -------
    (Value, Value)
        The hidden state and the cell, ``[N, H]``.
    """
    i, f, g, o = split(gates, 4, -1)
    new = gate_activation(i) * activation(g)
    if cell is not None:
        new = gate_activation(f) * cell + new
    return gate_activation(o) * activation(new), new


def gru(
    new: Value,
    update: Value,
    hidden: Value | None,
    *,
    activation: Activation = tanh,
    gate_activation: Activation = sigmoid,
) -> Value:
    """The end of a step of a GRU (Cho et al., 2014): the next hidden state ``[N, H]``.

    Parameters
    ----------
    new : Value
        ``[N, H]``: what ``activation`` is applied to, the reset gate having done its work.
    update : Value
        ``[N, H]``: the update gate, before ``gate_activation``.
    hidden : Value, optional
        ``[N, H]``; zeros by default.
    """
    candidate, kept = activation(new), gate_activation(update)
    return candidate + kept * added(-candidate, hidden)


def parts(gates: Value | None, count: int) -> Sequence[Value | None]:
    """``count`` gates that lie side by side, or as many times nothing."""
    return (None,) * count if gates is None else split(gates, count, -1)
