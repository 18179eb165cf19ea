"""Windows that slide along a row of pixels, their sums in registers.

What makes a weight gradient without unfolding anything: a thread has one input channel and some
output channels, and a sum for each of these and each tap. From one pixel to the next it loads
the one column of the window that is new, and the gradients of the outputs. As in `registers`,
each function is straight-line code with a twin for the simulator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from llvmlite import ir
from numba import types

from numbanet.kernels.cuda.registers import as_intrinsic, data_of, load_quads
from numbanet.kernels.cuda.simulate import SIMULATED


@dataclass(frozen=True)
class Window:
    """
    Attributes
    ----------
    pixels : int
        Places of the window that are written out in a row.
    outputs : int
        Output channels of a thread: a multiple of four, loaded in quads.
    rows, columns : tuple of int
        Where the taps are, in lines and in pixels of the input.
    step : int
        Input pixels from one place to the next.
    line, x_pixel, y_pixel : int
        Numbers in shared memory from one line of inputs, one of their pixels, and one output
        pixel to the next.
    """

    pixels: int
    outputs: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    step: int
    line: int
    x_pixel: int
    y_pixel: int

    @property
    def taps(self) -> int:
        return len(self.rows) * len(self.columns)

    @property
    def size(self) -> int:
        """Sums of a thread: of each output channel one for each tap, in a row."""
        return self.outputs * self.taps

    def inputs(self, pixel: int) -> list[int]:
        """Where the inputs of all taps lie, for one place of the window."""
        return [
            row * self.line + (pixel * self.step + column) * self.x_pixel
            for row, column in product(self.rows, self.columns)
        ]


def zeros_for(window: Window) -> Any:
    """``zeros(zero)``: sums before anything is added."""
    if SIMULATED:
        return lambda zero: (zero,) * window.size

    def zeros(_: Any, zero: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            sums = [args[0]] * window.size
            return context.make_tuple(builder, signature.return_type, sums)

        return types.UniTuple(zero, window.size)(zero), generate

    return as_intrinsic(zeros)


def slide_for(window: Window) -> Any:
    """``slide(sums, shared, x_at, y_at) -> sums``: with the products of all places added, the
    first of which has its inputs and its outputs at these positions of shared memory."""
    if SIMULATED:
        return _simulated_slide(window)

    def slide(_: Any, sums: Any, shared: Any, x_at: Any, y_at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = data_of(context, builder, signature.args[1], args[1])
            x, y = builder.gep(data, [args[2]]), builder.gep(data, [args[3]])

            @cache
            def load(place: int) -> Any:
                return builder.load(builder.gep(x, [ir.Constant(ir.IntType(64), place)]))

            totals = [builder.extract_value(args[0], i) for i in range(window.size)]
            for pixel in range(window.pixels):
                inputs = [load(place) for place in window.inputs(pixel)]
                quads = list(range(window.outputs))
                outputs = list(load_quads(builder, y, pixel * window.y_pixel, quads))
                for i, (output, each) in enumerate(product(outputs, inputs)):
                    totals[i] = builder.fma(output, each, totals[i])
            return context.make_tuple(builder, signature.return_type, totals)

        return sums(sums, shared, x_at, y_at), generate

    return as_intrinsic(slide)


def put_for(window: Window, apart: int) -> Any:
    """``put(sums, shared, at)``: leaves them in shared memory, ``apart`` numbers apart."""
    if SIMULATED:
        return _simulated_put(window, apart)

    def put(_: Any, sums: Any, shared: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = data_of(context, builder, signature.args[1], args[1])
            for i in range(window.size):
                place = builder.gep(data, [_further(builder, args[2], i * apart)])
                builder.store(builder.extract_value(args[0], i), place)
            return context.get_dummy_value()

        return types.void(sums, shared, at), generate

    return as_intrinsic(put)


def add_for(window: Window, apart: int) -> Any:
    """``add(sums, shared, at) -> sums``: with those added that ``put`` left there."""
    if SIMULATED:
        return _simulated_add(apart)

    def add(_: Any, sums: Any, shared: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = data_of(context, builder, signature.args[1], args[1])
            totals = []
            for i in range(window.size):
                place = builder.gep(data, [_further(builder, args[2], i * apart)])
                total = builder.extract_value(args[0], i)
                totals.append(builder.fadd(total, builder.load(place)))
            return context.make_tuple(builder, signature.return_type, totals)

        return sums(sums, shared, at), generate

    return as_intrinsic(add)


def _further(builder: Any, at: Any, distance: int) -> Any:
    return builder.add(at, ir.Constant(at.type, distance))


def _simulated_slide(window: Window) -> Callable[..., Any]:
    def slide(sums: Any, shared: Any, x_at: Any, y_at: Any) -> Any:
        totals = list(sums)
        for pixel in range(window.pixels):
            inputs = [shared[int(x_at) + place] for place in window.inputs(pixel)]
            first = int(y_at) + pixel * window.y_pixel
            outputs = [shared[first + i] for i in range(window.outputs)]
            for i, (output, each) in enumerate(product(outputs, inputs)):
                totals[i] = totals[i] + output * each
        return tuple(totals)

    return slide


def _simulated_put(window: Window, apart: int) -> Callable[..., Any]:
    def put(sums: Any, shared: Any, at: Any) -> None:
        for i in range(window.size):
            shared[int(at) + i * apart] = sums[i]

    return put


def _simulated_add(apart: int) -> Callable[..., Any]:
    def add(sums: Any, shared: Any, at: Any) -> Any:
        return tuple(total + shared[int(at) + i * apart] for i, total in enumerate(sums))

    return add
