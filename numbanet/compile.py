"""The pipeline, from a recorded graph to a program that a device can run.

::

    bind -> decompose -> fold -> algebra -> layout -> cse -> reads -> epilogue -> fuse
    -> matmul_update -> measured -> pooled -> rows -> plan

Each stage takes a printable value and returns the next one. ``Options`` switches off the stages
that only make programs faster; the results are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from numbanet.ir import Graph, TensorType
from numbanet.ir.verify import verify
from numbanet.ops.composite import MEASURED, POOLED, ROWS
from numbanet.ops.matmul import MATMUL_UPDATE
from numbanet.passes.algebra import algebra
from numbanet.passes.bind import bind
from numbanet.passes.cse import cse
from numbanet.passes.decompose import decompose
from numbanet.passes.epilogue import epilogue
from numbanet.passes.fold import fold
from numbanet.passes.fuse import fuse
from numbanet.passes.layout import layout
from numbanet.passes.measured import measured
from numbanet.passes.pools import pools
from numbanet.passes.reads import reads
from numbanet.passes.rows import rows
from numbanet.passes.updates import updates
from numbanet.plan.planner import plan
from numbanet.plan.program import Program
from numbanet.runtime.device import Device

PASSES: tuple[tuple[str, Callable[[Graph], Graph]], ...] = (
    ("fold", fold),
    ("algebra", algebra),
    ("layout", layout),
    ("cse", cse),
    ("reads", reads),
    ("epilogue", epilogue),
    ("fuse", fuse),
    (MATMUL_UPDATE.name, updates),
    (MEASURED.name, measured),
    (POOLED.name, pools),
    (ROWS.name, rows),
)
"""The optional passes, in the order in which they run."""

_COMPOSITES = frozenset({MATMUL_UPDATE.name, MEASURED.name, POOLED.name, ROWS.name})
"""Passes that make an op of their name, for devices that have kernels for it."""


@dataclass(frozen=True)
class Options:
    """What the pipeline does.

    Attributes
    ----------
    passes : frozenset of str
        Names of the optional passes that run; all by default.
    reuse_memory : bool
        Whether values that never live at once share memory.
    join_launches : bool
        Whether independent calls become one launch, where the device can do that.
    parallel_lanes : bool
        Whether launches run side by side, where the device can do that and it pays.
    """

    passes: frozenset[str] = frozenset(name for name, _ in PASSES)
    reuse_memory: bool = True
    join_launches: bool = True
    parallel_lanes: bool = True

    def __post_init__(self) -> None:
        unknown = self.passes - {name for name, _ in PASSES}
        if unknown:
            raise ValueError(f"unknown passes: {', '.join(sorted(unknown))}")


def compile_program(
    graph: Graph,
    device: Device,
    *,
    types: Mapping[str, TensorType] | None = None,
    options: Options | None = None,
) -> Program:
    """Compile ``graph`` for ``device``.

    Parameters
    ----------
    types : dict of str to TensorType, optional
        Known types of inputs that were recorded with an unknown batch size.

    Raises
    ------
    ShapeError, DTypeError, GraphError
        If the types do not fit the graph.
    """
    options = options or Options()
    return plan(
        optimise(bind(graph, types or {}), device.native, options),
        device.lower,
        device.alignment,
        join=device.join if options.join_launches else None,
        estimate=device.estimate if options.parallel_lanes else None,
        reuse_memory=options.reuse_memory,
    )


def optimise(graph: Graph, native: frozenset[str], options: Options) -> Graph:
    """``graph`` in ops that a device has kernels for, rewritten by the passes that are on."""
    verify(graph)
    graph = decompose(graph, native)
    for name, rewrite in PASSES:
        has_kernels = name not in _COMPOSITES or name in native
        if name in options.passes and has_kernels:
            graph = rewrite(graph)
            verify(graph)
    return graph
