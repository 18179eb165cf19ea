"""Mathematical functions of generated kernels, with a twin of each for the simulator.

Float32 functions are NVIDIA's libdevice's, accurate to a few units in the last place and free
of float64 instructions. Its sine and cosine are not, and keep a table in local memory: ours
reduce their argument in float32, and lose accuracy gradually beyond some ten thousands.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda as numba_cuda
from numba import float32, float64, int32, uint32, uint64

from numbanet.kernels.cuda.simulate import SIMULATED
from numbanet.kernels.source import FUNCTIONS

cuda: Any = numba_cuda


def _inline(function: Callable[..., Any]) -> Any:
    """A device function; the simulator calls plain ones."""
    return function if SIMULATED else cuda.jit(device=True, inline="always")(function)


TWO_OVER_PI = float32(2 / math.pi)
ROUND = float32(1.5 * 2**23)
"""Adding and subtracting it rounds a small number to a whole one."""
HALF_PI_HIGH = float32(1.5703125)
HALF_PI_MIDDLE = float32(4.837512969970703125e-4)
HALF_PI_LOW = float32(7.54978995489188216e-8)
"""Their sum is pi / 2; the first two have few bits, so that small multiples are exact."""


@_inline
def _quarter(x):
    """The quarter of the circle that ``x`` lies in, and the rest, at most pi / 4."""
    turns = (x * TWO_OVER_PI + ROUND) - ROUND
    rest = ((x - turns * HALF_PI_HIGH) - turns * HALF_PI_MIDDLE) - turns * HALF_PI_LOW
    return int32(turns), rest


@_inline
def _wave(quarter, rest):
    """The sine of ``rest + quarter * pi / 2``; polynomials of Cephes (Moshier)."""
    square = rest * rest
    sine = float32(-1.9515295891e-4) * square + float32(8.3321608736e-3)
    sine = (sine * square + float32(-1.6666654611e-1)) * square * rest + rest
    cosine = float32(2.443315711809948e-5) * square + float32(-1.388731625493765e-3)
    cosine = (cosine * square + float32(4.166664568298827e-2)) * square * square
    cosine = cosine - float32(0.5) * square + float32(1)
    result = cosine if quarter & int32(1) else sine
    return -result if quarter & int32(2) else result


@_inline
def sin_float32(x):
    quarter, rest = _quarter(x)
    return _wave(quarter, rest)


@_inline
def cos_float32(x):
    quarter, rest = _quarter(x)
    return _wave(int32(quarter + int32(1)), rest)


@_inline
def _product_high(a, b):
    """The upper half of a 64-bit product."""
    return uint32((uint64(a) * uint64(b)) >> uint64(32))


@_inline
def _philox(a, b, c, d, low_key, high_key):
    """Philox 4x32-10 (Salmon et al., 2011): four random words."""
    for _ in range(10):
        first_high = _product_high(uint32(0xD2511F53), a)
        first_low = uint32(uint32(0xD2511F53) * a)
        second_high = _product_high(uint32(0xCD9E8D57), c)
        second_low = uint32(uint32(0xCD9E8D57) * c)
        a = uint32(second_high ^ b ^ low_key)
        b = second_low
        c = uint32(first_high ^ d ^ high_key)
        d = first_low
        low_key = uint32(low_key + uint32(0x9E3779B9))
        high_key = uint32(high_key + uint32(0xBB67AE85))
    return a, b, c, d


@_inline
def _low(number):
    return uint32(uint64(number) & uint64(0xFFFFFFFF))


@_inline
def _high(number):
    return uint32(uint64(number) >> uint64(32))


@_inline
def uniform_float32(seed, step, stream, position):
    """See `numbanet.ops.scalar.uniform`; all arguments are int64."""
    group = uint64(position) >> uint64(2)
    a, b, c, d = _philox(
        _low(group), _high(group), _low(step), _low(stream), _low(seed), _high(seed)
    )
    lane = uint32(_low(position) & uint32(3))
    pair = b if lane & uint32(1) else a
    other = d if lane & uint32(1) else c
    word = other if lane & uint32(2) else pair
    return float32(int32(word >> uint32(8))) * float32(2.0**-24)


@_inline
def uniform_float64(seed, step, stream, position):
    return float64(uniform_float32(seed, step, stream, position))


def _on_device() -> dict[str, Any]:
    from numba.cuda import libdevice

    names: dict[str, Any] = {"power_float32": math.pow, "power_float64": math.pow}
    names |= {"fmod_float32": math.fmod, "fmod_float64": math.fmod}
    for name in FUNCTIONS:
        function = getattr(math, name, None)
        names |= {f"{name}_float32": function, f"{name}_float64": function}
    # Numba's math.floor makes an integer.
    names |= {"floor_float32": libdevice.floorf, "floor_float64": libdevice.floor}
    names["rsqrt_float32"] = _inline(lambda x: float32(1) / math.sqrt(x))
    names["rsqrt_float64"] = _inline(lambda x: float64(1) / math.sqrt(x))
    return names


def _simulated() -> dict[str, Any]:
    def erf(x: Any) -> Any:
        return type(x)(math.erf(x))

    def rsqrt(x: Any) -> Any:
        return type(x)(1) / np.sqrt(x)

    twins: dict[str, Any] = {"erf": erf, "rsqrt": rsqrt, "atan": np.arctan}
    names: dict[str, Any] = {"power_float32": np.power, "power_float64": np.power}
    names |= {"fmod_float32": np.fmod, "fmod_float64": np.fmod}
    for name in FUNCTIONS:
        function = twins.get(name) or getattr(np, name)
        names |= {f"{name}_float32": function, f"{name}_float64": function}
    return names


NAMES: dict[str, Any] = (_simulated() if SIMULATED else _on_device()) | {
    "sin_float32": sin_float32,
    "cos_float32": cos_float32,
    "uniform_float32": uniform_float32,
    "uniform_float64": uniform_float64,
}
"""What generated source may call, see `numbanet.kernels.source`."""
