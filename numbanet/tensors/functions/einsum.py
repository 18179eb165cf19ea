"""Einstein sums."""

from __future__ import annotations

from typing import Any

from numbanet import ops
from numbanet.ir import Value
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.linear_algebra import matmul
from numbanet.tensors.functions.promotion import together


@tensor_function
def einsum(equation: str, *operands: Any) -> Value:
    """Sums of products over named axes.

    Parameters
    ----------
    equation : str
        As ``"bij,bjk->bik"``: a letter for each axis of each operand, then those of the result.
        Letters that are not there are summed over; ``...`` stands for axes that broadcast.
        Without ``->`` the result has the letters that occur once, in the alphabet's order.
    *operands : Value

    Raises
    ------
    ArgumentError
        If the equation does not fit the operands.
    ShapeError
        If axes of one letter differ in size.
    """
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    return ops.einsum(equation, *together(*operands), product=matmul)
