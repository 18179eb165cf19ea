"""What normalisations share, and those that are written in simpler ops: of groups of channels,
and by the root mean square."""

from __future__ import annotations

import math

from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir.types import TensorType
from numbanet.ir.value import Value
from numbanet.ops.arithmetic import rsqrt, square
from numbanet.ops.checks import require_shape
from numbanet.ops.elementwise import FLOATING, common_dtype
from numbanet.ops.reductions import mean
from numbanet.ops.shapes import expand, reshape


def group_norm(
    x: Value, gamma: Value, beta: Value, groups: int, *, epsilon: float = 1e-3
) -> Value:
    """Normalisation of each sample over groups of channels and all pixels. (Wu and He, 2018.)

    One group is layer normalisation of whole images; as many as channels, instance
    normalisation.

    Parameters
    ----------
    x : Value
        ``[N, ..., C]``; N may be unknown.
    gamma, beta : Value
        Scale and shift ``[C]``.
    groups : int
        Divides C.
    epsilon : float

    Returns
    -------
    Value
        Of ``x``'s type.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet.
    ArgumentError
        If ``groups`` does not divide C.
    """
    check_vectors("group_norm", x.type, ("gamma", gamma.type), ("beta", beta.type))
    inner = TensorType(x.shape[1:], x.dtype)
    channels = inner.sizes[-1]
    if groups < 1 or channels % groups:
        raise ArgumentError(
            "group_norm() needs groups of equal size",
            got=f"{channels} channels, {groups} groups",
        )
    pixels = math.prod(inner.sizes[:-1])
    grouped = reshape(x, (-1, pixels, groups, channels // groups))
    centred = grouped - mean(grouped, (1, 3), keepdims=True)
    scale = rsqrt(mean(square(centred), (1, 3), keepdims=True) + epsilon)
    return reshape(centred * scale, (-1, *inner.sizes)) * gamma + beta


def rms_norm(x: Value, gamma: Value, *, epsilon: float = 1e-6) -> Value:
    """Division of each row by its root mean square. (Zhang and Sennrich, 2019.)

    Parameters
    ----------
    x : Value
        ``[..., C]``.
    gamma : Value
        Scale ``[C]``.
    epsilon : float

    Returns
    -------
    Value
        ``gamma * x / sqrt(mean(x ** 2) + epsilon)``, of ``x``'s type.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet.
    """
    check_vectors("rms_norm", x.type, ("gamma", gamma.type))
    return x * rsqrt(mean(square(x), -1, keepdims=True) + epsilon) * gamma


def check_vectors(name: str, x: TensorType, *vectors: tuple[str, TensorType]) -> None:
    common_dtype(name, (x, *(type_ for _, type_ in vectors)), FLOATING)
    least = 1 if name in ("layer_norm", "rms_norm") else 2
    if x.rank < least or not x.shape[-1]:
        raise ShapeError(
            f"{name}() needs features along the last axis",
            got=str(x),
            expected="[N, ..., C]" if least == 2 else "[..., C]",
        )
    for what, type_ in vectors:
        require_shape(name, what, type_, x.shape[-1:])


def batch_axes(x: Value) -> tuple[int, ...]:
    return tuple(range(x.rank - 1))


def through_statistics(
    centred: Value,
    rstd: Value,
    count: int,
    to_mean: Value | None,
    to_rstd: Value | None,
    to_var: Value | None,
) -> Value | None:
    """What reaches ``x`` by way of the saved mean, rstd and variance of ``count`` elements.

    Only gradients of gradients, and losses that read running values, take this way.
    """
    part = None
    if to_rstd is not None:
        to_var = plus(to_var, to_rstd * (rstd * rstd * rstd * -0.5))
    if to_var is not None:
        part = centred * (to_var * (2 / count))
    if to_mean is not None:
        part = plus(part, expand(to_mean * (1 / count), centred.type.sizes))
    return part


def plus(a: Value | None, b: Value | None) -> Value | None:
    """Their sum, where None is a gradient of nothing."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def times(a: Value | None, number: float) -> Value | None:
    return None if a is None else a * number
