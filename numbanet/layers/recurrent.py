"""Recurrent layers: cells, applied to each moment of sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from numbanet import ops
from numbanet.errors import ShapeError
from numbanet.ir import DType, Value, Variable
from numbanet.layers.cells import (
    Cell,
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
    check_cell,
)
from numbanet.layers.layer import Layer, RegularizerLike
from numbanet.layers.module import Module
from numbanet.layers.structure import flatten, map_leaves
from numbanet.ops.leaf import variable_value
from numbanet.ops.recurrent import (
    Found,
    State,
    Unrolled,
    unroll,
    zero_state,
)


@dataclass(frozen=True)
class Kept:
    """The states of a stateful layer's cells. They are none of its weights, as in Keras."""

    cells: tuple[tuple[Variable, ...], ...]

    @classmethod
    def zeros(cls, label: str, x: Value, widths: Sequence[Sequence[int]]) -> Kept:
        """States for batches like ``x`` ``[N, F]``."""
        size = x.shape[0]
        if size is None:
            raise ShapeError(
                f"{label} is stateful, and needs to know the batch size",
                got=str(x.shape),
                mend="Give Input a batch_size",
            )
        made = (
            tuple(Variable(np.zeros((size, w), x.dtype.numpy), f"{label}/state") for w in each)
            for each in widths
        )
        return cls(tuple(made))

    def values(self, label: str, x: Value) -> list[tuple[Value, ...]]:
        """The states at the start of a run, for a batch like ``x``."""
        size = self.cells[0][0].type.sizes[0]
        if x.shape[0] != size:
            raise ShapeError(f"{label} keeps states of {size} samples", got=str(x.shape))
        return [tuple(map(variable_value, states)) for states in self.cells]

    def moved_on(self, output: Value, ends: Sequence[Sequence[Value]]) -> Value:
        """``output`` of a run that ends with these states."""
        pairs = zip(flatten(self.cells), flatten(list(map(list, ends))), strict=True)
        return ops.carry(output, [(variable_value(state), end) for state, end in pairs])

    def reset(self) -> None:
        """Zeros again."""
        for state in flatten(self.cells):
            state.assign(np.zeros(state.type.sizes))


class RNN(Layer):
    """A cell, applied to each moment of sequences ``(batch, steps, features)``.

    The steps are recorded one after the other, so their number must be known.

    Parameters
    ----------
    cell : Module or sequence of Module
        `SimpleRNNCell`, `LSTMCell`, `GRUCell`, or a module of yours: called on the inputs of
        one moment and a list of states, it returns its output and the next states; its
        ``state_size`` is their width, or a list of widths. Several are stacked.
    return_sequences : bool
        Return the outputs of all moments, ``(batch, steps, units)``, and not only the last.
    return_state : bool
        Return the last states, too.
    go_backwards : bool
        Begin with the last moment; outputs are in that order.
    stateful : bool
        A batch begins with the states that the batch before it ended with, in training as in
        prediction, until `reset_states`. The batch size must be known: ``Input(shape,
        batch_size)``.
    unroll : bool
        Sequences are unrolled in any case.
    zero_output_for_mask : bool
        Outputs are zeros where a mask is false, and not the outputs before.
    **options
        As of `Layer`.

    Raises
    ------
    ShapeError
        On an input without a known number of steps, or a batch of another size than the states.
    """

    _kept: Kept | None = None

    def __init__(
        self,
        cell: Module | Sequence[Module],
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.cell: Any = StackedRNNCells(cell) if isinstance(cell, list | tuple) else cell
        check_cell(self.cell)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask

    def build(self, sequences: Value, initial_state: Any = None, mask: Any = None) -> None:
        # One step, forgotten at once: it builds the cells where they belong.
        first = self._in_order(sequences)[0]
        sizes: Any = self.cell.state_size
        self.cell(first, _zeros(first, [sizes] if isinstance(sizes, int) else sizes))
        if self.stateful:
            self._kept = Kept.zeros(self.label, first, [_widths(cell) for cell in self._cells])

    def forward(
        self, sequences: Value, initial_state: Any = None, mask: Value | None = None
    ) -> Any:
        """Record all steps.

        Parameters
        ----------
        sequences : Value
        initial_state : Value or list of Value, optional
            Zeros by default; for stacked cells a list for each cell.
        mask : Value, optional
            Bools ``(batch, steps)``: at which moments a state changes at all.

        Returns
        -------
        Value or tuple
            The output, and with ``return_state`` the states after it.
        """
        x = self._in_order(sequences)
        mask = None if mask is None else self._in_order(mask)
        ends: list[list[Value]] = []
        output = x
        starts = self._starts(initial_state)
        if self._kept is not None and initial_state is None:
            starts = self._kept.values(self.label, x[0])
        for cell, start in zip(self._cells, starts, strict=True):
            run = _run(cell, x, start, mask, self.zero_output_for_mask)
            x, output = run.together(), run.outputs[-1]
            ends.append(list(run.state))
        if self.return_sequences:
            output = ops.transpose(x, (1, 0, 2))
        if self._kept is not None:
            output = self._kept.moved_on(output, ends)
        states = ends if isinstance(self.cell, StackedRNNCells) else ends[0]
        return (output, *states) if self.return_state else output

    def reset_states(self) -> None:
        """Begin the next batch of a stateful layer with zeros."""
        if self._kept is not None:
            self._kept.reset()

    reset_state = reset_states

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Value | None:
        return flatten(previous_mask)[0] if self.return_sequences else None

    @property
    def _cells(self) -> list[Any]:
        return self.cell.cells if isinstance(self.cell, StackedRNNCells) else [self.cell]

    def _starts(self, states: Any) -> list[Any]:
        """The first states of each cell."""
        if states is None:
            return [None] * len(self._cells)
        given = [states] if isinstance(states, Value) else list(states)
        given = given if isinstance(self.cell, StackedRNNCells) else [given]
        wanted = [_widths(cell) for cell in self._cells]
        found = [[state.shape[-1] for state in flatten(each)] for each in given]
        if found != wanted:
            raise ShapeError(
                f"{self.label} takes a first state for each of its states",
                got=f"widths {found}",
                expected=f"{wanted}",
            )
        return [tuple(flatten(each)) for each in given]

    def _in_order(self, x: Value) -> Value:
        """Steps first, in the order in which they are taken."""
        if x.rank < 2 or not x.shape[1]:
            raise ShapeError(
                f"{self.label} takes sequences of known length",
                got=str(x.shape),
                expected="(batch, steps, features)",
            )
        x = ops.transpose(x, (1, 0, *range(2, x.rank)))
        return ops.flip(x, 0) if self.go_backwards else x


def _run(
    cell: Any, x: Value, start: tuple[Value, ...] | None, mask: Value | None, zero_masked: bool
) -> Unrolled:
    if isinstance(cell, Cell):
        gates, step = cell.begin(x)
        state: State = start or (None,) * cell.states
        if start is None and x.shape[0] == 1:
            # So that the recurrent kernel has a gradient, of zeros.
            state = _zeros(x[0], cell.state_size)
        return unroll(step, gates, state, mask=mask, zero_masked=zero_masked)

    def stranger(moment: Value, state: State) -> Found:
        """A cell of which no more is known carries its output along, before its states."""
        output, after = cell(moment, list(state[1:]))
        return (output, *flatten(after))

    state = (None, *(start or _zeros(x[0], _widths(cell))))
    run = unroll(stranger, x, state, mask=mask, zero_masked=zero_masked)
    return Unrolled(run.outputs, run.state[1:])


def _widths(cell: Any) -> list[int]:
    return flatten(cell.state_size)


def _zeros(first: Value, sizes: Any) -> Any:
    """States of zeros for the inputs ``first`` of one moment."""
    return map_leaves(lambda size: zero_state(first, size), sizes)


class _Network(RNN):
    """`RNN` of a cell of its own, made with the arguments that are not `RNN`'s.

    ``use_cudnn`` and ``unroll`` are taken for Keras's sake: they change no value.
    """

    cell_type: ClassVar[type[Cell]]

    def __init__(
        self,
        units: int,
        *cell_arguments: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        use_cudnn: bool | str = "auto",
        activity_regularizer: RegularizerLike = None,
        trainable: bool = True,
        dtype: str | DType | None = None,
        name: str | None = None,
        **cell_options: Any,
    ) -> None:
        super().__init__(
            self.cell_type(units, *cell_arguments, **cell_options),
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            activity_regularizer=activity_regularizer,
            trainable=trainable,
            dtype=dtype,
            name=name,
        )

    @property
    def units(self) -> int:
        """Size of the output."""
        return self.cell.units


class SimpleRNN(_Network):
    """Elman's network over sequences ``(batch, steps, features)``.

    Parameters
    ----------
    units : int
    *cell_arguments, **cell_options
        As of `SimpleRNNCell`.
    return_sequences, return_state, go_backwards, zero_output_for_mask : bool
        As of `RNN`.
    name, dtype, trainable, activity_regularizer
        As of `Layer`.
    """

    cell_type = SimpleRNNCell


class LSTM(_Network):
    """An LSTM over sequences ``(batch, steps, features)`` (Hochreiter and Schmidhuber, 1997).

    Parameters
    ----------
    units : int
    *cell_arguments, **cell_options
        As of `LSTMCell`.
    return_sequences, return_state, go_backwards, zero_output_for_mask : bool
        As of `RNN`.
    name, dtype, trainable, activity_regularizer
        As of `Layer`.
    """

    cell_type = LSTMCell


class GRU(_Network):
    """A GRU over sequences ``(batch, steps, features)`` (Cho et al., 2014).

    Parameters
    ----------
    units : int
    *cell_arguments, **cell_options
        As of `GRUCell`.
    return_sequences, return_state, go_backwards, zero_output_for_mask : bool
        As of `RNN`.
    name, dtype, trainable, activity_regularizer
        As of `Layer`.
    """

    cell_type = GRUCell
