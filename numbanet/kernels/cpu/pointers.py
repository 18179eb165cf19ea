"""What CPU kernels do with typed addresses beyond ``x[i]``, as Numba intrinsics.

``x[i]`` loads and ``x[i] = v`` stores an element of a typed address. These move an address,
change its type, take the bits of a number, and reserve a few numbers on the stack.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core.errors import TypingError

# Typed loosely: the decorator takes the first parameter away.
intrinsic: Any = extending.intrinsic

CACHE_LINE = 64


@intrinsic
def offset(typingctx: Any, pointer: Any, count: Any) -> Any:
    """The address ``count`` elements after ``pointer``."""
    if not isinstance(pointer, types.CPointer) or not isinstance(count, types.Integer):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.intp), generate


@intrinsic
def retype(typingctx: Any, pointer: Any, dtype: Any) -> Any:
    """The same address (typed, or an integer) as one of ``dtype``, a NumPy or Numba type."""
    target = types.CPointer(_scalar(dtype))
    if not isinstance(pointer, (types.CPointer, types.Integer)):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value_type = context.get_value_type(target)
        if isinstance(signature.args[0], types.Integer):
            return builder.inttoptr(args[0], value_type)
        return builder.bitcast(args[0], value_type)

    source = pointer if isinstance(pointer, types.CPointer) else types.int64
    return target(source, dtype), generate


@intrinsic
def address(typingctx: Any, pointer: Any) -> Any:
    """An address as an int64."""
    if not isinstance(pointer, types.CPointer):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(args[0], ir.IntType(64))

    return types.int64(pointer), generate


@intrinsic
def bitcast(typingctx: Any, number: Any, dtype: Any) -> Any:
    """The bits of ``number`` read as a ``dtype`` of the same width."""
    target = _scalar(dtype)
    if getattr(number, "bitwidth", 0) != target.bitwidth:
        raise TypingError(f"bitcast between widths: {number} to {target}")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(target))

    return target(number, dtype), generate


@intrinsic(prefer_literal=True)
def stack(typingctx: Any, count: Any, dtype: Any) -> Any:
    """The address of ``count`` (a constant) uninitialised numbers on the stack, 64-aligned.

    They live until the kernel returns. Indexed by constants, they become registers.
    """
    if not isinstance(count, types.IntegerLiteral):
        raise TypingError("stack() takes a constant count")
    element = _scalar(dtype)
    size = count.literal_value

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = ir.ArrayType(context.get_data_type(element), size)
        # Numba's own way stores zeros first, one by one: LLVM takes seconds over thousands.
        with builder.goto_entry_block():
            slot = builder.alloca(array)
        slot.align = CACHE_LINE
        return builder.bitcast(slot, context.get_value_type(types.CPointer(element)))

    return types.CPointer(element)(count, dtype), generate


def _scalar(dtype: Any) -> Any:
    """The element type that a type argument names."""
    if isinstance(dtype, types.NumberClass):
        return dtype.instance_type
    if isinstance(dtype, types.DType):
        return dtype.dtype
    raise TypingError(f"not a dtype: {dtype}")
