"""Mathematical functions that LLVM can inline into a loop and vectorise.

Calls of the C library would keep loops scalar. So the float32 functions are polynomials without
branches: arguments are reduced with exact multiples of powers of two, and choices are selects.
Results are within about two units in the last place, and right at infinities, NaN, zeros,
denormal numbers and where they overflow. Float64 functions are the C library's.

Sources: the polynomials of Cephes (Moshier) for exp and log, and N. Juffa's for erf.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import float32, float64, int32, int64, njit, types, uint8, uint64
from numba.extending import intrinsic as _intrinsic

from numbanet.kernels.cpu import memory
from numbanet.kernels.source import FUNCTIONS

intrinsic: Any = _intrinsic
"""Its result takes the arguments after the typing context, which type checkers cannot know."""

inline: Callable[[Any], Any] = njit(
    error_model="numpy", fastmath={"nsz", "contract"}, forceinline=True
)

LOG2_E = float32(math.log2(math.e))
LN2_HIGH = float32(0.693359375)
"""Exact in so few bits that its product with an exponent is exact too."""
LN2_LOW = float32(math.log(2) - 0.693359375)
ROUND = float32(1.5 * 2**23)
"""Adding this to a small number leaves its nearest whole number in the low bits."""
ROUND_BITS = int32(0x4B400000)
ROOT_HALF_BITS = int32(0x3F3504F3)
SMALLEST_NORMAL = float32(2.0**-126)


@intrinsic
def to_bits(typing_context: Any, number: Any) -> Any:
    """The bits of a float32 as an int32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


@intrinsic
def from_bits(typing_context: Any, bits: Any) -> Any:
    """The float32 of the given bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def square_root(typing_context: Any, number: Any) -> Any:
    """Unlike `math.sqrt` never a call of the C library, which sets ``errno`` for negatives."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = builder.module.declare_intrinsic("llvm.sqrt", [arguments[0].type])
        return builder.call(function, arguments)

    return number(number), generate


@intrinsic
def round_down(typing_context: Any, number: Any) -> Any:
    """Unlike `math.floor` a float."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = builder.module.declare_intrinsic("llvm.floor", [arguments[0].type])
        return builder.call(function, arguments)

    return number(number), generate


@intrinsic
def float_remainder(typing_context: Any, number: Any, divisor: Any) -> Any:
    """`math.fmod`, which the target of kernels does not know."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.frem(*arguments)

    return number(number, divisor), generate


@inline
def _power_of_two(exponent):
    """``2 ** exponent`` for exponents of normal numbers, and 0 for -127."""
    return from_bits(int32(int32(exponent + int32(127)) << int32(23)))


@inline
def _clamp(x, low, high):
    """``x`` within bounds; NaN stays."""
    x = low if x < low else x
    return high if x > high else x


@inline
def _reduce(x):
    """``(r, halves of n)`` with ``x = n * ln(2) + r``, ``|r| <= ln(2) / 2``.

    ``2 ** n`` may leave the normal numbers where ``2 ** (half of n)`` does not.
    """
    shifted = x * LOG2_E + ROUND
    n = shifted - ROUND
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    whole = int32(to_bits(shifted) - ROUND_BITS)
    half = int32(whole >> int32(1))
    return r, half, int32(whole - half)


@inline
def _expm1_reduced(r):
    """``exp(r) - 1`` for ``|r| <= ln(2) / 2``."""
    p = float32(1.9875691500e-4)
    p = p * r + float32(1.3981999507e-3)
    p = p * r + float32(8.3334519073e-3)
    p = p * r + float32(4.1665795894e-2)
    p = p * r + float32(1.6666665459e-1)
    p = p * r + float32(5.0000001201e-1)
    return p * (r * r) + r


@inline
def exp_float32(x):
    r, first, second = _reduce(_clamp(x, float32(-104), float32(89)))
    p = _expm1_reduced(r) + float32(1)
    return p * _power_of_two(first) * _power_of_two(second)


@inline
def exp_negative_float32(x):
    """`exp_float32` of numbers up to zero, less exact only where it is below ``exp(-87)``: as
    ``2 ** n`` does not overflow, it need not be a product of two."""
    x = float32(-88) if x < float32(-88) else x
    shifted = x * LOG2_E + ROUND
    n = shifted - ROUND
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = _expm1_reduced(r) + float32(1)
    return p * _power_of_two(int32(to_bits(shifted) - ROUND_BITS))


@inline
def exp_negative_float64(x):
    return math.exp(x)


@inline
def expm1_float32(x):
    r, first, second = _reduce(_clamp(x, float32(-104), float32(89)))
    scale = _power_of_two(second)
    p = _expm1_reduced(r) * scale + (scale - _power_of_two(int32(-first)))
    # The sum above rounds an argument's last bits away where it is all of the result.
    return x if abs(x) < float32(1e-7) else p * _power_of_two(first)


@inline
def _log_reduced(f, exponent):
    """``log(1 + f) + exponent * ln(2)`` for ``sqrt(1/2) <= 1 + f <= sqrt(2)``."""
    p = float32(7.0376836292e-2)
    p = p * f + float32(-1.1514610310e-1)
    p = p * f + float32(1.1676998740e-1)
    p = p * f + float32(-1.2420140846e-1)
    p = p * f + float32(1.4249322787e-1)
    p = p * f + float32(-1.6668057665e-1)
    p = p * f + float32(2.0000714765e-1)
    p = p * f + float32(-2.4999993993e-1)
    p = p * f + float32(3.3333331174e-1)
    square = f * f
    low = p * f * square + exponent * LN2_LOW - float32(0.5) * square
    return exponent * LN2_HIGH + (f + low)


@inline
def _log_ends(x, result):
    """Logarithms of zero, of negative numbers, of infinity and of NaN."""
    result = float32(math.inf) if x == float32(math.inf) else result
    result = float32(-math.inf) if x == float32(0) else result
    return result if x >= float32(0) else float32(math.nan)


@inline
def _exponent(x):
    """``n`` such that ``x / 2 ** n`` lies between ``sqrt(1/2)`` and ``sqrt(2)``."""
    return int32(int32(to_bits(x) - ROOT_HALF_BITS) >> int32(23))


@inline
def log_float32(x):
    is_denormal = x < SMALLEST_NORMAL
    scaled = x * float32(2**23) if is_denormal else x
    n = _exponent(scaled)
    mantissa = from_bits(int32(to_bits(scaled) - int32(n << int32(23))))
    exponent = float32(n) - (float32(23) if is_denormal else float32(0))
    return _log_ends(x, _log_reduced(mantissa - float32(1), exponent))


@inline
def log1p_float32(x):
    total = x + float32(1)
    # What rounding took from the sum: of the larger term nothing is lost.
    lost = float32(1) - (total - x) if x > float32(1) else x - (total - float32(1))
    n = _exponent(total)
    mantissa = from_bits(int32(to_bits(total) - int32(n << int32(23))))
    scale = _power_of_two(int32(-n) if n < int32(127) else int32(-127))
    f = (mantissa - float32(1)) + lost * scale
    result = _log_ends(total, _log_reduced(f, float32(n)))
    return x if abs(x) < float32(1e-7) else result


@inline
def tanh_float32(x):
    size = abs(x)
    e = expm1_float32(float32(-2) * size)
    result = -e / (e + float32(2))
    return -result if x < float32(0) else result


@inline
def erf_float32(x):
    size = _clamp(abs(x), float32(0), float32(4))
    square = size * size
    p = float32(-1.72853470e-5) * size + float32(3.83197126e-4)
    q = float32(-3.88396438e-3) * size + float32(2.42546219e-2)
    p = p * square + q
    p = p * size + float32(-1.06777877e-1)
    p = p * size + float32(-6.34846687e-1)
    p = p * size + float32(-1.28717512e-1)
    p = p * size - size
    far = float32(1) - exp_float32(p)
    q = float32(-5.96761703e-4)
    q = q * square + float32(4.99119423e-3)
    q = q * square + float32(-2.67681349e-2)
    q = q * square + float32(1.12819925e-1)
    q = q * square + float32(-3.76125336e-1)
    q = q * square + float32(1.28379166e-1)
    near = q * size + size
    result = far if size > float32(0.927734375) else near
    return -result if x < float32(0) else result


@inline
def sqrt_float32(x):
    return square_root(x)


@inline
def sqrt_float64(x):
    return square_root(x)


@inline
def floor_float32(x):
    return round_down(x)


@inline
def floor_float64(x):
    return round_down(x)


@inline
def rsqrt_float32(x):
    return float32(1) / square_root(x)


@inline
def rsqrt_float64(x):
    return float64(1) / square_root(x)


@inline
def power_float32(x, y):
    return math.pow(x, y)


@inline
def power_float64(x, y):
    return math.pow(x, y)


@inline
def fmod_float32(x, y):
    return float_remainder(x, y)


@inline
def fmod_float64(x, y):
    return float_remainder(x, y)


@inline
def _philox(counter, upper, step, stream, low_key, high_key):
    """Philox 4x32-10 (Salmon et al., 2011): four random words, each in a uint64."""
    mask = uint64(0xFFFFFFFF)
    a, b, c, d = counter, upper, step, stream
    for _ in range(10):
        first = a * uint64(0xD2511F53)
        second = c * uint64(0xCD9E8D57)
        a = (second >> uint64(32)) ^ b ^ low_key
        b = second & mask
        c = (first >> uint64(32)) ^ d ^ high_key
        d = first & mask
        low_key = (low_key + uint64(0x9E3779B9)) & mask
        high_key = (high_key + uint64(0xBB67AE85)) & mask
    return a, b, c, d


@inline
def uniform_float32(seed, step, stream, position):
    mask = uint64(0xFFFFFFFF)
    group = uint64(position) >> uint64(2)
    a, b, c, d = _philox(
        group & mask,
        group >> uint64(32),
        uint64(step) & mask,
        uint64(stream) & mask,
        uint64(seed) & mask,
        uint64(seed) >> uint64(32),
    )
    lane = uint64(position) & uint64(3)
    pair = b if lane & uint64(1) else a
    other = d if lane & uint64(1) else c
    word = other if lane & uint64(2) else pair
    return float32(int32(word >> uint64(8))) * float32(2.0**-24)


@inline
def uniform_float64(seed, step, stream, position):
    return float64(uniform_float32(seed, step, stream, position))


def _from_library(function: Callable[[Any], Any], dtype: Any) -> Any:
    return inline(lambda x: dtype(function(x)))


def _namespace() -> dict[str, Any]:
    """What generated source may name, see `numbanet.kernels.source`."""
    names: dict[str, Any] = {
        name: value for name, value in globals().items() if name.endswith(_SUFFIXES)
    }
    names |= {"uint8": uint8, "int32": int32, "int64": int64, "inf": math.inf}
    names |= {"float32": float32, "float64": float64, "nan": math.nan}
    names |= {"load": memory.load, "store": memory.store, "local": memory.local}
    for function in FUNCTIONS:
        for dtype in (float32, float64):
            name = f"{function}_{dtype}"
            if name not in names:
                names[name] = _from_library(getattr(math, function), dtype)
    return names


_SUFFIXES = ("_float32", "_float64")

NAMESPACE = _namespace()
