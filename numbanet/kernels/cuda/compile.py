"""From a kernel to a cubin, ahead of time and without a GPU: Numba to PTX, then ptxas.

Floating point: products and sums contract to fused multiply-adds; division and square root
are correctly rounded and subnormal numbers are kept, so that results agree with the CPU's to
rounding.
"""

from __future__ import annotations

import functools
import importlib
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types

from numbanet.errors import VerificationError
from numbanet.kernels.cuda.instructions import expand
from numbanet.kernels.kernel import Kernel

ComputeCapability = tuple[int, int]

OLDEST: ComputeCapability = (7, 5)
"""The oldest capability that CUDA 13 compiles for."""


@dataclass(frozen=True)
class Cubin:
    """Machine code for one compute capability, and what ptxas says about it.

    Attributes
    ----------
    code : bytes
    entry : str
        Name of the function in the code.
    registers : int
        Of a thread.
    stack_bytes, spill_bytes : int
        Local memory of a thread: arrays that did not fit registers, and spilled registers.
    shared_bytes : int
        Static shared memory of a block.
    ptx : str
        What the code was assembled from.
    """

    code: bytes
    entry: str
    registers: int
    stack_bytes: int
    spill_bytes: int
    shared_bytes: int
    ptx: str


def compile_kernel(kernel: Kernel, cc: ComputeCapability) -> Cubin:
    """Compile ``kernel`` for compute capability ``cc``, for example ``(9, 0)``."""
    entry = _entry_name(kernel)
    ptx = _with_entry(compile_to_ptx(kernel, cc), entry)
    code, log = assemble(ptx, cc)
    return Cubin(
        code=code,
        entry=entry,
        registers=_figure(r"Used (\d+) registers", log),
        stack_bytes=_figure(r"(\d+) bytes stack frame", log),
        spill_bytes=_figure(r"(\d+) bytes spill stores", log),
        shared_bytes=_shared_bytes(ptx),
        ptx=ptx,
    )


def compile_to_ptx(kernel: Kernel, cc: ComputeCapability) -> str:
    (ptx,) = _typed(kernel).get_asm_strs(cc=cc)
    return expand(ptx if isinstance(ptx, str) else ptx.decode(), cc)


@functools.lru_cache(maxsize=1)
def _typed(kernel: Kernel) -> Any:
    """Numba's typed and lowered ``kernel``, which NVVM then compiles for any capability.

    That is what ``cuda.compile`` does inside, and most of its time. Going without it lets one
    kernel be compiled for several targets, as the tests do, at little more cost than for one.
    """
    compiler = importlib.import_module("numba.cuda.compiler")
    library, _ = compiler._compile_pyfunc_with_fixup(
        kernel.make(*kernel.parameters),
        types.void(*(numba_type(name) for name in kernel.signature)),
        debug=None,
        lineinfo=False,
        device=False,
        fastmath=False,
        cc=OLDEST,
        opt=None,
        abi="numba",
        abi_info=None,
        forceinline=False,
        launch_bounds=kernel.threads,
        lto=False,
    )
    return library


def assemble(ptx: str, cc: ComputeCapability) -> tuple[bytes, str]:
    """Machine code for ``ptx``, and ptxas's log."""
    # Not at the top: the simulator runs without cuda-core.
    cuda_core = importlib.import_module("cuda.core")
    options = cuda_core.LinkerOptions(arch=f"sm_{cc[0]}{cc[1]}", ptxas_options=["-v"])
    linker = cuda_core.Linker(cuda_core.ObjectCode.from_ptx(ptx.encode()), options=options)
    code = linker.link("cubin").code
    return bytes(code), linker.get_info_log()


def numba_type(name: str) -> types.Type:
    """The type of an argument: ``"float32*"``, ``"int64"`` and so on.

    Booleans in memory are bytes: Numba's CUDA target has no address of booleans.
    """
    if name.endswith("*"):
        element = name.removesuffix("*")
        return types.CPointer(getattr(types, "uint8" if element == "bool" else element))
    return getattr(types, name)


def numpy_dtype(name: str) -> np.dtype:
    """The NumPy dtype behind an argument's type; bytes for booleans, as in `numba_type`."""
    element = name.removesuffix("*")
    return np.dtype("uint8" if element == "bool" else element)


def _entry_name(kernel: Kernel) -> str:
    return "numbanet_" + re.sub(r"\W", "_", kernel.name)


def _with_entry(ptx: str, entry: str) -> str:
    """``ptx`` with its entry renamed, and without the address of Numba's environment: both
    names count compilations, and a kernel must give the same bytes in every process."""
    names = re.findall(r"\.entry\s+([\w$]+)\s*\(", ptx)
    if len(names) != 1:
        raise VerificationError(f"the PTX of {entry} has {len(names)} entries")
    ptx = re.sub(r"^\.common .*NumbaEnv.*;\n", "", ptx, flags=re.MULTILINE)
    return ptx.replace(names[0], entry)


def _shared_bytes(ptx: str) -> int:
    """Static shared memory, from the declarations: ptxas does not count visible arrays."""
    declared = re.findall(r"\.shared \.align \d+ \.b8 [\w$]+\[(\d+)\]", ptx)
    return sum(int(size) for size in declared)


def _figure(pattern: str, log: str) -> int:
    found = re.search(pattern, log)
    if found is None:
        raise VerificationError(f"ptxas did not report {pattern!r}", got=repr(log))
    return int(found.group(1))
