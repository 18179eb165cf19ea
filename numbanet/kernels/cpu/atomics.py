"""What the table walker needs beyond kernels: atomics, pauses, the processor's treatment of
subnormal numbers, and calls of addresses."""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

# Typed loosely: the decorator takes the first parameter away.
intrinsic: Any = extending.intrinsic

_WORD = ir.IntType(64)
_WORD_BYTES = 8
_WORDS = types.CPointer(types.int64)


@intrinsic
def load_acquire(typingctx: Any, pointer: Any, index: Any) -> Any:
    """``pointer[index]``, and all that the thread which stored it had written before."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(builder.gep(args[0], [args[1]]), "acquire", _WORD_BYTES)

    return types.int64(_WORDS, types.int64), generate


@intrinsic
def store_release(typingctx: Any, pointer: Any, index: Any, value: Any) -> Any:
    """``pointer[index] = value``, seen after all that this thread has written before."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.gep(args[0], [args[1]])
        builder.store_atomic(args[2], place, "release", _WORD_BYTES)
        return context.get_dummy_value()

    return types.none(_WORDS, types.int64, types.int64), generate


@intrinsic
def fetch_add(typingctx: Any, pointer: Any, index: Any, value: Any) -> Any:
    """Add to ``pointer[index]`` in one piece; the value from before comes back."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", builder.gep(args[0], [args[1]]), args[2], "acq_rel")

    return types.int64(_WORDS, types.int64, types.int64), generate


@intrinsic
def compare_exchange(typingctx: Any, pointer: Any, index: Any, old: Any, new: Any) -> Any:
    """Put ``new`` in the place of ``old`` at ``pointer[index]``; whether ``old`` was there."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.gep(args[0], [args[1]])
        result = builder.cmpxchg(place, args[2], args[3], "acq_rel", "monotonic")
        return builder.extract_value(result, 1)

    return types.boolean(_WORDS, types.int64, types.int64, types.int64), generate


@intrinsic
def pause(typingctx: Any) -> Any:
    """Tell the processor that this loop waits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        machine = llvm.get_process_triple().split("-")[0]
        if _is_x86():
            _declare(builder, ir.VoidType(), (), "llvm.x86.sse2.pause", ())
        elif machine in ("aarch64", "arm64"):
            yield_hint = ir.IntType(32)(1)
            _declare(
                builder, ir.VoidType(), (yield_hint.type,), "llvm.aarch64.hint", (yield_hint,)
            )
        return context.get_dummy_value()

    return types.none(), generate


@intrinsic
def yield_processor(typingctx: Any) -> Any:
    """Let another thread have this processor."""
    name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _declare(builder, ir.IntType(32), (), name, ())
        return context.get_dummy_value()

    return types.none(), generate


@intrinsic
def flush_subnormals(typingctx: Any) -> Any:
    """From here on, let this thread take subnormal numbers for zero; its mode from before.

    Slots of parameters without a gradient decay into subnormal numbers, on which arithmetic is
    tens of times slower. On x86 this sets DAZ and FTZ; elsewhere nothing changes.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if not _is_x86():
            return ir.IntType(32)(0)
        place = cgutils.alloca_once(builder, ir.IntType(32))
        _mode(builder, "llvm.x86.sse.stmxcsr", place)
        before = builder.load(place)
        builder.store(builder.or_(before, ir.IntType(32)(0x8040)), place)
        _mode(builder, "llvm.x86.sse.ldmxcsr", place)
        return before

    return types.int32(), generate


@intrinsic
def restore_mode(typingctx: Any, mode: Any) -> Any:
    """Undo `flush_subnormals`, whose result ``mode`` is."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _is_x86():
            place = cgutils.alloca_once(builder, ir.IntType(32))
            builder.store(args[0], place)
            _mode(builder, "llvm.x86.sse.ldmxcsr", place)
        return context.get_dummy_value()

    return types.none(types.int32), generate


def _is_x86() -> bool:
    return llvm.get_process_triple().split("-")[0] in ("x86_64", "i686")


def _mode(builder: Any, name: str, place: Any) -> None:
    address = builder.bitcast(place, ir.IntType(8).as_pointer())
    _declare(builder, ir.VoidType(), (address.type,), name, (address,))


@intrinsic
def call_entry(typingctx: Any, entry: Any, first: Any, last: Any, words: Any) -> Any:
    """Call a compiled kernel by its address, for a range of its tiles."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        type_ = ir.FunctionType(ir.VoidType(), [_WORD, _WORD, _WORD])
        builder.call(builder.inttoptr(args[0], type_.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64, types.int64), generate


def _declare(
    builder: Any, result: ir.Type, parameters: tuple[ir.Type, ...], name: str, args: Any
) -> None:
    type_ = ir.FunctionType(result, parameters)
    builder.call(cgutils.get_or_insert_function(builder.module, type_, name), args)
