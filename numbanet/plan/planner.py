"""From a graph of lowered ops to a program: order, calls, memory, addresses.

::

    materialise -> schedule -> lower -> slices -> group -> lanes -> place -> arrange -> Program
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from numbanet.ir import Graph, Node, Value
from numbanet.ir.scope import common_path
from numbanet.kernels.kernel import Call, Scratch, Table
from numbanet.ops.state import PACK
from numbanet.plan.dependencies import needs
from numbanet.plan.group import Join, Lowered, group
from numbanet.plan.lanes import Estimate, Lanes, assign
from numbanet.plan.materialise import materialise
from numbanet.plan.memory import Block, Layout, arrange, check
from numbanet.plan.placement import Placement, late_updates, place, share_in_place
from numbanet.plan.program import Address, Buffer, Launch, Program
from numbanet.plan.schedule import schedule
from numbanet.plan.slices import take_slices

Lower = Callable[[Node], tuple[Call, ...]]


def plan(
    graph: Graph,
    lower: Lower,
    alignment: int,
    *,
    join: Join | None = None,
    estimate: Estimate | None = None,
    reuse_memory: bool = True,
) -> Program:
    """The program that computes ``graph``, whose ops ``lower`` all takes.

    Parameters
    ----------
    alignment : int
        Bytes; the address of every value in the arena is a multiple.
    join : callable, optional
        Makes one launch of several calls, see `numbanet.plan.group`.
    estimate : callable, optional
        What a call takes, for calls that may run side by side, see `numbanet.plan.lanes`.
    reuse_memory : bool
        Whether values that never live at once may share memory. Results are the same.
    """
    graph, lowered, placement = _scheduled(graph, lower, join)
    calls = [each.call for each in lowered]
    lanes = assign(calls, needs(calls, graph), estimate)
    if reuse_memory:
        share_in_place(calls, placement, lanes)
    for block in placement.arena_blocks():
        block.outlive(lanes.windows)
    layout = arrange(placement.arena_blocks(), alignment, reuse=reuse_memory)
    check(layout)
    return _program(lowered, lanes, placement, layout)


def _scheduled(
    graph: Graph, lower: Lower, join: Join | None
) -> tuple[Graph, list[Lowered], Placement]:
    """Schedule and place; where an update comes too early for its readers, copy and retry."""
    late: set[Value] = set()
    while True:
        ready = materialise(graph, late)
        order = schedule(ready)
        lowered = {node: lower(node) for node in order.nodes if not _is_memory_only(node)}
        lowered = take_slices(lowered, ready, join=join is not None)
        calls = [
            Lowered(call, (node,))
            for node, mine in lowered.items()
            for call in mine
            if call.tiles > 0
        ]
        if join is not None:
            calls = group(calls, ready, join)
        placement = place(ready, order, [each.call for each in calls])
        early = late_updates(ready, [each.call for each in calls], placement) - late
        if not early:
            return ready, calls, placement
        late |= early


def _is_memory_only(node: Node) -> bool:
    """Whether placing the values is all there is to do."""
    if node.op is PACK:
        return True
    return node.op.view is not None and node.op.view(node) is not None


def _program(
    calls: list[Lowered],
    lanes: Lanes,
    placement: Placement,
    layout: Layout,
) -> Program:
    arena = Buffer("arena", "arena", layout.nbytes)

    def address(block: Block, offset: int) -> Address:
        outer, inner = block.resolve()
        if outer.buffer is not None:
            return Address(outer.buffer, inner + offset)
        return Address(arena, layout.offsets.get(outer, 0) + inner + offset)

    launches = tuple(
        replace(_launch(each, placement, address), lane=lane, after=waits)
        for each, lane, waits in zip(calls, lanes.of, lanes.waits, strict=True)
    )
    fixed = dict.fromkeys(placement.buffers)
    return Program(
        launches=launches,
        buffers=(arena, *fixed),
        inputs={b.name: b for b in fixed if b.kind == "input"},
        outputs={b.name: b for b in fixed if b.kind == "output"},
        variables={b.variable: b for b in fixed if b.variable is not None},
        live_bytes=layout.lower_bound,
    )


def _launch(
    lowered: Lowered, placement: Placement, address: Callable[[Block, int], Address]
) -> Launch:
    call = lowered.call
    shifts = dict(call.offsets)
    arguments: list[Address | int | float] = []
    for position, argument in enumerate(call.arguments):
        if isinstance(argument, Value | Scratch | Table):
            block, offset = placement.where(argument)
            place = address(block, offset + shifts.get(position, 0))
            slices = argument.slices if isinstance(argument, Scratch) else 1
            arguments.append(replace(place, slices=slices))
        else:
            arguments.append(argument)
    return Launch(
        kernel=call.kernel,
        arguments=tuple(arguments),
        tiles=call.tiles,
        op="+".join(dict.fromkeys(node.op.name for node in lowered.nodes)),
        path=common_path(node.path for node in lowered.nodes),
        nbytes=call.nbytes,
        flops=call.flops,
        writes=call.writes,
        nodes=lowered.nodes,
    )
