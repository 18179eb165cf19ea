"""A square of numbers transposed in registers: LLVM written by hand, as in `register_tile`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from numbanet.ir.types import DType

_INT = ir.IntType(64)


def transpose_square(dtype: DType, lanes: int) -> Callable[..., None]:
    """An intrinsic that copies ``lanes`` x ``lanes`` numbers, rows to columns.

    Returns
    -------
    function
        ``transpose(target, target_row, source, source_row, rows)``: strides in elements.
        If there are fewer than ``lanes`` rows, the targets' columns from ``rows`` on are
        filled with copies of the last row.
    """
    element = ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType()
    vector = ir.VectorType(element, lanes)

    @intrinsic
    def transpose(
        typingctx: Any, target: Any, target_row: Any, source: Any, source_row: Any, rows: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            target, target_row, source, source_row, rows = args
            last = builder.sub(rows, _INT(1))
            vectors = []
            for row in range(lanes):
                is_there = builder.icmp_signed("<", _INT(row), rows)
                distance = builder.mul(builder.select(is_there, _INT(row), last), source_row)
                address = builder.gep(source, [distance])
                address = builder.bitcast(address, vector.as_pointer())
                vectors.append(builder.load(address, align=dtype.itemsize))
            for row, value in enumerate(_transposed(builder, vectors)):
                address = builder.gep(target, [builder.mul(target_row, _INT(row))])
                address = builder.bitcast(address, vector.as_pointer())
                builder.store(value, address, align=dtype.itemsize)
            return context.get_dummy_value()

        n = types.int64
        return types.none(target, n, source, n, n), generate

    return transpose


def _transposed(builder: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """Exchange ever larger off-diagonal squares, as in Eklundh's method."""
    lanes = len(rows)
    rows = list(rows)
    size = 1
    while size < lanes:
        upper = [j if not j & size else lanes + j - size for j in range(lanes)]
        lower = [j + size if not j & size else lanes + j for j in range(lanes)]
        for i in (i for i in range(lanes) if not i & size):
            pair = rows[i], rows[i + size]
            rows[i] = builder.shuffle_vector(*pair, _mask(upper))
            rows[i + size] = builder.shuffle_vector(*pair, _mask(lower))
        size *= 2
    return rows


def _mask(lanes: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
