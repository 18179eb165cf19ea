"""Reductions: sums, means, maxima and minima of an elementwise program's results.

The space is walked as a nest of three: outer rows, middle rows, and columns along which the
loop is vectorised. In a fold *along* the columns those are a reduced axis, and each result is
put together from lanes that take turns; in a fold *across* the columns they are a kept axis,
with a lane for each.

The order of every sum depends on sizes only. A result that folds many elements is folded in
parts, whose results lie in scratch memory until a second reduction folds those. So float32 sums
add up at most about a thousand numbers one after the other, and their error grows like that of
NumPy's pairwise sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from numbanet.errors import ShapeError
from numbanet.ir import Node
from numbanet.kernels.cpu.generated import kernel_name, make_generated
from numbanet.kernels.cpu.nest import PART_ROWS, Nest
from numbanet.kernels.cpu.reduce_source import write_reduction
from numbanet.kernels.iteration import Dims, Step, split, with_position
from numbanet.kernels.kernel import Argument, Call, Kernel, Scratch
from numbanet.kernels.operand import Operand, offsets
from numbanet.ops.expression import Expression
from numbanet.ops.fused import FusedAttrs, Reduction, contiguous

NARROW = 32
"""Columns that are too few for vectors, if there are others to be had."""

FEWEST = 8
"""Columns that are folded across though they are few, where only they are contiguous: along the
others, each line of the cache would be read as often as there are columns."""

GLUED = 256
"""Columns, at most, of which several short rows are taken as one."""


def lower_reduction(
    node: Node, attrs: FusedAttrs, reads: Sequence[Operand]
) -> tuple[Call, ...]:
    """The calls of a fused node that has a reduction."""
    reduction = attrs.reduction
    if reduction is None:
        raise TypeError("a fused node without a reduction")
    fold = _Fold.of(attrs, reduction, reads)
    if fold.kept.size == 0:
        return ()
    if fold.reduced.size == 0 and reduction.kind in ("max", "min"):
        raise ShapeError(
            f"{reduction.kind}() of no elements",
            got=f"shape {attrs.shape} over axes {reduction.axes}",
            expected="at least one element along each reduced axis",
            layer=node.path or None,
        )
    return fold.calls(node.outputs, node.op.flops(node))


@dataclass(frozen=True)
class _Fold:
    """One reduction, perhaps of another one's partial results."""

    expression: Expression
    kind: str
    count: int
    """How many elements a mean is taken over."""
    shape: tuple[int, ...]
    reads: tuple[Operand, ...]
    kept: Dims
    reduced: Dims

    @classmethod
    def of(cls, attrs: FusedAttrs, reduction: Reduction, reads: Sequence[Operand]) -> _Fold:
        kept, reduced = split(attrs.shape, with_position(attrs), reduction.axes)
        return cls(
            attrs.expression,
            reduction.kind,
            reduced.size,
            attrs.shape,
            tuple(reads),
            kept,
            reduced,
        )

    def calls(self, outputs: Sequence[Argument], flops: int) -> tuple[Call, ...]:
        """The call that folds into ``outputs``, or into parts, and then the calls for those."""
        glued = self._glued()
        nest = glued._nest()
        dtypes = self.expression.output_dtypes
        if nest.parts == 1 and glued is self:
            return (self._call(nest, self.kind, outputs, flops),)
        partial = "sum" if self.kind == "mean" else self.kind
        size = nest.parts * glued.kept.size
        scratch = [Scratch(size * dtype.itemsize) for dtype in dtypes]
        first = glued._call(nest, partial, scratch, flops)
        shape, axis = nest.partial_shape
        if glued is not self:
            shape, axis = (size // self.kept.size, self.kept.size), 0
        operands = [
            Operand(argument, dtype, contiguous(shape))
            for argument, dtype in zip(scratch, dtypes, strict=True)
        ]
        rest = self._of_parts(shape, axis, operands)
        return (first, *rest.calls(outputs, flops=0))

    def _glued(self) -> _Fold:
        """The same with several rows as one long row of results, if rows are short and follow
        one another: folding those results remains."""
        kept, reduced = self.kept, self.reduced
        columns, count = kept.size, reduced.sizes[-1]
        pairs = list(zip(_inner(kept), _inner(reduced), strict=True))
        follows = all(row == column * columns for column, row in pairs)
        if kept.rank > 1 or not 1 < columns < GLUED // 2 or not follows:
            return self
        rows = max(rows for rows in range(1, GLUED // columns + 1) if count % rows == 0)
        if reduced.size <= PART_ROWS or rows * columns < NARROW:
            return self
        steps = [(*strides[:-1], strides[-1] * rows) for strides in reduced.strides]
        return replace(
            self,
            kept=Dims((rows * columns,), kept.strides),
            reduced=Dims((*reduced.sizes[:-1], count // rows), tuple(steps)),
        )

    def _of_parts(self, shape: tuple[int, int], axis: int, reads: Sequence[Operand]) -> _Fold:
        dtypes = self.expression.output_dtypes
        unchanged = Expression(dtypes, (), tuple(range(len(dtypes))))
        kept, reduced = split(shape, [operand.access for operand in reads], (axis,))
        return _Fold(unchanged, self.kind, self.count, shape, tuple(reads), kept, reduced)

    def _nest(self) -> Nest:
        if self._is_along_columns():
            return Nest.along(self.kept, self.reduced)
        return Nest.across(self.kept, self.reduced)

    def _is_along_columns(self) -> bool:
        """Whether the vectorised axis is a reduced one: of the two innermost axes the one that
        is contiguous, unless it is too short."""
        kept, reduced = self.kept, self.reduced
        if kept.size == 1:
            return True
        if reduced.size <= 1:
            return False
        along = (Step.ANY not in reduced.inner, reduced.sizes[-1])
        across = (Step.ANY not in kept.inner, kept.sizes[-1])
        if across[0] and not along[0] and across[1] >= FEWEST:
            return False
        if min(along[1], across[1]) < NARROW:
            return along[1] >= across[1]
        return along > across

    def _call(self, nest: Nest, kind: str, outputs: Sequence[Argument], flops: int) -> Call:
        dtypes = self.expression.output_dtypes
        numbers = (*nest.numbers, self.count)
        signature = (
            *(operand.pointer for operand in self.reads),
            *(f"{dtype}*" for dtype in dtypes),
            *["int64"] * len(numbers),
        )
        text = write_reduction(self.expression, kind, nest.form)
        result_bytes = nest.parts * self.kept.size * sum(dtype.itemsize for dtype in dtypes)
        return Call(
            Kernel(
                kernel_name(self.expression, kind), make_generated, (text, "fused"), signature
            ),
            (*(operand.argument for operand in self.reads), *outputs, *numbers),
            tiles=nest.tiles,
            writes=tuple(range(len(self.reads), len(self.reads) + len(outputs))),
            nbytes=sum(operand.nbytes(self.shape) for operand in self.reads) + result_bytes,
            flops=flops,
            offsets=offsets(self.reads),
        )


def _inner(dims: Dims) -> list[int]:
    """Each operand's stride along the last dimension."""
    return [strides[-1] for strides in dims.strides]
