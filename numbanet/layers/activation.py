"""Activations as layers; as functions they are in `numbanet.activations`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numbanet import activations, ops
from numbanet.activations import ActivationLike
from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import InitializerLike
from numbanet.ir import DType, Value, Variable
from numbanet.layers.layer import ConstraintLike, Layer, RegularizerLike
from numbanet.ops.attention_weights import CLOSED
from numbanet.ops.axes import normalise_axis
from numbanet.ops.leaf import variable_value
from numbanet.regularizers import L1L2


class _Elementwise(Layer):
    """A layer that leaves steps where they are."""

    supports_masking = True


class Activation(_Elementwise):
    """Applies an activation.

    Parameters
    ----------
    activation : str or callable
        A name such as ``"relu"``, or a function from value to value.
    **options
        As of `Layer`.
    """

    def __init__(self, activation: ActivationLike, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)

    def forward(self, x: Value) -> Value:
        return self.activation(x)


class Identity(_Elementwise):
    """Returns its input.

    Parameters
    ----------
    **options
        As of `Layer`.
    """

    def forward(self, x: Value) -> Value:
        return x


class ActivityRegularization(_Elementwise):
    """Returns its input, which costs ``l1 * |x| + l2 * x ** 2``, summed, for each sample.

    Parameters
    ----------
    l1, l2 : float
    **options
        As of `Layer`.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **options: Any) -> None:
        super().__init__(activity_regularizer=L1L2(l1, l2), **options)
        self.l1, self.l2 = l1, l2

    def forward(self, x: Value) -> Value:
        return x


class ReLU(_Elementwise):
    """``x`` from ``threshold`` on, and if asked for, a slope below it and a cap.

    Parameters
    ----------
    max_value : float, optional
        Cap, not negative.
    negative_slope : float
        Below the threshold it is ``negative_slope * (x - threshold)``.
    threshold : float
        Not negative.
    **options
        As of `Layer`.
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        numbers = {"max_value": max_value, "negative_slope": negative_slope}
        for argument, number in {**numbers, "threshold": threshold}.items():
            if number is not None and number < 0:
                raise ArgumentError(f"ReLU takes a {argument} >= 0", got=repr(number))
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold

    def forward(self, x: Value) -> Value:
        if self.threshold:
            below = (x - self.threshold) * self.negative_slope
            y = ops.where(x > self.threshold, x, below)
        else:
            slope = self.negative_slope
            y = ops.leaky_relu(x, slope) if slope else ops.relu(x)
        return y if self.max_value is None else ops.minimum(y, self.max_value)


class LeakyReLU(_Elementwise):
    """``x`` where it is positive, ``negative_slope * x`` elsewhere.

    Parameters
    ----------
    negative_slope : float
    **options
        As of `Layer`.
    """

    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        super().__init__(**options)
        self.negative_slope = negative_slope

    def forward(self, x: Value) -> Value:
        return ops.leaky_relu(x, self.negative_slope)


class PReLU(_Elementwise):
    """``x`` where it is positive, ``alpha * x`` elsewhere; ``alpha`` is learned.

    (He et al., "Delving deep into rectifiers", 2015.)

    Parameters
    ----------
    alpha_initializer : str, Initializer or callable
    alpha_regularizer, alpha_constraint : str or callable, optional
    shared_axes : sequence of int, optional
        Axes, counted from the batch, along which there is one slope.
    **options
        As of `Layer`.
    """

    alpha: Variable

    def __init__(
        self,
        alpha_initializer: InitializerLike = "zeros",
        alpha_regularizer: RegularizerLike = None,
        alpha_constraint: ConstraintLike = None,
        shared_axes: int | Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        axes = () if shared_axes is None else shared_axes
        self.shared_axes = (axes,) if isinstance(axes, int) else tuple(axes)
        self.describe("alpha", alpha_initializer, alpha_regularizer, alpha_constraint)

    def build(self, x: Value) -> None:
        self.alpha = self.weight("alpha", self._shape(x), x.dtype)

    def forward(self, x: Value) -> Value:
        if self._shape(x) != self.alpha.shape:
            raise ShapeError(
                f"{self.label} has slopes of shape {self.alpha.shape}", got=str(x.shape)
            )
        return ops.where(x > 0, x, x * variable_value(self.alpha))

    def _shape(self, x: Value) -> tuple[int, ...]:
        shared = {normalise_axis("PReLU", axis, x.rank) for axis in self.shared_axes}
        sizes = [1 if axis in shared else x.shape[axis] for axis in range(1, x.rank)]
        known = tuple(size for size in sizes if size is not None)
        if len(known) != len(sizes) or 0 in shared:
            raise ShapeError(
                f"{self.label} has a slope for each position of a sample",
                got=f"{x.shape}, shared along {self.shared_axes}",
                expected="(batch, ...), only the batch unknown and not shared",
            )
        return known


class ELU(_Elementwise):
    """``x`` where it is positive, ``alpha * (exp(x) - 1)`` elsewhere.

    Parameters
    ----------
    alpha : float
    **options
        As of `Layer`.
    """

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = alpha

    def forward(self, x: Value) -> Value:
        return ops.elu(x, self.alpha)


class GELU(_Elementwise):
    """``x`` times the normal distribution function of ``x``. Keras has it as a name only.

    Parameters
    ----------
    approximate : bool
        Use the tanh formula.
    **options
        As of `Layer`.
    """

    def __init__(self, approximate: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.approximate = approximate

    def forward(self, x: Value) -> Value:
        return ops.gelu(x, approximate=self.approximate)


class Softmax(_Elementwise):
    """Softmax along ``axis``, or over several axes together.

    Called with a ``mask`` of bools that broadcast to the input it is zero where they are false.

    Parameters
    ----------
    axis : int or sequence of int
    **options
        As of `Layer`.
    """

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis if isinstance(axis, int) else tuple(axis)

    def forward(self, x: Value, mask: Value | None = None) -> Value:
        if mask is None:
            return self._softmax(x)
        mask = mask if mask.dtype is DType.BOOL else mask > 0.5
        return ops.where(mask, self._softmax(ops.where(mask, x, CLOSED)), 0.0)

    def _softmax(self, x: Value) -> Value:
        if isinstance(self.axis, int):
            return ops.softmax(x, axis=self.axis)
        shifted = ops.exp(x - ops.stop_gradient(ops.max(x, self.axis, keepdims=True)))
        return shifted / ops.sum(shifted, self.axis, keepdims=True)
