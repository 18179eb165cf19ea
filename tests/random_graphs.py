"""Random graphs, drawn by Hypothesis, for tests that say "whatever the graph".

They have fan-out, several outputs, nodes that nobody reads, variables that are shared and
updated, and updates that read each other's old values. Numbers stay bounded, so that results
compare.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from numbanet import ops
from numbanet.ir import DType, Graph, Update, Value, Variable
from numbanet.ops.matmul import matmul

SHAPES: tuple[tuple[int, ...], ...] = (
    (3, 4),
    (4, 3),
    (3, 1),
    (4,),
    (1, 4),
    (),
    (3, 3),
    (2, 3, 4),
)

UNARY = (
    ops.tanh,
    ops.sigmoid,
    ops.relu,
    ops.negative,
    ops.softsign,
    lambda x: x * 0.5,
    lambda x: 1.0 - x,
    lambda x: ops.clip(x, -0.9, 0.7),
    lambda x: ops.tanh(x + 0.0) * 1.0,
)
BINARY = (
    ops.add,
    ops.subtract,
    ops.maximum,
    ops.minimum,
    lambda a, b: ops.tanh(a * b),
    lambda a, b: ops.where(ops.greater(a, b), a, b * 0.5),
)
SHAPING = (
    lambda x: ops.transpose(x),
    lambda x: ops.reshape(x, (-1,)),
    lambda x: ops.expand_dims(x, 0),
    lambda x: x[0] if x.rank else x,
    lambda x: x[..., 1:] if x.rank and x.shape[-1] > 1 else x,
    lambda x: ops.sum(x, axes=-1) * 0.3 if x.rank else x,
    lambda x: ops.mean(x, axes=0, keepdims=True) if x.rank else x,
    lambda x: ops.max(x),
    lambda x: ops.concatenate([x, x], axis=-1) if x.rank and x.type.size < 40 else x,
)


@dataclass(frozen=True)
class Drawn:
    """A graph, and numbers for its inputs and, at the start, its variables."""

    graph: Graph
    feeds: dict[str, np.ndarray]
    variables: tuple[Variable, ...]
    start: tuple[np.ndarray, ...]


@st.composite
def graphs(draw: st.DrawFn, dtype: DType = DType.FLOAT64, max_nodes: int = 24) -> Drawn:
    """A graph of up to ``max_nodes`` drawn ops over two or three inputs and two variables."""
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = st.sampled_from(SHAPES)
    values: list[Value] = []
    feeds: dict[str, np.ndarray] = {}
    inputs = []
    for i in range(draw(st.integers(1, 3))):
        shape = draw(shapes)
        inputs.append(ops.input_value(f"x{i}", shape, dtype))
        feeds[f"x{i}"] = numbers.uniform(-1, 1, shape).astype(dtype.numpy)
    variables = tuple(
        Variable(numbers.uniform(-1, 1, draw(shapes)).astype(dtype.numpy), f"v{i}")
        for i in range(2)
    )
    leaves = [ops.variable_value(variable) for variable in variables]
    values = [*inputs, *leaves]
    for _ in range(draw(st.integers(1, max_nodes))):
        values.append(_grow(draw, values))
    outputs = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
    named = {f"out{i}": value for i, value in enumerate(outputs)}
    updates = tuple(
        Update(leaf, _fit(draw(st.sampled_from(values)), leaf))
        for leaf in leaves
        if draw(st.booleans())
    )
    start = tuple(variable.numpy() for variable in variables)
    return Drawn(Graph(tuple(inputs), named, updates), feeds, variables, start)


def _grow(draw: st.DrawFn, values: list[Value]) -> Value:
    a = draw(st.sampled_from(values))
    kind = draw(st.sampled_from(("unary", "binary", "shaping", "product")))
    if kind == "unary":
        return draw(st.sampled_from(UNARY))(a)
    if kind == "shaping":
        return draw(st.sampled_from(SHAPING))(a)
    if kind == "product":
        return _product(a, draw(st.sampled_from(values)))
    partners = [value for value in values if _broadcast(a, value)] or [a]
    return draw(st.sampled_from(BINARY))(a, draw(st.sampled_from(partners)))


def _broadcast(a: Value, b: Value) -> bool:
    try:
        size = np.prod(np.broadcast_shapes(a.type.sizes, b.type.sizes))
    except ValueError:
        return False
    return bool(size <= 200)


def _product(a: Value, b: Value) -> Value:
    """Some product of the two: plain or transposed, whatever fits, scaled to stay bounded."""
    if a.rank != 2 or b.rank != 2:
        return ops.tanh(a)
    for transpose_a in (False, True):
        for transpose_b in (False, True):
            inner_a = a.shape[0] if transpose_a else a.shape[1]
            inner_b = b.shape[1] if transpose_b else b.shape[0]
            if inner_a == inner_b:
                product = matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
                return product * (1.0 / max(inner_a or 1, 1))
    return ops.tanh(a)


def _fit(value: Value, leaf: Value) -> Value:
    """Something of ``leaf``'s shape made from ``value``: itself if it has that shape."""
    if value.type == leaf.type:
        return value
    return leaf * 0.5 + ops.mean(value)
