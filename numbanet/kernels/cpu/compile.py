"""From a kernel to an address: from memory, from disk, or compiled now."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from numbanet.kernels import cache
from numbanet.kernels.cpu.machine import host, linker
from numbanet.kernels.kernel import Kernel

_ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)


@dataclass(frozen=True)
class CompiledKernel:
    """Machine code of a kernel; it stays in memory until the process ends.

    Attributes
    ----------
    address : int
        Of ``void entry(int64 first, int64 last, int64 *words)``, one word per argument.
    entry : callable
        The same for Python: ``entry(first, last, address of the words)``. It runs in the
        calling thread, which gives up Python's global lock meanwhile.
    """

    kernel: Kernel
    address: int
    entry: Callable[[int, int, int], None] = field(repr=False, compare=False)


_COMPILED: dict[tuple[object, str], CompiledKernel] = {}
_LOCK = threading.Lock()


def compile_kernel(kernel: Kernel) -> CompiledKernel:
    """The machine code of ``kernel``, compiled once and kept in memory and on disk."""
    # By the function too: at a prompt, a name comes to mean another function.
    key = (kernel.make, kernel.key)
    compiled = _COMPILED.get(key)
    if compiled is None:
        with _LOCK:
            compiled = _COMPILED.get(key) or _load(kernel)
            _COMPILED[key] = compiled
    return compiled


def _load(kernel: Kernel) -> CompiledKernel:
    source = _source_digest(kernel.make.__code__.co_filename)
    key = cache.cache_key("cpu", kernel.key, source or id(kernel.make), host())
    symbol = f"numbanet_{key}"
    code = cache.load(key) if source else None
    if code is None:
        # Imported here because it imports Numba, which a warm start does without.
        from numbanet.kernels.cpu.translate import object_code

        code = object_code(kernel, symbol)
        if source:
            cache.store(key, code)
    address = linker().link(code, symbol)
    return CompiledKernel(kernel, address, _ENTRY(address))


@functools.cache
def _source_digest(file: str) -> str | None:
    """Of the file that defines a kernel: those of users and tests are no part of
    `cache.fingerprint`. None for what was typed at a prompt: it is not kept on disk."""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return None


def pack_word(type_: str, number: float) -> int:
    """A number as the 64-bit word that an entry expects for an argument of ``type_``."""
    if type_ == "float64":
        return int.from_bytes(struct.pack("<d", number), "little", signed=True)
    if type_ == "float32":
        return int.from_bytes(struct.pack("<f", number), "little")
    return int(number)


def run_kernel(
    kernel: Kernel,
    arguments: Sequence[np.ndarray | float],
    tiles: int,
    first: int = 0,
) -> None:
    """Run tiles ``first .. tiles - 1`` of a kernel on arrays, in this thread: for tests.

    Parameters
    ----------
    arguments : sequence of ndarray, int or float
        In the order of the kernel's signature. Arrays must be C-contiguous and of the dtype
        that the signature says.
    """
    words = np.empty(len(arguments), dtype=np.int64)
    for i, (type_, argument) in enumerate(zip(kernel.signature, arguments, strict=True)):
        if isinstance(argument, np.ndarray):
            if f"{argument.dtype}*" != type_ or not argument.flags.c_contiguous:
                raise TypeError(
                    f"argument {i} of {kernel.name} is {type_}, not {argument.dtype}"
                )
            words[i] = argument.ctypes.data
        else:
            words[i] = pack_word(type_, argument)
    compile_kernel(kernel).entry(first, tiles, words.ctypes.data)
