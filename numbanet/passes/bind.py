"""Bind: record a graph again with known sizes in the place of the unknown batch size."""

from __future__ import annotations

from collections.abc import Mapping

from numbanet.errors import DTypeError, GraphError, ShapeError
from numbanet.ir import Graph, Node, TensorType, Value, rewrite
from numbanet.ops.leaf import INPUT, InputAttrs


def bind(graph: Graph, types: Mapping[str, TensorType]) -> Graph:
    """``graph`` with its inputs at the given known types; every other type follows.

    Raises
    ------
    GraphError
        If a name is not an input's, or an input with an unknown size is not given.
    ShapeError, DTypeError
        If a type does not fit the one the graph was built with.
    """
    names = [_name(value) for value in graph.inputs]
    for name in types:
        if name not in names:
            raise GraphError(f"there is no input {name!r}", expected=", ".join(names))

    def replace(node: Node, _: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op is not INPUT:
            return None
        value = node.output
        name = _name(value)
        known = types.get(name, value.type)
        _check(name, value.type, known)
        if known == value.type:
            return None
        return INPUT.node(attrs=InputAttrs(name, known), path=node.path).outputs

    return rewrite(graph, replace)


def _name(value: Value) -> str:
    attrs = value.node.attrs
    if not isinstance(attrs, InputAttrs):
        raise GraphError(f"{value!r} stands among the inputs and is not an input")
    return attrs.name


def _check(name: str, built: TensorType, known: TensorType) -> None:
    if not known.is_known:
        raise GraphError(f"input {name!r} needs known sizes", got=str(known))
    if known.dtype is not built.dtype:
        raise DTypeError(f"input {name!r}", got=str(known.dtype), expected=str(built.dtype))
    pairs = zip(known.shape, built.shape, strict=False)
    if known.rank != built.rank or any(want not in (None, size) for size, want in pairs):
        raise ShapeError(f"input {name!r}", got=str(known.shape), expected=str(built.shape))
