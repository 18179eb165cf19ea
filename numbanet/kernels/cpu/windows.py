"""Pooling of one window, which may be large and may hang over the edges of its image.

By name of the op: a function that makes the function of a window for an element type. That
goes over the window's pixels, rows ``r0`` to ``r1`` and columns ``s0`` to ``s1`` of its own,
and at each pixel over the channels. ``start`` is where its first pixel would lie in the images,
``to`` where its result lies, and ``line`` the length of an image's rows.
"""

from __future__ import annotations

from collections.abc import Callable

from numbanet.ir import DType
from numbanet.kernels.cpu.mathematics import NAMESPACE, inline
from numbanet.kernels.cpu.memory import load, local, store

_CHANNELS = 256
"""Channels whose gradients wait on the stack."""


def max_pool2d(_: DType) -> Callable[..., None]:
    @inline
    def window(x, y, start, to, r0, r1, s0, s1, line, channels):
        for c in range(channels):
            store(0, y, to + c, load(x, start + r0 * line + s0 * channels + c))
        for r in range(r0, r1):
            for s in range(s0, s1):
                at = start + r * line + s * channels
                for c in range(channels):
                    value, best = load(x, at + c), y[to + c]
                    is_better = (value > best) | (value != value)
                    store(0, y, to + c, value if is_better else best)

    return window


def max_pool2d_grad(dtype: DType) -> Callable[..., None]:
    """The first pixel that equals the maximum takes the gradient, and leaves zero behind."""
    zero = NAMESPACE[str(dtype)](0)

    @inline
    def window(x, y, g, dx, start, to, r0, r1, s0, s1, line, channels):
        rest = local(_CHANNELS, zero)
        for first in range(0, channels, _CHANNELS):
            count = min(_CHANNELS, channels - first)
            for c in range(count):
                rest[c] = load(g, to + first + c)
            for r in range(r0, r1):
                for s in range(s0, s1):
                    at = start + r * line + s * channels + first
                    for c in range(count):
                        is_most = load(x, at + c) == load(y, to + first + c)
                        left = rest[c]
                        store(0, dx, at + c, dx[at + c] + (left if is_most else zero))
                        rest[c] = zero if is_most else left

    return window


def avg_pool2d(dtype: DType) -> Callable[..., None]:
    real = NAMESPACE[str(dtype)]

    @inline
    def window(x, y, count, start, to, r0, r1, s0, s1, line, channels):
        for c in range(channels):
            store(0, y, to + c, real(0))
        for r in range(r0, r1):
            for s in range(s0, s1):
                at = start + r * line + s * channels
                for c in range(channels):
                    store(0, y, to + c, y[to + c] + load(x, at + c))
        for c in range(channels):
            store(0, y, to + c, y[to + c] / real(count))

    return window


def avg_pool2d_grad(dtype: DType) -> Callable[..., None]:
    real = NAMESPACE[str(dtype)]

    @inline
    def window(g, dx, count, start, to, r0, r1, s0, s1, line, channels):
        for r in range(r0, r1):
            for s in range(s0, s1):
                at = start + r * line + s * channels
                for c in range(channels):
                    share = load(g, to + c) / real(count)
                    store(0, dx, at + c, dx[at + c] + share)

    return window
