"""Recurrent networks, whole sequences and single steps."""

from __future__ import annotations

import math
import warnings
from typing import Any

from numbanet.errors import ArgumentError, ShapeError
from numbanet.nn import functional as F  # noqa: N812 - the name it is known by
from numbanet.nn import init
from numbanet.nn.factory import new_parameter
from numbanet.nn.functional.recurrent import CELLS, recurrent
from numbanet.nn.module import Module
from numbanet.nn.utils.rnn import PackedSequence
from numbanet.tensors.tensor import Tensor

Sequences = Tensor | PackedSequence
"""What networks run over."""

_SHOWN = (
    ("proj_size", 0),
    ("num_layers", 1),
    ("bias", True),
    ("batch_first", False),
    ("dropout", 0.0),
    ("bidirectional", False),
)
"""Settings that are printed where they differ from these."""


class RNNBase(Module):
    """What the recurrent networks share: their parameters, states and settings.

    Parameters
    ----------
    mode : {"RNN_TANH", "RNN_RELU", "LSTM", "GRU"}
    input_size, hidden_size : int
        Features of the input and of the state.
    num_layers : int
    bias : bool
        Whether there are biases.
    batch_first : bool
        Whether inputs and outputs are ``[N, T, F]``, not ``[T, N, F]``.
    dropout : float
        Of the outputs of all layers but the last, in training.
    bidirectional : bool
        Whether each layer runs backwards in time, too.
    proj_size : int
        Of an LSTM only: above 0, ``weight_hr_l0`` makes the hidden state, which is the output,
        this small.
    device, dtype
        Of the parameters: the device in use, and float32 by default.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter
        Of the first layer: ``[G H, F]`` and ``[G H, H]`` for ``G`` gates; further layers end in
        ``l1`` and so on, the backward direction in ``_reverse``. First uniform within
        ``1 / sqrt(hidden_size)``, as all parameters.
    bias_ih_l0, bias_hh_l0 : Parameter
        ``[G H]``.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ArgumentError("dropout is a probability, 0 to 1", got=repr(dropout))
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} has no effect on a single layer: it stands between layers",
                stacklevel=3,
            )
        if proj_size and (mode != "LSTM" or not 0 < proj_size < hidden_size):
            raise ArgumentError(
                "proj_size is for an LSTM, and smaller than hidden_size", got=repr(proj_size)
            )
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._weight_names = tuple(self._make_parameters(device, dtype))
        self.reset_parameters()

    def _make_parameters(self, device: Any, dtype: Any) -> list[tuple[str, ...]]:
        """Register the parameters; their names for each direction of each layer."""
        rows = CELLS[self.mode].gates * self.hidden_size
        state = self.proj_size or self.hidden_size
        directions = ("", "_reverse") if self.bidirectional else ("",)
        names = []
        for layer in range(self.num_layers):
            features = state * len(directions) if layer else self.input_size
            shapes = {"weight_ih": (rows, features), "weight_hh": (rows, state)}
            if self.bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if self.proj_size:
                shapes["weight_hr"] = (self.proj_size, self.hidden_size)
            for direction in directions:
                own = {f"{key}_l{layer}{direction}": shape for key, shape in shapes.items()}
                for name, shape in own.items():
                    self.register_parameter(name, new_parameter(shape, device, dtype))
                names.append(tuple(own))
        return names

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        _draw(self)

    def flatten_parameters(self) -> None:
        """Do nothing: memory is planned when a step is compiled."""

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each direction of each layer."""
        return [[getattr(self, name) for name in names] for names in self._weight_names]

    def _outputs(
        self, input: Tensor | PackedSequence, states: tuple[Tensor, ...] | None
    ) -> tuple[Any, ...]:
        if isinstance(input, PackedSequence):
            output, *last = self._unrolled(input.padded, states, False, input.lengths)
            return input.like(output), *last
        return self._unrolled(input, states, self.batch_first)

    def _unrolled(
        self,
        input: Tensor,
        states: tuple[Tensor, ...] | None,
        batch_first: bool,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        _check_input(self, input)
        self._check_states(input, states, batch_first)
        weights = self.all_weights
        if not self.bias:
            weights = [[*own[:2], None, None, *own[2:]] for own in weights]
        return recurrent(
            self.mode,
            input,
            states,
            weights,
            self.bidirectional,
            batch_first,
            self.dropout,
            self.training,
            lengths,
        )

    def _check_states(
        self, input: Tensor, states: tuple[Tensor, ...] | None, batch_first: bool
    ) -> None:
        count = len(self._weight_names)
        batch = () if len(input.shape) == 2 else (input.shape[0 if batch_first else 1],)
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)
        for state, size in zip(states or (), sizes, strict=False):
            expected = (count, *batch, size)
            if tuple(state.shape) != expected:
                raise ShapeError(
                    f"{type(self).__name__} takes a state for each direction of each layer",
                    got=str(tuple(state.shape)),
                    expected=str(expected),
                )

    def extra_repr(self) -> str:
        """The sizes, and the settings that are not the usual ones."""
        shown = [f"{self.input_size}, {self.hidden_size}"]
        for name, usual in _SHOWN:
            if getattr(self, name) != usual:
                shown.append(f"{name}={getattr(self, name)}")
        return ", ".join(shown)


class RNN(RNNBase):
    """``h[t] = tanh(W_ih x[t] + b_ih + W_hh h[t - 1] + b_hh)`` (Elman, 1990).

    Parameters and attributes are those of `RNNBase`, but for ``mode`` and ``proj_size``, and

    nonlinearity : {"tanh", "relu"}
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        mode = f"RNN_{_check_nonlinearity(nonlinearity).upper()}"
        super().__init__(mode, input_size, hidden_size, num_layers, *args, **kwargs)
        self.nonlinearity = nonlinearity

    def forward(self, input: Sequences, hx: Tensor | None = None) -> tuple[Sequences, Tensor]:
        """``[T, N, F]`` and a state ``[L D, N, H]`` to ``[T, N, D H]`` and the last state."""
        output, hidden = self._outputs(input, None if hx is None else (hx,))
        return output, hidden


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997; Gers et al., 2000).

    Parameters and attributes are those of `RNNBase`, but for ``mode``. The gates are the input,
    forget, cell and output gates.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def forward(
        self, input: Sequences, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Sequences, tuple[Tensor, Tensor]]:
        """``[T, N, F]``, a state and a cell ``[L D, N, H]`` to ``[T, N, D H]`` and the last."""
        output, hidden, cell = self._outputs(input, None if hx is None else tuple(hx))
        return output, (hidden, cell)


class GRU(RNNBase):
    """Gated recurrent units (Cho et al., 2014), with the reset gate after the product.

    Parameters and attributes are those of `RNNBase`, but for ``mode`` and ``proj_size``. The
    gates are the reset, update and new gates.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("GRU", *args, **kwargs)

    def forward(self, input: Sequences, hx: Tensor | None = None) -> tuple[Sequences, Tensor]:
        """``[T, N, F]`` and a state ``[L D, N, H]`` to ``[T, N, D H]`` and the last state."""
        output, hidden = self._outputs(input, None if hx is None else (hx,))
        return output, hidden


class RNNCellBase(Module):
    """What the single steps share.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
        Whether there are biases.
    num_chunks : int
        The number of gates.
    device, dtype
        Of the parameters: the device in use, and float32 by default.

    Attributes
    ----------
    weight_ih, weight_hh : Parameter
        ``[G H, F]`` and ``[G H, H]``, first uniform within ``1 / sqrt(hidden_size)``.
    bias_ih, bias_hh : Parameter or None
        ``[G H]``, as the weights.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = new_parameter((rows, input_size), device, dtype)
        self.weight_hh = new_parameter((rows, hidden_size), device, dtype)
        for name in ("bias_ih", "bias_hh"):
            own = new_parameter((rows,), device, dtype) if bias else None
            self.register_parameter(name, own)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        _draw(self)

    def _operands(self, input: Tensor, hx: Any) -> tuple[Any, ...]:
        _check_input(self, input, (1, 2))
        return (input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)

    def extra_repr(self) -> str:
        """The sizes, and the settings that are not the usual ones."""
        shown = f"{self.input_size}, {self.hidden_size}"
        return shown if self.bias else f"{shown}, bias=False"


class RNNCell(RNNCellBase):
    """A step of an `RNN`: parameters as `RNNCellBase`, and ``nonlinearity``, tanh or relu."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = _check_nonlinearity(nonlinearity)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """``[N, F]`` and a state ``[N, H]`` to the next state."""
        step = F.rnn_relu_cell if self.nonlinearity == "relu" else F.rnn_tanh_cell
        return step(*self._operands(input, hx))

    def extra_repr(self) -> str:
        """The sizes, and the settings that are not the usual ones."""
        shown = super().extra_repr()
        return shown if self.nonlinearity == "tanh" else f"{shown}, nonlinearity=relu"


class LSTMCell(RNNCellBase):
    """A step of an `LSTM`; parameters as `RNNCellBase`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """``[N, F]``, a state and a cell ``[N, H]`` to the next state and cell."""
        return F.lstm_cell(*self._operands(input, hx))


class GRUCell(RNNCellBase):
    """A step of a `GRU`; parameters as `RNNCellBase`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """``[N, F]`` and a state ``[N, H]`` to the next state."""
        return F.gru_cell(*self._operands(input, hx))


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
            raise ArgumentError(f"{name} is a positive integer", got=repr(size))


def _check_nonlinearity(nonlinearity: str) -> str:
    if nonlinearity not in ("tanh", "relu"):
        raise ArgumentError(
            "unknown nonlinearity", got=repr(nonlinearity), expected="'tanh' or 'relu'"
        )
    return nonlinearity


def _check_input(module: Any, input: Any, ranks: tuple[int, ...] = (2, 3)) -> None:
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{type(module).__name__} takes a tensor, or a packed sequence if it is no cell; "
            f"not {type(input).__name__}"
        )
    if len(input.shape) not in ranks or input.shape[-1] != module.input_size:
        raise ShapeError(
            f"{type(module).__name__} takes {module.input_size} features",
            got=str(tuple(input.shape)),
            expected=f"{' or '.join(map(str, ranks))} axes, the last of that size",
        )


def _draw(module: Any) -> None:
    bound = 1 / math.sqrt(module.hidden_size)
    for parameter in module.parameters():
        init.uniform_(parameter, -bound, bound)
