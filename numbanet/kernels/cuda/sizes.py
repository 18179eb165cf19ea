"""What kernels reach: they count elements in 32 bits, which halves the registers for it."""

from __future__ import annotations

from numbanet.errors import DeviceError
from numbanet.ir import Value

MOST_ELEMENTS = 2**31 - 1


def check_sizes(*values: Value) -> None:
    """Raise DeviceError for a tensor that 32-bit positions cannot reach."""
    for value in values:
        check_elements(value.type.size, value.path)


def check_elements(elements: int, path: str = "") -> None:
    """Raise DeviceError for more elements than 32-bit positions can count."""
    if elements > MOST_ELEMENTS:
        raise DeviceError(
            "a tensor is too large for CUDA kernels",
            got=f"{elements:,} elements",
            expected=f"at most {MOST_ELEMENTS:,}",
            layer=path or None,
            mend="Use smaller batches",
        )
