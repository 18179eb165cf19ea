"""Normalisation layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import InitializerLike
from numbanet.ir import Value, Variable
from numbanet.layers.layer import ConstraintLike, Layer, RegularizerLike
from numbanet.layers.merging import unit
from numbanet.layers.module import is_size
from numbanet.layers.positions import positional
from numbanet.ops.axes import normalise_axes
from numbanet.ops.leaf import constant, variable_value
from numbanet.ops.shapes import inverse

_EPSILON = 1e-7
"""Keras's: what is added to the number of elements that a mask leaves."""


class _Rows(Layer):
    """Weights for each position along ``axis``, and inputs with that axis last."""

    def __init__(
        self, axis: int | Sequence[int] = -1, epsilon: float = 1e-3, **options: Any
    ) -> None:
        super().__init__(**options)
        if epsilon <= 0:
            raise ArgumentError("epsilon is positive", got=repr(epsilon))
        self.axis = axis if isinstance(axis, int) else tuple(axis)
        self.epsilon = epsilon

    def axes(self, x: Value) -> tuple[int, ...]:
        """The axes that have weights, counted from the front."""
        return normalise_axes(self.label, self.axis, x.rank)

    def weight_shape(self, x: Value) -> tuple[int, ...]:
        sizes = [x.shape[axis] for axis in self.axes(x)] if x.rank > 1 else [None]
        known = tuple(size for size in sizes if size is not None)
        if len(known) != len(sizes):
            raise ShapeError(
                f"{self.label} normalises along an axis of known size",
                got=str(x.shape),
                expected="(batch, ...), only the batch unknown",
            )
        return known

    def vector(self, x: Value, weight: Variable | None, default: float) -> Value:
        """All of a weight's numbers in a row, or as many of the ``default``."""
        shape = self.weight_shape(x)
        if weight is None:
            return constant([default] * math.prod(shape), x.dtype)
        if weight.shape != shape:
            what = f"for {weight.shape[0]} channels" if len(shape) == 1 else f"{weight.shape}"
            raise ShapeError(f"{self.label} has weights {what}", got=str(x.shape))
        return ops.reshape(variable_value(weight), (math.prod(shape),))

    def rows(self, x: Value) -> tuple[Value, tuple[int, ...]]:
        """``x`` with the axes that have weights last and as one, and how they were permuted."""
        axes = self.axes(x)
        order = (*(axis for axis in range(x.rank) if axis not in axes), *axes)
        moved = ops.transpose(x, order)
        kept = moved.shape[: x.rank - len(axes)]
        return ops.reshape(moved, (*kept, math.prod(self.weight_shape(x)))), order

    def unrolled(self, y: Value, x: Value, order: tuple[int, ...]) -> Value:
        """``y``, which is as `rows` made it, in the form of ``x``."""
        shape = [x.shape[axis] for axis in order]
        return ops.transpose(ops.reshape(y, shape), inverse(order))


class _Normalization(_Rows):
    """A scale and a shift for each position along ``axis``."""

    supports_masking = True

    gamma: Variable | None = None
    beta: Variable | None = None

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike = None,
        gamma_regularizer: RegularizerLike = None,
        beta_constraint: ConstraintLike = None,
        gamma_constraint: ConstraintLike = None,
        **options: Any,
    ) -> None:
        super().__init__(axis, epsilon, **options)
        self.center = center
        self.scale = scale
        self.describe("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.describe("beta", beta_initializer, beta_regularizer, beta_constraint)

    def build(self, x: Value) -> None:
        shape = self.weight_shape(x)
        if self.scale:
            self.gamma = self.weight("gamma", shape, x.dtype)
        if self.center:
            self.beta = self.weight("beta", shape, x.dtype)

    def gamma_beta(self, x: Value) -> tuple[Value, Value]:
        return self.vector(x, self.gamma, 1.0), self.vector(x, self.beta, 0.0)


class BatchNormalization(_Normalization):
    """Normalises each channel over the batch and all other axes (Ioffe and Szegedy, 2015).

    Training uses the batch's own mean and variance, and moves the running ones; inference, and
    a frozen layer (``trainable = False``), use the running ones.

    Parameters
    ----------
    axis : int
        Of the channels.
    momentum : float
        Weight of the old running value, in [0, 1].
    epsilon : float
        Added to the variance.
    center, scale : bool
        Whether there is a ``beta``, a ``gamma``.
    beta_initializer, gamma_initializer : str, Initializer or callable
    moving_mean_initializer, moving_variance_initializer : str, Initializer or callable
    beta_regularizer, gamma_regularizer : str or callable, optional
    beta_constraint, gamma_constraint : str or callable, optional
    renorm, renorm_clipping, renorm_momentum
        Not supported.
    synchronized : bool
        Taken for Keras's sake: there is one device.
    **options
        As of `Layer`.
    """

    moving_mean: Variable
    moving_variance: Variable

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        moving_mean_initializer: InitializerLike = "zeros",
        moving_variance_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike = None,
        gamma_regularizer: RegularizerLike = None,
        beta_constraint: ConstraintLike = None,
        gamma_constraint: ConstraintLike = None,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            axis,
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **options,
        )
        if not 0 <= momentum <= 1:
            raise ArgumentError("momentum is in [0, 1]", got=repr(momentum))
        self.refuse("renorm", renorm, False)
        self.refuse("renorm_clipping", renorm_clipping)
        self.refuse("renorm_momentum", renorm_momentum, 0.99)
        self.momentum = momentum
        self.describe("moving_mean", moving_mean_initializer)
        self.describe("moving_variance", moving_variance_initializer)

    def build(self, x: Value) -> None:
        super().build(x)
        shape = self.weight_shape(x)
        self.moving_mean = self.weight("moving_mean", shape, x.dtype, trainable=False)
        self.moving_variance = self.weight("moving_variance", shape, x.dtype, trainable=False)

    def forward(self, x: Value, mask: Value | None = None) -> Value:
        """Record normalisation; where a ``mask``, of all axes but the last, is false, elements
        are not part of the statistics."""
        gamma, beta = self.gamma_beta(x)
        mean, variance = variable_value(self.moving_mean), variable_value(self.moving_variance)
        rows, order = self.rows(x)
        y = (rows - mean) * (gamma * ops.rsqrt(variance + self.epsilon)) + beta
        if self.trainable and mask is None:
            y = ops.batch_norm(
                rows, gamma, beta, mean, variance, momentum=self.momentum, epsilon=self.epsilon
            )
        elif self.trainable and mask is not None:
            kept = ops.where(ops.expand_dims(mask, -1), ops.ones_like(x), 0)
            y = ops.by_phase(self._of_some(rows, self.rows(kept)[0], gamma, beta), y)
        return self.unrolled(y, x, order)

    def _of_some(self, rows: Value, kept: Value, gamma: Value, beta: Value) -> Value:
        """``rows`` normalised by the statistics of the elements where ``kept`` is one."""
        axes = tuple(range(rows.rank - 1))
        count = ops.sum(kept, axes) + _EPSILON
        mean = ops.sum(rows * kept, axes) / count
        variance = ops.sum(ops.square((rows - mean) * kept), axes) / count
        y = (rows - mean) * (gamma * ops.rsqrt(variance + self.epsilon)) + beta
        keep, moves = self.momentum, []
        for variable, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            old = variable_value(variable)
            moves.append((old, old * keep + new * (1 - keep)))
        return ops.carry(y, moves)


class LayerNormalization(_Normalization):
    """Normalises each sample along an axis, or over several together (Ba et al., 2016).

    Parameters
    ----------
    axis : int or sequence of int
    epsilon : float
        Added to the variance.
    center, scale : bool
        Whether there is a ``beta``, a ``gamma``.
    beta_initializer, gamma_initializer : str, Initializer or callable
    beta_regularizer, gamma_regularizer : str or callable, optional
    beta_constraint, gamma_constraint : str or callable, optional
    **options
        As of `Layer`.
    """

    def forward(self, x: Value) -> Value:
        gamma, beta = self.gamma_beta(x)
        rows, order = self.rows(x)
        return self.unrolled(ops.layer_norm(rows, gamma, beta, epsilon=self.epsilon), x, order)


@positional(
    "center",
    "scale",
    "beta_initializer",
    "gamma_initializer",
    "beta_regularizer",
    "gamma_regularizer",
    "beta_constraint",
    "gamma_constraint",
)
class GroupNormalization(_Normalization):
    """Normalises each sample over groups of channels and all positions (Wu and He, 2018).

    Parameters
    ----------
    groups : int
        Divides the number of channels; -1 is a group for each.
    axis : int
        Of the channels.
    epsilon : float
    **options
        All others as of `LayerNormalization`.
    """

    def __init__(
        self, groups: int = 32, axis: int = -1, epsilon: float = 1e-3, **options: Any
    ) -> None:
        super().__init__(axis, epsilon, **options)
        if not (is_size(groups) or groups == -1):
            raise ArgumentError("groups is positive or -1", got=repr(groups))
        self.groups = groups

    def build(self, x: Value) -> None:
        (channels,) = self.weight_shape(x)
        if channels % self._groups(channels):
            raise ShapeError(
                f"{self.label} needs groups of equal size",
                got=f"{channels} channels, {self.groups} groups",
            )
        super().build(x)

    def forward(self, x: Value) -> Value:
        gamma, beta = self.gamma_beta(x)
        rows, order = self.rows(x)
        groups = self._groups(rows.shape[-1] or 1)
        y = ops.group_norm(rows, gamma, beta, groups, epsilon=self.epsilon)
        return self.unrolled(y, x, order)

    def _groups(self, channels: int) -> int:
        return channels if self.groups == -1 else self.groups


class RMSNormalization(_Rows):
    """Divides each sample by its root mean square along an axis (Zhang and Sennrich, 2019).

    Parameters
    ----------
    axis : int or sequence of int
    epsilon : float
        Added to the mean square.
    **options
        As of `Layer`.

    Attributes
    ----------
    scale : Variable
        What the result is multiplied by; ones at first.
    """

    scale: Variable

    def __init__(
        self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **options: Any
    ) -> None:
        super().__init__(axis, epsilon, **options)
        self.describe("scale", "ones")

    def build(self, x: Value) -> None:
        self.scale = self.weight("scale", self.weight_shape(x), x.dtype)

    def forward(self, x: Value) -> Value:
        rows, order = self.rows(x)
        scale = self.vector(x, self.scale, 1.0)
        return self.unrolled(ops.rms_norm(rows, scale, epsilon=self.epsilon), x, order)


class UnitNormalization(Layer):
    """Divides each sample by its length along an axis, or over several together.

    Parameters
    ----------
    axis : int or sequence of int
    **options
        As of `Layer`.
    """

    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis if isinstance(axis, int) else tuple(axis)

    def forward(self, x: Value) -> Value:
        return unit(x, normalise_axes(self.label, self.axis, x.rank))
