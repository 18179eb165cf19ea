"""Axes made one, and one made several."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.ops.axes import normalise_axis
from numbanet.tensors.dispatch import tensor_function


@tensor_function
def flatten(input: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    """The axes ``start_dim .. end_dim`` as one.

    Raises
    ------
    ArgumentError
        If ``start_dim`` comes after ``end_dim``, or the input has no such axes.
    """
    rank = max(input.rank, 1)
    first, last = (normalise_axis("flatten", dim, rank) for dim in (start_dim, end_dim))
    if first > last:
        raise ArgumentError(
            "flatten() takes a start_dim before its end_dim", got=f"{start_dim} and {end_dim}"
        )
    sizes = [size for size in input.shape[first : last + 1] if size is not None]
    is_known = len(sizes) == len(input.shape[first : last + 1])
    merged = math.prod(sizes) if is_known else -1
    return ops.reshape(input, (*input.shape[:first], merged, *input.shape[last + 1 :]))


@tensor_function
def unflatten(input: Value, dim: int, sizes: Sequence[int]) -> Value:
    """The axis ``dim`` as several; one of ``sizes`` may be -1.

    Raises
    ------
    ShapeError
        If the product of ``sizes`` is not the size of the axis.
    """
    axis = normalise_axis("unflatten", dim, input.rank)
    size = input.shape[axis]
    rest = math.prod(each for each in sizes if each != -1)
    if size is not None:
        sizes = [size // max(rest, 1) if each == -1 else each for each in sizes]
        if math.prod(sizes) != size:
            raise ShapeError(
                "unflatten() cannot keep the number of elements",
                got=f"{input.type}, axis {axis}",
                expected=f"a product of {sizes}",
            )
    return ops.reshape(input, (*input.shape[:axis], *sizes, *input.shape[axis + 1 :]))
