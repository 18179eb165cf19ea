"""Recurrent layers: SimpleRNN, LSTM and GRU, and their cells, which take one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from numbanet import initializers, ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import Fans, InitializerLike
from numbanet.ir import DType, Value, Variable
from numbanet.layers import activation as activations
from numbanet.layers.activation import ActivationLike
from numbanet.layers.dropout import Dropout
from numbanet.layers.layer import ConstraintLike, Layer, RegularizerLike
from numbanet.layers.module import Module, is_size
from numbanet.layers.structure import flatten, map_leaves
from numbanet.ops.leaf import variable_value
from numbanet.ops.recurrent import (
    Found,
    State,
    Step,
    Unrolled,
    added,
    gru,
    lstm,
    parts,
    unroll,
    zero_state,
)


class Inner(NamedTuple):
    """The state's side of all steps of a run; recorded once, so that gradients meet here."""

    kernels: tuple[Value, ...]
    bias: Value | None = None
    noise: Value | None = None
    """What a state is multiplied by before a product."""

    def product(self, hidden: Value | None, place: int = 0) -> Value | None:
        """What the state adds to the gates of one of the kernels."""
        if hidden is None:
            return self.bias
        hidden = hidden if self.noise is None else hidden * self.noise
        return added(ops.matmul(hidden, self.kernels[place]), self.bias)


class Cell(Layer):
    """Base of the cells: one step of a network with ``gates`` times ``units`` products.

    A cell is called on the inputs ``(batch, features)`` of one moment and a list of states, and
    returns its output and the next states.

    Parameters
    ----------
    units : int
        Size of the output and of each state.
    activation : str or callable, optional
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str, Initializer or callable
    kernel_regularizer, recurrent_regularizer, bias_regularizer : str or callable, optional
    kernel_constraint, recurrent_constraint, bias_constraint : str or callable, optional
    dropout, recurrent_dropout : float
        Of the inputs, and of the state where it is multiplied. While training one set of
        elements is dropped at all moments, for all gates (Gal and Ghahramani, 2016).
    seed : int, optional
        Of the dropouts.
    **options
        As of `Layer`.

    Attributes
    ----------
    kernel, recurrent_kernel : Variable
        Of shape (features, gates * units) and (units, gates * units).
    bias : Variable or None
        Of shape (gates * units,).
    """

    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1

    kernel: Variable
    recurrent_kernel: Variable
    bias: Variable | None = None

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        use_bias: bool = True,
        *,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        recurrent_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        recurrent_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not is_size(units):
            name = type(self).__name__
            raise ArgumentError(f"{name} takes a positive number of units", got=repr(units))
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.input_noise = Dropout(dropout, seed=seed)
        self.state_noise = Dropout(recurrent_dropout, seed=None if seed is None else seed + 1)
        self.describe("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.describe(
            "recurrent_kernel",
            recurrent_initializer,
            recurrent_regularizer,
            recurrent_constraint,
        )
        self.describe("bias", bias_initializer, bias_regularizer, bias_constraint)

    @property
    def state_size(self) -> list[int]:
        """The width of each state."""
        return [self.units] * self.states

    @property
    def output_size(self) -> int:
        """The width of the output."""
        return self.units

    def build(self, x: Value, states: Any = None) -> None:
        features, width = x.type.shape[-1], self.gates * self.units
        if features is None:
            raise ShapeError(f"{self.label} needs to know its features", got=str(x.type))
        self.kernel = self.weight("kernel", (features, width), x.dtype)
        self.recurrent_kernel = self.weight("recurrent_kernel", (self.units, width), x.dtype)
        if self.use_bias:
            self.bias = self.weight("bias", self.bias_shape(), x.dtype)

    def bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def forward(self, x: Value, states: Any) -> tuple[Value, Any]:
        given = tuple(flatten(states))
        gates, step = self.begin(x)
        found = step(gates, given)
        return found[0], list(found) if isinstance(states, list | tuple) else found[0]

    def begin(self, x: Value) -> tuple[Value, Step]:
        """What inputs ``[.., N, F]`` add to the gates, ``[.., N, G]``, and the step from it."""
        features = self.kernel.type.sizes[0]
        if x.shape[-1] != features:
            raise ShapeError(
                f"{self.label} has weights for {features} features", got=str(x.shape)
            )
        one = x if x.rank == 2 else x[0]
        if self.input_noise.rate:
            x = x * self.input_noise(ops.ones_like(one))
        noise = None
        if self.state_noise.rate:
            noise = self.state_noise(zero_state(one, self.units) + 1.0)
        gates = added(ops.matmul(x, variable_value(self.kernel)), self.input_bias())
        inner = self.inner()._replace(noise=noise)
        return gates, lambda gates, state: self.step(gates, state, inner)

    def input_bias(self) -> Value | None:
        """What is added to all gates."""
        return None if self.bias is None else variable_value(self.bias)

    def inner(self) -> Inner:
        """The state's side of a step."""
        return Inner((variable_value(self.recurrent_kernel),))

    def step(self, gates: Value, state: State, inner: Inner) -> Found:
        """The next states ``[N, H]`` from gates ``[N, G]``."""
        raise NotImplementedError(f"{type(self).__name__} does not implement step()")


class SimpleRNNCell(Cell):
    """``activation(x @ kernel + h @ recurrent_kernel + bias)`` (Elman, 1990).

    The parameters are those of `Cell`.
    """

    def step(self, gates: Value, state: State, inner: Inner) -> Found:
        return (self.activation(added(gates, inner.product(state[0]))),)


class LSTMCell(Cell):
    """A step of an LSTM (Hochreiter and Schmidhuber, 1997). Gates: input, forget, candidate,
    output. States: hidden, cell.

    Parameters
    ----------
    units : int
    activation : str or callable, optional
    recurrent_activation : str or callable, optional
        Of the gates.
    use_bias : bool
    unit_forget_bias : bool
        Begin with a forget gate's bias of ones (Jozefowicz et al., 2015).
    **options
        As of `Cell`.
    """

    gates = 4
    states = 2

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        use_bias: bool = True,
        *,
        bias_initializer: InitializerLike = "zeros",
        unit_forget_bias: bool = True,
        bias_regularizer: RegularizerLike = None,
        bias_constraint: ConstraintLike = None,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, **options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        initializer = initializers.get(bias_initializer)
        if unit_forget_bias:
            initializer = _forget_ones(initializer)
        self.describe("bias", initializer, bias_regularizer, bias_constraint)

    def step(self, gates: Value, state: State, inner: Inner) -> Found:
        hidden, cell = state
        return lstm(
            added(gates, inner.product(hidden)),
            cell,
            activation=self.activation,
            gate_activation=self.recurrent_activation,
        )


def _forget_ones(initializer: Callable[[tuple[int, ...], Fans], np.ndarray]) -> Any:
    """``initializer`` for the biases of an LSTM but the forget gate's, which are ones."""

    def initialize(shape: tuple[int, ...], fans: Fans) -> np.ndarray:
        numbers = np.array(initializer(shape, fans))
        units = shape[0] // 4
        numbers[units : 2 * units] = 1.0
        return numbers

    return initialize


class GRUCell(Cell):
    """A step of a GRU (Cho et al., 2014). Gates: update, reset, candidate.

    Parameters
    ----------
    units : int
    activation : str or callable, optional
    recurrent_activation : str or callable, optional
        Of the gates.
    use_bias : bool
    reset_after : bool
        Apply the reset gate to the state's product, and not to the state. There are two biases
        then: the inputs' and the state's, of shape (2, 3 * units).
    **options
        As of `Cell`.
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        use_bias: bool = True,
        *,
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, **options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def input_bias(self) -> Value | None:
        bias = super().input_bias()
        return bias[0] if bias is not None and self.reset_after else bias

    def step(self, gates: Value, state: State, inner: Inner) -> Found:
        (hidden,) = state
        x_update, x_reset, x_new = ops.split(gates, 3, -1)
        if self.reset_after:
            update, reset, new = parts(inner.product(hidden), 3)
        else:
            (update, reset), new = parts(inner.product(hidden), 2), None
        opened = self.recurrent_activation(added(x_reset, reset))
        if new is not None:
            new = opened * new
        elif hidden is not None:
            new = inner.product(opened * hidden, 1)
        return (
            gru(
                added(x_new, new),
                added(x_update, update),
                hidden,
                activation=self.activation,
                gate_activation=self.recurrent_activation,
            ),
        )

    def inner(self) -> Inner:
        kernel = variable_value(self.recurrent_kernel)
        if self.reset_after:
            return Inner((kernel,), None if self.bias is None else variable_value(self.bias)[1])
        split = 2 * self.units
        return Inner((kernel[:, :split], kernel[:, split:]))


class StackedRNNCells(Layer):
    """Cells one after the other, as one cell: the output of each is the input of the next.

    Parameters
    ----------
    cells : sequence of Module
    **options
        As of `Layer`.
    """

    def __init__(self, cells: Sequence[Module], **options: Any) -> None:
        super().__init__(**options)
        self.cells = list(cells)
        for cell in self.cells:
            _check_cell(cell)
            if isinstance(cell, StackedRNNCells):
                raise ArgumentError(
                    "stacked cells in stacked cells", mend="Put all in one list"
                )

    @property
    def state_size(self) -> list[Any]:
        """The widths of each cell's states."""
        return [cell.state_size for cell in self.cells]  # type: ignore[attr-defined]

    def forward(self, x: Value, states: Sequence[Any]) -> tuple[Value, list[Any]]:
        found = []
        for cell, state in zip(self.cells, states, strict=True):
            x, after = cell(x, state)
            found.append(after)
        return x, found


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
        _check_cell(self.cell)
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


def _check_cell(cell: Any) -> None:
    if not isinstance(cell, Module) or not hasattr(cell, "state_size"):
        raise ArgumentError(
            "a cell is a module with a state_size",
            got=repr(cell),
            mend="Use SimpleRNNCell, LSTMCell or GRUCell, or write a Module",
        )


class _Network(RNN):
    """`RNN` of a cell of its own, made with the arguments that are not `RNN`'s."""

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
        use_cudnn: str = "auto",
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
        self.refuse("use_cudnn", use_cudnn, "auto")

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
