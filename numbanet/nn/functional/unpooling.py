"""Maxima put back where max pooling found them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.nn.functional.channels import Sizes
from numbanet.ops.window import as_sizes
from numbanet.tensors.dispatch import tensor_function


@tensor_function
def max_unpool1d(
    input: Value,
    indices: Value,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Value:
    """`max_unpool2d` of series ``[N, C, L]`` or ``[C, L]``."""
    return _unpool(1, input, indices, kernel_size, stride, padding, output_size)


@tensor_function
def max_unpool2d(
    input: Value,
    indices: Value,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Value:
    """Images with the maxima that `max_pool2d` found in their places, zero elsewhere.

    Parameters
    ----------
    input : Tensor
        Maxima ``[N, C, H, W]`` or ``[C, H, W]``.
    indices : Tensor
        Where they were: what `max_pool2d` tells with ``return_indices=True``. Where windows
        overlap and named a pixel several times, it takes the mean of what comes for it.
    kernel_size, stride, padding
        Of the pooling.
    output_size : sequence of int, optional
        The image's sizes, with or without its leading ones. Several sizes are pooled to one
        size; the default is that of which the pooling left nothing over.

    Returns
    -------
    Tensor
        ``[N, C, OH, OW]`` or ``[C, OH, OW]``.

    Raises
    ------
    ShapeError
        If the operands do not meet.
    ArgumentError
        If ``output_size`` is not within one stride of the default.
    """
    return _unpool(2, input, indices, kernel_size, stride, padding, output_size)


@tensor_function
def max_unpool3d(
    input: Value,
    indices: Value,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Value:
    """`max_unpool2d` of volumes ``[N, C, D, H, W]`` or ``[C, D, H, W]``."""
    return _unpool(3, input, indices, kernel_size, stride, padding, output_size)


def _unpool(
    axes: int,
    input: Value,
    indices: Value,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    output_size: Sequence[int] | None,
) -> Value:
    if input.shape != indices.shape or input.rank not in (axes + 1, axes + 2):
        raise ShapeError(
            f"max_unpool{axes}d() takes maxima and their places",
            got=f"{input.type} and {indices.type}",
        )
    window = as_sizes("kernel_size", kernel_size, axes)
    steps = window if stride is None else as_sizes("stride", stride, axes)
    sides = as_sizes("padding", padding, axes, 0)
    outer, pooled = input.type.sizes[:-axes], input.type.sizes[-axes:]
    usual = tuple(
        (size - 1) * step - 2 * side + pixels
        for size, step, side, pixels in zip(pooled, steps, sides, window, strict=True)
    )
    sizes = usual if output_size is None else tuple(output_size)[-axes:]
    if len(sizes) != axes or any(
        abs(size - there) >= step
        for size, there, step in zip(sizes, usual, steps, strict=False)
    ):
        raise ArgumentError(
            "output_size is not within one stride of the usual size",
            got=str(output_size),
            expected=f"about {usual}",
        )
    images, pixels = math.prod(outer), math.prod(sizes)
    first = ops.reshape(ops.iota((images,), 0, indices.dtype) * pixels, (images, 1))
    ids = ops.reshape(ops.reshape(indices, (images, -1)) + first, (-1,))
    values = ops.reshape(input, (-1,))
    placed, counts = (
        ops.scatter_add(each, ids, images * pixels) for each in (values, ops.ones_like(values))
    )
    return ops.reshape(placed / ops.maximum(counts, 1), (*outer, *sizes))
