"""Pooling of channels-last images: a thread for each element of the result.

The backward passes gather: a pixel looks at the windows that it lies in, in their order, so
that nothing is added atomically. All sizes but the number of images are constants of the text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from numbanet.ir import Node, Value
from numbanet.ir.op import attrs_of
from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.indices import unravel
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.sizes import check_sizes
from numbanet.kernels.kernel import Call, Kernel
from numbanet.kernels.source import render
from numbanet.ops.composite import POOLED, CompositeAttrs, members, reading
from numbanet.ops.fused import FusedAttrs
from numbanet.ops.pooling import AvgPoolAttrs, AvgPoolGradAttrs, PoolAttrs


@dataclass(frozen=True)
class _Pool:
    """Sizes of a pooling, without the number of images."""

    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    attrs: PoolAttrs

    @classmethod
    def of(cls, attrs: PoolAttrs, x: Value, y: Value) -> _Pool:
        _, height, width, channels = x.type.sizes
        _, out_height, out_width, _ = y.type.sizes
        return cls(height, width, channels, out_height, out_width, attrs)

    def pooled(self) -> Iterator[str]:
        """Which pixel of the result ``element`` is, and what its window sees."""
        sizes = {"oh": self.out_height, "ow": self.out_width, "channel": self.channels}
        yield from unravel("element", "image", sizes)
        yield from self.seen()

    def seen(self) -> Iterator[str]:
        """Window (oh, ow): it starts at (h, w) and sees rows from r0 to r1 of its own, and
        columns from s0 to s1; the others are padding."""
        (top, _), (left, _) = self.attrs.padding
        (down, across), (rows, columns) = self.attrs.stride, self.attrs.window
        yield f"h = int32(oh * {down} - {top})"
        yield f"w = int32(ow * {across} - {left})"
        yield "r0 = int32(max(int32(0), int32(-h)))"
        yield "s0 = int32(max(int32(0), int32(-w)))"
        yield f"r1 = int32(min(int32({rows}), int32({self.height} - h)))"
        yield f"s1 = int32(min(int32({columns}), int32({self.width} - w)))"

    def pixel(self) -> Iterator[str]:
        """Which pixel of the images ``element`` is, and the windows that it lies in: from
        (oh0, ow0) to (oh1, ow1)."""
        sizes = {"ih": self.height, "iw": self.width, "channel": self.channels}
        yield from unravel("element", "image", sizes)
        attrs, outputs = self.attrs, (self.out_height, self.out_width)
        axes = zip("hw", attrs.padding, attrs.window, attrs.stride, outputs, strict=True)
        for axis, (before, _), window, stride, count in axes:
            # Windows that start at or before the pixel, and end at or behind it.
            behind = f"i{axis} + {before - window + stride}"
            yield f"o{axis}0 = int32(max(int32(0), int32({behind})) // {stride})"
            last = f"int32((i{axis} + {before}) // {stride})"
            yield f"o{axis}1 = int32(min(int32({count - 1}), {last}) + 1)"

    def image_position(self, h: str, w: str) -> str:
        line = f"int32(image * {self.height} + {h}) * {self.width} + {w}"
        return f"int32(int32({line}) * {self.channels} + channel)"

    @property
    def pooled_position(self) -> str:
        line = f"int32(image * {self.out_height} + oh) * {self.out_width} + ow"
        return f"int32(int32({line}) * {self.channels} + channel)"

    @property
    def count(self) -> str:
        """What an average divides a window's sum by."""
        attrs = self.attrs
        if isinstance(attrs, AvgPoolAttrs) and attrs.count_include_pad:
            return f"{math.prod(attrs.window)}"
        return "int32((r1 - r0) * (s1 - s0))"


@lowering("max_pool2d", "max_pool2d_grad", "avg_pool2d", "avg_pool2d_grad")
def lower_pooling(node: Node) -> tuple[Call, ...]:
    return _call(node, [node], node.outputs)


@lowering(POOLED.name)
def lower_pooled(node: Node) -> tuple[Call, ...]:
    """Pooling, what comes before it and what comes after, element by element."""
    steps = members(node)
    slots = [*node.inputs, *(value for step in steps for value in step.outputs)]
    return _call(node, steps, [slots[slot] for slot in attrs_of(node, CompositeAttrs).outputs])


Element = Callable[[str], tuple[list[str], str]]
"""Statements that find the element at a position, and its source."""


def _max_pool2d(node: Node, _: Element) -> tuple[list[str], str]:
    pool = _Pool.of(attrs_of(node, PoolAttrs), node.inputs[0], node.output)
    body = [
        *pool.pooled(),
        f"best = {node.output.dtype}(-inf)",
        *_each("r", "r0", "r1", _each("s", "s0", "s1", _keep_larger(pool))),
    ]
    return body, "best"


def _keep_larger(pool: _Pool) -> Iterator[str]:
    yield f"value = x[{pool.image_position('h + r', 'w + s')}]"
    # A value that differs from itself is NaN: it stays, for nothing is larger.
    yield "best = value if value > best or value != value else best"


def _max_pool2d_grad(node: Node, gradient: Element) -> tuple[list[str], str]:
    """The first pixel of a window that equals its maximum takes the window's gradient."""
    pool = _Pool.of(attrs_of(node, PoolAttrs), node.inputs[0], node.inputs[1])
    taken = _take_if_first(pool, gradient)
    body = [
        *pool.pixel(),
        f"total = {node.output.dtype}(0)",
        "value = x[element]",
        *_each("oh", "oh0", "oh1", _each("ow", "ow0", "ow1", taken)),
    ]
    return body, "total"


def _take_if_first(pool: _Pool, gradient: Element) -> Iterator[str]:
    yield f"at = {pool.pooled_position}"
    yield "if value == y[at]:"
    yield from _indent(pool.seen())
    yield "    is_first = True"
    # Pixels of the window before this one: all of earlier rows, and the left part of its row.
    yield "    stop = int32(iw - w)"
    earlier = [
        f"if x[{pool.image_position('h + r', 'w + s')}] == value:",
        "    is_first = False",
    ]
    row = [
        "s_end = int32(stop if r == ih - h else s1)",
        *_each("s", "s0", "s_end", earlier),
    ]
    yield from _indent(_each("r", "r0", "int32(ih - h + 1)", row))
    statements, source = gradient("at")
    yield "    if is_first:"
    yield from _indent([*statements, f"total = total + {source}"], 8)


def _avg_pool2d(node: Node, _: Element) -> tuple[list[str], str]:
    pool = _Pool.of(attrs_of(node, AvgPoolAttrs), node.inputs[0], node.output)
    real = str(node.output.dtype)
    add = [f"total = total + x[{pool.image_position('h + r', 'w + s')}]"]
    body = [
        *pool.pooled(),
        f"total = {real}(0)",
        *_each("r", "r0", "r1", _each("s", "s0", "s1", add)),
    ]
    return body, f"total / {real}({pool.count})"


def _avg_pool2d_grad(node: Node, gradient: Element) -> tuple[list[str], str]:
    pool = _Pool.of(attrs_of(node, AvgPoolGradAttrs), node.output, node.inputs[0])
    real = str(node.output.dtype)
    statements, source = gradient(pool.pooled_position)
    add = [*pool.seen(), *statements, f"total = total + {source} / {real}({pool.count})"]
    body = [
        *pool.pixel(),
        f"total = {real}(0)",
        *_each("oh", "oh0", "oh1", _each("ow", "ow0", "ow1", add)),
    ]
    return body, "total"


_BODIES = {
    "max_pool2d": (("x",), _max_pool2d),
    "max_pool2d_grad": (("x", "y", "g"), _max_pool2d_grad),
    "avg_pool2d": (("x",), _avg_pool2d),
    "avg_pool2d_grad": (("g",), _avg_pool2d_grad),
}
"""Names of the inputs, and what writes the statements for ``element`` and its source."""


def _each(name: str, first: str, end: str, body: Iterator[str] | list[str]) -> Iterator[str]:
    """A loop with a 32-bit counter."""
    yield f"{name} = int32({first})"
    yield f"while {name} < {end}:"
    yield from _indent(body)
    yield f"    {name} = int32({name} + 1)"


def _indent(lines: Iterator[str] | list[str], spaces: int = 4) -> Iterator[str]:
    for line in lines:
        yield " " * spaces + line


def _call(node: Node, steps: Sequence[Node], results: Sequence[Value]) -> tuple[Call, ...]:
    """A thread for each element of the results, if they have any."""
    check_sizes(*node.inputs, *node.outputs)
    size, threads = results[0].type.size, tuning.TUNING.threads
    if size == 0:
        return ()
    writer = _Writer(node, steps)
    outputs = {value: f"out{i}" for i, value in enumerate(results)}
    lines = [
        f"def kernel({', '.join([*writer.names.values(), *outputs.values()])}, size):",
        f"    element = int32(tile_index() * {threads} + thread_index())",
        "    if element < size:",
        *_indent(writer.lines(outputs), 8),
    ]
    values = (*node.inputs, *node.outputs)
    kernel = Kernel(
        name="_".join(dict.fromkeys(step.op.name for step in steps)),
        make=make_generated,
        parameters=("\n".join(lines) + "\n",),
        signature=(*(f"{value.dtype}*" for value in values), "int32"),
        threads=threads,
    )
    call = Call(
        kernel=kernel,
        arguments=(*values, size),
        tiles=math.ceil(size / threads),
        writes=tuple(range(len(node.inputs), len(values))),
        nbytes=sum(value.type.nbytes for value in values),
        flops=node.op.flops(node),
    )
    return (call,)


class _Writer:
    """The statements for one element of the results of a pooling with its elementwise steps.

    Attributes
    ----------
    names : dict of Value to str
        Pointers to the inputs, in the node's order.
    """

    def __init__(self, node: Node, steps: Sequence[Node]) -> None:
        (self._seed,) = (step for step in steps if step.op.name in _BODIES)
        at = steps.index(self._seed)
        self._before, self._after = steps[:at], steps[at + 1 :]
        roles, self._write = _BODIES[self._seed.op.name]
        known = dict(zip(self._seed.inputs, roles, strict=True))
        self._gradient = roles[-1]
        self.names = {value: known.get(value, f"e{i}") for i, value in enumerate(node.inputs)}

    def lines(self, outputs: Mapping[Value, str]) -> Iterator[str]:
        body, result = self._write(self._seed, self._spread)
        yield from body
        found = {self._seed.output: "found"}
        yield f"found = {result}"
        for step in self._after:
            statements, results = self._step(step, "element", found)
            yield from statements
            found |= dict(zip(step.outputs, results, strict=True))
        for value, name in outputs.items():
            yield f"{name}[element] = {found[value]}"

    def _spread(self, position: str) -> tuple[list[str], str]:
        """The gradient that is spread over windows, read or computed."""
        found: dict[Value, str] = {}
        lines: list[str] = []
        for step in self._before:
            statements, results = self._step(step, position, found)
            lines += statements
            found |= dict(zip(step.outputs, results, strict=True))
        gradient = self._seed.inputs[-1]
        return lines, found.get(gradient, f"{self._gradient}[{position}]")

    def _step(
        self, step: Node, position: str, found: Mapping[Value, str]
    ) -> tuple[list[str], list[str]]:
        """Statements of an elementwise step at a position, and its results."""
        attrs = attrs_of(step, FusedAttrs)
        place = {"whole": position, "vector": "channel", "number": "0", None: ""}
        reads = [
            found.get(value) or f"{self.names[value]}[{place[reading(access, attrs.shape)]}]"
            for value, access in zip(step.inputs, attrs.accesses, strict=True)
        ]
        statements, results = render(attrs.expression, reads, position)
        # Elements' numbers are named anew in each step, with other types.
        mark = "b" if step in self._before else f"a{self._after.index(step)}"
        renamed = [
            re.sub(r"\bt(\d+)\b", rf"t{mark}_\1", each) for each in (*statements, *results)
        ]
        return renamed[: len(statements)], renamed[len(statements) :]
