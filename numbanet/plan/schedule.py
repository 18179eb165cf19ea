"""Schedule: the order in which a graph's nodes run.

Two orders are tried, depth first and greedy by memory, and the one with the smaller live set is
taken. An update's new value comes after everything that reads the old one wherever the graph
allows, so that it can be written over it.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from numbanet.ir import Graph, Node, Value
from numbanet.ops.state import PackAttrs


@dataclass(frozen=True, eq=False)
class Schedule:
    """Nodes in running order, leaves left out.

    ``live_bytes`` is the largest sum of the sizes of values that are needed at once: what no
    memory plan for this order can go below, in-place operations aside.
    """

    nodes: tuple[Node, ...]
    live_bytes: int

    def __str__(self) -> str:
        lines = [f"schedule: {len(self.nodes)} nodes, live set {self.live_bytes:,} bytes"]
        for i, node in enumerate(self.nodes):
            types = ", ".join(str(value.type) for value in node.outputs)
            lines.append(f"  {i:4d}  {node.op.name:20s} {types}  {node.path}".rstrip())
        return "\n".join(lines)


def schedule(graph: Graph) -> Schedule:
    nodes = tuple(node for node in graph.nodes if not node.op.is_leaf)
    before = _predecessors(graph, nodes)
    kept = set(graph.results)
    orders = (_depth_first(nodes, before), _greedy(nodes, before, kept))
    return min(
        (Schedule(order, _live_bytes(order, kept)) for order in orders),
        key=lambda candidate: candidate.live_bytes,
    )


def roots(nodes: Iterable[Node]) -> dict[Value, Value]:
    """For each value the one whose memory it lies in: itself, unless it is a view."""
    root: dict[Value, Value] = {}
    for node in nodes:
        is_view = node.op.view is not None and node.op.view(node) is not None
        for value in node.outputs:
            root[value] = root[node.inputs[0]] if is_view else value
    return root


def spans(nodes: Iterable[Node]) -> dict[Value, tuple[Value, int, int]]:
    """For each value the one whose memory it lies in, and its first and last byte there."""
    found: dict[Value, tuple[Value, int, int]] = {}
    for node in nodes:
        shift = None if node.op.view is None else node.op.view(node)
        for value in node.outputs:
            root, start = value, 0
            if shift is not None:
                root, start, _ = found[node.inputs[0]]
                start += shift * value.dtype.itemsize
            found[value] = root, start, start + value.type.nbytes
    return found


def written_parts(value: Value) -> list[tuple[Value, int]]:
    """What is computed into the memory of ``value``, with the first byte of each: the parts of
    a pack, else itself."""
    attrs = value.node.attrs
    if not isinstance(attrs, PackAttrs):
        return [(value, 0)]
    itemsize = value.dtype.itemsize
    starts = (offset * itemsize for offset in attrs.offsets)
    return list(zip(value.node.inputs, starts, strict=True))


def _predecessors(graph: Graph, nodes: tuple[Node, ...]) -> dict[Node, list[Node]]:
    """Producers of each node's inputs, and the readers of the old value before its update."""
    before = {
        node: [value.node for value in node.inputs if not value.node.op.is_leaf]
        for node in nodes
    }
    span = spans(graph.nodes)
    readers: dict[Value, list[tuple[Node, int, int]]] = defaultdict(list)
    for node in nodes:
        for value in node.inputs:
            root, start, end = span[value]
            readers[root].append((node, start, end))
    for update in graph.updates:
        for part, low in written_parts(update.new):
            writer, high = span[part][0].node, low + part.type.nbytes
            if writer in before:
                later = _descendants(writer, before)
                before[writer] += [
                    node
                    for node, start, end in readers[update.old]
                    if start < high and low < end and node not in later
                ]
    return before


def _descendants(start: Node, before: Mapping[Node, list[Node]]) -> set[Node]:
    """``start`` and all nodes that must come after it."""
    after: dict[Node, list[Node]] = defaultdict(list)
    for node, sources in before.items():
        for source in sources:
            after[source].append(node)
    found = {start}
    stack = [start]
    while stack:
        for node in after[stack.pop()]:
            if node not in found:
                found.add(node)
                stack.append(node)
    return found


def _depth_first(
    nodes: tuple[Node, ...], before: Mapping[Node, list[Node]]
) -> tuple[Node, ...]:
    order: list[Node] = []
    opened: set[Node] = set()
    done: set[Node] = set()
    for target in nodes:
        stack = [target]
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
            elif node in opened:
                stack.pop()
                done.add(node)
                order.append(node)
            else:
                opened.add(node)
                stack.extend(source for source in reversed(before[node]) if source not in done)
    return tuple(order)


def _greedy(
    nodes: tuple[Node, ...], before: Mapping[Node, list[Node]], kept: set[Value]
) -> tuple[Node, ...]:
    """Among the nodes that are ready, run the one after which the least memory is in use."""
    position = {node: i for i, node in enumerate(nodes)}
    root = roots(_with_leaves(nodes))
    waiting = {node: len(set(before[node])) for node in nodes}
    after: dict[Node, list[Node]] = defaultdict(list)
    for node in nodes:
        for source in set(before[node]):
            after[source].append(node)
    uses: dict[Value, set[Node]] = defaultdict(set)
    for node in nodes:
        for value in node.inputs:
            uses[root[value]].add(node)
    pinned = {root[value] for value in kept}

    def growth(node: Node) -> int:
        made = sum(value.type.nbytes for value in node.outputs if root[value] is value)
        sources = {root[value] for value in node.inputs}
        freed = sum(
            value.type.nbytes
            for value in sources
            if not value.node.op.is_leaf and value not in pinned and uses[value] == {node}
        )
        return made - freed

    ready = [(growth(node), position[node], node) for node in nodes if not waiting[node]]
    heapq.heapify(ready)
    order: list[Node] = []
    while ready:
        cost, place, node = heapq.heappop(ready)
        # Costs change as readers finish; a stale entry goes back with its present cost.
        now = growth(node)
        if now > cost:
            heapq.heappush(ready, (now, place, node))
            continue
        order.append(node)
        for value in node.inputs:
            uses[root[value]].discard(node)
        for following in after[node]:
            waiting[following] -= 1
            if not waiting[following]:
                heapq.heappush(ready, (growth(following), position[following], following))
    return tuple(order)


def _with_leaves(nodes: tuple[Node, ...]) -> Iterable[Node]:
    seen: set[Node] = set()
    for node in nodes:
        for value in node.inputs:
            if value.node.op.is_leaf and value.node not in seen:
                seen.add(value.node)
                yield value.node
        yield node


def _live_bytes(order: tuple[Node, ...], kept: set[Value]) -> int:
    root = roots(_with_leaves(order))
    last: dict[Value, int] = {}
    for i, node in enumerate(order):
        for value in node.inputs:
            last[root[value]] = i
    for value in kept:
        if not value.node.op.is_leaf:
            last[root[value]] = len(order)
    ending: dict[int, int] = defaultdict(int)
    live = peak = 0
    for i, node in enumerate(order):
        for value in node.outputs:
            if root[value] is value:
                live += value.type.nbytes
                ending[last.get(value, i)] += value.type.nbytes
        peak = max(peak, live)
        live -= ending[i]
    return peak
