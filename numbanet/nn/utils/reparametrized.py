"""What weights are computed from: a length and a direction, or a largest singular value."""

from __future__ import annotations

from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.nn.functional import normalize
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.reductions import norm


@tensor_function
def length(v: Value, dim: int | None) -> Value:
    """The norm of ``v`` over all axes but ``dim``, which is kept; over all if None or -1."""
    if dim is None or dim == -1:
        return norm(v)
    axes = [axis for axis in range(v.rank) if axis != dim % v.rank]
    return norm(v, 2, axes, keepdim=True) if axes else ops.absolute(v)


@tensor_function
def directed(v: Value, g: Value, dim: int | None) -> Value:
    """``v``, made ``g`` long (Salimans and Kingma, 2016)."""
    return v * (g / length(v, dim))


@tensor_function
def as_matrix(weight: Value, dim: int) -> Value:
    """``[size of axis dim, all others]``."""
    order = [dim % weight.rank, *(a for a in range(weight.rank) if a != dim % weight.rank)]
    moved = ops.transpose(weight, order)
    return ops.reshape(moved, (moved.type.sizes[0], -1))


@tensor_function
def power_iteration(
    weight: Value, u: Value, v: Value, dim: int, steps: int, eps: float, first: str
) -> tuple[Value, Value]:
    """``u`` ``[R]`` and ``v`` ``[C]`` moved towards the first singular vectors of a weight.

    ``first`` says which moves first: ``"u"``, or ``"v"``.
    """
    matrix = as_matrix(weight, dim)
    for _ in range(steps):
        for name in (first, *{"u", "v"} - {first}):
            if name == "u":
                u = normalize(_times(matrix, v), dim=0, eps=eps)
            else:
                v = normalize(_times(matrix, u, transpose=True), dim=0, eps=eps)
    return u, v


@tensor_function
def over_singular_value(weight: Value, u: Value, v: Value, dim: int) -> Value:
    """``weight`` divided by its first singular value (Miyato et al., 2018)."""
    return weight / ops.sum(u * _times(as_matrix(weight, dim), v))


def _times(matrix: Value, vector: Value, *, transpose: bool = False) -> Value:
    column = ops.expand_dims(vector, 1)
    return ops.squeeze(ops.matmul(matrix, column, transpose_a=transpose), 1)


def check_iterations(count: int) -> None:
    """Raise ArgumentError unless ``count`` is positive."""
    if count <= 0:
        raise ArgumentError("n_power_iterations is positive", got=str(count))


def singular_axis(module: Any, dim: int | None) -> int:
    """The axis of a weight that its matrix has for rows: that of output channels."""
    if dim is not None:
        return dim
    return 1 if type(module).__name__.startswith("ConvTranspose") else 0
