"""What every CUDA kernel must satisfy on every target, checked without a GPU.

Each kernel's row of figures travels with the test's report, and is printed at the end.
"""

import functools
import re

import pytest

from numbanet.kernels.cuda.compile import Cubin, compile_kernel
from numbanet.kernels.kernel import Kernel
from tests.conftest import KERNEL_ROW

TARGETS = ((7, 5), (8, 0), (9, 0), (12, 0))


@functools.cache
def compiled(kernel: Kernel, cc: tuple[int, int]) -> Cubin:
    return compile_kernel(kernel, cc)


@pytest.fixture
def assert_clean(request):
    """``assert_clean(kernel)``: it compiles for every target, keeps everything in registers,
    and a kernel without float64 arguments has no float64 instruction."""

    def check(kernel: Kernel) -> None:
        figures = []
        for cc in TARGETS:
            cubin = compiled(kernel, cc)
            target = f"{kernel.name} for {cc}"
            assert cubin.spill_bytes == 0, f"{target} spills {cubin.spill_bytes} bytes"
            assert cubin.stack_bytes == 0, f"{target} has {cubin.stack_bytes} local bytes"
            assert not re.search(r"\b(ld|st)\.local|\.local\b", cubin.ptx), target
            if not any("float64" in name for name in kernel.signature):
                found = re.findall(r".*\.f64\b.*", cubin.ptx)
                assert not found, f"{target} has float64 instructions: {found[:3]}"
            assert cubin.registers * kernel.threads <= 65536, target
            figures.append(f"{cubin.registers:>4}")
        shared = compiled(kernel, TARGETS[0]).shared_bytes + kernel.shared_bytes
        row = f"{kernel.name:<36}{kernel.threads:>8}{shared:>8}  {' '.join(figures)}"
        request.node.user_properties.append((KERNEL_ROW, row))

    return check
