"""From a kernel to an object file: Numba types and lowers it, LLVM optimises it.

Whatever its signature, a kernel becomes one exported function ``void entry(int64 first,
int64 last, int64 *words)``: each word is an address, an integer or the bits of a float. The
kernel itself is inlined into that entry, and every other name is made private, so that objects
from different processes can stand side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import compiler, registry
from numba.core.compiler_lock import global_compiler_lock
from numba.core.cpu_options import FastMathOptions

from numbanet.errors import VerificationError
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


@global_compiler_lock
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
    flags: Any = compiler.Flags()
    flags.nrt = False
    flags.error_model = "numpy"
    flags.fastmath = FastMathOptions(set(getattr(function, "fastmath", DEFAULT_FASTMATH)))
    flags.forceinline = True
    flags.no_compile = True
    flags.no_cpython_wrapper = True
    flags.no_cfunc_wrapper = True
    target = registry.cpu_target
    arguments = (types.int64, types.int64, *map(numba_type, kernel.signature))
    return compiler.compile_extra(
        target.typing_context,
        target.target_context,
        function,
        arguments,
        types.none,
        flags,
        locals={},
    )


def _link(result: Any, symbol: str, vector_bits: int | None) -> llvm.ModuleRef:
    """One module of the kernel, the functions it calls and its entry, all but that private."""
    library = result.library
    module = llvm.parse_assembly(str(library._final_module))
    for needed in library._linking_libraries:
        module.link_in(needed._get_module_for_linking(), preserve=True)
    module.link_in(llvm.parse_assembly(_entry(result, symbol, vector_bits)))
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
    passes = llvm.create_pass_builder(target_machine(), tuning)
    passes.getModulePassManager().run(module, passes)
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
