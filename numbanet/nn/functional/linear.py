"""Products with weights."""

from __future__ import annotations

from numbanet import ops
from numbanet.errors import ShapeError
from numbanet.ir import Value
from numbanet.tensors.dispatch import tensor_function


@tensor_function
def linear(input: Value, weight: Value, bias: Value | None = None) -> Value:
    """``input @ weight.T + bias``.

    Parameters
    ----------
    input : Tensor
        ``[..., in_features]``.
    weight : Tensor
        ``[out_features, in_features]``, or ``[in_features]`` for a single output without axis.
    bias : Tensor, optional
        ``[out_features]``, or a number if ``weight`` is a vector.

    Returns
    -------
    Tensor
        ``[..., out_features]``.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet.
    """
    if weight.rank > 2 or input.rank == 0:
        raise ShapeError(
            "linear() takes rows and a matrix of weights", got=f"{input.type} and {weight.type}"
        )
    product = ops.matmul(input, weight, transpose_b=True)
    return product if bias is None else product + bias


@tensor_function
def bilinear(input1: Value, input2: Value, weight: Value, bias: Value | None = None) -> Value:
    """``y[o] = input1 @ weight[o] @ input2 + bias[o]``.

    Parameters
    ----------
    input1, input2 : Tensor
        ``[..., in1_features]`` and ``[..., in2_features]``, with the same leading axes.
    weight : Tensor
        ``[out_features, in1_features, in2_features]``.
    bias : Tensor, optional
        ``[out_features]``.

    Returns
    -------
    Tensor
        ``[..., out_features]``.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet.
    """
    leading = input1.shape[:-1]
    fits = weight.rank == 3 and input1.rank > 0 and input2.rank > 0
    if not fits or leading != input2.shape[:-1]:
        raise ShapeError(
            "bilinear() takes inputs of equal leading axes and weights of three axes",
            got=f"{input1.type}, {input2.type} and {weight.type}",
        )
    outputs, in1, in2 = weight.type.sizes
    table = ops.reshape(ops.transpose(weight, (1, 0, 2)), (in1, outputs * in2))
    rows = ops.reshape(ops.matmul(ops.reshape(input1, (-1, in1)), table), (-1, outputs, in2))
    y = ops.sum(rows * ops.reshape(input2, (-1, 1, in2)), -1)
    y = ops.reshape(y, (*leading, outputs))
    return y if bias is None else y + bias
