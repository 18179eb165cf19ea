"""Activations: as names for ``activation=`` arguments, and as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import InitializerLike
from numbanet.ir import DType, Value, Variable
from numbanet.layers.layer import ConstraintLike, Layer, RegularizerLike
from numbanet.ops.attention_weights import CLOSED
from numbanet.ops.axes import normalise_axis
from numbanet.ops.leaf import variable_value
from numbanet.regularizers import L1L2

ActivationLike = str | Callable[[Value], Value] | None


def linear(x: Value) -> Value:
    """``x`` itself."""
    return x


def leaky_relu(x: Value, negative_slope: float = 0.2) -> Value:
    """``x`` where it is positive, ``negative_slope * x`` elsewhere."""
    return ops.leaky_relu(x, negative_slope)


def celu(x: Value, alpha: float = 1.0) -> Value:
    """``x`` where it is positive, ``alpha * (e ** (x / alpha) - 1)`` elsewhere (Barron,
    2017).
    """
    return ops.maximum(x, 0.0) + alpha * ops.expm1(ops.minimum(x, 0.0) / alpha)


def glu(x: Value, axis: int = -1) -> Value:
    """The first half along ``axis``, times the sigmoid of the second (Dauphin et al., 2017)."""
    size = x.shape[axis]
    if size is None or size % 2:
        raise ShapeError("glu() halves an axis", got=str(x.type), expected="an even size")
    first, second = ops.split(x, 2, axis)
    return first * ops.sigmoid(second)


def hard_shrink(x: Value, threshold: float = 0.5) -> Value:
    """``x`` where ``|x| > threshold``, zero elsewhere."""
    return ops.where(abs(x) > threshold, x, 0)


def soft_shrink(x: Value, threshold: float = 0.5) -> Value:
    """``x`` moved towards zero by ``threshold``, no further than zero."""
    return ops.where(abs(x) > threshold, x - ops.sign(x) * threshold, 0)


def tanh_shrink(x: Value) -> Value:
    """``x - tanh(x)``."""
    return x - ops.tanh(x)


def squareplus(x: Value, b: float = 4.0) -> Value:
    """``(x + sqrt(x ** 2 + b)) / 2`` (Barron, 2021)."""
    return (x + ops.sqrt(ops.square(x) + b)) * 0.5


def sparse_plus(x: Value) -> Value:
    """Zero up to -1, ``(x + 1) ** 2 / 4`` up to 1, then ``x``."""
    curve = ops.square(x + 1.0) * 0.25
    return ops.where(x <= -1, 0, ops.where(x < 1, curve, x))


def sparse_sigmoid(x: Value) -> Value:
    """Zero up to -1, ``(x + 1) / 2`` up to 1, then one."""
    return ops.where(x <= -1, 0, ops.where(x < 1, (x + 1.0) * 0.5, 1))


def sparsemax(x: Value, axis: int = -1) -> Value:
    """The point of the simplex nearest to ``x``, most of whose elements may be zero.

    (Martins and Astudillo, "From softmax to sparsemax", 2016.) The work is quadratic in the
    size along ``axis``.
    """
    axis = normalise_axis("sparsemax", axis, x.rank)
    # The support: elements that those not smaller exceed by less than one in sum.
    mine, other = ops.expand_dims(x, axis + 1), ops.expand_dims(x, axis)
    not_smaller = ops.cast(other >= mine, x.dtype)
    above = ops.sum((other - mine) * not_smaller, axis + 1)
    support = ops.stop_gradient(ops.cast(above < 1, x.dtype))
    count = ops.sum(support, axis, keepdims=True)
    threshold = (ops.sum(x * support, axis, keepdims=True) - 1.0) / count
    return ops.maximum(x - threshold, 0.0)


_NAMES: dict[str, Callable[..., Any]] = {
    "linear": linear,
    "celu": celu,
    "elu": ops.elu,
    "exponential": ops.exp,
    "gelu": ops.gelu,
    "glu": glu,
    "hard_shrink": hard_shrink,
    "hard_sigmoid": ops.hard_sigmoid,
    "hard_silu": ops.hard_swish,
    "hard_swish": ops.hard_swish,
    "hard_tanh": ops.hard_tanh,
    "leaky_relu": leaky_relu,
    "log_sigmoid": ops.log_sigmoid,
    "log_softmax": ops.log_softmax,
    "mish": ops.mish,
    "relu": ops.relu,
    "relu6": ops.relu6,
    "selu": ops.selu,
    "sigmoid": ops.sigmoid,
    "silu": ops.silu,
    "soft_shrink": soft_shrink,
    "softmax": ops.softmax,
    "softplus": ops.softplus,
    "softsign": ops.softsign,
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid,
    "sparsemax": sparsemax,
    "squareplus": squareplus,
    "swish": ops.silu,
    "tanh": ops.tanh,
    "tanh_shrink": tanh_shrink,
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
        self.activation = get(activation)

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
