"""The writer of kernel source: scalar trees as statements that both devices compile.

The text is the same for every device. What differs is the namespace it is compiled in, which
must offer

- ``uint8``, ``int32``, ``int64``, ``float32``, ``float64``: conversions;
- ``inf`` and ``nan``;
- ``exp_float32(x)``, ``tanh_float64(x)`` and so on for every name in ``FUNCTIONS``;
- ``power_float32(x, y)``, ``fmod_float32(x, y)``, and
  ``uniform_float32(seed, step, stream, position)``.
"""

from __future__ import annotations

import hashlib
import linecache
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numbanet.ir.types import DType
from numbanet.ops.expression import Expression
from numbanet.ops.scalar import Scalar

FUNCTIONS = (
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "rsqrt",
    "tanh",
    "erf",
    "sin",
    "cos",
    "atan",
    "floor",
)
"""Functions of one floating-point number, named in the text with their dtype."""

_ARITHMETIC = {"add": "+", "subtract": "-", "multiply": "*"}
_COMPARISONS = {
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
}
_MOST_MULTIPLICATIONS = 16
"""Constant integer exponents up to this are written as products."""


def render(
    expression: Expression, inputs: Sequence[str], index: str
) -> tuple[list[str], tuple[str, ...]]:
    """Statements that compute one element, and the names of the results.

    Parameters
    ----------
    expression : Expression
    inputs : sequence of str
        Source of this element of each input, for example ``"x0[i]"``.
    index : str
        Source of the element's position in row-major order.

    Returns
    -------
    statements : list of str
        Assignments to ``t0``, ``t1``, ...: equal computations are written once.
    results : tuple of str
        The names that hold the outputs.
    """
    writer = _Writer(inputs, index)
    results = tuple(writer.write(tree) for tree in expression.scalars())
    return writer.statements, results


def compile_source(
    text: str, name: str, namespace: Mapping[str, object]
) -> Callable[..., None]:
    """The function ``name`` that ``text`` defines; tracebacks and `inspect` show its lines."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    filename = f"<numbanet kernel {name} {digest}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    scope = dict(namespace)
    exec(compile(text, filename, "exec"), scope)
    function: Any = scope[name]
    return function


def literal(number: float, dtype: DType) -> str:
    """Source of a number of this type: Python's own literals are 64 bits wide."""
    if dtype is DType.BOOL:
        return str(bool(number))
    if not dtype.is_floating:
        return f"{dtype}({int(number)})"
    if math.isnan(number):
        return f"{dtype}(nan)"
    return f"{dtype}({float(number)!r})"


class _Writer:
    """Statements so far. A right-hand side that was written before is not written again."""

    def __init__(self, inputs: Sequence[str], index: str) -> None:
        self.statements: list[str] = []
        self._inputs = inputs
        self._index = index
        self._names: dict[str, str] = {}
        # Keyed by identity; holding the tree keeps its id from being used again.
        self._written: dict[int, tuple[Scalar, str]] = {}

    def write(self, root: Scalar) -> str:
        """Write ``root`` after all that it uses; iterative, for chains of any length."""
        stack = [root]
        while stack:
            tree = stack[-1]
            missing = [arg for arg in tree.args if id(arg) not in self._written]
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            if id(tree) not in self._written:
                arguments = [self._written[id(arg)][1] for arg in tree.args]
                self._written[id(tree)] = (tree, self._write_node(tree, arguments))
        return self._written[id(root)][1]

    def _write_node(self, tree: Scalar, args: list[str]) -> str:
        if tree.kind == "input":
            slot: int = tree.payload
            source = self._inputs[slot]
            if tree.dtype is DType.BOOL:  # a byte in memory
                source = f"{source} != 0"
            return self._assign(source)
        if tree.kind == "index":
            return self._assign(f"int64({self._index})")
        if tree.kind == "constant":
            return literal(tree.payload, tree.dtype)
        if tree.kind == "power":
            return self._power(tree, args)
        return self._assign(_right_hand_side(tree, args))

    def _assign(self, source: str) -> str:
        if source.isidentifier():
            return source
        if source not in self._names:
            name = f"t{len(self._names)}"
            self._names[source] = name
            self.statements.append(f"{name} = {source}")
        return self._names[source]

    def _power(self, tree: Scalar, args: list[str]) -> str:
        """Powers by multiplication where the exponent is a small whole constant."""
        base, exponent = args
        power = tree.args[1].payload if tree.args[1].kind == "constant" else None
        if power == 0.5 and tree.dtype.is_floating:
            return self._assign(f"sqrt_{tree.dtype}({base})")
        if power is None or power != int(power) or abs(power) > _MOST_MULTIPLICATIONS:
            _require_floating(tree)
            return self._assign(f"power_{tree.dtype}({base}, {exponent})")
        product = self._whole_power(tree.dtype, base, abs(int(power)))
        if power >= 0:
            return product
        _require_floating(tree)
        return self._assign(f"{literal(1, tree.dtype)} / {product}")

    def _whole_power(self, dtype: DType, base: str, power: int) -> str:
        """By repeated squaring."""
        product: str | None = None
        while power:
            if power & 1:
                product = base if product is None else self._multiply(dtype, product, base)
            power >>= 1
            if power:
                base = self._multiply(dtype, base, base)
        return literal(1, dtype) if product is None else product

    def _multiply(self, dtype: DType, a: str, b: str) -> str:
        return self._assign(_keep_width(dtype, f"{a} * {b}"))


def _right_hand_side(tree: Scalar, args: list[str]) -> str:
    kind, dtype = tree.kind, tree.dtype
    if kind in _ARITHMETIC:
        return _keep_width(dtype, f"{args[0]} {_ARITHMETIC[kind]} {args[1]}")
    if kind in _COMPARISONS:
        return f"{args[0]} {_COMPARISONS[kind]} {args[1]}"
    if kind in _RULES:
        return _RULES[kind](tree, *args)
    if kind not in FUNCTIONS:
        raise NotImplementedError(f"the scalar language has no {kind!r}")
    if kind == "floor" and not dtype.is_floating:
        return args[0]
    _require_floating(tree)
    return f"{kind}_{dtype}({args[0]})"


def _keep_width(dtype: DType, source: str) -> str:
    """Numba widens arithmetic on small integers to 64 bits; NumPy wraps around."""
    return f"{dtype}({source})" if dtype in (DType.INT32, DType.UINT8) else source


def _require_floating(tree: Scalar) -> None:
    if not tree.dtype.is_floating:
        raise TypeError(f"{tree.kind} of {tree.dtype} elements: cast them to a float first")


def _divide(tree: Scalar, a: str, b: str) -> str:
    _require_floating(tree)
    return f"{a} / {b}"


def _fmod(tree: Scalar, a: str, b: str) -> str:
    _require_floating(tree)
    return f"fmod_{tree.dtype}({a}, {b})"


def _absolute(tree: Scalar, a: str) -> str:
    return a if tree.dtype is DType.UINT8 else _keep_width(tree.dtype, f"abs({a})")


def _cast(tree: Scalar, a: str) -> str:
    source, target = tree.args[0].dtype, tree.dtype
    if target is DType.BOOL:
        return f"{a} != {literal(0, source)}"
    if target is DType.UINT8 and source.is_floating:
        return f"uint8(int32({a}))"  # a negative float to unsigned is undefined in LLVM
    return f"{target}({a})"


def _uniform(tree: Scalar, seed: str, step: str, position: str) -> str:
    return f"uniform_{tree.dtype}({seed}, {step}, int64({tree.payload}), {position})"


def _choose(tree: Scalar, a: str, worse: str, b: str) -> str:
    """``b`` where ``a`` is worse; NaN if either is, as NumPy's maximum and minimum have it."""
    first, second = tree.args
    if first.kind == "constant" and not math.isnan(first.payload):
        (a, first), (b, second) = (b, second), (a, first)
    if second.kind == "constant" and not math.isnan(second.payload):
        return f"{b} if {a} {worse} {b} else {a}"
    if not tree.dtype.is_floating:
        return f"{b} if {a} {worse} {b} else {a}"
    return f"{b} if ({a} {worse} {b}) | ({b} != {b}) else {a}"


# Both sides of a choice are computed before it, so that compilers make a select of it.
_RULES: dict[str, Callable[..., str]] = {
    "divide": _divide,
    "fmod": _fmod,
    "remainder": lambda tree, a, b: _keep_width(tree.dtype, f"{a} % {b}"),
    "floor_divide": lambda tree, a, b: _keep_width(tree.dtype, f"{a} // {b}"),
    "negative": lambda tree, a: _keep_width(tree.dtype, f"-{a}"),
    "absolute": _absolute,
    "and": lambda _, a, b: f"{a} & {b}",
    "or": lambda _, a, b: f"{a} | {b}",
    "not": lambda _, a: f"not {a}",
    "where": lambda _, condition, a, b: f"{a} if {condition} else {b}",
    "maximum": lambda tree, a, b: _choose(tree, a, "<", b),
    "minimum": lambda tree, a, b: _choose(tree, a, ">", b),
    "cast": _cast,
    "uniform": _uniform,
}
