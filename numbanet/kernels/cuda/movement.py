"""Ops that put tensors together: a launch for each piece, or one for all that are joined."""

from __future__ import annotations

from dataclasses import replace

from numbanet.ir import Node
from numbanet.kernels.cuda.fused import elementwise_calls
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.kernel import Call
from numbanet.kernels.movement import pieces


@lowering("concatenate", "pad")
def lower_movement(node: Node) -> tuple[Call, ...]:
    return tuple(
        replace(call, is_piece=True)
        for piece in pieces(node)
        for call in elementwise_calls(piece.expression, piece.shape, piece.reads, piece.writes)
    )
