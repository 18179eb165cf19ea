"""Winograd's transforms F(4 x 4, 3 x 3), for vectors of channels.

A patch of 6 x 6 pixels holds all 4 x 4 windows of 3 x 3 taps. Their sums of products come of 36
products, and not 144, of the transformed patch and the transformed taps (Lavin and Gray, "Fast
algorithms for convolutional neural networks", 2016): each number of a patch is the value of a
polynomial at one of the points 0, a, -a, b, -b and infinity, along either axis.

The points decide how exact that is. With 5/8 and 3/2, results in float32 are as far from the
true ones as a plain sum's; with the usual 1 and 2 they are three times as far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from numbanet.ir.types import DType

_A, _B = 0.625, 1.5
_A2, _B2 = _A * _A, _B * _B

_INT = ir.IntType(64)
_Value = Any
"""A value of llvmlite's; type checkers cannot see what it has."""


class _Vectors:
    """Arithmetic on vectors, written into a function."""

    def __init__(self, builder: ir.IRBuilder, dtype: DType, lanes: int) -> None:
        self._builder = builder
        element = ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType()
        self.type = ir.VectorType(element, lanes)
        function_type = ir.FunctionType(self.type, [self.type] * 3)
        name = f"llvm.fmuladd.v{lanes}f{8 * dtype.itemsize}"
        self._fmuladd = cgutils.get_or_insert_function(builder.module, function_type, name)

    def add(self, x: _Value, y: _Value) -> _Value:
        return self._builder.fadd(x, y)

    def subtract(self, x: _Value, y: _Value) -> _Value:
        return self._builder.fsub(x, y)

    def times(self, number: float, x: _Value, y: _Value | None = None) -> _Value:
        """``number * x``, plus ``y`` if it is given."""
        factor = ir.Constant(self.type, [number] * self.type.count)
        if y is None:
            return self._builder.fmul(factor, x)
        return self._builder.call(self._fmuladd, [factor, x, y])

    def around(self, even: _Value, odd: _Value, number: float) -> tuple[_Value, _Value]:
        """``even + number * odd`` and ``even - number * odd``."""
        return self.times(number, odd, even), self.times(-number, odd, even)


_Strides = tuple[int | None, int]
_Places = Callable[[int, int], _Value]
_Transform = Callable[[_Vectors, Sequence[_Value]], list[_Value]]


def pixels(of: _Vectors, d: Sequence[_Value]) -> list[_Value]:
    """Six pixels, by the polynomials that are zero at all points but one."""
    ends = [
        of.times(_A2 * _B2, low, of.times(-_A2 - _B2, middle, high))
        for low, middle, high in ((d[0], d[2], d[4]), (d[1], d[3], d[5]))
    ]
    at_a = of.around(of.times(-_B2, d[2], d[4]), of.times(-_B2, d[1], d[3]), _A)
    at_b = of.around(of.times(-_A2, d[2], d[4]), of.times(-_A2, d[1], d[3]), _B)
    return [ends[0], *at_a, *at_b, ends[1]]


def taps(of: _Vectors, g: Sequence[_Value]) -> list[_Value]:
    """The polynomial of three taps at six points, over what `pixels` is too large by."""
    found = [of.times(1 / (_A2 * _B2), g[0])]
    for point, other in ((_A, _B), (_B, _A)):
        scale = 1 / (2 * point * point * (point * point - other * other))
        even = of.times(scale, g[0], of.times(scale * point * point, g[2]))
        found += of.around(even, g[1], scale * point)
    return [*found, g[2]]


def windows(of: _Vectors, m: Sequence[_Value]) -> list[_Value]:
    """Four sums from six products."""
    (even_a, odd_a), (even_b, odd_b) = (
        (of.add(plus, minus), of.subtract(plus, minus))
        for plus, minus in ((m[1], m[2]), (m[3], m[4]))
    )
    return [
        of.add(of.add(m[0], even_a), even_b),
        of.times(_A, odd_a, of.times(_B, odd_b)),
        of.times(_A2, even_a, of.times(_B2, even_b)),
        of.times(_A * _A2, odd_a, of.times(_B * _B2, odd_b, m[5])),
    ]


def patch_transform(
    transform: _Transform,
    size: int,
    dtype: DType,
    lanes: int,
    source: _Strides,
    target: _Strides,
) -> Callable[..., None]:
    """An intrinsic that transforms a square patch along both axes.

    Parameters
    ----------
    source, target : (int or None, int)
        Distances in elements between two rows and two columns of vectors; None is a distance
        that is known when the function is called only.

    Returns
    -------
    function
        ``apply(source, source_row, target, target_row)``: from ``size x size`` vectors. The
        rows' distances are looked at only where none is known.
    """

    @intrinsic
    def apply(typingctx: Any, x: Any, x_row: Any, y: Any, y_row: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            of = _Vectors(builder, dtype, lanes)

            def places(base: _Value, row: _Value, strides: _Strides) -> _Places:
                known, column = strides

                def place(i: int, j: int) -> _Value:
                    distance = builder.mul(row, _INT(i)) if known is None else _INT(i * known)
                    element = builder.gep(builder.gep(base, [distance]), [_INT(j * column)])
                    return builder.bitcast(element, of.type.as_pointer())

                return place

            read = places(args[0], args[1], source)
            write = places(args[2], args[3], target)
            span, align = range(size), dtype.itemsize
            columns = [
                transform(of, [builder.load(read(i, j), align=align) for i in span])
                for j in span
            ]
            for i, line in enumerate(zip(*columns, strict=True)):
                for j, value in enumerate(transform(of, line)):
                    builder.store(value, write(i, j), align=align)
            return context.get_dummy_value()

        n = types.int64
        return types.none(x, n, y, n), generate

    return apply
