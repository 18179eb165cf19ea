"""A target of Numba's that types and lowers kernels, and does nothing else.

Numba's own CPU target readies every function for calls from Python: it optimises the function
together with all that this one calls, generates machine code and links it, then does the same
for each caller. A kernel is optimised and translated once, with all that it calls inside it. So
libraries here only keep LLVM's text, no code is generated, and passes and operations that no
kernel needs are left out. That halves the time it takes to compile a kernel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import (
    cgutils,
    codegen,
    compiler,
    compiler_machinery,
    cpu,
    descriptors,
    dispatcher,
    fastmathpass,
    sigutils,
    target_extension,
    typed_passes,
    untyped_passes,
)
from numba.core.compiler_lock import global_compiler_lock
from numba.core.cpu_options import FastMathOptions
from numba.core.typing import context, mathdecl

from numbanet.kernels.cpu.machine import target_machine

_NAME = "numbanet"

_PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.RewriteSemanticConstants,
    untyped_passes.DeadBranchPrune,
    untyped_passes.GenericRewrites,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.IRLegalization,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)


def lower(
    function: Callable[..., Any],
    arguments: Sequence[types.Type],
    *,
    fastmath: Any,
    error_model: str = "numpy",
    result: types.Type | None = None,
) -> Any:
    """Numba's record of ``function``: typed, and LLVM of it that nobody has optimised yet.

    Parameters
    ----------
    arguments : sequence of Type
    fastmath : set of str or bool
        LLVM's flags for operations on floating-point numbers.
    error_model : str
        Numba's: ``"numpy"``, where dividing by zero gives infinity or NaN, or ``"python"``.
    result : Type, optional
        What the function returns; found out if it is not given.
    """
    flags: Any = compiler.Flags()
    flags.nrt = False
    flags.error_model = error_model
    flags.fastmath = FastMathOptions(fastmath)
    flags.forceinline = True
    flags.no_compile = True
    flags.no_cpython_wrapper = True
    flags.no_cfunc_wrapper = True
    return compiler.compile_extra(
        _typing_context(),
        _target_context(),
        function,
        tuple(arguments),
        result,
        flags,
        locals={},
        pipeline_class=_Compiler,
    )


class Library(codegen.CodeLibrary):
    """LLVM of a function, and the libraries of those that it calls."""

    def __init__(self, owner: Any, name: str) -> None:
        super().__init__(owner, name)
        self._texts: list[str] = []
        self._needs: list[Library] = []

    def everything(self) -> Iterator[str]:
        """The modules of this library and of all that it needs, each once."""
        seen: set[Library] = set()
        waiting = [self]
        while waiting:
            library = waiting.pop()
            if library not in seen:
                seen.add(library)
                waiting += library._needs
                yield from library._texts

    def add_ir_module(self, ir_module: Any) -> None:
        self._texts.append(cgutils.normalize_ir_text(str(ir_module)))

    def add_linking_library(self, library: Any) -> None:
        self._needs.append(library)

    def finalize(self) -> None:
        self._finalized = True

    def get_function(self, name: str) -> Any:
        raise LookupError(f"{name}: libraries of kernels hold text, not functions")

    def get_llvm_str(self) -> Any:
        return "\n".join(self._texts)

    def get_asm_str(self) -> Any:
        raise LookupError("libraries of kernels hold no code")


class _Codegen(codegen.Codegen):
    """Makes modules and libraries, and no code."""

    _library_class = Library

    def __init__(self) -> None:
        self._target_data = target_machine().target_data

    def _create_empty_module(self, name: str) -> Any:
        module = ir.Module(cgutils.normalize_ir_text(name))
        module.triple = llvm.get_process_triple()
        module.data_layout = str(self._target_data)
        return module

    def _add_module(self, module: Any) -> None:
        raise LookupError("modules of kernels are linked one kernel at a time")


class _TypingContext(context.Context):
    """Knows the types of operations on numbers, and takes functions under ``@njit`` over."""

    def __init__(self) -> None:
        super().__init__()
        self._callees: WeakKeyDictionary[Any, _Callee] = WeakKeyDictionary()

    def load_additional_registries(self) -> None:
        self.install_registry(mathdecl.registry)

    def resolve_value_type(self, val: Any) -> Any:
        if not isinstance(val, dispatcher.Dispatcher):
            return super().resolve_value_type(val)
        if val not in self._callees:
            self._callees[val] = _Callee(val.py_func, targetoptions=val.targetoptions)
        return types.Dispatcher(self._callees[val])


class _TargetContext(cpu.CPUContext):
    """Lowers operations on numbers."""

    @global_compiler_lock
    def init(self) -> None:
        self.is32bit = False
        self._internal_codegen = _Codegen()

    def load_additional_registries(self) -> None:
        # The first line is for what it adds to the operations that are built in.
        from numba.cpython import builtins, numbers, rangeobj, tupleobj  # noqa: F401
        from numba.cpython import mathimpl  # isort: skip

        self.install_registry(mathimpl.registry)

    def post_lowering(self, mod: Any, library: Any) -> None:
        if self.fastmath:
            fastmathpass.rewrite_module(mod, self.fastmath)


@functools.cache
def _typing_context() -> Any:
    return _TypingContext()


@functools.cache
def _target_context() -> Any:
    return _TargetContext(_typing_context(), _NAME)


class _Descriptor(descriptors.TargetDescriptor):
    """The two contexts of the target, made when they are first needed."""

    @property
    def typing_context(self) -> Any:
        return _typing_context()

    @property
    def target_context(self) -> Any:
        return _target_context()


class _Compiler(compiler.Compiler):
    """Numba's pipeline without lifting, closures, array expressions and parallel loops."""

    def define_pipelines(self) -> list[Any]:
        passes = compiler_machinery.PassManager("kernel")
        for each in _PASSES:
            passes.add_pass(each, each.__name__)
        passes.finalize()
        return [passes]


class _Callee(dispatcher.Dispatcher):
    """A function that kernels call: lowered for each combination of argument types."""

    targetdescr: Any = _Descriptor(_NAME)

    def compile(self, sig: Any) -> Any:
        arguments, _ = sigutils.normalize_signature(sig)
        known = self.overloads.get(tuple(arguments))
        if known is None:
            known = self._lower(arguments)
            self.overloads[tuple(arguments)] = known
        return known.entry_point

    def _lower(self, arguments: Sequence[types.Type]) -> Any:
        result = lower(
            self.py_func,
            arguments,
            fastmath=self.targetoptions.get("fastmath", False),
            error_model=self.targetoptions.get("error_model", "python"),
        )
        # Callers find the definition by its entry; there is no code that could be one.
        result = result._replace(entry_point=object())
        libraries = [result.library]
        self.targetctx.insert_user_function(result.entry_point, result.fndesc, libraries)
        return result


class _Kernels(target_extension.CPU):
    """What Numba's registries know the target by."""


def _jit(**options: Any) -> Callable[..., Any]:
    """How Numba makes functions for this target from those that overload one."""
    return lambda function: _Callee(function, targetoptions=options)


target_extension.target_registry[_NAME] = _Kernels
target_extension.jit_registry[_Kernels] = _jit
target_extension.dispatcher_registry[_Kernels] = _Callee
