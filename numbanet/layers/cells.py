"""Recurrent cells: one step of SimpleRNN, LSTM and GRU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from numbanet import activations, initializers, ops
from numbanet.activations import ActivationLike
from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import Fans, InitializerLike
from numbanet.ir import Value, Variable
from numbanet.layers.dropout import Dropout
from numbanet.layers.layer import ConstraintLike, Layer, RegularizerLike
from numbanet.layers.module import Module, is_size
from numbanet.layers.structure import flatten
from numbanet.ops.leaf import variable_value
from numbanet.ops.recurrent import (
    Found,
    State,
    Step,
    added,
    gru,
    lstm,
    parts,
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


def check_cell(cell: Any) -> None:
    if not isinstance(cell, Module) or not hasattr(cell, "state_size"):
        raise ArgumentError(
            "a cell is a module with a state_size",
            got=repr(cell),
            mend="Use SimpleRNNCell, LSTMCell or GRUCell, or write a Module",
        )


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
            check_cell(cell)
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
