"""Activations: as names for ``activation=`` arguments, and as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.layers.module import Module

ActivationLike = str | Callable[[Value], Value] | None


def linear(x: Value) -> Value:
    """``x`` itself."""
    return x


_NAMES: dict[str, Callable[..., Any]] = {
    "linear": linear,
    "elu": ops.elu,
    "exponential": ops.exp,
    "gelu": ops.gelu,
    "hard_sigmoid": ops.hard_sigmoid,
    "hard_swish": ops.hard_swish,
    "hard_tanh": ops.hard_tanh,
    "leaky_relu": ops.leaky_relu,
    "log_sigmoid": ops.log_sigmoid,
    "log_softmax": ops.log_softmax,
    "mish": ops.mish,
    "relu": ops.relu,
    "relu6": ops.relu6,
    "selu": ops.selu,
    "sigmoid": ops.sigmoid,
    "silu": ops.silu,
    "softmax": ops.softmax,
    "softplus": ops.softplus,
    "softsign": ops.softsign,
    "swish": ops.silu,
    "tanh": ops.tanh,
}


def get(activation: ActivationLike) -> Callable[[Value], Value]:
    """The function of a name such as ``"relu"``; None is linear, a callable itself."""
    if activation is None:
        return linear
    if callable(activation):
        return activation
    if activation not in _NAMES:
        raise ArgumentError(
            "unknown activation", got=repr(activation), expected=", ".join(_NAMES)
        )
    return _NAMES[activation]


class Activation(Module):
    """Applies an activation.

    Parameters
    ----------
    activation : str or callable
        A name such as ``"relu"``, or a function from value to value.
    name : str, optional
    """

    def __init__(self, activation: ActivationLike, name: str | None = None) -> None:
        super().__init__(name)
        self.activation = get(activation)

    def forward(self, x: Value) -> Value:
        return self.activation(x)


class ReLU(Module):
    """``max(x, 0)``, and if asked for, a slope below zero and a cap.

    Parameters
    ----------
    max_value : float, optional
        Cap, not negative.
    negative_slope : float
        Slope below zero.
    name : str, optional
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if max_value is not None and max_value < 0:
            raise ArgumentError("ReLU takes a max_value >= 0", got=repr(max_value))
        self.max_value = max_value
        self.negative_slope = negative_slope

    def forward(self, x: Value) -> Value:
        slope = self.negative_slope
        y = ops.leaky_relu(x, slope) if slope else ops.relu(x)
        return y if self.max_value is None else ops.minimum(y, self.max_value)


class LeakyReLU(Module):
    """``x`` where it is positive, ``negative_slope * x`` elsewhere.

    Parameters
    ----------
    negative_slope : float
    name : str, optional
    """

    def __init__(self, negative_slope: float = 0.3, name: str | None = None) -> None:
        super().__init__(name)
        self.negative_slope = negative_slope

    def forward(self, x: Value) -> Value:
        return ops.leaky_relu(x, self.negative_slope)


class ELU(Module):
    """``x`` where it is positive, ``alpha * (exp(x) - 1)`` elsewhere.

    Parameters
    ----------
    alpha : float
    name : str, optional
    """

    def __init__(self, alpha: float = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        self.alpha = alpha

    def forward(self, x: Value) -> Value:
        return ops.elu(x, self.alpha)


class GELU(Module):
    """``x`` times the normal distribution function of ``x``.

    Parameters
    ----------
    approximate : bool
        Use the tanh formula.
    name : str, optional
    """

    def __init__(self, approximate: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.approximate = approximate

    def forward(self, x: Value) -> Value:
        return ops.gelu(x, approximate=self.approximate)


class Softmax(Module):
    """Softmax along ``axis``.

    Parameters
    ----------
    axis : int
    name : str, optional
    """

    def __init__(self, axis: int = -1, name: str | None = None) -> None:
        super().__init__(name)
        self.axis = axis

    def forward(self, x: Value) -> Value:
        return ops.softmax(x, axis=self.axis)
