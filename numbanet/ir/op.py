"""The record of an op: everything that the engine knows about it, in one place.

Rules are plain functions. ``attrs`` is always the op's own frozen dataclass:

==============  =====================================================================
``infer``       ``(attrs, *input types) -> output type`` or a tuple of them
``reference``   ``(attrs, *arrays) -> array`` or a tuple: NumPy, in the arrays' dtype
``gradient``    ``(node, *output gradients) -> one value or None per input``; of several
                outputs, one that nothing depends on has the gradient None
``scalar``      ``(attrs, *scalars) -> scalar``: an elementwise op for one element
``decompose``   ``(node) -> values``: the op in terms of simpler ones
``inference``   ``(node) -> values``: what the op becomes outside of training
``updates``     ``(node) -> ((old, new), ...)``: variables that the op's outputs replace
``view``        ``(node) -> element offset`` into input 0 if the output is a part of its
                memory, else ``None``
``flops``       ``(node) -> floating-point operations``
==============  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from numbanet.errors import NumbanetError
from numbanet.ir.scope import current_path
from numbanet.ir.types import DType, TensorType
from numbanet.ir.value import Node, Value


@dataclass(frozen=True)
class Attrs:
    """Attributes of a node. Subclasses are frozen dataclasses of hashable fields."""

    def __str__(self) -> str:
        """The fields that differ from their defaults, as printed graphs show them."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        defaults = {each.name: each.default for each in fields(self)}
        return ", ".join(
            f"{name}={_show(value)}"
            for name, value in values.items()
            if value != defaults[name]
        )


def _show(attribute: object) -> str:
    if isinstance(attribute, float):
        return f"{attribute:g}"
    if isinstance(attribute, tuple):
        # Python would show the elements by their repr.
        elements = ", ".join(map(_show, attribute))
        return f"({elements},)" if len(attribute) == 1 else f"({elements})"
    return str(attribute)


NO_ATTRS = Attrs()

A = TypeVar("A", bound=Attrs)


def attrs_of(node: Node, kind: type[A]) -> A:
    """The attributes of ``node``, which are of this kind."""
    if not isinstance(node.attrs, kind):
        raise TypeError(f"{node!r} has no {kind.__name__}")
    return node.attrs


@dataclass(frozen=True)
class Arg:
    """How the tests make one input: a shape, and the range its numbers are drawn from.

    Integers are drawn from ``low`` to ``high - 1``.
    ``avoid`` lists points (kinks, poles) that finite differences must stay clear of.
    """

    shape: tuple[int, ...]
    dtype: DType = DType.FLOAT64
    low: float = -2.0
    high: float = 2.0
    avoid: tuple[float, ...] = ()


@dataclass(frozen=True)
class Case:
    """One way to call an op; the tests sweep every op's cases on every device."""

    args: tuple[Arg, ...]
    attrs: Attrs = NO_ATTRS


@dataclass(frozen=True, eq=False)
class Op:
    """An operation. Calling it records a node and returns its output value or values."""

    name: str
    infer: Callable[..., Any]
    reference: Callable[..., Any]
    gradient: Callable[..., tuple[Value | None, ...]] | None = None
    scalar: Callable[..., Any] | None = None
    decompose: Callable[[Node], tuple[Value, ...]] | None = None
    inference: Callable[[Node], tuple[Value, ...]] | None = None
    updates: Callable[[Node], tuple[tuple[Value, Value], ...]] | None = None
    view: Callable[[Node], int | None] | None = None
    flops: Callable[[Node], int] = field(default=lambda node: 0)
    cases: tuple[Case, ...] = ()
    commutative: bool = False
    is_leaf: bool = False

    @property
    def is_elementwise(self) -> bool:
        return self.scalar is not None

    def __call__(self, *inputs: Value, attrs: Attrs = NO_ATTRS) -> Any:
        """Record a node; one output comes back as a value, several as a tuple."""
        outputs = self.node(*inputs, attrs=attrs).outputs
        return outputs[0] if len(outputs) == 1 else outputs

    def node(self, *inputs: Value, attrs: Attrs = NO_ATTRS, path: str | None = None) -> Node:
        """Record a node under ``path`` (by default the open scope's)."""
        path = current_path() if path is None else path
        try:
            inferred = self.infer(attrs, *(value.type for value in inputs))
        except NumbanetError as error:
            if error.layer is None and path:
                error.layer = path
            raise
        types = (inferred,) if isinstance(inferred, TensorType) else tuple(inferred)
        return Node(self, tuple(inputs), attrs, path, types)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


REGISTRY: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Enter ``op`` into the registry that the tests sweep. Names are unique."""
    if op.name in REGISTRY:
        raise ValueError(f"an op named {op.name!r} is already registered")
    REGISTRY[op.name] = op
    return op
