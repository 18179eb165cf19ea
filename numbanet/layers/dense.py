"""Fully connected layers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from numbanet import activations, ops
from numbanet.activations import ActivationLike
from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import InitializerLike
from numbanet.ir import Value, Variable
from numbanet.layers.layer import ConstraintLike, Layer, RegularizerLike
from numbanet.layers.module import is_size
from numbanet.ops.leaf import variable_value


class Dense(Layer):
    """``activation(x @ kernel + bias)`` along the last axis.

    Takes ``(batch, ..., features)``.

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str or callable, optional
    use_bias : bool
    kernel_initializer, bias_initializer : str, Initializer or callable
    kernel_regularizer, bias_regularizer, activity_regularizer : str or callable, optional
    kernel_constraint, bias_constraint : str or callable, optional
    **options
        ``name``, ``dtype`` and ``trainable``, as of `Layer`.

    Attributes
    ----------
    kernel : Variable
        Of shape (features, units).
    bias : Variable or None
        Of shape (units,).

    Raises
    ------
    ShapeError
        On an input without features, or with another number of them than the first one had.
    """

    supports_masking = True

    kernel: Variable
    bias: Variable | None = None

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **options: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        if not is_size(units):
            raise ArgumentError("Dense takes a positive number of units", got=repr(units))
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.describe("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.describe("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, x: Value) -> None:
        self.kernel = self.weight("kernel", (self._features(x), self.units), x.dtype)
        if self.use_bias:
            self.bias = self.weight("bias", (self.units,), x.dtype)

    def forward(self, x: Value) -> Value:
        expected = self.kernel.type.sizes[0]
        if self._features(x) != expected:
            raise ShapeError(
                f"{self.label} has weights for {expected} features",
                got=str(x.shape),
                expected=f"(batch, {expected})",
                mend="To connect every element, add Flatten() before it"
                if x.rank > 2
                else "Use another layer, or bring the input to that width",
            )
        y = ops.matmul(x, variable_value(self.kernel))
        if self.bias is not None:
            y = y + variable_value(self.bias)
        return self.activation(y)

    def _features(self, x: Value) -> int:
        features = x.shape[-1] if x.rank > 1 else None
        if features is None:
            raise ShapeError(
                f"{self.label} takes (batch, features)",
                got=str(x.shape),
                expected="2 or more axes, the last of known size",
            )
        return features


class EinsumDense(Layer):
    """``activation(einsum(equation, x, kernel) + bias)``.

    Parameters
    ----------
    equation : str
        As ``"abc,cd->abd"``: letters of the input's axes, of the kernel's and of the result's.
        ``...`` before or after the input's and the result's stands for more axes.
    output_shape : int or sequence of int
        Sizes of the result without the batch, and without the axes of ``...``. None where the
        input's size is taken.
    activation : str or callable, optional
    bias_axes : str, optional
        The letters of the result along which there is a bias.
    kernel_initializer, bias_initializer : str, Initializer or callable
    kernel_regularizer, bias_regularizer : str or callable, optional
    kernel_constraint, bias_constraint : str or callable, optional
    **options
        As of `Layer`.

    Attributes
    ----------
    kernel : Variable
    bias : Variable or None

    Raises
    ------
    ArgumentError
        If the equation is not of that form.
    ShapeError
        On an input that the equation or the output shape does not fit.
    """

    kernel: Variable
    bias: Variable | None = None

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: ActivationLike = None,
        bias_axes: str | None = None,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.equation = equation.replace(" ", "")
        self.output_shape = (
            (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        )
        self.activation = activations.get(activation)
        self.bias_axes = bias_axes
        self._terms = _letters(self.equation, bias_axes or "")
        self.describe("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.describe("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, x: Value) -> None:
        _, weights, result = self._terms
        sizes = self._sizes(x)
        # As Keras counts them: what is summed over, and what the result has.
        fans = (
            math.prod(sizes[letter] for letter in weights if letter not in result),
            math.prod(sizes[letter] for letter in weights if letter in result),
        )
        shape = tuple(sizes[letter] for letter in weights)
        self.kernel = self.weight("kernel", shape, x.dtype, fans=fans)
        if self.bias_axes:
            self.bias = self.weight("bias", self._bias_shape(x, sizes), x.dtype)

    def forward(self, x: Value) -> Value:
        sizes = self._sizes(x)
        if tuple(sizes[letter] for letter in self._terms[1]) != self.kernel.shape:
            raise ShapeError(
                f"{self.label} has weights of shape {self.kernel.shape}", got=str(x.shape)
            )
        y = ops.einsum(self.equation, x, variable_value(self.kernel))
        if self.bias is not None:
            y = y + variable_value(self.bias)
        return self.activation(y)

    @property
    def _is_led(self) -> bool:
        """Whether ``...`` stands for the first axes, the batch among them."""
        return self.equation.startswith("...")

    def _sizes(self, x: Value) -> dict[str, int]:
        """Of each letter whose size is known."""
        given, weights, result = self._terms
        more = x.rank - len(given)
        if more < 0 or (more > 0) > ("..." in self.equation):
            raise self._misfit(x, f"{len(given)} axes")
        first = more if self._is_led else 0
        inputs = dict(zip(given, x.shape[first : first + len(given)], strict=True))
        # The batch is not in output_shape: one of the axes of "...", or the first letter's.
        named = result if self._is_led else result[1:]
        if len(named) != len(self.output_shape):
            raise self._misfit(x, f"an output_shape of {len(named)} sizes")
        sizes: dict[str, int] = {}
        for letter, size in (*inputs.items(), *zip(named, self.output_shape, strict=True)):
            if size is not None and sizes.setdefault(letter, size) != size:
                raise self._misfit(x, f"one size for {letter!r}")
        for letter in weights:
            if letter not in sizes:
                raise self._misfit(x, f"a known size for {letter!r}")
        return sizes

    def _bias_shape(self, x: Value, sizes: dict[str, int]) -> tuple[int, ...]:
        """Sizes along the bias's axes, ones along those between and behind them."""
        given, _, result = self._terms
        axes = self.bias_axes or ""
        behind = result[min(result.index(letter) for letter in axes) :]
        more = 0 if self._is_led else x.rank - len(given)
        return (*(sizes[letter] if letter in axes else 1 for letter in behind), *[1] * more)

    def _misfit(self, x: Value, expected: str) -> ShapeError:
        return ShapeError(
            f"{self.label} computes {self.equation}",
            got=f"an input of shape {x.shape} and output_shape {self.output_shape}",
            expected=expected,
        )


_EQUATION = re.compile(
    r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]+)"
    r"|\.\.\.([a-zA-Z]+),([a-zA-Z]+)->\.\.\.([a-zA-Z]+)"
    r"|([a-zA-Z]{2,})\.\.\.,([a-zA-Z]+)->([a-zA-Z]+)\.\.\."
)


def _letters(equation: str, bias_axes: str) -> tuple[str, str, str]:
    """Letters of the input's axes, of the kernel's and of the result's, dots left out."""
    match = _EQUATION.fullmatch(equation)
    if match is None:
        raise ArgumentError(
            "EinsumDense takes an equation of an input and a kernel",
            got=repr(equation),
            expected="as 'ab,bc->ac', '...b,bc->...c' or 'ab...,bc->ac...'",
        )
    given, weights, result = (letters for letters in match.groups() if letters)
    if not set(result) <= set(given + weights) or not set(weights) <= set(given + result):
        raise ArgumentError(
            "each letter of the result is in an operand, and each of the kernel's in the input "
            "or the result",
            got=repr(equation),
        )
    if not set(bias_axes) <= set(result):
        raise ArgumentError(
            "bias_axes are letters of the result", got=repr(bias_axes), expected=repr(result)
        )
    return given, weights, result
