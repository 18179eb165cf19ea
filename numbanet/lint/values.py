"""Questions about what computes a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from numbanet.ir import Value, topological

_VIEWS = frozenset({"reshape", "transpose", "cast", "expand", "slice", "pad"})
_PRODUCTS = frozenset({"matmul", "conv2d", "conv2d_transpose"})
_ADDITIONS = frozenset({"add", "subtract"})
_NO_LOGARITHMS = frozenset({"softmax", "sigmoid", "relu", "tanh"})


def behind(value: Value) -> Value:
    """What ``value`` is a view of: the numbers, whatever their order and shape."""
    while value.node.op.name in _VIEWS:
        value = value.node.inputs[0]
    return value


def comes_from(value: Value, op: str) -> bool:
    """Whether ``value`` is what ``op`` gave."""
    return behind(value).node.op.name == op


def is_linear(value: Value) -> bool:
    """Whether ``value`` comes out of a product, perhaps with a bias, as it is."""
    value = behind(value)
    if value.node.op.name in _ADDITIONS:
        return any(behind(each).node.op.name in _PRODUCTS for each in value.node.inputs)
    return value.node.op.name in _PRODUCTS


def is_no_logarithm(value: Value) -> bool:
    """Whether ``value`` cannot be logarithms of probabilities, as far as one can see."""
    return is_linear(value) or behind(value).node.op.name in _NO_LOGARITHMS


def is_product(op: str) -> bool:
    """Whether this op multiplies its input by weights."""
    return op in _PRODUCTS


def readers(inputs: Iterable[Value], results: Iterable[Value]) -> Iterator[tuple[Value, str]]:
    """Each of ``inputs``, and the names of the ops that read it, views passed over."""
    of = {value: value for value in inputs}
    for node in topological(results):
        for each in node.inputs:
            if each not in of:
                continue
            if node.op.name in _VIEWS:
                of[node.outputs[0]] = of[each]
            else:
                yield of[each], node.op.name
