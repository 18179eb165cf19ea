"""The innermost loop of every product: a block of sums kept in registers.

This is LLVM written by hand, because Numba has no vector types. One function holds a variant
for each height and width of the tile, so that the edges of a matrix cost little more than they
are worth; the last vector of an edge is loaded and stored under a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from numbanet.kernels.cpu.memory import emit_fetch
from numbanet.kernels.cpu.vector import RegisterTile

_INT = ir.IntType(64)
_LINE_BYTES = 64
_LEFT_AHEAD, _RIGHT_AHEAD = 16, 8
"""Steps between fetching an operand's lines and reading them: some 100 ns, and 50."""

_Value = Any
"""A value of llvmlite's; type checkers cannot see what it has."""


def tile_product(
    tile: RegisterTile,
    *,
    a_row: int | None,
    is_lanewise: bool = False,
    fetches_ahead: bool = False,
) -> Callable[..., None]:
    """An intrinsic that computes one block ``c = a @ b``, or ``c += a @ b``.

    The summed index has three levels, ``outer x middle x inner``, each with its stride in
    either operand: a plain product has only the inner one, a convolution steps over kernel rows
    and kernel columns too. The sum runs in that order.

    Parameters
    ----------
    a_row : int or None
        The left operand's row stride, where it is known: constant distances make the shortest
        instructions. ``a_free`` is its inner stride then; otherwise that is 1, and ``a_free``
        the row stride.
    is_lanewise : bool
        Whether each column has numbers of its own in the left operand, adjacent as those of
        the right one: ``c[i, j]`` is the sum of ``a[i, k, j] * b[k, j]``, as depthwise
        convolutions have it.
    fetches_ahead : bool
        Whether lines of the operands are called for some steps before they are needed: for
        operands whose steps are too far apart for the processor to foresee. A left operand
        whose steps follow one another it foresees.

    Returns
    -------
    function
        ``product(rows, columns, add, c, c_row, a, a_free, a_middle, a_outer, b, b_inner,
        b_middle, b_outer, inner, middle, outer)``: counts and strides in elements, none of
        the counts zero; ``rows`` is one of the tile's heights, ``columns`` what the tile was
        made for. Elements right of ``columns`` are neither read nor written.
    """

    variant = _LanewiseVariant if is_lanewise else _Variant

    @intrinsic
    def product(
        typingctx: Any,
        rows: Any,
        columns: Any,
        add: Any,
        c: Any,
        c_row: Any,
        a: Any,
        a_free: Any,
        a_middle: Any,
        a_outer: Any,
        b: Any,
        b_inner: Any,
        b_middle: Any,
        b_outer: Any,
        inner: Any,
        middle: Any,
        outer: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _emit_variants(tile, variant, a_row, fetches_ahead, builder, args)
            return context.get_dummy_value()

        n = types.int64
        signature = types.none(n, n, n, c, n, a, n, n, n, b, n, n, n, n, n, n)
        return signature, generate

    return product


def _emit_variants(
    tile: RegisterTile,
    variant: type[_Variant],
    a_row: int | None,
    fetches_ahead: bool,
    builder: ir.IRBuilder,
    args: Sequence[_Value],
) -> None:
    """A switch over the number of rows, and of vectors, and whether the last one is whole."""
    rows, columns, *rest = args
    vectors = builder.sdiv(builder.add(columns, _INT(tile.lanes - 1)), _INT(tile.lanes))
    fill = builder.mul(vectors, _INT(tile.lanes))
    is_partial = builder.zext(builder.icmp_signed("!=", columns, fill), _INT)
    width = builder.sub(builder.mul(vectors, _INT(2)), is_partial)
    widest = 2 * tile.most_vectors + 1
    done = builder.append_basic_block("tile.done")
    impossible = builder.append_basic_block("tile.impossible")
    number = builder.add(builder.mul(rows, _INT(widest)), width)
    switch = builder.switch(number, impossible)
    for height in tile.heights:
        for width in tile.widths:
            block = builder.append_basic_block(f"tile.{height}x{width}")
            switch.add_case(_INT(height * widest + width), block)
            builder.position_at_end(block)
            writer = variant(tile, builder, height, (width + 1) // 2)
            writer.fetches_ahead = fetches_ahead
            writer.emit(a_row, columns if width % 2 else None, rest)
            builder.branch(done)
    builder.position_at_end(impossible)
    builder.unreachable()
    builder.position_at_end(done)


class _Variant:
    """Writes the loop for a fixed number of rows and vectors."""

    def __init__(
        self, tile: RegisterTile, builder: ir.IRBuilder, rows: int, vectors: int
    ) -> None:
        self.builder = builder
        self.rows = rows
        self.vectors = vectors
        self.fetches_ahead = False
        self.lanes = tile.lanes
        self.itemsize = tile.dtype.itemsize
        self.element = ir.FloatType() if self.itemsize == 4 else ir.DoubleType()
        self.vector = ir.VectorType(self.element, tile.lanes)
        self.suffix = f"v{tile.lanes}f{8 * self.itemsize}"
        self.mask: _Value | None = None

    def emit(self, a_row: int | None, columns: _Value | None, args: Sequence[_Value]) -> None:
        add, c, c_row, a, a_free, a_middle, a_outer, b, b_inner, b_middle, b_outer = args[:11]
        inner, middle, outer = args[11:]
        if columns is not None:
            self.mask = self._tail_mask(columns)
        if a_row is None:
            addresses, a_inner = _FreeAddresses(self, a_free), _INT(1)
        else:
            # Unknown, the stride cannot become a multiple of the loop's counter: processors
            # take an address of two registers apart again.
            addresses, a_inner = _FixedAddresses(self, a_row), _opaque(self.builder, a_free)
        levels = [
            (outer, a_outer, b_outer),
            (middle, a_middle, b_middle),
            (inner, a_inner, b_inner),
        ]
        lines = [
            self.builder.gep(c, [self.builder.mul(c_row, _INT(i))]) for i in range(self.rows)
        ]
        places = [(line, v) for line in lines for v in range(self.vectors)]
        sums = self._nest(levels, addresses, a, b, self._first_sums(add, places))
        for value, place in zip(sums, places, strict=True):
            self._store(value, *place)

    def _first_sums(self, add: _Value, places: Sequence[tuple[_Value, int]]) -> list[_Value]:
        """What is at ``places`` if ``add``, else zeros."""
        builder = self.builder
        before = builder.block
        with builder.if_then(builder.icmp_signed("!=", add, _INT(0))):
            old = [self._load(*place) for place in places]
            loaded = builder.block
        sums = []
        for value in old:
            phi = builder.phi(self.vector)
            phi.add_incoming(value, loaded)
            phi.add_incoming(ir.Constant(self.vector, None), before)
            sums.append(phi)
        return sums

    def _tail_mask(self, columns: _Value) -> _Value:
        """Which lanes of the last vector lie left of ``columns``."""
        builder = self.builder
        left = builder.sub(columns, _INT((self.vectors - 1) * self.lanes))
        left32 = builder.trunc(left, ir.IntType(32))
        vector = ir.VectorType(ir.IntType(32), self.lanes)
        single = builder.insert_element(ir.Constant(vector, ir.Undefined), left32, _i32(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        splat = builder.shuffle_vector(single, ir.Constant(vector, ir.Undefined), zeros)
        lanes = ir.Constant(vector, list(range(self.lanes)))
        return builder.icmp_signed("<", lanes, splat)

    def _nest(
        self,
        levels: Sequence[tuple[_Value, _Value, _Value]],
        addresses: _FixedAddresses | _FreeAddresses,
        a: _Value,
        b: _Value,
        sums: list[_Value],
    ) -> list[_Value]:
        """Loops over the levels, outermost first; each runs at least once."""
        if not levels:
            return self._step(addresses.numbers(a), b, sums)
        builder = self.builder
        (count, a_stride, b_stride), *below = levels
        before = builder.block
        body = builder.append_basic_block("sum")
        builder.branch(body)
        builder.position_at_end(body)
        index, a_now, b_now = (builder.phi(each.type) for each in (count, a, b))
        sums_now = [builder.phi(self.vector) for _ in sums]
        if self.fetches_ahead and not below:
            self._fetch_left(addresses, a_now, a_stride)
            self._fetch_right(b_now, b_stride)
        new = self._nest(below, addresses, a_now, b_now, sums_now)
        after = builder.block
        steps = (
            (index, _INT(0), builder.add(index, _INT(1))),
            (a_now, a, builder.gep(a_now, [a_stride])),
            (b_now, b, builder.gep(b_now, [b_stride])),
            *zip(sums_now, sums, new, strict=True),
        )
        for phi, first, following in steps:
            phi.add_incoming(first, before)
            phi.add_incoming(following, after)
        end = builder.append_basic_block("sum.end")
        again = builder.icmp_signed("<", steps[0][2], count)
        builder.cbranch(again, body, end)
        builder.position_at_end(end)
        return new

    def _step(
        self, numbers: Sequence[_Value], b: _Value, sums: Sequence[_Value]
    ) -> list[_Value]:
        """One multiply-add into every sum."""
        right = [self._load(b, v) for v in range(self.vectors)]
        new: list[_Value] = []
        for row, number in enumerate(numbers):
            for v, left in enumerate(self._left(number)):
                old = sums[row * self.vectors + v]
                new.append(self._call("fmuladd", self.vector, [left, right[v], old]))
        return new

    def _left(self, number: _Value) -> list[_Value]:
        """What a row multiplies the right operand's vectors with."""
        return [self._splat(self.builder.load(number))] * self.vectors

    def _splat(self, number: _Value) -> _Value:
        builder = self.builder
        undefined = ir.Constant(self.vector, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        single = builder.insert_element(undefined, number, _i32(0))
        return builder.shuffle_vector(single, undefined, zeros)

    def _vector_address(self, base: _Value, v: int) -> _Value:
        address = self.builder.gep(base, [_INT(v * self.lanes)])
        return self.builder.bitcast(address, self.vector.as_pointer())

    def _is_masked(self, v: int) -> bool:
        return self.mask is not None and v == self.vectors - 1

    def _load(self, base: _Value, v: int) -> _Value:
        address = self._vector_address(base, v)
        if not self._is_masked(v):
            return self.builder.load(address, align=self.itemsize)
        zero = ir.Constant(self.vector, None)
        arguments = [address, _i32(self.itemsize), self.mask, zero]
        return self._call("masked.load", self.vector, arguments)

    def _store(self, value: _Value, base: _Value, v: int) -> None:
        address = self._vector_address(base, v)
        if not self._is_masked(v):
            self.builder.store(value, address, align=self.itemsize)
            return
        arguments = [value, address, _i32(self.itemsize), self.mask]
        self._call("masked.store", ir.VoidType(), arguments)

    def _fetch_left(
        self, addresses: _FixedAddresses | _FreeAddresses, a: _Value, stride: _Value
    ) -> None:
        if isinstance(addresses, _FixedAddresses):
            distance = self.builder.mul(stride, _INT(_LEFT_AHEAD))
            numbers = addresses.numbers(self.builder.gep(a, [distance]))
            emit_fetch(self.builder, numbers[0])
            emit_fetch(self.builder, numbers[-1])

    def _fetch_right(self, b: _Value, stride: _Value) -> None:
        step = self.builder.gep(b, [self.builder.mul(stride, _INT(_RIGHT_AHEAD))])
        for element in range(0, self.vectors * self.lanes, _LINE_BYTES // self.itemsize):
            emit_fetch(self.builder, self.builder.gep(step, [_INT(element)]))

    def _call(self, name: str, result: ir.Type, arguments: Sequence[Any]) -> _Value:
        suffix = self.suffix if name == "fmuladd" else f"{self.suffix}.p0"
        function_type = ir.FunctionType(result, [each.type for each in arguments])
        function = cgutils.get_or_insert_function(
            self.builder.module, function_type, f"llvm.{name}.{suffix}"
        )
        return self.builder.call(function, arguments)


class _LanewiseVariant(_Variant):
    """A variant whose left operand has a vector where others have a number."""

    def _left(self, number: _Value) -> list[_Value]:
        return [self._load(number, v) for v in range(self.vectors)]


class _FixedAddresses:
    """Left numbers at distances that are part of the instructions."""

    def __init__(self, variant: _Variant, stride: int) -> None:
        self.builder = variant.builder
        self.distances = [_INT(row * stride) for row in range(variant.rows)]

    def numbers(self, a: _Value) -> list[_Value]:
        return [self.builder.gep(a, [distance]) for distance in self.distances]


class _FreeAddresses:
    """Left numbers that lie any stride apart.

    Four rows share a base, from which processors reach them with one multiple of the stride.
    Left to itself LLVM steps from row to row, a chain of additions as long as the arithmetic.
    """

    def __init__(self, variant: _Variant, stride: _Value) -> None:
        self.builder = variant.builder
        self.rows = variant.rows
        bases = range(0, self.rows, 4)
        self.bases = [
            _opaque(self.builder, self.builder.mul(stride, _INT(row))) for row in bases
        ]
        steps = range(min(self.rows, 4))
        self.steps = [
            _opaque(self.builder, self.builder.mul(stride, _INT(row))) for row in steps
        ]

    def numbers(self, a: _Value) -> list[_Value]:
        bases = [self.builder.gep(a, [distance]) for distance in self.bases]
        return [
            self.builder.gep(bases[row // 4], [self.steps[row % 4]]) for row in range(self.rows)
        ]


def _opaque(builder: ir.IRBuilder, number: _Value) -> _Value:
    """The same number, of which LLVM no longer knows where it came from."""
    identity = ir.FunctionType(_INT, [_INT])
    return builder.asm(identity, "", "=r,0", [number], side_effect=False)


def _i32(number: int) -> ir.Constant:
    return ir.Constant(ir.IntType(32), number)
