"""Loads and stores that promise LLVM what it must know to vectorise a loop.

LLVM cannot tell that a kernel's outputs are not its inputs. It would test for that at run time
and, where an output is written over an input (as the planner likes to), give up on vectors.
The promise made here is: no load sees what a store of the same call wrote, and no two outputs
overlap. A kernel keeps it also when an output takes an input's place, as long as the value it
stores depends on the element that was there, so that the load comes first.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

# Typed loosely: the decorator takes the first parameter away.
intrinsic: Any = extending.intrinsic

_MOST_OUTPUTS = 32
"""Outputs beyond these are tested for overlaps at run time."""


@intrinsic
def load(typing_context: Any, pointer: Any, position: Any) -> Any:
    """``pointer[position]`` of an input."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = builder.gep(*_address(arguments))
        instruction = builder.load(element)
        instruction.set_metadata("noalias", _metadata(builder, [_outputs(builder)]))
        return context.data_model_manager[pointer.dtype].from_data(builder, instruction)

    return pointer.dtype(pointer, types.int64), generate


@intrinsic(prefer_literal=True)
def store(typing_context: Any, output: Any, pointer: Any, position: Any, number: Any) -> Any:
    """``pointer[position] = number`` of the output whose number is the literal ``output``."""
    which = output.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = builder.gep(*_address(arguments[1:]))
        data = context.data_model_manager[pointer.dtype].as_data(builder, arguments[-1])
        instruction = builder.store(data, element)
        own, others = _numbered_outputs(builder, which)
        instruction.set_metadata("alias.scope", _metadata(builder, [_outputs(builder), *own]))
        instruction.set_metadata("noalias", _metadata(builder, others))
        return context.get_dummy_value()

    return types.void(output, pointer, types.int64, pointer.dtype), generate


@intrinsic
def fetch(typing_context: Any, pointer: Any, position: Any) -> Any:
    """Call for the cache line of ``pointer[position]``, which may lie beyond all that is."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit_fetch(builder, builder.gep(*_address(arguments)))
        return context.get_dummy_value()

    return types.void(pointer, types.int64), generate


def emit_fetch(builder: ir.IRBuilder, address: Any) -> None:
    """The instruction of `fetch`."""
    byte, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
    function_type = ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32])
    function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0")
    is_read, all_levels, is_data = i32(0), i32(3), i32(1)
    builder.call(function, [builder.bitcast(address, byte), is_read, all_levels, is_data])


@intrinsic(prefer_literal=True)
def local(typing_context: Any, size: Any, zero: Any) -> Any:
    """The address of ``size`` (a literal) numbers of the type of ``zero`` on the stack."""
    count = size.literal_value
    dtype = types.unliteral(zero)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        type_ = context.get_data_type(dtype)
        array = cgutils.alloca_once(builder, ir.ArrayType(type_, count))
        array.align = 64
        return builder.bitcast(array, type_.as_pointer())

    return types.CPointer(dtype)(size, zero), generate


def _address(arguments: Any) -> tuple[Any, list[Any]]:
    return arguments[0], [arguments[1]]


def _metadata(builder: ir.IRBuilder, operands: list[Any]) -> Any:
    return builder.module.add_metadata(operands)


def _outputs(builder: ir.IRBuilder) -> Any:
    """The scope of everything that a kernel writes."""
    return _metadata(builder, ["outputs", _metadata(builder, ["kernel memory"])])


def _numbered_outputs(builder: ir.IRBuilder, which: int) -> tuple[list[Any], list[Any]]:
    """The scope of output ``which``, and those of all others."""
    domain = _metadata(builder, ["numbered outputs"])
    scopes = [_metadata(builder, [f"output {k}", domain]) for k in range(_MOST_OUTPUTS)]
    if which >= _MOST_OUTPUTS:
        return [], []
    return [scopes[which]], scopes[:which] + scopes[which + 1 :]
