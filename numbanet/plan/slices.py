"""Slices: values that are not added up before somebody reads them.

A split product, or a fold in parts, leaves a value as slices in scratch memory, and a call of
its own adds them up. Where one call alone reads the value, and can add up slices as it reads,
the other is not needed: an elementwise kernel takes them, an optimizer's kernel takes those of
many gradients at once. Lowerings say which calls can leave slices (`Call.sliced`) and which can
take them (`Call.adding`); here the two are brought together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from numbanet.ir import Graph, Node, Value
from numbanet.kernels.kernel import Call, Part
from numbanet.ops.state import PACK, PackAttrs
from numbanet.plan.schedule import roots

MOST_BYTES = 4 << 20
"""Of a value's slices. More of them are better added up while they are in the cache, and their
memory used again, whatever a launch costs."""
MOST_PARTS = 64
"""Values in slices that one call reads: each is an argument of its kernel."""

Calls = dict[Node, tuple[Call, ...]]
_Reading = tuple[Node, int, int]
"""A node, the number of one of its calls, the position of an argument."""


def take_slices(calls: Calls, graph: Graph, *, join: bool) -> Calls:
    """``calls``, with some that leave and take slices in the place of others.

    Parameters
    ----------
    calls : dict of Node to tuple of Call
        In an order in which they can run.
    graph : Graph
        What they compute, materialised.
    join : bool
        If not, the same slices are left, and added up by calls of their own: the same bits.
    """
    changed = dict(calls)
    for node, offers in _offers(calls, graph).items():
        readers = list(changed[node])
        found = [(offer, _taking(readers[offer.call], offer)) for offer in offers]
        offer, taking = next((each for each in found if each[1] is not None), (None, None))
        if offer is None or taking is None:
            continue
        for source, part in offer.parts.items():
            slices = part.slices
            changed[source] = slices.calls if join else (*slices.calls, slices.add)
        if join:
            readers[offer.call] = taking
            changed[node] = tuple(readers)
    return changed


@dataclass
class _Offer:
    """Parts, by the nodes that compute them, of the argument that a node's call reads."""

    call: int
    position: int
    parts: dict[Node, Part] = field(default_factory=dict)


def _taking(reader: Call, offer: _Offer) -> Call | None:
    parts = sorted(offer.parts.values(), key=lambda part: part.first)
    return None if reader.adding is None else reader.adding(offer.position, parts)


def _offers(calls: Calls, graph: Graph) -> dict[Node, list[_Offer]]:
    """Of each node what its calls might take."""
    root = roots(graph.nodes)
    readings = _readings(calls, root)
    kept = _kept(graph, root)
    found: dict[Node, dict[tuple[int, int], _Offer]] = defaultdict(dict)
    for node, mine in calls.items():
        sliced = mine[-1].sliced if mine else None
        if sliced is None or node.output in kept or len(readings[node.output]) != 1:
            continue
        ((reader, call, position),) = readings[node.output]
        argument = calls[reader][call].arguments[position]
        place = _place(node.output, argument, root)
        if place is None or calls[reader][call].adding is None:
            continue
        slices = sliced()
        offer = found[reader].setdefault((call, position), _Offer(call, position))
        is_small = slices.count > 1 and slices.memory.nbytes <= MOST_BYTES
        if is_small and len(offer.parts) < MOST_PARTS:
            offer.parts[node] = Part(*place, slices)
    return {
        node: [offer for offer in offers.values() if offer.parts]
        for node, offers in found.items()
    }


def _readings(
    calls: Calls, root: Mapping[Value, Value]
) -> dict[Value, list[tuple[Node, int, int]]]:
    """By value the calls that read it, or something that it is a part of: node, number among
    its calls, position of the argument."""
    found: dict[Value, list[tuple[Node, int, int]]] = defaultdict(list)
    for node, mine in calls.items():
        for number, call in enumerate(mine):
            for position, argument in enumerate(call.arguments):
                if isinstance(argument, Value) and position not in call.writes:
                    source = root[argument]
                    for value in (source, *_parts(source, root)):
                        found[value].append((node, number, position))
    return found


def _parts(value: Value, root: Mapping[Value, Value]) -> Sequence[Value]:
    return [root[part] for part in value.node.inputs] if value.node.op is PACK else ()


def _kept(graph: Graph, root: Mapping[Value, Value]) -> set[Value]:
    """What is wanted when the step is done."""
    values = (*graph.outputs.values(), *(update.new for update in graph.updates))
    sources = {root[value] for value in values}
    return sources.union(*(_parts(source, root) for source in sources))


def _place(
    value: Value, argument: object, root: Mapping[Value, Value]
) -> tuple[int, int, int] | None:
    """Where in ``argument`` the elements of ``value`` are, how many, and how many zeros follow
    them; None if it is no more than a part of that memory."""
    if not isinstance(argument, Value) or root[argument].type.size != argument.type.size:
        return None
    source, size = root[argument], value.type.size
    if source is value:
        return 0, size, 0
    attrs = source.node.attrs
    if not isinstance(attrs, PackAttrs):
        return None
    number = _parts(source, root).index(value)
    first = attrs.offsets[number]
    return first, size, (*attrs.offsets, attrs.size)[number + 1] - first - size
