"""What kernels ask of the machine: where am I, loads and stores of four numbers, exchange.

All of them are inlined, so that compiling needs no device, and all of them have a twin that
the simulator runs.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cuda as numba_cuda
from numba import types

from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.simulate import SIMULATED

# Its stubs describe neither the CUDA registers nor `inline="always"`.
cuda: Any = numba_cuda


def _simulated_tile_index() -> np.uint32:
    thread: Any = threading.current_thread()
    return np.uint32(thread.blockIdx.x)


def _simulated_thread_index() -> np.uint32:
    thread: Any = threading.current_thread()
    return np.uint32(thread.threadIdx.x)


def _simulated_is_aligned(pointer: Any) -> bool:
    return pointer.ctypes.data % 16 == 0


def _simulated_load4(pointer: Any, index: Any) -> tuple[Any, Any, Any, Any]:
    start = int(index)
    if start % 4:
        raise IndexError(f"load4 from element {start}, which is not a multiple of 4")
    return pointer[start], pointer[start + 1], pointer[start + 2], pointer[start + 3]


def _simulated_store4(pointer: Any, index: Any, a: Any, b: Any, c: Any, d: Any) -> None:
    start = int(index)
    if start % 4:
        raise IndexError(f"store4 to element {start}, which is not a multiple of 4")
    pointer[start], pointer[start + 1], pointer[start + 2], pointer[start + 3] = a, b, c, d


def _simulated_copy4(shared: Any, at: Any, pointer: Any, index: Any, is_inside: Any) -> None:
    if int(at) % 4 or (is_inside and int(index) % 4):
        raise IndexError(f"copy4 of element {index} to {at}: not multiples of 4")
    for i in range(4):
        shared[int(at) + i] = pointer[int(index) + i] if is_inside else 0


def _simulated_finish_copies() -> None:
    """They are done at once."""


def _simulated_shuffle_down(value: Any, delta: Any) -> Any:
    """All threads of a block call this, as on a GPU all of a warp do."""
    thread: Any = threading.current_thread()
    given = vars(thread._manager).setdefault("given", {})
    place, beyond = thread.thread_id, int(delta)
    given[place] = value
    thread.syncthreads()
    warp = tuning.TUNING.warp
    is_in_warp = place % warp + beyond < warp
    found = given.get(place + beyond, value) if is_in_warp else value
    thread.syncthreads()
    return found


def _tile_index() -> np.uint32:
    return np.uint32(cuda.blockIdx.x)


def _thread_index() -> np.uint32:
    return np.uint32(cuda.threadIdx.x)


def _shuffle_down(value: Any, delta: Any) -> Any:
    """``value`` of the thread that is ``delta`` further on in the warp; own one at its end."""
    return cuda.shfl_down_sync(ALL_OF_WARP, value, delta)


def _is_aligned(typing_context: Any, pointer: Any) -> Any:
    """Whether ``pointer`` may be given to `load4` and `store4`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = builder.ptrtoint(args[0], _WIDE)
        rest = builder.and_(address, ir.Constant(_WIDE, 15))
        return builder.icmp_unsigned("==", rest, ir.Constant(_WIDE, 0))

    return types.boolean(pointer), generate


def _load4(typing_context: Any, pointer: Any, index: Any) -> Any:
    """Four float32 from ``pointer[index]`` on in one 128-bit load, if that is aligned."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        load = builder.load(_vector_address(builder, *args))
        load.align = 16
        elements = [builder.extract_element(load, _lane(i)) for i in range(4)]
        return context.make_tuple(builder, signature.return_type, elements)

    return types.UniTuple(types.float32, 4)(pointer, index), generate


def _store4(
    typing_context: Any, pointer: Any, index: Any, a: Any, b: Any, c: Any, d: Any
) -> Any:
    """Four float32 to ``pointer[index]`` on in one 128-bit store, if that is aligned."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = ir.Constant(_VECTOR, ir.Undefined)
        for i, element in enumerate(args[2:]):
            vector = builder.insert_element(vector, element, _lane(i))
        store = builder.store(vector, _vector_address(builder, *args[:2]))
        store.align = 16
        return context.get_dummy_value()

    element = types.float32
    return types.void(pointer, index, element, element, element, element), generate


def _copy4(
    typing_context: Any, shared: Any, at: Any, pointer: Any, index: Any, is_inside: Any
) -> Any:
    """Four float32 from ``pointer[index]`` on to ``shared[at]`` on, or zeros.

    Both are multiples of four. Nobody may read them before `finish_copies` and a barrier.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        block = array.data.type.pointee.as_pointer(_SHARED)
        to = builder.gep(builder.addrspacecast(array.data, block), [args[1]])
        condition = builder.icmp_unsigned("!=", args[4], args[4].type(0))
        # Where nothing is read, the address is one that could be.
        start = builder.select(condition, args[3], args[3].type(0))
        if start.type.width < _WIDE.width:
            start = builder.zext(start, _WIDE)
        source = builder.ptrtoint(builder.gep(args[2], [start]), _WIDE)
        nbytes = builder.select(condition, _WORD(16), _WORD(0))
        operands = [builder.ptrtoint(to, _WORD), source, nbytes]
        _instruction(builder, "copy16", operands, "r,l,r")
        return context.get_dummy_value()

    return types.void(shared, at, pointer, index, is_inside), generate


def _finish_copies(typing_context: Any) -> Any:
    """Wait for what this thread copies; a barrier then lets others read it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _instruction(builder, "finish_copies", [], "")
        return context.get_dummy_value()

    return types.void(), generate


def _instruction(builder: Any, name: str, operands: list[Any], kinds: str) -> None:
    """One of `numbanet.kernels.cuda.instructions`, which reads or writes memory."""
    places = ", ".join(f"${i}" for i in range(len(operands)))
    type_ = ir.FunctionType(ir.VoidType(), [each.type for each in operands])
    constraints = ",".join([*filter(None, [kinds]), "~{memory}"])
    text = f"numbanet.{name} {places};"
    builder.call(ir.InlineAsm(type_, text, constraints, side_effect=True), operands)


ALL_OF_WARP = 0xFFFFFFFF

_WIDE = ir.IntType(64)
_WORD = ir.IntType(32)
_SHARED = 3
"""Number of the address space that shared memory is."""
_VECTOR = ir.VectorType(ir.FloatType(), 4)


def _lane(i: int) -> ir.Constant:
    return ir.Constant(ir.IntType(32), i)


def _vector_address(builder: Any, pointer: Any, index: Any) -> Any:
    if index.type.width < _WIDE.width:
        index = builder.zext(index, _WIDE)
    return builder.bitcast(builder.gep(pointer, [index]), _VECTOR.as_pointer())


if SIMULATED:
    tile_index = _simulated_tile_index
    thread_index = _simulated_thread_index
    shuffle_down = _simulated_shuffle_down
    is_aligned = _simulated_is_aligned
    load4 = _simulated_load4
    store4 = _simulated_store4
    copy4 = _simulated_copy4
    finish_copies = _simulated_finish_copies
else:
    from numba.cuda.extending import intrinsic

    _inlined = cuda.jit(device=True, inline="always")
    tile_index = _inlined(_tile_index)
    thread_index = _inlined(_thread_index)
    shuffle_down = _inlined(_shuffle_down)
    is_aligned = intrinsic(_is_aligned)
    load4 = intrinsic(_load4)
    store4 = intrinsic(_store4)
    copy4 = intrinsic(_copy4)
    finish_copies = intrinsic(_finish_copies)
