"""The fused node: strided reads, an elementwise program, and perhaps a reduction at its end.

Passes turn elementwise ops, reductions, transposes, slices and broadcasts into this one node,
so that one generated family of kernels per device serves them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.ir.op import Attrs, Op
from numbanet.ir.types import TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.expression import Expression, Step, identity, number_step


@dataclass(frozen=True)
class Access:
    """Where element ``(i0, i1, ..)`` of the iteration space lies in an input's flat memory:
    at ``offset + sum(i * stride)``, in elements. A broadcast dimension has stride 0."""

    offset: int
    strides: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.offset}+{self.strides}"


@dataclass(frozen=True)
class Reduction:
    """Fold the iteration space over ``axes`` (sorted, not empty), in a fixed order.

    ``kind`` is ``"sum"``, ``"mean"``, ``"max"`` or ``"min"``; the output keeps the other axes,
    and the reduced ones as size one if ``keepdims``.
    """

    kind: str
    axes: tuple[int, ...]
    keepdims: bool

    def __str__(self) -> str:
        return f"{self.kind}{self.axes}{' keepdims' if self.keepdims else ''}"


@dataclass(frozen=True)
class FusedAttrs(Attrs):
    """
    Attributes
    ----------
    expression : Expression
    shape : tuple of int
        The iteration space. Without a reduction it is also the outputs' shape.
    accesses : tuple of Access
        One per input.
    reduction : Reduction, optional
        Applied to every output of the expression.
    """

    expression: Expression
    shape: tuple[int, ...]
    accesses: tuple[Access, ...]
    reduction: Reduction | None = None


def contiguous(shape: tuple[int, ...]) -> Access:
    """Row-major access to a whole tensor of this shape."""
    return broadcast(shape, shape)


def broadcast(source: tuple[int, ...], shape: tuple[int, ...]) -> Access:
    """Access to a row-major tensor of shape ``source`` broadcast to ``shape``."""
    strides = [0] * len(shape)
    stride = 1
    lead = len(shape) - len(source)
    for axis in reversed(range(len(source))):
        if source[axis] != 1:
            strides[lead + axis] = stride
        stride *= source[axis]
    return Access(0, tuple(strides))


def reduced_shape(
    shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool
) -> tuple[int, ...]:
    if keepdims:
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def _infer(attrs: FusedAttrs, *_: TensorType) -> tuple[TensorType, ...]:
    shape = attrs.shape
    if attrs.reduction is not None:
        shape = reduced_shape(shape, attrs.reduction.axes, attrs.reduction.keepdims)
    return tuple(TensorType(shape, dtype) for dtype in attrs.expression.output_dtypes)


def _reference(attrs: FusedAttrs, *arrays: np.ndarray) -> tuple[np.ndarray, ...] | np.ndarray:
    views = tuple(
        gather(array, access, attrs.shape)
        for array, access in zip(arrays, attrs.accesses, strict=True)
    )
    results = tuple(
        np.broadcast_to(result, attrs.shape) for result in attrs.expression.reference(views)
    )
    if attrs.reduction is not None:
        results = tuple(_fold(attrs.reduction, result) for result in results)
    return results[0] if len(results) == 1 else results


def _fold(reduction: Reduction, array: np.ndarray) -> np.ndarray:
    axes, keepdims = reduction.axes, reduction.keepdims
    if reduction.kind in ("max", "min"):
        return getattr(np, reduction.kind)(array, axis=axes, keepdims=keepdims)
    # NumPy would widen integers, and warn of means of nothing.
    total = np.sum(array, axis=axes, keepdims=keepdims, dtype=array.dtype)
    if reduction.kind == "sum":
        return total
    count = math.prod(array.shape[axis] for axis in axes)
    return total / np.asarray(count, dtype=array.dtype)


def gather(array: np.ndarray, access: Access, shape: tuple[int, ...]) -> np.ndarray:
    """The elements that ``access`` names, gathered by index: independent of any kernel."""
    positions = np.full(shape, access.offset, dtype=np.int64)
    for axis, stride in enumerate(access.strides):
        steps = np.arange(shape[axis], dtype=np.int64) * stride
        positions += steps.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return np.ascontiguousarray(array).reshape(-1)[positions]


def _flops(node: Node) -> int:
    attrs = node.attrs
    if not isinstance(attrs, FusedAttrs):
        raise TypeError(f"not a fused node: {node!r}")
    per_element = len(attrs.expression.steps) + (attrs.reduction is not None)
    return per_element * math.prod(attrs.shape)


FUSED = Op("fused", infer=_infer, reference=_reference, flops=_flops)
"""Not in the registry: only passes make it, and fuzz tests of whole graphs cover it."""


def fused_form(node: Node) -> tuple[FusedAttrs, tuple[Value, ...]] | None:
    """Attributes and inputs of the fused node that computes what ``node`` does.

    Elementwise ops, reductions, transposes, expands and slices have such a form, and so has a
    fused node; other ops have None. Sizes must be known.
    """
    if node.op is FUSED:
        attrs: Any = node.attrs
        return attrs, node.inputs
    if node.op.is_elementwise:
        return _elementwise_form(node)
    rule = _FORMS.get(node.op.name)
    return None if rule is None else (rule(node), node.inputs)


def is_fusable(op: Op) -> bool:
    """Whether nodes of ``op`` have a fused form."""
    return op is FUSED or op.is_elementwise or op.name in _FORMS


def _elementwise_form(node: Node) -> tuple[FusedAttrs, tuple[Value, ...]]:
    """One step; single constants are written into the program, and no value is read twice."""
    numbers = {value: number_step(value) for value in node.inputs}
    inputs = tuple(value for value, step in numbers.items() if step is None)
    steps = {value: step for value, step in numbers.items() if step is not None}
    slots = {value: slot for slot, value in enumerate((*inputs, *steps))}
    output = node.output.type
    step = Step(node.op, node.attrs, tuple(slots[v] for v in node.inputs), output.dtype)
    dtypes = tuple(value.dtype for value in inputs)
    expression = Expression(dtypes, (*steps.values(), step), (len(slots),))
    accesses = tuple(broadcast(value.type.sizes, output.sizes) for value in inputs)
    return FusedAttrs(expression, output.sizes, accesses), inputs


def _reduction_form(node: Node) -> FusedAttrs:
    attrs: Any = node.attrs
    shape = node.inputs[0].type.sizes
    reduction = Reduction(node.op.name, attrs.axes, attrs.keepdims)
    return FusedAttrs(identity(node.inputs[0].dtype), shape, (contiguous(shape),), reduction)


def _view_form(node: Node, access: Access) -> FusedAttrs:
    """A copy of the elements that ``access`` names."""
    return FusedAttrs(identity(node.inputs[0].dtype), node.output.type.sizes, (access,))


def _transpose_form(node: Node) -> FusedAttrs:
    attrs: Any = node.attrs
    strides = contiguous(node.inputs[0].type.sizes).strides
    return _view_form(node, Access(0, tuple(strides[axis] for axis in attrs.perm)))


def _expand_form(node: Node) -> FusedAttrs:
    return _view_form(node, broadcast(node.inputs[0].type.sizes, node.output.type.sizes))


def _slice_form(node: Node) -> FusedAttrs:
    attrs: Any = node.attrs
    offset, strides = 0, []
    sizes = node.inputs[0].type.sizes
    parts = zip(attrs.starts, attrs.stops, attrs.steps, strict=True)
    for size, stride, part in zip(sizes, contiguous(sizes).strides, parts, strict=True):
        start, _, step = slice(*part).indices(size)
        offset += start * stride
        strides.append(step * stride)
    return _view_form(node, Access(offset, tuple(strides)))


_FORMS: dict[str, Callable[[Node], FusedAttrs]] = {
    "sum": _reduction_form,
    "mean": _reduction_form,
    "max": _reduction_form,
    "min": _reduction_form,
    "transpose": _transpose_form,
    "expand": _expand_form,
    "slice": _slice_form,
}
