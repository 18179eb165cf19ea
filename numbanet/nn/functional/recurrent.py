"""Recurrent networks: Elman's, LSTM and GRU, over a sequence or a step at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from numbanet import ops
from numbanet.errors import ShapeError
from numbanet.ir import Value
from numbanet.nn.functional.dropout import dropout as drop
from numbanet.ops.recurrent import (
    Found,
    State,
    added,
    gru,
    lstm,
    parts,
    unroll,
    zero_state,
)
from numbanet.tensors.dispatch import tensor_function


class Weights(NamedTuple):
    """Of one direction of one layer: ``G`` gates of ``H`` units each.

    ``ih`` is ``[G H, F]``, ``hh`` ``[G H, H]``, the biases ``[G H]``. ``hr`` ``[P, H]`` makes
    an LSTM's output smaller; the state that ``hh`` multiplies is ``[N, P]`` then.
    """

    ih: Value
    hh: Value
    bias_ih: Value | None = None
    bias_hh: Value | None = None
    hr: Value | None = None


Step = Callable[[Value, Weights, State], Found]


def _elman(activation: Callable[[Value], Value]) -> Step:
    def step(x: Value, weights: Weights, state: State) -> Found:
        return (activation(added(x, _recurrent(weights, state[0]))),)

    return step


def _lstm(x: Value, weights: Weights, state: State) -> Found:
    hidden, cell = state
    hidden, cell = lstm(added(x, _recurrent(weights, hidden)), cell)
    if weights.hr is not None:
        hidden = ops.matmul(hidden, weights.hr, transpose_b=True)
    return hidden, cell


def _gru(x: Value, weights: Weights, state: State) -> Found:
    """With the reset gate after the product, as cuDNN has it."""
    (hidden,) = state
    inner = _recurrent(weights, hidden)
    inner = weights.bias_hh if inner is None else added(inner, weights.bias_hh)
    x_r, x_z, x_n = ops.split(x, 3, -1)
    h_r, h_z, h_n = parts(inner, 3)
    if h_n is not None:
        h_n = ops.sigmoid(added(x_r, h_r)) * h_n
    return (gru(added(x_n, h_n), added(x_z, h_z), hidden),)


def _recurrent(weights: Weights, hidden: Value | None) -> Value | None:
    return None if hidden is None else ops.matmul(hidden, weights.hh, transpose_b=True)


class Cell(NamedTuple):
    """A kind of network: its step, how many states it keeps, and how many gates it has."""

    step: Step
    states: int
    gates: int
    has_inner_bias: bool = False
    """Whether ``bias_hh`` is added to the state's product alone, not to the gates."""


CELLS = {
    "RNN_TANH": Cell(_elman(ops.tanh), 1, 1),
    "RNN_RELU": Cell(_elman(ops.relu), 1, 1),
    "LSTM": Cell(_lstm, 2, 4),
    "GRU": Cell(_gru, 1, 3, has_inner_bias=True),
}


def _project(cell: Cell, x: Value, weights: Weights) -> Value:
    """What the inputs ``[.., F]`` add to the gates, ``[.., G H]``."""
    product = ops.matmul(x, weights.ih, transpose_b=True)
    product = added(product, weights.bias_ih)
    return product if cell.has_inner_bias else added(product, weights.bias_hh)


@tensor_function
def recurrent(
    mode: str,
    input: Value,
    states: Sequence[Value] | None,
    weights: Sequence[Sequence[Value]],
    bidirectional: bool = False,
    batch_first: bool = False,
    dropout: float = 0.0,
    training: bool = True,
    lengths: Value | None = None,
) -> tuple[Value, ...]:
    """A recurrent network of one or more layers over a whole sequence.

    Parameters
    ----------
    mode : {"RNN_TANH", "RNN_RELU", "LSTM", "GRU"}
    input : Tensor
        ``[T, N, F]``, ``[N, T, F]`` if ``batch_first``, or ``[T, F]`` without a batch.
    states : sequence of Tensor, optional
        The hidden state ``[L D, N, H]``, and for an LSTM the cell's; ``[L D, H]`` without a
        batch. Zeros by default.
    weights : sequence of sequences of Tensor
        The fields of `Weights` for each direction of each layer, forward first.
    bidirectional : bool
        Whether every layer also runs backwards in time; its outputs stand after the forward
        ones along the last axis.
    dropout : float
        Between layers, in training.
    lengths : Tensor, optional
        Integers ``[N]``: how many moments of each sequence there are. Outputs after them are
        zeros; the last states are those of each sequence's own end.

    Returns
    -------
    tuple of Tensor
        The last layer's outputs at all times, ``[T, N, D H]``, and the last states, shaped as
        ``states``.
    """
    cell, directions = CELLS[mode], 2 if bidirectional else 1
    given = [Weights(*each) for each in weights]
    is_single = input.rank == 2
    x = _time_first(input, is_single, batch_first)
    starts = _starts(cell, states, len(given), is_single)
    mask = None if lengths is None else _is_there(x, lengths)
    if mask is not None:
        # What lies beyond the end may be no number, and its gradient would not be one either.
        x = ops.where(ops.expand_dims(mask, 2), x, 0)
    ends: list[Found] = []
    for first in range(0, len(given), directions):
        if first:
            x = drop(x, dropout, training)
        outputs = []
        for place in range(first, first + directions):
            hidden, end = _run(
                cell, x, given[place], starts[place], is_reverse=place > first, mask=mask
            )
            outputs.append(hidden)
            ends.append(end)
        x = ops.concatenate(outputs, -1)
    last = [ops.stack(each) for each in zip(*ends, strict=True)]
    if is_single:
        return (ops.squeeze(x, 1), *(ops.squeeze(each, 1) for each in last))
    return (ops.transpose(x, (1, 0, 2)) if batch_first else x, *last)


def _time_first(input: Value, is_single: bool, batch_first: bool) -> Value:
    """``[T, N, F]``"""
    if is_single:
        return ops.expand_dims(input, 1)
    if input.rank != 3:
        raise ShapeError(
            "a recurrent network takes sequences", got=str(input.type), expected="2 or 3 axes"
        )
    return ops.transpose(input, (1, 0, 2)) if batch_first else input


def _starts(
    cell: Cell, states: Sequence[Value] | None, count: int, is_single: bool
) -> list[State]:
    """The first state of each direction of each layer."""
    if states is None:
        return [(None,) * cell.states] * count
    if is_single:
        states = [ops.expand_dims(state, 1) for state in states]
    return [tuple(state[place] for state in states) for place in range(count)]


def _is_there(x: Value, lengths: Value) -> Value:
    """Bools ``[T, N]``: whether a moment comes before its sequence's end."""
    return ops.less(ops.iota((x.type.sizes[0], 1), 0, lengths.dtype), lengths)


def _run(
    cell: Cell,
    x: Value,
    weights: Weights,
    state: State,
    *,
    is_reverse: bool,
    mask: Value | None,
) -> tuple[Value, Found]:
    """Outputs ``[T, N, H]`` of one direction of one layer, and its last state."""
    gates = _project(cell, x, weights)
    if x.shape[0] == 1:
        state = _with_zeros(ops.squeeze(gates, 0), weights, state)
    run = unroll(
        lambda gate, before: cell.step(gate, weights, before),
        gates,
        state,
        reverse=is_reverse,
        mask=mask,
        zero_masked=True,
    )
    return run.together(reverse=is_reverse), run.state


def _with_zeros(gates: Value, weights: Weights, state: State) -> State:
    """Zeros where a state is None, so that ``hh`` has a gradient, of zeros, after one step."""
    last = weights.hh if weights.hr is None else weights.hr
    widths = (weights.hh.type.sizes[1], last.type.sizes[1])
    return tuple(
        zero_state(gates, width) if each is None else each
        for each, width in zip(state, widths, strict=False)
    )


def _cell(mode: str, input: Value, state: State, weights: Weights) -> Found:
    """One step on ``[N, F]`` or ``[F]``."""
    is_single = input.rank == 1
    if is_single:
        input = ops.expand_dims(input, 0)
        state = tuple(None if each is None else ops.expand_dims(each, 0) for each in state)
    cell = CELLS[mode]
    gates = _project(cell, input, weights)
    found = cell.step(gates, weights, _with_zeros(gates, weights, state))
    return tuple(ops.squeeze(each, 0) for each in found) if is_single else found


@tensor_function
def rnn_tanh_cell(
    input: Value,
    hx: Value | None,
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> Value:
    """``tanh(w_ih x + b_ih + w_hh h + b_hh)`` for ``x`` ``[N, F]`` or ``[F]`` (Elman, 1990)."""
    return _cell("RNN_TANH", input, (hx,), Weights(w_ih, w_hh, b_ih, b_hh))[0]


@tensor_function
def rnn_relu_cell(
    input: Value,
    hx: Value | None,
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> Value:
    """`rnn_tanh_cell` with ReLU in place of the tangent."""
    return _cell("RNN_RELU", input, (hx,), Weights(w_ih, w_hh, b_ih, b_hh))[0]


@tensor_function
def lstm_cell(
    input: Value,
    hx: Sequence[Value] | None,
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> tuple[Value, Value]:
    """One step of an LSTM: the next hidden state and cell.

    Parameters
    ----------
    input : Tensor
        ``[N, F]`` or ``[F]``.
    hx : (Tensor, Tensor), optional
        Hidden state and cell, ``[N, H]`` or ``[H]``; zeros by default.
    w_ih, w_hh, b_ih, b_hh : Tensor
        Of the input, forget, cell and output gates, one below the other.
    """
    states = (None, None) if hx is None else tuple(hx)
    hidden, cell = _cell("LSTM", input, states, Weights(w_ih, w_hh, b_ih, b_hh))
    return hidden, cell


@tensor_function
def gru_cell(
    input: Value,
    hx: Value | None,
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> Value:
    """One step of a GRU: the next hidden state. The gates are reset, update and new."""
    return _cell("GRU", input, (hx,), Weights(w_ih, w_hh, b_ih, b_hh))[0]
