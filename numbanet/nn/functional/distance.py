"""Lengths of vectors, distances and angles between them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numbanet import ops
from numbanet.ir import Shape, TensorType, Value
from numbanet.ops.axes import normalise_axis
from numbanet.ops.elementwise import broadcast_shapes
from numbanet.tensors.dispatch import tensor_function


def vector_norm(x: Value, p: float, dim: int | Sequence[int], keepdim: bool = False) -> Value:
    """``sum(|x| ** p) ** (1 / p)`` over axes, with slope zero where it is zero.

    Parameters
    ----------
    x : Value
    p : float
        Infinite for the largest of ``|x|``, minus infinite for the smallest; 0 counts what is
        not zero.
    dim : int or sequence of int
    keepdim : bool
    """
    size = abs(x)
    if math.isinf(p):
        return (ops.max if p > 0 else ops.min)(size, dim, keepdim)
    if p == 0:
        return ops.sum(ops.cast(ops.not_equal(x, 0), x.dtype), dim, keepdim)
    if p == 1:
        return ops.sum(size, dim, keepdim)
    # Roots and powers of zero have no slope: one stands in for it.
    if p != 2:
        base = ops.where(size > 0, size, 1)
        powers = ops.where(size > 0, base**p, 0 if p > 0 else math.inf)
    else:
        powers = ops.square(x)
    total = ops.sum(powers, dim, keepdim)
    positive = ops.where(total > 0, total, 1)
    root = ops.sqrt(positive) if p == 2 else positive ** (1 / p)
    return ops.where(total > 0, root, 0)


@tensor_function
def cosine_similarity(x1: Value, x2: Value, dim: int = 1, eps: float = 1e-8) -> Value:
    """The cosine of the angle between vectors along ``dim``.

    Parameters
    ----------
    x1, x2 : Tensor
        Of shapes that broadcast.
    dim : int
        Of the broadcast shape.
    eps : float
        Vectors shorter than this count as of this length.

    Returns
    -------
    Tensor
        Without ``dim``.
    """
    shape = broadcast_shapes("cosine_similarity", (x1.type, x2.type))
    axis = normalise_axis("cosine_similarity", dim, len(shape))
    unit1, unit2 = (_unit(_spread(x, shape, axis), axis, eps) for x in (x1, x2))
    return ops.sum(unit1 * unit2, axis)


def _spread(x: Value, shape: Shape, axis: int) -> Value:
    """``x`` with as many axes as ``shape``, and as long as that along ``axis``."""
    padded = ops.reshape(x, (*(1,) * (len(shape) - x.rank), *x.shape))
    if padded.shape[axis] == shape[axis]:
        return padded
    size = TensorType(shape[axis : axis + 1], x.dtype).size
    return ops.expand(padded, [size if i == axis else -1 for i in range(len(shape))])


def _unit(x: Value, dim: int, eps: float) -> Value:
    length = vector_norm(x, 2.0, dim, keepdim=True)
    # Lengths are raised to eps behind the gradient's back, as PyTorch does.
    raised = ops.stop_gradient(ops.maximum(length, eps) - length)
    return x / (length + raised)


@tensor_function
def pairwise_distance(
    x1: Value, x2: Value, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Value:
    """The p-norm of ``x1 - x2 + eps`` along the last axis.

    Parameters
    ----------
    x1, x2 : Tensor
        ``[N, D]`` or ``[D]``, of shapes that broadcast.
    p : float
    eps : float
        Added to each difference, so that the distance has a slope where they are equal.
    keepdim : bool
        Whether the last axis stays, with size one.
    """
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)
