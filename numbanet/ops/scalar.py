"""The language of one element: small expression trees that both devices' kernels are made of.

An elementwise op states what it does to one element in this language. The trees are dumb on
purpose: kernel writers turn each node into one line of source, so an expression that uses a
sub-tree twice computes it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numbanet.ir.types import DType


@dataclass(frozen=True, eq=False)
class Scalar:
    """One element of a tensor, symbolic.

    ``kind`` is ``"input"`` (``payload``: its slot), ``"constant"`` (``payload``: a Python
    number), or the name of an operation or function on ``args``.
    """

    kind: str
    dtype: DType
    args: tuple[Scalar, ...] = ()
    payload: Any = None

    def __add__(self, other: Any) -> Scalar:
        return _binary("add", self, other)

    def __radd__(self, other: Any) -> Scalar:
        return _binary("add", other, self)

    def __sub__(self, other: Any) -> Scalar:
        return _binary("subtract", self, other)

    def __rsub__(self, other: Any) -> Scalar:
        return _binary("subtract", other, self)

    def __mul__(self, other: Any) -> Scalar:
        return _binary("multiply", self, other)

    def __rmul__(self, other: Any) -> Scalar:
        return _binary("multiply", other, self)

    def __truediv__(self, other: Any) -> Scalar:
        return _binary("divide", self, other)

    def __rtruediv__(self, other: Any) -> Scalar:
        return _binary("divide", other, self)

    def __neg__(self) -> Scalar:
        return Scalar("negative", self.dtype, (self,))

    def __lt__(self, other: Any) -> Scalar:
        return _compare("less", self, other)

    def __le__(self, other: Any) -> Scalar:
        return _compare("less_equal", self, other)

    def __gt__(self, other: Any) -> Scalar:
        return _compare("greater", self, other)

    def __ge__(self, other: Any) -> Scalar:
        return _compare("greater_equal", self, other)


def input_(slot: int, dtype: DType) -> Scalar:
    return Scalar("input", dtype, payload=slot)


def constant(number: float, dtype: DType) -> Scalar:
    return Scalar("constant", dtype, payload=number)


def equal(a: Any, b: Any) -> Scalar:
    return _compare("equal", a, b)


def not_equal(a: Any, b: Any) -> Scalar:
    return _compare("not_equal", a, b)


def both(a: Scalar, b: Scalar) -> Scalar:
    return Scalar("and", DType.BOOL, (a, b))


def either(a: Scalar, b: Scalar) -> Scalar:
    return Scalar("or", DType.BOOL, (a, b))


def negate(a: Scalar) -> Scalar:
    return Scalar("not", DType.BOOL, (a,))


def where(condition: Scalar, a: Any, b: Any) -> Scalar:
    a, b = _pair(a, b)
    return Scalar("where", a.dtype, (condition, a, b))


def maximum(a: Any, b: Any) -> Scalar:
    return _binary("maximum", a, b)


def minimum(a: Any, b: Any) -> Scalar:
    return _binary("minimum", a, b)


def power(a: Any, b: Any) -> Scalar:
    return _binary("power", a, b)


def fmod(a: Any, b: Any) -> Scalar:
    """What is left of a floating-point division rounded towards zero."""
    return _binary("fmod", a, b)


def remainder(a: Any, b: Any) -> Scalar:
    """What is left of an integer division rounded down, by anything but zero."""
    return _binary("remainder", a, b)


def floor_divide(a: Any, b: Any) -> Scalar:
    """An integer division rounded down, by anything but zero."""
    return _binary("floor_divide", a, b)


def cast(a: Scalar, dtype: DType) -> Scalar:
    return a if a.dtype is dtype else Scalar("cast", dtype, (a,))


def _unary(kind: str) -> Any:
    def make(a: Scalar) -> Scalar:
        return Scalar(kind, a.dtype, (a,))

    make.__name__ = kind
    return make


absolute = _unary("absolute")
exp = _unary("exp")
log = _unary("log")
log1p = _unary("log1p")
expm1 = _unary("expm1")
sqrt = _unary("sqrt")
rsqrt = _unary("rsqrt")
tanh = _unary("tanh")
erf = _unary("erf")
sin = _unary("sin")
cos = _unary("cos")
atan = _unary("atan")
floor = _unary("floor")


def index() -> Scalar:
    """Position of the element in the row-major output, an int64."""
    return Scalar("index", DType.INT64)


def uniform(seed: Scalar, step: Scalar, stream: int, position: Scalar, dtype: DType) -> Scalar:
    """A uniform number in [0, 1): Philox 4x32-10 of (seed, step, stream, position).

    The counter is ``(position // 4 low, position // 4 high, step low, stream)`` and the key is
    the seed's two halves; word ``position % 4`` of the result gives the number as
    ``(word >> 8) * 2**-24``.
    """
    return Scalar("uniform", dtype, (seed, step, position), payload=stream)


def _pair(a: Any, b: Any) -> tuple[Scalar, Scalar]:
    if not isinstance(a, Scalar):
        return constant(a, b.dtype), b
    if not isinstance(b, Scalar):
        return a, constant(b, a.dtype)
    return a, b


def _binary(kind: str, a: Any, b: Any) -> Scalar:
    a, b = _pair(a, b)
    return Scalar(kind, a.dtype, (a, b))


def _compare(kind: str, a: Any, b: Any) -> Scalar:
    return Scalar(kind, DType.BOOL, _pair(a, b))
