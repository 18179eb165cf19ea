"""Concatenation, padding and packing; and copies of what could not stay where it is."""

from __future__ import annotations

from numbanet.ir import Node
from numbanet.kernels.cpu.fused import elementwise_calls
from numbanet.kernels.cpu.registry import lowering
from numbanet.kernels.kernel import Call
from numbanet.kernels.movement import MOVEMENTS, pieces


@lowering(*MOVEMENTS)
def lower_movement(node: Node) -> tuple[Call, ...]:
    """A call for each piece."""
    return tuple(
        call
        for piece in pieces(node)
        for call in elementwise_calls(piece.expression, piece.shape, piece.reads, piece.writes)
    )
