"""This machine's processor: its name for the cache, and the linker of compiled objects.

Nothing here needs Numba, only llvmlite: a process that finds its kernels on disk links them
without compiling, and without importing a compiler.
"""

from __future__ import annotations

import functools
import threading

import llvmlite.binding as llvm


@functools.cache
def host() -> str:
    """What machine code for this processor depends on: its kind and its instruction sets."""
    return f"{llvm.get_process_triple()} {llvm.get_host_cpu_name()} {_features()}"


def _features() -> str:
    return llvm.get_host_cpu_features().flatten()


@functools.cache
def target_machine() -> llvm.TargetMachine:
    """LLVM's code generator for this processor, set up to link in memory."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple = llvm.get_process_triple()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=_features(),
        opt=3,
        reloc="static" if triple.startswith("x86_64") else "default",
        codemodel="jitdefault",
        jit=True,
    )


class Linker:
    """Places objects in executable memory, where they stay until the process ends."""

    def __init__(self) -> None:
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
        self._lock = threading.Lock()

    def link(self, code: bytes, symbol: str) -> int:
        """The address of function ``symbol`` of an object file that defines no other name."""
        with self._lock:
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            self._engine.finalize_object()
            return self._engine.get_function_address(symbol)


@functools.cache
def linker() -> Linker:
    """The process's linker."""
    return Linker()
