"""Chains of ops on rows, as one kernel: the row node.

Some threads of a block, the lanes, share a row. Lane ``l`` computes elements ``l``, ``l +
lanes`` and so on of each value, and what later ops read is kept in shared memory. Where an op
looks at a whole row, its lanes divide the work, and what they find is folded in shared memory,
pair by pair: the order depends on the lengths of rows alone.

The first op may be a large product: another call leaves it in slices, and the chain adds
them up as it reads them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from numbanet.ir import Node, Value, attrs_of
from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.matmul import epilogue_of, lower_slices
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.sizes import check_sizes
from numbanet.kernels.kernel import Call, Kernel, Slices
from numbanet.kernels.source import render
from numbanet.ops.composite import ROWS, CompositeAttrs, members, row_shape
from numbanet.ops.fused import FUSED, Access, FusedAttrs
from numbanet.ops.matmul import MATMUL, MatmulAttrs

_LEAST_THREADS = 64
_UNROLL = 4
"""Terms of a product whose loads are on their way together."""


@lowering(ROWS.name)
def lower_rows(node: Node) -> tuple[Call, ...]:
    chain = _Chain.of(node)
    check_sizes(*node.inputs, *node.outputs)
    first = () if chain.head is None else chain.head.calls
    return (*first, chain.call(node))


@dataclass
class _Chain:
    """What is known of a chain before its text is written.

    Attributes
    ----------
    steps : list of Node
    arguments : dict of Value to str
        What the kernel reads or writes in memory, and the names of the pointers.
    written : dict of Value to str
        Those that it writes.
    head : Slices or None
        Of the first step, if that is a product which another call computes.
    places : dict of Value to int
        Where in a block's shared numbers the rows of a value start.
    """

    steps: list[Node]
    count: int
    arguments: dict[Value, str]
    written: dict[Value, str]
    head: Slices | None
    lanes: int
    threads: int
    places: dict[Value, int] = field(default_factory=dict)
    shared: int = 0

    @classmethod
    def of(cls, node: Node) -> _Chain:
        steps = members(node)
        made = [value for step in steps for value in step.outputs]
        slots = [*node.inputs, *made]
        attrs = attrs_of(node, CompositeAttrs)
        results = [slots[slot] for slot in attrs.outputs]
        head = lower_slices(steps[0]) if attrs.has_head else None
        read = {value for step in steps[attrs.has_head :] for value in step.inputs}
        if attrs.has_head:
            read |= set(steps[0].inputs[2:])
        arguments = {v: f"x{i}" for i, v in enumerate(node.inputs) if v in read}
        written = {value: f"y{i}" for i, value in enumerate(results)}
        # A loss is one number a row: rows are as the values that span them have it.
        count, _ = row_shape(next(value for value in made if value.rank > 1))
        most = max(row_shape(value)[1] for value in made if value.rank > 1)
        lanes = min(tuning.TUNING.threads, 1 << (most - 1).bit_length())
        threads = max(lanes, min(_LEAST_THREADS, tuning.TUNING.threads))
        chain = cls(steps, count, arguments | written, written, head, lanes, threads)
        chain._place(read & set(made))
        return chain

    def _place(self, kept: set[Value]) -> None:
        self.shared = self.threads
        for step in self.steps:
            for value in step.outputs:
                if value in kept:
                    self.places[value] = self.shared
                    self.shared += self.rows * row_shape(value)[1]

    @property
    def rows(self) -> int:
        """Of a block."""
        return self.threads // self.lanes

    def call(self, node: Node) -> Call:
        results = dict(zip(self.written, node.outputs, strict=True))
        values = [results.get(value, value) for value in self.arguments]
        real = str(node.outputs[0].dtype)
        head = self.head
        first = () if head is None else (head.memory,)
        numbers = (self.count,) if head is None else (self.count, head.apart)
        text = "\n".join(_Writer(self, real).lines()) + "\n"
        kernel = Kernel(
            name=_name(self.steps),
            make=make_generated,
            parameters=(text,),
            signature=(
                *[f"{real}*"] * len(first),
                *(f"{value.dtype}*" for value in values),
                *["int32"] * len(numbers),
            ),
            threads=self.threads,
        )
        start = len(first) + len(values) - len(results)
        partial_bytes = sum(scratch.nbytes for scratch in first)
        steps = self.steps[len(first) :]
        return Call(
            kernel,
            (*first, *values, *numbers),
            tiles=math.ceil(self.count / self.rows),
            writes=tuple(range(start, start + len(results))),
            nbytes=sum(value.type.nbytes for value in values) + partial_bytes,
            flops=sum(step.op.flops(step) for step in steps),
        )


def _name(steps: Sequence[Node]) -> str:
    names = list(dict.fromkeys(step.op.name for step in steps if step.op is not FUSED))
    return "rows_" + "_".join(names[:3])


class _Writer:
    """The text of one kernel."""

    def __init__(self, chain: _Chain, real: str) -> None:
        self._chain = chain
        self._real = real

    def lines(self) -> Iterator[str]:
        chain = self._chain
        names = [*chain.arguments.values(), "rows"]
        if chain.head is not None:
            names = ["slices", *names, "apart"]
        yield f"def kernel({', '.join(names)}):"
        for line in self._start():
            yield f"    {line}"
        for number, step in enumerate(chain.steps):
            head = None if number else chain.head
            for line in self._step(step, head):
                # Names of elements' numbers begin anew in each step, with other types.
                yield "    " + re.sub(r"\bt(\d+)\b", rf"t{number}_\1", line)

    def _start(self) -> Iterator[str]:
        chain = self._chain
        yield f"shared = cuda.shared.array({chain.shared}, {self._real}, ALIGNMENT)"
        yield "thread = thread_index()"
        yield f"lane = int32(thread % {chain.lanes})"
        yield f"local = int32(thread // {chain.lanes})"
        yield f"row = int32(tile_index() * {chain.rows} + local)"
        # Threads beyond the last row compute nothing, but meet the others at barriers.
        yield "is_row = row < rows"

    def _step(self, step: Node, head: Slices | None) -> Iterator[str]:
        if head is not None:
            yield from self._head(step, head)
        elif step.op is MATMUL:
            yield from self._product(step)
        elif step.op is FUSED:
            yield from self._elementwise(step)
        else:
            yield from _SEEDS[step.op.name](self, step)
        if any(value in self._chain.places for value in step.outputs):
            yield "cuda.syncthreads()"

    def _element(self, value: Value, i: str, access: Access | None = None) -> str:
        """Source of element ``i`` of this row of a value."""
        _, columns = row_shape(value)
        if value in self._chain.places:
            start = self._chain.places[value]
            return f"shared[uint32({start} + local * {columns} + {i})]"
        name = self._chain.arguments[value]
        access = access or Access(0, (columns, 1))
        return f"{name}[int32(row * {access.strides[0]} + {i} * {access.strides[1]})]"

    def _each(self, columns: int, body: Sequence[str]) -> Iterator[str]:
        """``body`` for the elements ``i`` of a lane's part of a row."""
        yield "i = lane"
        yield f"while is_row and i < {columns}:"
        for line in body:
            yield f"    {line}"
        yield f"    i = int32(i + {self._chain.lanes})"

    def _keep(self, value: Value, result: str, i: str = "i") -> Iterator[str]:
        """Store element ``i``: where later steps read it, and in memory if it is wanted."""
        _, columns = row_shape(value)
        if value in self._chain.places:
            yield f"{self._element(value, i)} = {result}"
        if value in self._chain.written:
            yield f"{self._chain.written[value]}[int32(row * {columns} + {i})] = {result}"

    def _elementwise(self, step: Node) -> Iterator[str]:
        attrs = attrs_of(step, FusedAttrs)
        _, columns = attrs.shape
        pairs = zip(step.inputs, attrs.accesses, strict=True)
        reads = [self._element(value, "i", access) for value, access in pairs]
        body, results = render(attrs.expression, reads, f"int32(row * {columns} + i)")
        for value, result in zip(step.outputs, results, strict=True):
            body += self._keep(value, result)
        yield from self._each(columns, body)

    def _finish(self, step: Node, i: str) -> list[str]:
        """Statements that keep element ``i``, which is ``total`` with the epilogue applied."""
        extras = tuple(step.inputs[2:])
        _, columns = row_shape(step.output)
        expression = attrs_of(step, MatmulAttrs).epilogue
        if expression is None:
            return list(self._keep(step.output, "total", i))
        strides = {"number": (0, 0), "vector": (0, 1), "full": (columns, 1)}
        kinds = epilogue_of(expression, step.output, extras).kinds
        reads = [
            self._element(extra, i, Access(0, strides[kind]))
            for extra, kind in zip(extras, kinds, strict=True)
        ]
        position = f"int32(row * {columns} + {i})"
        statements, (result,) = render(expression, ["total", *reads], position)
        return [*statements, *self._keep(step.output, result, i)]

    def _head(self, step: Node, head: Slices) -> Iterator[str]:
        """Add up the slices of a product, in their order."""
        _, columns = row_shape(step.output)
        body = [f"at = int32(row * {columns} + i)", "total = slices[at]"]
        for number in range(1, head.count):
            body.append(f"total = total + slices[int32({number} * apart + at)]")
        yield from self._each(columns, [*body, *self._finish(step, "i")])

    def _product(self, step: Node) -> Iterator[str]:
        """Lanes take a column each, and where there are more lanes than columns, some of the
        terms."""
        _, columns = row_shape(step.output)
        width = 1 << (columns - 1).bit_length()
        slices = max(1, self._chain.lanes // width)
        if slices == 1:
            body = [*self._terms(step, "i", "int32(0)", 1), *self._finish(step, "i")]
            yield from self._each(columns, body)
            return
        yield f"column = int32(lane % {width})"
        yield f"total = {self._real}(0)"
        yield f"if is_row and column < {columns}:"
        for line in self._terms(step, "column", f"int32(lane // {width})", slices):
            yield f"    {line}"
        yield from self._fold("total", "left + right", self._chain.lanes, width)
        yield f"if is_row and lane < {columns}:"
        for line in self._finish(step, "lane"):
            yield f"    {line}"

    def _terms(self, step: Node, column: str, first: str, apart: int) -> Iterator[str]:
        """Statements that sum every ``apart``-th product, some at a time."""
        a, b = step.inputs[:2]
        _, terms = row_shape(a)
        name, columns = self._chain.arguments[b], b.type.sizes[-1]
        is_transposed = attrs_of(step, MatmulAttrs).transpose_b
        down, across = (1, columns) if is_transposed else (columns, 1)
        together = _UNROLL if terms % (apart * _UNROLL) == 0 else 1
        yield f"total = {self._real}(0)"
        yield f"k = {first}"
        yield f"while k < {terms}:"
        for j in range(together):
            k = f"int32(k + {j * apart})"
            weight = f"{name}[int32({k} * {down} + {column} * {across})]"
            yield f"    total = total + {self._element(a, k)} * {weight}"
        yield f"    k = int32(k + {together * apart})"

    def _fold(self, name: str, combine: str, active: int, width: int = 1) -> Iterator[str]:
        """Leave in ``name`` of lanes below ``width`` what every ``width``-th ``name`` of
        ``active`` lanes combine to; if ``width`` is one, of all lanes of the row."""
        yield f"shared[thread] = {name}"
        yield "cuda.syncthreads()"
        half = active // 2
        while half >= width:
            yield f"if lane < {half}:"
            yield "    left = shared[thread]"
            yield f"    right = shared[uint32(thread + {half})]"
            yield f"    shared[thread] = {combine}"
            yield "cuda.syncthreads()"
            half //= 2
        source = "thread - uint32(lane)" if width == 1 else "thread"
        yield f"{name} = shared[uint32({source})]"
        if width == 1:
            yield "cuda.syncthreads()"

    def _softmax_sums(self, x: Value, columns: int) -> Iterator[str]:
        """``best``, the largest element, and ``total``, the sum of exp(x - best)."""
        real = self._real
        active = min(self._chain.lanes, 1 << (columns - 1).bit_length())
        value = self._element(x, "i")
        yield f"best = {real}(-inf)"
        yield from self._each(
            columns, [f"value = {value}", "best = value if value > best else best"]
        )
        yield from self._fold("best", "right if right > left else left", active)
        yield f"total = {real}(0)"
        yield from self._each(columns, [f"total = total + exp_{real}({value} - best)"])
        yield from self._fold("total", "left + right", active)

    def softmax(self, step: Node) -> Iterator[str]:
        (x,) = step.inputs
        _, columns = row_shape(x)
        yield from self._softmax_sums(x, columns)
        result = f"exp_{self._real}({self._element(x, 'i')} - best) / total"
        yield from self._each(columns, [f"y = {result}", *self._keep(step.output, "y")])

    def log_softmax(self, step: Node) -> Iterator[str]:
        (x,) = step.inputs
        _, columns = row_shape(x)
        yield from self._softmax_sums(x, columns)
        yield f"log_total = log_{self._real}(total)"
        result = f"({self._element(x, 'i')} - best) - log_total"
        yield from self._each(columns, [f"y = {result}", *self._keep(step.output, "y")])

    def cross_entropy(self, step: Node) -> Iterator[str]:
        """Loss and unit gradient. A label that names no class gives NaN."""
        x, labels = step.inputs
        loss, unit = step.outputs
        real, (_, columns) = self._real, row_shape(x)
        yield from self._softmax_sums(x, columns)
        yield "label = int64(-1)"
        yield "if is_row:"
        yield f"    label = int64({self._chain.arguments[labels]}[row])"
        if loss in self._chain.written:
            name = self._chain.written[loss]
            yield "if lane == 0 and is_row:"
            yield f"    if label < 0 or label >= {columns}:"
            yield f"        {name}[row] = {real}(nan)"
            yield "    else:"
            picked = self._element(x, "int32(label)")
            yield f"        {name}[row] = log_{real}(total) - ({picked} - best)"
        body = [
            f"power = exp_{real}({self._element(x, 'i')} - best) / total",
            f"power = power - {real}(1) if i == label else power",
            *self._keep(unit, "power"),
        ]
        yield from self._each(columns, body)


_SEEDS = {
    "softmax": _Writer.softmax,
    "log_softmax": _Writer.log_softmax,
    "cross_entropy": _Writer.cross_entropy,
}
