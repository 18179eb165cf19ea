"""What Python's operators on values record."""

from __future__ import annotations

from numbanet.ir.value import OPERATORS
from numbanet.ops import arithmetic, comparison, slices
from numbanet.ops.matmul import matmul

OPERATORS.update(
    {
        "add": arithmetic.add,
        "subtract": arithmetic.subtract,
        "multiply": arithmetic.multiply,
        "divide": arithmetic.divide,
        "power": arithmetic.power,
        "matmul": matmul,
        "negative": arithmetic.negative,
        "absolute": arithmetic.absolute,
        "less": comparison.less,
        "less_equal": comparison.less_equal,
        "greater": comparison.greater,
        "greater_equal": comparison.greater_equal,
        "getitem": slices.getitem,
    }
)
