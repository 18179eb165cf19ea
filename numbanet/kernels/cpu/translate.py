"""From a kernel to an object file: Numba types and lowers it, LLVM optimises it.

Whatever its signature, a kernel becomes one exported function ``void entry(int64 first,
int64 last, int64 *words)``: each word is an address, an integer or the bits of a float. The
kernel itself is inlined into that entry, and every other name is made private, so that objects
from different processes can stand side by side.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core.compiler_lock import global_compiler_lock

from numbanet.errors import VerificationError
from numbanet.kernels.cpu import target
from numbanet.kernels.cpu.machine import linker, target_machine
from numbanet.kernels.kernel import Kernel

DEFAULT_FASTMATH = frozenset({"nsz", "contract"})
"""Liberties that kernels take with floating-point numbers unless they say otherwise.

Fused multiply-add yes; reassociation no, for sums have a fixed order; and no flag under which
NaN or infinity may be lost (with ``arcp`` LLVM divides by way of an estimate: 1/0 is NaN).
"""

_NUMBERS: dict[str, types.Type] = {
    "float32": types.float32,
    "float64": types.float64,
    "int32": types.int32,
    "int64": types.int64,
    "uint8": types.uint8,
    "bool": types.uint8,
}
_WORD = ir.IntType(64)
_RUNTIMES = ("NRT_", "numba_", "Py", "_Py")


def numba_type(name: str) -> types.Type:
    """The Numba type of a signature's entry. Booleans are read and written as uint8."""
    if name.endswith("*"):
        return types.CPointer(_NUMBERS[name[:-1]])
    return _NUMBERS[name]


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Numba makes many objects that stay: looking for garbage among them takes a sixth of its
    time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@global_compiler_lock
@_collector_paused()
def object_code(kernel: Kernel, symbol: str) -> bytes:
    """An object file that exports ``kernel`` as ``symbol`` and nothing else.

    The function may have attributes ``fastmath`` (a set of LLVM's flags, in place of
    `DEFAULT_FASTMATH`) and ``vector_bits``: the width that loops are vectorised to, for kernels
    that compute much on each number (left alone, LLVM takes 256 even where there are 512).
    """
    return target_machine().emit_object(optimised_module(kernel, symbol))


def optimised_module(kernel: Kernel, symbol: str) -> llvm.ModuleRef:
    """The LLVM that `object_code` translates: its text shows what was vectorised."""
    function = kernel.make(*kernel.parameters)
    module = _link(_lower(kernel, function), symbol, getattr(function, "vector_bits", None))
    _optimise(module)
    _refuse_unknown_names(kernel, module)
    return module


def _lower(kernel: Kernel, function: Callable[..., None]) -> Any:
    """Numba's result for ``function``: typed and lowered to LLVM, not yet optimised."""
    arguments = (types.int64, types.int64, *map(numba_type, kernel.signature))
    fastmath = set(getattr(function, "fastmath", DEFAULT_FASTMATH))
    return target.lower(function, arguments, fastmath=fastmath, result=types.none)


def _link(result: Any, symbol: str, vector_bits: int | None) -> llvm.ModuleRef:
    """One module of the kernel, the functions it calls and its entry, all but that private."""
    module = llvm.parse_assembly(_entry(result, symbol, vector_bits))
    for text in result.library.everything():
        module.link_in(llvm.parse_assembly(text))
    for each in (*module.functions, *module.global_variables):
        if not each.is_declaration and each.name != symbol:
            each.linkage = "internal"
    return module


def _entry(result: Any, symbol: str, vector_bits: int | None) -> str:
    """LLVM of the exported function: unpacks the words and calls the kernel."""
    context = result.target_context
    description = result.fndesc
    module = context.create_module(symbol)
    signature = ir.FunctionType(ir.VoidType(), [_WORD, _WORD, _WORD.as_pointer()])
    entry = ir.Function(module, signature, symbol)
    entry.attributes.add("nounwind")
    if vector_bits is not None:
        # Past llvmlite's own check: it knows only attributes without a value.
        set.add(entry.attributes, f'"prefer-vector-width"="{vector_bits}"')
    builder = ir.IRBuilder(entry.append_basic_block())
    first, last, words = entry.args
    arguments: list[Any] = [first, last]
    for position, type_ in enumerate(description.argtypes[2:]):
        word = builder.load(builder.gep(words, [_WORD(position)]))
        arguments.append(_unpack(builder, word, context.get_value_type(type_)))
    kernel = context.declare_function(module, description)
    context.call_conv.call_function(
        builder, kernel, types.none, description.argtypes, arguments
    )
    builder.ret_void()
    return str(module)


def _unpack(builder: Any, word: Any, type_: ir.Type) -> Any:
    if isinstance(type_, ir.PointerType):
        return builder.inttoptr(word, type_)
    if isinstance(type_, ir.DoubleType):
        return builder.bitcast(word, type_)
    if isinstance(type_, ir.FloatType):
        return builder.bitcast(builder.trunc(word, ir.IntType(32)), type_)
    return word if type_ == _WORD else builder.trunc(word, type_)


def _optimise(module: llvm.ModuleRef) -> None:
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization = True
    tuning.slp_vectorization = True
    tuning.loop_unrolling = True
    builder = llvm.create_pass_builder(target_machine(), tuning)
    # Choices must be selects before anything is moved: a load that LLVM has sunk into one
    # branch of a choice keeps the loop around it scalar.
    choices = llvm.create_new_module_pass_manager()
    choices.add_sroa_pass()
    choices.add_simplify_cfg_pass()
    choices.run(module, builder)
    builder.getModulePassManager().run(module, builder)
    module.verify()


def _refuse_unknown_names(kernel: Kernel, module: llvm.ModuleRef) -> None:
    """A name that the process lacks would end it when the object is linked: say so now.

    Names of Numba's and Python's runtimes are as bad. They mean that the kernel allocates or
    raises, and a process that loads the object from disk does not have them.
    """
    linker()  # It makes the process's own names known to LLVM.
    names = [function.name for function in module.functions if function.is_declaration]
    unknown = [
        name
        for name in names
        if not name.startswith("llvm.")
        and (name.startswith(_RUNTIMES) or not llvm.address_of_symbol(name))
    ]
    if unknown:
        raise VerificationError(
            f"kernel {kernel.name!r} needs functions that a kernel cannot have",
            got=", ".join(unknown),
            expected="arithmetic, math functions and typed addresses only",
        )
