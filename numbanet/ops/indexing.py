"""Reading and adding rows by index, one-hot codes, and where the largest element is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numbanet.errors import ArgumentError, DataError, ShapeError
from numbanet.ir.op import Arg, Attrs, Case, Op, register
from numbanet.ir.types import DType, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.axes import normalise_axis
from numbanet.ops.casts import cast
from numbanet.ops.checks import require_integers, require_shape
from numbanet.ops.comparison import equal
from numbanet.ops.creation import iota
from numbanet.ops.elementwise import FLOATING, common_dtype
from numbanet.ops.shapes import expand_dims


@dataclass(frozen=True)
class ScatterAddAttrs(Attrs):
    rows: int


@dataclass(frozen=True)
class ArgmaxAttrs(Attrs):
    """``axis`` counts from the front."""

    axis: int


@dataclass(frozen=True)
class GatherBatchAttrs(Attrs):
    size: int


def take(table: Value, ids: Value) -> Value:
    """Rows of a table, by index.

    Parameters
    ----------
    table : Value
        ``[V, ...]``.
    ids : Value
        Integers ``[...]`` from 0 to V - 1. Smaller ones read the first row, and larger ones
        the last: whoever feeds them checks them, as nothing does on a device.

    Returns
    -------
    Value
        ``[*ids.shape, *table.shape[1:]]``, of the table's dtype. The gradient adds up the rows
        of equal ids in the order of the ids.

    Raises
    ------
    ShapeError
        If ``table`` is a scalar.
    DTypeError
        If ``ids`` are not integers.
    """
    return TAKE(table, ids)


def scatter_add(g: Value, ids: Value, rows: int) -> Value:
    """Rows added up by index: what is not named by any id is zero.

    Parameters
    ----------
    g : Value
        ``[*ids.shape, ...]``, floating-point.
    ids : Value
        Integers ``[...]`` from 0 to ``rows - 1``; others count as in `take`.
    rows : int

    Returns
    -------
    Value
        ``[rows, ...]``. Rows of equal ids are added in the order of the ids.

    Raises
    ------
    ShapeError
        If the leading axes of ``g`` are not those of ``ids``.
    DTypeError
        If ``ids`` are not integers or ``g`` is not floating-point.
    """
    return SCATTER_ADD(g, ids, attrs=ScatterAddAttrs(rows))


def one_hot(ids: Value, depth: int, dtype: DType | str = DType.FLOAT32) -> Value:
    """One at the position that each id names, zero elsewhere.

    Parameters
    ----------
    ids : Value
        Integers ``[...]``; one outside of ``0 .. depth - 1`` gives zeros only.
    depth : int
    dtype : DType or str
        Of the result.

    Returns
    -------
    Value
        ``[*ids.shape, depth]``.
    """
    return cast(is_position(ids, depth), dtype)


def is_position(ids: Value, depth: int) -> Value:
    """Bool ``[*ids.shape, depth]``: whether the position along the last axis is the id."""
    require_integers("one_hot", "ids", ids.type)
    if depth < 0 or (ids.dtype is DType.UINT8 and depth > 256):
        raise ArgumentError(
            "one_hot() with a depth that the ids cannot count", got=f"{depth} for {ids.type}"
        )
    return equal(expand_dims(ids, -1), iota((depth,), 0, ids.dtype))


def argmax(x: Value, axis: int = -1) -> Value:
    """Index of the largest element along an axis, of the first if several are equal.

    Parameters
    ----------
    x : Value
        Numbers; their size along ``axis`` is known.
    axis : int

    Returns
    -------
    Value
        int64, without that axis. It has no gradient.

    Raises
    ------
    ArgumentError
        If ``x`` has no such axis.
    ShapeError
        If nothing lies along it.
    """
    return ARGMAX(x, attrs=ArgmaxAttrs(normalise_axis("argmax", axis, x.rank)))


def gather_batch(data: Value, permutation: Value, start: Value, size: int) -> Value:
    """A batch of samples: ``data[permutation[start : start + size]]``.

    Parameters
    ----------
    data : Value
        Samples ``[N, ...]``.
    permutation : Value
        int64 ``[M]``: indices of samples, in the order in which they are to be seen.
    start : Value
        int64 scalar, at most ``M - size``. Whoever feeds it and the permutation checks them.
    size : int

    Returns
    -------
    Value
        ``[size, ...]``.

    Raises
    ------
    ShapeError, DTypeError
        If the operands are not of these types.
    """
    return GATHER_BATCH(data, permutation, start, attrs=GatherBatchAttrs(size))


def _infer_take(_: Attrs, table: TensorType, ids: TensorType) -> TensorType:
    require_integers("take", "ids", ids)
    if table.rank == 0:
        raise ShapeError("take() needs a table with rows", got=str(table))
    if table.shape[0] == 0 and 0 not in ids.shape:
        raise ShapeError("take() from a table without rows", got=f"ids {ids}")
    return TensorType((*ids.shape, *table.shape[1:]), table.dtype)


def _infer_scatter_add(attrs: ScatterAddAttrs, g: TensorType, ids: TensorType) -> TensorType:
    require_integers("scatter_add", "ids", ids)
    dtype = common_dtype("scatter_add", (g,), FLOATING)
    row = g.shape[ids.rank :]
    mend = "Its leading axes must be those of the ids"
    require_shape("scatter_add", "rows", g, (*ids.shape, *row), mend)
    return TensorType((attrs.rows, *row), dtype)


def _infer_argmax(attrs: ArgmaxAttrs, x: TensorType) -> TensorType:
    if not x.shape[attrs.axis]:
        raise ShapeError(
            f"argmax() over axis {attrs.axis}",
            got=str(x),
            expected="a size there that is known and not zero",
        )
    shape = x.shape[: attrs.axis] + x.shape[attrs.axis + 1 :]
    return TensorType(shape, DType.INT64)


def _infer_gather_batch(
    attrs: GatherBatchAttrs, data: TensorType, permutation: TensorType, start: TensorType
) -> TensorType:
    if data.rank == 0:
        raise ShapeError("gather_batch() needs data with samples", got=str(data))
    common_dtype("gather_batch", (permutation, start), frozenset({DType.INT64}))
    if permutation.rank != 1:
        raise ShapeError(
            "gather_batch() needs one list of indices", got=str(permutation), expected="[M]"
        )
    require_shape("gather_batch", "a start", start, ())
    return TensorType((attrs.size, *data.shape[1:]), data.dtype)


def check_range(what: str, ids: np.ndarray, count: int) -> None:
    """Raise DataError unless all ids lie in ``0 .. count - 1``."""
    if ids.size and (ids.min() < 0 or ids.max() >= count):
        raise DataError(
            f"{what} out of range",
            got=f"{ids.min()} to {ids.max()}",
            expected=f"0 to {count - 1}",
        )


def _take_reference(_: Attrs, table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    return table[ids.clip(0, len(table) - 1)]


def _scatter_add_reference(
    attrs: ScatterAddAttrs, g: np.ndarray, ids: np.ndarray
) -> np.ndarray:
    row = g.shape[ids.ndim :]
    total = np.zeros((attrs.rows, *row), g.dtype)
    np.add.at(total, ids.reshape(-1).clip(0, attrs.rows - 1), g.reshape(ids.size, *row))
    return total


def _gather_batch_reference(
    attrs: GatherBatchAttrs, data: np.ndarray, permutation: np.ndarray, start: np.ndarray
) -> np.ndarray:
    first = int(start)
    if not 0 <= first <= len(permutation) - attrs.size:
        raise DataError(
            "a batch outside of the permutation",
            got=f"{attrs.size} samples from {first}",
            expected=f"at most {len(permutation)}",
        )
    batch = permutation[first : first + attrs.size]
    check_range("samples", batch, len(data))
    return data[batch]


def _take_gradient(node: Node, g: Value) -> tuple[Value, None]:
    table, ids = node.inputs
    return scatter_add(g, ids, table.type.sizes[0]), None


def _scatter_add_gradient(node: Node, total: Value) -> tuple[Value, None]:
    return take(total, node.inputs[1]), None


def _ids(*shape: int, count: int, dtype: DType = DType.INT64, low: int = 0) -> Arg:
    return Arg(shape, dtype, low=low, high=count)


TAKE = register(
    Op(
        "take",
        infer=_infer_take,
        reference=_take_reference,
        gradient=_take_gradient,
        cases=(
            Case((Arg((7, 3)), _ids(5, count=7))),
            Case((Arg((4, 5)), _ids(2, 3, count=4, dtype=DType.INT32))),
            Case((Arg((3,)), _ids(count=3))),
            Case((Arg((1, 1)), _ids(1, count=1))),
            Case((Arg((5, 2, 3)), _ids(11, count=5, dtype=DType.UINT8))),
            Case((Arg((5, 2)), _ids(0, count=5))),
            Case((Arg((3, 2)), _ids(19, count=9, low=-5))),
            Case((Arg((3,)), _ids(19, count=9, low=-5, dtype=DType.INT32))),
        ),
    )
)

SCATTER_ADD = register(
    Op(
        "scatter_add",
        infer=_infer_scatter_add,
        reference=_scatter_add_reference,
        gradient=_scatter_add_gradient,
        flops=lambda node: node.inputs[0].type.size,
        cases=(
            Case((Arg((5, 3)), _ids(5, count=4)), ScatterAddAttrs(7)),
            Case((Arg((2, 9, 5)), _ids(2, 9, count=4, dtype=DType.INT32)), ScatterAddAttrs(4)),
            Case((Arg((6,)), _ids(6, count=1)), ScatterAddAttrs(1)),
            Case((Arg((3,)), _ids(count=2)), ScatterAddAttrs(2)),
            Case((Arg((0, 3)), _ids(0, count=2)), ScatterAddAttrs(2)),
            Case((Arg((19, 2)), _ids(19, count=9, low=-5)), ScatterAddAttrs(3)),
        ),
    )
)

ARGMAX = register(
    Op(
        "argmax",
        infer=_infer_argmax,
        reference=lambda attrs, x: np.argmax(x, axis=attrs.axis),
        flops=lambda node: node.inputs[0].type.size,
        cases=(
            Case((Arg((3, 5)),), ArgmaxAttrs(1)),
            Case((Arg((3, 5)),), ArgmaxAttrs(0)),
            Case((Arg((2, 7, 3)),), ArgmaxAttrs(1)),
            Case((Arg((1,)),), ArgmaxAttrs(0)),
            Case((Arg((0, 4)),), ArgmaxAttrs(1)),
            Case((Arg((9, 4), DType.INT64, low=0, high=2),), ArgmaxAttrs(1)),
        ),
    )
)

GATHER_BATCH = register(
    Op(
        "gather_batch",
        infer=_infer_gather_batch,
        reference=_gather_batch_reference,
        cases=(
            Case((Arg((9, 5)), _ids(9, count=9), _ids(count=5)), GatherBatchAttrs(5)),
            Case((Arg((6, 2, 3)), _ids(4, count=6), _ids(count=2)), GatherBatchAttrs(3)),
            Case((Arg((3,)), _ids(1, count=3), _ids(count=1)), GatherBatchAttrs(1)),
            Case((Arg((3, 2)), _ids(4, count=3), _ids(count=5)), GatherBatchAttrs(0)),
        ),
    )
)
