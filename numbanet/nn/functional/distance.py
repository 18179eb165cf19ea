"""Distances and angles between vectors."""

from __future__ import annotations

from numbanet import ops
from numbanet.ir import Shape, TensorType, Value
from numbanet.ops.axes import normalise_axis
from numbanet.ops.elementwise import broadcast_shapes
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.reductions import norm


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
    length = norm(x, 2.0, dim, keepdim=True)
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
    return norm(x1 - x2 + eps, p, -1, keepdim)
