"""Materialise: copies, where a result could not be computed in the place where it must end up.

Every output, every new value of a variable and every part of a packed buffer is to be written
where it belongs by the kernel that computes it. That is possible for a value that owns all of
its memory and is wanted in one place. A leaf, a part of something larger, or a value wanted in
two places is copied first.
"""

from __future__ import annotations

from collections.abc import Collection

from numbanet.ir import Graph, Node, Update, Value, at_path, rewrite
from numbanet.ops.expression import identity
from numbanet.ops.fused import FUSED, FusedAttrs, contiguous
from numbanet.ops.state import PACK
from numbanet.plan.schedule import roots


def materialise(graph: Graph, late: Collection[Value] = ()) -> Graph:
    """``graph`` with copies, so that each result can be placed where it belongs.

    ``late`` names old values (leaves) that are still read when their new value is computed:
    those updates get a copy that can run after all readers.
    """
    graph = _copy_into_packs(graph)
    root = roots(graph.nodes)
    claimed = {root[value] for node in graph.nodes if node.op is PACK for value in node.inputs}

    def placed(value: Value, *, is_zeroed: bool) -> Value:
        source = root[value]
        is_fit = not has_gaps(source.node) or (is_zeroed and value is source)
        if not _owns_memory(value, root) or source in claimed or not is_fit:
            return _copy(value)
        claimed.add(source)
        return value

    def aside(value: Value) -> Value:
        """``value`` computed in memory of its own, and copied once the readers are done."""
        return _copy(value if _owns_memory(value, root) else _copy(value))

    outputs = {name: placed(value, is_zeroed=True) for name, value in graph.outputs.items()}
    updates = tuple(
        Update(u.old, aside(u.new) if u.old in late else placed(u.new, is_zeroed=False))
        for u in graph.updates
    )
    return Graph(graph.inputs, outputs, updates)


def _copy_into_packs(graph: Graph) -> Graph:
    claimed: set[Value] = set()
    root = roots(graph.nodes)
    replaceable: dict[tuple[Node, int], bool] = {}
    for node in graph.nodes:
        if node.op is not PACK:
            continue
        for position, value in enumerate(node.inputs):
            source = root[value]
            free = _owns_memory(value, root) and source not in claimed
            replaceable[node, position] = free and source.node.op is not PACK
            claimed.add(source)

    def replace(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op is not PACK:
            return None
        parts = tuple(
            value if replaceable[node, position] else _copy(value)
            for position, value in enumerate(inputs)
        )
        return node.op.node(*parts, attrs=node.attrs, path=node.path).outputs

    return rewrite(graph, replace)


def has_gaps(node: Node) -> bool:
    """Whether ``node`` is a pack with gaps: its memory must be zero to begin with."""
    if node.op is not PACK:
        return False
    return sum(value.type.size for value in node.inputs) < node.output.type.size


def _owns_memory(value: Value, root: dict[Value, Value]) -> bool:
    source = root[value]
    return not source.node.op.is_leaf and source.type.nbytes == value.type.nbytes


def _copy(value: Value) -> Value:
    shape = value.type.sizes
    with at_path(value.path):
        return FUSED(
            value, attrs=FusedAttrs(identity(value.dtype), shape, (contiguous(shape),))
        )
