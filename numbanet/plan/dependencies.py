"""Dependencies: which calls must be done before another starts, by what memory they touch.

A view stands for what it is a part of, a pack for all its parts, and the new value of a
variable for the old one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from numbanet.ir import Graph, Value
from numbanet.kernels.kernel import Call, Scratch
from numbanet.ops.state import PACK
from numbanet.plan.schedule import roots

Memory = Callable[[Value | Scratch], Iterable[object]]


def needs(calls: Sequence[Call], graph: Graph) -> list[set[int]]:
    """Of each call those before it that must be done when it starts.

    Parameters
    ----------
    calls : sequence of Call
        In an order in which they can run.
    graph : Graph
        What they compute, materialised.
    """
    memory = _memory(graph)
    readers: dict[object, list[int]] = defaultdict(list)
    writers: dict[object, list[int]] = defaultdict(list)
    found: list[set[int]] = []
    for i, call in enumerate(calls):
        needed: set[int] = set()
        touched: list[tuple[object, bool]] = [
            (place, position in call.writes)
            for position, argument in enumerate(call.arguments)
            if isinstance(argument, Value | Scratch)
            for place in memory(argument)
        ]
        for place, is_written in touched:
            needed.update(readers[place] if is_written else ())
            is_piece = is_written and call.is_piece
            needed.update(j for j in writers[place] if not (is_piece and calls[j].is_piece))
        for place, is_written in touched:
            (writers if is_written else readers)[place].append(i)
        found.append(needed - {i})
    return found


def _memory(graph: Graph) -> Memory:
    """What stands for the memory that a value or scratch lies in, or that its parts lie in."""
    root = roots(graph.nodes)
    old = {
        part: root[update.old]
        for update in graph.updates
        for part in (root[update.new], *_parts(root[update.new], root))
    }

    def memory(argument: Value | Scratch) -> Iterable[object]:
        if isinstance(argument, Scratch):
            return (argument,)
        source = root[argument]
        found = [source, *_parts(source, root)]
        return [*found, *(old[each] for each in found if each in old)]

    return memory


def _parts(value: Value, root: Mapping[Value, Value]) -> list[Value]:
    """What is computed into the memory of ``value``, if it is a pack."""
    return [root[part] for part in value.node.inputs] if value.node.op is PACK else []
