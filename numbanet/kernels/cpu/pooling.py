"""Pooling on CPUs: channels-last windows of maxima and means, and their gradients.

A tile is a band of an image's windows. Channels are the vectors, or the windows of a row where
there are few channels. Small windows that lie inside of the image are unrolled in the kernel's
text; all others are left to a function of any window (`numbanet.kernels.cpu.windows`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from numbanet.ir import DType, Node, TensorType
from numbanet.ir.op import attrs_of
from numbanet.kernels.cpu.generated import indent
from numbanet.kernels.cpu.registry import lowering
from numbanet.kernels.kernel import Call, Kernel
from numbanet.ops.pooling import AvgPoolAttrs, PoolAttrs

_BAND_ELEMENTS = 8192
"""Of the images that a band looks at."""

_MOST_TAPS = 16
"""Windows of more pixels are not unrolled."""

_FEW_CHANNELS = 4
"""So many or fewer are unrolled."""

_KNOWN_CHANNELS = 64
"""So many or fewer are a constant of the text: LLVM then knows how many vectors they fill."""


@lowering("max_pool2d", "avg_pool2d")
def lower_pool(node: Node) -> tuple[Call, ...]:
    (x,), y = node.inputs, node.output
    return _calls(node, x.type, y.type)


@lowering("max_pool2d_grad", "avg_pool2d_grad")
def lower_pool_grad(node: Node) -> tuple[Call, ...]:
    g, dx = node.inputs[-1], node.output
    return _calls(node, dx.type, g.type)


def _calls(node: Node, images: TensorType, pooled: TensorType) -> tuple[Call, ...]:
    if images.size == 0:
        return ()
    values = (*node.inputs, node.output)
    count, height, width, channels = images.sizes
    _, out_height, out_width, _ = pooled.sizes
    pool = _Pool.of(node.op.name, attrs_of(node, PoolAttrs), images.dtype, channels)
    band = max(1, _BAND_ELEMENTS // (pool.stride[0] * width * channels))
    if pool.is_gradient and pool.stride[0] < pool.window[0]:
        band = out_height  # Windows that overlap add to the same pixels, in a fixed order.
    band = min(band, out_height)
    numbers = (height, width, out_height, out_width, band, pool.is_partial(images, pooled))
    numbers = (*numbers, channels)
    signature = (*(f"{value.dtype}*" for value in values), *["int64"] * len(numbers))
    return (
        Call(
            Kernel(node.op.name, make_pool, (pool,), signature),
            (*values, *numbers),
            tiles=count * -(-out_height // band),
            writes=(len(node.inputs),),
            nbytes=sum(value.type.nbytes for value in values),
            flops=node.op.flops(node),
        ),
    )


@dataclass(frozen=True)
class _Pool:
    """What is written into a kernel's text.

    ``channels`` are 0 if there are too many to be written. ``count`` is what a mean is taken
    over, 0 for those pixels that the window sees.
    """

    name: str
    dtype: DType
    window: tuple[int, int]
    stride: tuple[int, int]
    before: tuple[int, int]
    is_padded: bool
    channels: int
    count: int

    @classmethod
    def of(cls, name: str, attrs: PoolAttrs, dtype: DType, channels: int) -> _Pool:
        counts_all = isinstance(attrs, AvgPoolAttrs) and attrs.count_include_pad
        (top, bottom), (left, right) = attrs.padding
        return cls(
            name,
            dtype,
            attrs.window,
            attrs.stride,
            (top, left),
            any((top, bottom, left, right)),
            channels if channels <= _KNOWN_CHANNELS else 0,
            math.prod(attrs.window) if counts_all else 0,
        )

    @property
    def is_gradient(self) -> bool:
        return self.name.endswith("_grad")

    @property
    def is_overlapping(self) -> bool:
        pairs = zip(self.stride, self.window, strict=True)
        return any(stride < window for stride, window in pairs)

    @property
    def is_unrolled(self) -> bool:
        """Whether there is text for windows inside of the image."""
        is_small = math.prod(self.window) <= _MOST_TAPS
        return is_small and not (self.is_gradient and self.is_overlapping)

    def is_partial(self, images: TensorType, pooled: TensorType) -> bool:
        """Whether a gradient must be cleared first: unrolled windows set every pixel."""
        covered = [a * b for a, b in zip(pooled.sizes[1:3], self.window, strict=True)]
        is_exact = self.window == self.stride and covered == list(images.sizes[1:3])
        return not (self.is_unrolled and is_exact and not self.is_padded)

    @property
    def arguments(self) -> tuple[str, ...]:
        return _ARGUMENTS[self.name]


_ARGUMENTS = {
    "max_pool2d": ("x", "y"),
    "max_pool2d_grad": ("x", "y", "g", "dx"),
    "avg_pool2d": ("x", "y"),
    "avg_pool2d_grad": ("g", "dx"),
}


def make_pool(pool: _Pool) -> Callable[..., None]:
    from numbanet.kernels.cpu import windows
    from numbanet.kernels.cpu.mathematics import NAMESPACE
    from numbanet.kernels.source import compile_source

    window = getattr(windows, pool.name)(pool.dtype)
    return compile_source(write_pool(pool), "kernel", {**NAMESPACE, "window": window})


def write_pool(pool: _Pool) -> str:
    """Source of ``kernel(first, last, inputs, output, sizes)``."""
    return "\n".join(_lines(pool)) + "\n"


def _lines(pool: _Pool) -> Iterator[str]:
    (rows, columns), (down, across), (top, left) = pool.window, pool.stride, pool.before
    yield f"def kernel(first, last, {', '.join(pool.arguments)}, height, width,"
    yield "    out_height, out_width, band, is_partial, channels):"
    if pool.channels:
        yield f"    channels = {pool.channels}"
    yield "    line = width * channels"
    yield "    bands = (out_height + band - 1) // band"
    yield "    for tile in range(first, last):"
    yield "        image = tile // bands"
    yield "        begin = tile % bands * band"
    yield "        end = min(begin + band, out_height)"
    if pool.is_gradient:
        yield from indent(2, _clear(down, top))
    yield "        for oh in range(begin, end):"
    yield f"            h = oh * {down} - {top}"
    yield "            r0 = max(0, -h)"
    yield f"            r1 = min({rows}, height - h)"
    yield f"            start = (image * height + h) * line - {left} * channels"
    yield "            to = (image * out_height + oh) * out_width * channels"
    # Windows from `inner` to `outer` lie inside of the image.
    yield "            inner = outer = out_width"
    if pool.is_unrolled:
        yield f"            if r1 - r0 == {rows}:"
        yield f"                inner = min(out_width, {-(-left // across)})"
        yield f"                fitting = (width + {left - columns}) // {across} + 1"
        yield "                outer = max(inner, min(out_width, fitting))"
        yield from indent(3, _unrolled(pool))
    if pool.is_padded or not pool.is_unrolled:
        yield "            for k in range(inner + out_width - outer):"
        yield "                ow = k if k < inner else k + outer - inner"
        yield f"                w = ow * {across} - {left}"
        yield "                s0 = max(0, -w)"
        yield f"                s1 = min({columns}, width - w)"
        yield from indent(4, _window(pool))


def _clear(down: int, top: int) -> Iterator[str]:
    """Set the pixels of a band to zero: from its first window to that of the next band."""
    yield "if is_partial:"
    yield f"    highest = max(0, begin * {down} - {top}) if begin else 0"
    yield f"    lowest = min(height, end * {down} - {top}) if end < out_height else height"
    yield "    for i in range((image * height + highest) * line,"
    yield "                   (image * height + lowest) * line):"
    yield "        dx[i] = 0"


def _window(pool: _Pool) -> Iterator[str]:
    count = f"{pool.count or '(r1 - r0) * (s1 - s0)'}, " if "avg" in pool.name else ""
    yield f"window({', '.join(pool.arguments)}, {count}"
    yield f"       start + ow * {pool.stride[1]} * channels, to + ow * channels,"
    yield "       r0, r1, s0, s1, line, channels)"


def _unrolled(pool: _Pool) -> Iterator[str]:
    """Loops over windows and channels around one element's computation."""
    yield "for ow in range(inner, outer):"
    yield f"    at0 = start + ow * {pool.stride[1]} * channels"
    for r in range(1, pool.window[0]):
        yield f"    at{r} = at0 + {r} * line"
    if 0 < pool.channels <= _FEW_CHANNELS:
        for c in range(pool.channels):
            yield from indent(1, _BODIES[pool.name](pool, str(c)))
    else:
        yield "    for c in range(channels):"
        yield from indent(2, _BODIES[pool.name](pool, "c"))


def _taps(pool: _Pool, channel: str) -> list[str]:
    """Where the window's pixels lie, in row-major order."""
    rows, columns = pool.window
    return [f"at{r} + {s} * channels + {channel}" for r in range(rows) for s in range(columns)]


def _max(pool: _Pool, channel: str) -> Iterator[str]:
    first, *others = _taps(pool, channel)
    yield f"best = load(x, {first})"
    for tap in others:
        yield f"value = load(x, {tap})"
        yield "best = value if (value > best) | (value != value) else best"
    yield f"store(0, y, to + ow * channels + {channel}, best)"


def _max_grad(pool: _Pool, channel: str) -> Iterator[str]:
    """``rest`` is the gradient until a pixel takes it, and then zero."""
    zero = f"{pool.dtype}(0)"
    yield f"most = load(y, to + ow * channels + {channel})"
    yield f"rest = load(g, to + ow * channels + {channel})"
    for k, tap in enumerate(_taps(pool, channel)):
        yield f"is_most = load(x, {tap}) == most"
        yield f"store({k}, dx, {tap}, rest if is_most else {zero})"
        yield f"rest = {zero} if is_most else rest"


def _avg(pool: _Pool, channel: str) -> Iterator[str]:
    first, *others = _taps(pool, channel)
    yield f"total = load(x, {first})"
    for tap in others:
        yield f"total += load(x, {tap})"
    mean = f"total / {pool.dtype}({math.prod(pool.window)})"
    yield f"store(0, y, to + ow * channels + {channel}, {mean})"


def _avg_grad(pool: _Pool, channel: str) -> Iterator[str]:
    count = f"{pool.dtype}({math.prod(pool.window)})"
    yield f"share = load(g, to + ow * channels + {channel}) / {count}"
    for k, tap in enumerate(_taps(pool, channel)):
        yield f"store({k}, dx, {tap}, share)"


_BODIES: dict[str, Callable[[_Pool, str], Iterator[str]]] = {
    "max_pool2d": _max,
    "max_pool2d_grad": _max_grad,
    "avg_pool2d": _avg,
    "avg_pool2d_grad": _avg_grad,
}
"""What happens to one channel of a window that lies inside of its image."""
