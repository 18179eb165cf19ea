"""Products of matrices, one or many at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from numbanet.errors import GraphError, ShapeError
from numbanet.ir.op import Arg, Attrs, Case, Op, attrs_of, register
from numbanet.ir.types import TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.elementwise import FLOATING, as_values, broadcast_shapes, common_dtype
from numbanet.ops.epilogue import apply_epilogue, epilogue_type, refuse_epilogue
from numbanet.ops.expression import Expression
from numbanet.ops.shapes import expand_dims, reshape, squeeze


@dataclass(frozen=True)
class MatmulAttrs(Attrs):
    """Which operands are read transposed, and what is done to each element of the product."""

    transpose_a: bool = False
    transpose_b: bool = False
    epilogue: Expression | None = None


def matmul(
    a: Value, b: Value, *, transpose_a: bool = False, transpose_b: bool = False
) -> Value:
    """Matrix product over the last two axes, as `numpy.matmul`.

    Parameters
    ----------
    a : Value
        ``[..., M, K]``, or ``[..., K, M]`` if ``transpose_a``, or a vector ``[K]``.
    b : Value
        ``[..., K, N]``, or ``[..., N, K]`` if ``transpose_b``, or a vector ``[K]``.
    transpose_a, transpose_b : bool
        Read that operand's last two axes exchanged. No effect on a vector.

    Returns
    -------
    Value
        ``[..., M, N]``. Leading axes broadcast; the axis of a vector is dropped.

    Raises
    ------
    ShapeError
        If the inner sizes differ, leading axes do not broadcast, or an operand has no axis.
    DTypeError
        If the operands' dtypes differ or are not floating.
    """
    a, b = as_values(a, b)
    is_row, is_column = a.rank == 1, b.rank == 1
    if is_row:
        a, transpose_a = expand_dims(a, 0), False
    if is_column:
        b, transpose_b = expand_dims(b, 1), False
    product = MATMUL(a, b, attrs=MatmulAttrs(transpose_a, transpose_b))
    if is_column:
        product = squeeze(product, -1)
    return squeeze(product, -1 if is_column else -2) if is_row else product


def _infer(attrs: MatmulAttrs, a: TensorType, b: TensorType, *extras: TensorType) -> TensorType:
    dtype = common_dtype("matmul", (a, b), FLOATING)
    if a.rank < 2 or b.rank < 2:
        raise ShapeError("matmul() needs matrices", got=f"{a} and {b}", expected="two axes")
    rows, inner = _matrix(a, attrs.transpose_a)
    inner_b, columns = _matrix(b, attrs.transpose_b)
    if inner != inner_b:
        raise ShapeError(
            "matmul() cannot multiply these",
            got=f"{a}{' transposed' * attrs.transpose_a} and "
            f"{b}{' transposed' * attrs.transpose_b}",
            expected=f"inner sizes that are equal, not {inner} and {inner_b}",
            mend="Transpose or reshape an operand",
        )
    leading = (TensorType(a.shape[:-2], dtype), TensorType(b.shape[:-2], dtype))
    product = TensorType((*broadcast_shapes("matmul", leading), rows, columns), dtype)
    return epilogue_type("matmul", attrs.epilogue, product, extras)


def _matrix(type_: TensorType, is_transposed: bool) -> tuple[int | None, int | None]:
    rows, columns = type_.shape[-2:]
    return (columns, rows) if is_transposed else (rows, columns)


def _infer_update(
    attrs: MatmulAttrs, a: TensorType, b: TensorType, *extras: TensorType
) -> tuple[TensorType, ...]:
    product = _infer(replace(attrs, epilogue=None), a, b)
    epilogue_type("matmul_update", attrs.epilogue, product, extras)
    return tuple(TensorType(product.shape, dtype) for dtype in _moves(attrs).output_dtypes)


def _moves(attrs: MatmulAttrs) -> Expression:
    if attrs.epilogue is None:
        raise GraphError("matmul_update() has nothing to update: its epilogue is missing")
    return attrs.epilogue


def _reference_update(
    attrs: MatmulAttrs, a: np.ndarray, b: np.ndarray, *extras: np.ndarray
) -> np.ndarray | tuple[np.ndarray, ...]:
    product = _reference(replace(attrs, epilogue=None), a, b)
    results = _moves(attrs).reference((product, *extras))
    results = tuple(np.broadcast_to(result, product.shape) for result in results)
    return results[0] if len(results) == 1 else results


def _reference(
    attrs: MatmulAttrs, a: np.ndarray, b: np.ndarray, *extras: np.ndarray
) -> np.ndarray:
    if attrs.transpose_a:
        a = a.swapaxes(-1, -2)
    if attrs.transpose_b:
        b = b.swapaxes(-1, -2)
    return apply_epilogue(attrs.epilogue, np.matmul(a, b), extras)


def _gradient(node: Node, g: Value) -> tuple[Value, Value]:
    attrs = attrs_of(node, MatmulAttrs)
    refuse_epilogue(node, attrs.epilogue)
    a, b = node.inputs
    is_a, is_b = attrs.transpose_a, attrs.transpose_b
    if is_a:
        to_a = matmul(b, g, transpose_a=is_b, transpose_b=True)
    else:
        to_a = matmul(g, b, transpose_b=not is_b)
    if b.rank == 2 and a.rank > 2 and not is_a:
        # One long product, not one for each leading index and a sum over them.
        a, g = _as_rows(a), _as_rows(g)
    if is_b:
        to_b = matmul(g, a, transpose_a=True, transpose_b=is_a)
    else:
        to_b = matmul(a, g, transpose_a=not is_a)
    return to_a, to_b


def _as_rows(value: Value) -> Value:
    *leading, columns = value.type.sizes
    return reshape(value, (math.prod(leading), columns))


def _flops(node: Node) -> int:
    attrs = attrs_of(node, MatmulAttrs)
    _, inner = _matrix(node.inputs[0].type, attrs.transpose_a)
    return 2 * node.outputs[0].type.size * (inner or 0)


def _case(a: tuple[int, ...], b: tuple[int, ...], attrs: MatmulAttrs | None = None) -> Case:
    return Case((Arg(a), Arg(b)), attrs or MatmulAttrs())


MATMUL = register(
    Op(
        "matmul",
        infer=_infer,
        reference=_reference,
        gradient=_gradient,
        flops=_flops,
        cases=(
            _case((3, 5), (5, 7)),
            _case((5, 3), (5, 7), MatmulAttrs(transpose_a=True)),
            _case((3, 5), (7, 5), MatmulAttrs(transpose_b=True)),
            _case((5, 3), (7, 5), MatmulAttrs(transpose_a=True, transpose_b=True)),
            _case((1, 1), (1, 1)),
            _case((1, 9), (9, 1)),
            _case((17, 1), (1, 19)),
            _case((0, 4), (4, 3)),
            _case((3, 0), (0, 4)),
            _case((2, 3, 4), (4, 5)),
            _case((2, 3, 4), (5, 4), MatmulAttrs(transpose_b=True)),
            _case((2, 4, 3), (4, 5), MatmulAttrs(transpose_a=True)),
            _case((3, 4), (2, 4, 5)),
            _case((2, 1, 3, 4), (5, 4, 2)),
            _case((3, 2, 4), (3, 5, 4), MatmulAttrs(transpose_b=True)),
            _case((3, 4, 2), (1, 5, 4), MatmulAttrs(transpose_a=True, transpose_b=True)),
        ),
    )
)
"""``(a, b, *extras) -> a @ b``. A kernel may take ``[..., M, K] @ [K, N]`` as one matrix of
all rows."""


MATMUL_UPDATE = Op(
    "matmul_update", infer=_infer_update, reference=_reference_update, flops=_flops
)
"""``(a, b, *extras) -> outputs of the epilogue``: a product of two matrices that is stored
nowhere, since what it is needed for is done to each element at once. Not in the registry: only
a pass makes it, where a device has a kernel for it."""
