"""Normalisation layers."""

from __future__ import annotations

from numbanet import initializers, ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import InitializerLike
from numbanet.ir import Value, Variable
from numbanet.layers.module import Module
from numbanet.ops.leaf import constant, variable_value


class _Normalization(Module):
    """What the normalisations share: a scale and a shift for each channel."""

    gamma: Variable | None = None
    beta: Variable | None = None

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        gamma_initializer: InitializerLike,
        beta_initializer: InitializerLike,
        name: str | None,
    ) -> None:
        super().__init__(name)
        if epsilon <= 0:
            raise ArgumentError("epsilon is positive", got=repr(epsilon))
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_initializer = initializers.get(beta_initializer)

    def build(self, x: Value) -> None:
        channels = self._channels(x)
        if self.scale:
            self.gamma = self.parameter(
                "gamma", (channels,), self.gamma_initializer, dtype=x.dtype
            )
        if self.center:
            self.beta = self.parameter(
                "beta", (channels,), self.beta_initializer, dtype=x.dtype
            )

    def _channels(self, x: Value) -> int:
        channels = x.shape[-1] if x.rank >= 2 else None
        if channels is None:
            raise ShapeError(
                f"{self.label} normalises along a last axis of known size",
                got=str(x.shape),
                expected="(batch, ..., channels)",
            )
        return channels

    def _scale_and_shift(self, x: Value) -> tuple[Value, Value]:
        channels = self._channels(x)
        gamma = variable_value(self.gamma) if self.gamma else _full(x, channels, 1.0)
        beta = variable_value(self.beta) if self.beta else _full(x, channels, 0.0)
        for value in (gamma, beta):
            if value.shape != (channels,):
                raise ShapeError(
                    f"{self.label} has weights for {value.shape[0]} channels", got=str(x.shape)
                )
        return gamma, beta


def _full(x: Value, channels: int, number: float) -> Value:
    return constant([number] * channels, x.dtype)


class BatchNormalization(_Normalization):
    """Normalises each channel (the last axis) over the batch and all other axes (Ioffe and
    Szegedy, 2015).

    Training uses the batch's own mean and variance, and moves the running ones; inference, and
    a frozen layer (``trainable = False``), use the running ones.

    Parameters
    ----------
    momentum : float
        Weight of the old running value, in [0, 1].
    epsilon : float
        Added to the variance.
    center, scale : bool
        Whether there is a ``beta``, a ``gamma``.
    beta_initializer, gamma_initializer : str, Initializer or callable
    name : str, optional
    """

    moving_mean: Variable
    moving_variance: Variable

    def __init__(
        self,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        name: str | None = None,
    ) -> None:
        super().__init__(epsilon, center, scale, gamma_initializer, beta_initializer, name)
        if not 0 <= momentum <= 1:
            raise ArgumentError("momentum is in [0, 1]", got=repr(momentum))
        self.momentum = momentum

    def build(self, x: Value) -> None:
        super().build(x)
        shape = (self._channels(x),)
        self.moving_mean = self.parameter(
            "moving_mean", shape, initializers.Zeros(), dtype=x.dtype, trainable=False
        )
        self.moving_variance = self.parameter(
            "moving_variance", shape, initializers.Ones(), dtype=x.dtype, trainable=False
        )

    def forward(self, x: Value) -> Value:
        gamma, beta = self._scale_and_shift(x)
        mean, variance = variable_value(self.moving_mean), variable_value(self.moving_variance)
        if not self.trainable:
            scale = gamma * ops.rsqrt(variance + self.epsilon)
            return (x - mean) * scale + beta
        return ops.batch_norm(
            x, gamma, beta, mean, variance, momentum=self.momentum, epsilon=self.epsilon
        )


class LayerNormalization(_Normalization):
    """Normalises each sample along the last axis (Ba et al., 2016).

    Parameters
    ----------
    epsilon : float
        Added to the variance.
    center, scale : bool
        Whether there is a ``beta``, a ``gamma``.
    beta_initializer, gamma_initializer : str, Initializer or callable
    name : str, optional
    """

    def __init__(
        self,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        name: str | None = None,
    ) -> None:
        super().__init__(epsilon, center, scale, gamma_initializer, beta_initializer, name)

    def forward(self, x: Value) -> Value:
        gamma, beta = self._scale_and_shift(x)
        return ops.layer_norm(x, gamma, beta, epsilon=self.epsilon)
