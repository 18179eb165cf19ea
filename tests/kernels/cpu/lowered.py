"""Runs a node's calls on arrays, with walls around all memory."""

from __future__ import annotations

import ctypes

import numpy as np

import numbanet.kernels.cpu  # noqa: F401  enters the lowerings
from numbanet.ir import DType, Node, TensorType, Value
from numbanet.kernels.cpu.compile import compile_kernel, pack_word
from numbanet.kernels.cpu.registry import LOWERINGS
from numbanet.kernels.kernel import Call, Scratch
from numbanet.ops.leaf import input_value

_WALL = 256
_MORTAR = 0xA5
_ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)


def leaves(arrays) -> list[Value]:
    """Input values of the arrays' types."""
    return [
        input_value(f"x{i}", array.shape, DType.of(array.dtype))
        for i, array in enumerate(arrays)
    ]


def compute(
    node: Node, arrays: list[np.ndarray], *, is_backwards: bool = False
) -> list[np.ndarray]:
    """The node's outputs by its CPU kernels.

    ``is_backwards`` runs tiles one at a time and from the last, as if threads shared them.
    Memory that a kernel has not written holds bits that are NaN, and a write beyond a buffer's
    ends is an error.
    """
    memory = {}
    for value, array in zip(node.inputs, arrays, strict=True):
        memory[value] = _Buffer(np.ascontiguousarray(array).nbytes)
        memory[value].bytes[...] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    for value in node.outputs:
        memory[value] = _Buffer(value.type.nbytes)
    inputs = {value: memory[value].bytes.copy() for value in node.inputs}
    for call in LOWERINGS[node.op.name](node):
        for argument in call.arguments:
            if isinstance(argument, Scratch) and argument not in memory:
                memory[argument] = _Buffer(argument.nbytes)
        _run(call, memory, is_backwards)
    for buffer in memory.values():
        buffer.check()
    for value, before in inputs.items():
        np.testing.assert_array_equal(memory[value].bytes, before, "an input was written")
    return [memory[value].array(value.type) for value in node.outputs]


def check(
    node: Node, arrays: list[np.ndarray], rtol: float | None = None, atol: float | None = None
) -> None:
    """The kernels agree with the op's reference in float64, however tiles are shared."""
    results = compute(node, arrays)
    wide = [a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays]
    expected = node.op.reference(node.attrs, *wide)
    expected = expected if isinstance(expected, tuple) else (expected,)
    is_single = any(array.dtype == np.float32 for array in arrays)
    rtol = rtol or (2e-5 if is_single else 1e-11)
    for result, wanted, value in zip(results, expected, node.outputs, strict=True):
        assert result.shape == wanted.shape == value.type.sizes
        size = float(np.max(np.abs(wanted[np.isfinite(wanted)]), initial=1.0))
        np.testing.assert_allclose(result, wanted, rtol=rtol, atol=atol or rtol * size)
    for result, again in zip(results, compute(node, arrays, is_backwards=True), strict=True):
        np.testing.assert_array_equal(result, again)


def _run(call: Call, memory, is_backwards: bool) -> None:
    offsets = dict(call.offsets)
    words = np.empty(len(call.arguments), dtype=np.int64)
    pairs = zip(call.kernel.signature, call.arguments, strict=True)
    for i, (type_, argument) in enumerate(pairs):
        if isinstance(argument, Value | Scratch):
            if isinstance(argument, Value):
                assert type_ == f"{argument.dtype}*"
            words[i] = memory[argument].address + offsets.get(i, 0)
        else:
            words[i] = pack_word(type_, argument)
    if call.tiles == 0:
        return
    entry = _ENTRY(compile_kernel(call.kernel).address)
    if is_backwards:
        for tile in reversed(range(call.tiles)):
            entry(tile, tile + 1, words.ctypes.data)
    else:
        entry(0, call.tiles, words.ctypes.data)


class _Buffer:
    """Bytes at a multiple of 64 with walls on both sides, all ones at first."""

    def __init__(self, nbytes: int) -> None:
        self._all = np.full(nbytes + 2 * _WALL + 64, _MORTAR, dtype=np.uint8)
        start = _WALL + -(self._all.ctypes.data + _WALL) % 64
        self._ends = start, start + nbytes
        self.bytes = self._all[start : start + nbytes]
        self.bytes[...] = 0xFF
        self.address = self._all.ctypes.data + start

    def check(self) -> None:
        start, end = self._ends
        assert (self._all[:start] == _MORTAR).all(), "a kernel wrote below a buffer"
        assert (self._all[end:] == _MORTAR).all(), "a kernel wrote beyond a buffer"

    def array(self, type_: TensorType) -> np.ndarray:
        return self.bytes.view(type_.dtype.numpy).reshape(type_.sizes).copy()
