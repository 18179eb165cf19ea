"""Exponentials, logarithms, trigonometric functions and the error function."""

from __future__ import annotations

import math

import numpy as np

from numbanet.ir.op import Attrs
from numbanet.ir.value import Node, Value
from numbanet.ops import scalar
from numbanet.ops.elementwise import FLOATING, Operand, as_values, elementwise, out

EXP = elementwise(
    "exp",
    scalar=lambda _, x: scalar.exp(x),
    reference=lambda _, x: np.exp(x),
    gradient=lambda node, g: (g * out(node),),
    dtypes=FLOATING,
)

EXPM1 = elementwise(
    "expm1",
    scalar=lambda _, x: scalar.expm1(x),
    reference=lambda _, x: np.expm1(x),
    gradient=lambda node, g: (g * (out(node) + 1.0),),
    dtypes=FLOATING,
)

LOG = elementwise(
    "log",
    scalar=lambda _, x: scalar.log(x),
    reference=lambda _, x: np.log(x),
    gradient=lambda node, g: (g / node.inputs[0],),
    domain=(0.2, 3.0),
    dtypes=FLOATING,
)

LOG1P = elementwise(
    "log1p",
    scalar=lambda _, x: scalar.log1p(x),
    reference=lambda _, x: np.log1p(x),
    gradient=lambda node, g: (g / (node.inputs[0] + 1.0),),
    domain=(-0.7, 3.0),
    dtypes=FLOATING,
)

SIN = elementwise(
    "sin",
    scalar=lambda _, x: scalar.sin(x),
    reference=lambda _, x: np.sin(x),
    gradient=lambda node, g: (g * cos(node.inputs[0]),),
    dtypes=FLOATING,
)

COS = elementwise(
    "cos",
    scalar=lambda _, x: scalar.cos(x),
    reference=lambda _, x: np.cos(x),
    gradient=lambda node, g: (-(g * sin(node.inputs[0])),),
    dtypes=FLOATING,
)

ATAN = elementwise(
    "atan",
    scalar=lambda _, x: scalar.atan(x),
    reference=lambda _, x: np.arctan(x),
    gradient=lambda node, g: (g / (node.inputs[0] * node.inputs[0] + 1.0),),
    dtypes=FLOATING,
)

TANH = elementwise(
    "tanh",
    scalar=lambda _, x: scalar.tanh(x),
    reference=lambda _, x: np.tanh(x),
    gradient=lambda node, g: (g * (1.0 - out(node) * out(node)),),
    dtypes=FLOATING,
)


def erf_reference(_: Attrs, x: np.ndarray) -> np.ndarray:
    """The error function, which NumPy lacks, element by element from Python's."""
    return np.vectorize(math.erf, otypes=[np.asarray(x).dtype])(x)


def _erf_gradient(node: Node, g: Value) -> tuple[Value]:
    x = node.inputs[0]
    return (g * (2.0 / math.sqrt(math.pi)) * exp(-(x * x)),)


ERF = elementwise(
    "erf",
    scalar=lambda _, x: scalar.erf(x),
    reference=erf_reference,
    gradient=_erf_gradient,
    dtypes=FLOATING,
)


def exp(x: Operand) -> Value:
    """``e ** x`` of each element."""
    return EXP(*as_values(x))


def expm1(x: Operand) -> Value:
    """``e ** x - 1`` of each element, exact near zero."""
    return EXPM1(*as_values(x))


def log(x: Operand) -> Value:
    """The natural logarithm of each element: -inf at zero, NaN below."""
    return LOG(*as_values(x))


def log1p(x: Operand) -> Value:
    """``log(1 + x)`` of each element, exact near zero."""
    return LOG1P(*as_values(x))


def sin(x: Operand) -> Value:
    """The sine of each element, in radians."""
    return SIN(*as_values(x))


def cos(x: Operand) -> Value:
    """The cosine of each element, in radians."""
    return COS(*as_values(x))


def atan(x: Operand) -> Value:
    """The angle, in radians from -pi/2 to pi/2, of which each element is the tangent."""
    return ATAN(*as_values(x))


def tanh(x: Operand) -> Value:
    """The hyperbolic tangent of each element."""
    return TANH(*as_values(x))


def erf(x: Operand) -> Value:
    """The error function of each element."""
    return ERF(*as_values(x))
