"""Epilogues: what a matmul or a convolution does to each element that it has just summed.

Slot 0 of the expression is that element. The further slots are the node's extra inputs, each a
single number, a vector along the last axis, or a tensor of the output's shape.
"""

from __future__ import annotations

import numpy as np

from numbanet.errors import GraphError, ShapeError
from numbanet.ir.types import TensorType
from numbanet.ir.value import Node
from numbanet.ops.expression import Expression


def epilogue_type(
    name: str, epilogue: Expression | None, type_: TensorType, extras: tuple[TensorType, ...]
) -> TensorType:
    """The type of the result, given the type of the product or convolution."""
    taken = 0 if epilogue is None else len(epilogue.inputs) - 1
    if len(extras) != taken:
        raise ShapeError(
            f"{name}() has extra inputs that its epilogue does not take",
            got=str(len(extras)),
            expected=str(taken),
        )
    for extra in extras:
        is_vector = extra.shape == type_.shape[-1:]
        if extra.shape not in ((), (1,), type_.shape) and not is_vector:
            raise ShapeError(
                f"the epilogue of {name}() cannot read this input",
                got=str(extra),
                expected=f"a number, {type_.shape[-1:]} or {type_.shape}",
            )
    return type_ if epilogue is None else TensorType(type_.shape, epilogue.output_dtypes[0])


def apply_epilogue(
    epilogue: Expression | None, product: np.ndarray, extras: tuple[np.ndarray, ...]
) -> np.ndarray:
    if epilogue is None:
        return product
    (result,) = epilogue.reference((product, *extras))
    return np.broadcast_to(result, product.shape)


def refuse_epilogue(node: Node, epilogue: Expression | None) -> None:
    """Gradients are taken before epilogues are made."""
    if epilogue is not None:
        raise GraphError(
            f"{node.op.name}() with an epilogue has no gradient",
            layer=node.path or None,
            mend="Differentiate before the passes run",
        )
