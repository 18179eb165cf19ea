"""Other shapes of the same numbers: reshape, transpose, expand.

Attributes never hold the batch size: where a size is unknown, a reshape says -1 ("whatever is
left") and an expand says -1 ("keep").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numbanet.errors import ShapeError
from numbanet.ir.op import Arg, Attrs, Case, Op, attrs_of, register
from numbanet.ir.types import Shape, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ir.variable import inverse
from numbanet.ops.axes import normalise_axes, normalise_axis
from numbanet.ops.elementwise import Operand, as_values


@dataclass(frozen=True)
class ReshapeAttrs(Attrs):
    """``target`` may hold one -1: whatever makes the number of elements fit."""

    target: tuple[int, ...]


def _reshape_infer(attrs: ReshapeAttrs, x: TensorType) -> TensorType:
    target = attrs.target
    known = math.prod(size for size in x.shape if size is not None)
    rest = math.prod(size for size in target if size != -1)
    if None in x.shape:
        # The unknown size goes into the -1, perhaps times or over a whole number.
        fits = -1 in target and rest > 0 and (known % rest == 0 or rest % known == 0)
        shape: Shape = tuple(None if size == -1 else size for size in target)
    elif -1 in target:
        fits = rest > 0 and known % rest == 0
        shape = tuple(known // rest if fits and size == -1 else size for size in target)
    else:
        fits = known == rest
        shape = target
    if not fits or target.count(-1) > 1 or any(size < -1 for size in target):
        raise ShapeError(
            "reshape() cannot keep the number of elements",
            got=str(x),
            expected=f"as many elements as {target} has, in which -1 may stand once",
        )
    return TensorType(shape, x.dtype)


RESHAPE = register(
    Op(
        "reshape",
        infer=_reshape_infer,
        reference=lambda attrs, x: np.reshape(x, attrs.target),
        gradient=lambda node, g: (reshape(g, node.inputs[0].type.sizes),),
        view=lambda node: 0,
        cases=(
            Case((Arg((3, 4)),), ReshapeAttrs((2, -1))),
            Case((Arg((3, 5)),), ReshapeAttrs((5, 3))),
            Case((Arg(()),), ReshapeAttrs((1, 1))),
            Case((Arg((1,)),), ReshapeAttrs(())),
            Case((Arg((0, 3)),), ReshapeAttrs((-1, 3, 1))),
        ),
    )
)


def reshape(x: Operand, shape: Sequence[int | None]) -> Value:
    """The same elements in row-major order under another shape.

    Parameters
    ----------
    x : Value, number or array
    shape : sequence of int
        One size may be -1 (or None): whatever is left. A batch size that is unknown goes there.

    Returns
    -------
    Value
        ``x`` itself if that has this shape.
    """
    (value,) = as_values(x)
    target = tuple(-1 if size is None else int(size) for size in shape)
    if target == tuple(-1 if size is None else size for size in value.shape):
        return value
    return RESHAPE(value, attrs=ReshapeAttrs(target))


def flatten(x: Operand) -> Value:
    """All axes but the first as one: ``[N, ...] -> [N, features]``."""
    (value,) = as_values(x)
    rest = [size for size in value.shape[1:] if size is not None]
    if len(rest) != value.rank - 1:
        raise ShapeError(
            "flatten() keeps the first axis and must know the others", got=str(value.type)
        )
    return reshape(value, (value.shape[0], math.prod(rest)))


def squeeze(x: Operand, axes: int | Sequence[int] | None = None) -> Value:
    """``x`` without axes of size one: those given, or all by default.

    Raises
    ------
    ShapeError
        If a given axis has another size.
    """
    (value,) = as_values(x)
    if axes is None:
        which = tuple(axis for axis, size in enumerate(value.shape) if size == 1)
    else:
        which = normalise_axes("squeeze", axes, value.rank)
    if any(value.shape[axis] != 1 for axis in which):
        raise ShapeError(
            "squeeze() removes axes of size one", got=f"{value.type} and axes {which}"
        )
    return reshape(value, [size for i, size in enumerate(value.shape) if i not in which])


def expand_dims(x: Operand, axes: int | Sequence[int]) -> Value:
    """``x`` with axes of size one put in; ``axes`` are positions in the result."""
    (value,) = as_values(x)
    count = len(axes) if isinstance(axes, Sequence) else 1
    which = normalise_axes("expand_dims", axes, value.rank + count)
    sizes = iter(value.shape)
    return reshape(value, [1 if i in which else next(sizes) for i in range(value.rank + count)])


@dataclass(frozen=True)
class TransposeAttrs(Attrs):
    """Axis ``i`` of the output is axis ``perm[i]`` of the input."""

    perm: tuple[int, ...]


def _transpose_infer(attrs: TransposeAttrs, x: TensorType) -> TensorType:
    if sorted(attrs.perm) != list(range(x.rank)):
        raise ShapeError(
            "transpose() takes each axis once", got=f"{x} and the order {attrs.perm}"
        )
    return TensorType(tuple(x.shape[axis] for axis in attrs.perm), x.dtype)


def _transpose_view(node: Node) -> int | None:
    """A transpose that moves axes of size one only leaves memory as it is."""
    sizes = node.inputs[0].type.sizes
    moved = [axis for axis in attrs_of(node, TransposeAttrs).perm if sizes[axis] != 1]
    return 0 if moved == sorted(moved) else None


TRANSPOSE = register(
    Op(
        "transpose",
        infer=_transpose_infer,
        reference=lambda attrs, x: np.transpose(x, attrs.perm),
        gradient=lambda node, g: (transpose(g, inverse(attrs_of(node, TransposeAttrs).perm)),),
        view=_transpose_view,
        cases=(
            Case((Arg((3, 5)),), TransposeAttrs((1, 0))),
            Case((Arg((2, 3, 4)),), TransposeAttrs((2, 0, 1))),
            Case((Arg((2, 3, 4, 5)),), TransposeAttrs((0, 3, 1, 2))),
            Case((Arg((1, 5, 1)),), TransposeAttrs((1, 2, 0))),
            Case((Arg((0, 3)),), TransposeAttrs((1, 0))),
            Case((Arg(()),), TransposeAttrs(())),
        ),
    )
)


def transpose(x: Operand, perm: Sequence[int] | None = None) -> Value:
    """``x`` with its axes in another order.

    Parameters
    ----------
    x : Value, number or array
    perm : sequence of int, optional
        Axis ``i`` of the result is axis ``perm[i]`` of ``x``. Reversed by default.

    Returns
    -------
    Value
        ``x`` itself if no axis moves.
    """
    (value,) = as_values(x)
    if perm is None:
        perm = range(value.rank)[::-1]
    order = tuple(normalise_axis("transpose", axis, value.rank) for axis in perm)
    if order == tuple(range(value.rank)):
        return value
    return TRANSPOSE(value, attrs=TransposeAttrs(order))


@dataclass(frozen=True)
class ExpandAttrs(Attrs):
    """The output's shape; -1 keeps the input's size there, counted from the last axis."""

    shape: tuple[int, ...]


def _expand_infer(attrs: ExpandAttrs, x: TensorType) -> TensorType:
    lead = len(attrs.shape) - x.rank
    padded = (1,) * lead + x.shape
    fits = lead >= 0 and all(
        (new >= 0 and (old in (1, new))) or (new == -1 and i >= lead)
        for i, (old, new) in enumerate(zip(padded, attrs.shape, strict=False))
    )
    if not fits:
        raise ShapeError(
            "expand() repeats axes of size one only",
            got=str(x),
            expected=f"a shape that broadcasts to {attrs.shape}, in which -1 keeps a size",
        )
    shape = tuple(
        old if new == -1 else new for old, new in zip(padded, attrs.shape, strict=True)
    )
    return TensorType(shape, x.dtype)


def _expand_reference(attrs: ExpandAttrs, x: np.ndarray) -> np.ndarray:
    padded = (1,) * (len(attrs.shape) - np.ndim(x)) + np.shape(x)
    shape = [old if new == -1 else new for old, new in zip(padded, attrs.shape, strict=True)]
    return np.broadcast_to(x, shape)


EXPAND = register(
    Op(
        "expand",
        infer=_expand_infer,
        reference=_expand_reference,
        # The driver sums over what was repeated.
        gradient=lambda node, g: (g,),
        view=lambda node: 0 if node.outputs[0].type.size == node.inputs[0].type.size else None,
        cases=(
            Case((Arg((3, 1)),), ExpandAttrs((3, 5))),
            Case((Arg((5,)),), ExpandAttrs((2, 3, 5))),
            Case((Arg((1, 4, 1)),), ExpandAttrs((7, -1, 3))),
            Case((Arg(()),), ExpandAttrs((3,))),
            Case((Arg((1,)),), ExpandAttrs((1, 1))),
            Case((Arg((1, 3)),), ExpandAttrs((0, 3))),
        ),
    )
)


def expand(x: Operand, shape: Sequence[int]) -> Value:
    """``x`` broadcast to ``shape``: axes of size one, and new leading axes, are repeated.

    Parameters
    ----------
    x : Value, number or array
    shape : sequence of int
        -1 keeps the size that is there, which may be unknown.

    Returns
    -------
    Value
        ``x`` itself if it has this shape.
    """
    (value,) = as_values(x)
    attrs = ExpandAttrs(tuple(int(size) for size in shape))
    is_same = len(attrs.shape) == value.rank and all(
        new in (-1, old) for old, new in zip(value.shape, attrs.shape, strict=True)
    )
    return value if is_same else EXPAND(value, attrs=attrs)
