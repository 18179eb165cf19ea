"""Values and the nodes that make them. Both are immutable and compare by identity."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numbanet.errors import SymbolicValueError
from numbanet.ir.types import DType, Shape, TensorType

if TYPE_CHECKING:
    from numbanet.ir.op import Attrs, Op

OPERATORS: dict[str, Callable[..., Any]] = {}
"""What Python's operators on values record; filled in by ``numbanet.ops``, one floor up."""


class Node:
    """An application of an op to values, recorded by a layer.

    Attributes
    ----------
    op : Op
    inputs : tuple of Value
    attrs : Attrs
    path : str
        Path of the layer that recorded it, ``""`` outside of any layer.
    outputs : tuple of Value
    """

    __slots__ = ("__weakref__", "attrs", "inputs", "op", "outputs", "path")

    op: Op
    inputs: tuple[Value, ...]
    attrs: Attrs
    path: str
    outputs: tuple[Value, ...]

    def __init__(
        self,
        op: Op,
        inputs: tuple[Value, ...],
        attrs: Attrs,
        path: str,
        types: tuple[TensorType, ...],
    ) -> None:
        put = object.__setattr__
        put(self, "op", op)
        put(self, "inputs", inputs)
        put(self, "attrs", attrs)
        put(self, "path", path)
        outputs = tuple(Value(self, index, type_) for index, type_ in enumerate(types))
        put(self, "outputs", outputs)

    def __setattr__(self, name: str, _: object) -> None:
        raise AttributeError(f"a node is immutable: cannot set {name!r}")

    @property
    def output(self) -> Value:
        """The only output."""
        (value,) = self.outputs
        return value

    def __repr__(self) -> str:
        inputs = ", ".join(str(value.type) for value in self.inputs)
        outputs = ", ".join(str(value.type) for value in self.outputs)
        return f"<{self.op.name}({inputs}) -> {outputs}>"


class Value:
    """A symbolic tensor: an output of a node. It has a type, and no numbers yet."""

    __slots__ = ("__weakref__", "index", "node", "type")

    node: Node
    index: int
    type: TensorType

    def __init__(self, node: Node, index: int, type_: TensorType) -> None:
        put = object.__setattr__
        put(self, "node", node)
        put(self, "index", index)
        put(self, "type", type_)

    def __setattr__(self, name: str, _: object) -> None:
        raise AttributeError(f"a value is immutable: cannot set {name!r}")

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def rank(self) -> int:
        return self.type.rank

    @property
    def path(self) -> str:
        """Path of the layer that recorded this value."""
        return self.node.path

    def __repr__(self) -> str:
        place = f" of {self.path}" if self.path else ""
        return f"<Value {self.type}, {self.node.op.name}{place}>"

    def __bool__(self) -> bool:
        raise _no_number("bool()", "Use ops.where(condition, a, b) to choose by value")

    def __float__(self) -> float:
        raise _no_number("float()", "Run the model, for example with predict()")

    def __int__(self) -> int:
        raise _no_number("int()", "Run the model, for example with predict()")

    def __len__(self) -> int:
        raise _no_number("len()", "Read .shape[0]; it is None until a batch size is known")

    def __iter__(self) -> Any:
        raise _no_number("iteration", "Use ops.split(value, ...)")

    def __array__(self, dtype: object = None, copy: object = None) -> Any:
        raise _no_number(
            "conversion to a NumPy array", "Run the model, for example with predict()"
        )

    # NumPy must leave `array * value` to the reflected operators below.
    __array_ufunc__ = None

    def __add__(self, other: Any) -> Value:
        return OPERATORS["add"](self, other)

    def __radd__(self, other: Any) -> Value:
        return OPERATORS["add"](other, self)

    def __sub__(self, other: Any) -> Value:
        return OPERATORS["subtract"](self, other)

    def __rsub__(self, other: Any) -> Value:
        return OPERATORS["subtract"](other, self)

    def __mul__(self, other: Any) -> Value:
        return OPERATORS["multiply"](self, other)

    def __rmul__(self, other: Any) -> Value:
        return OPERATORS["multiply"](other, self)

    def __truediv__(self, other: Any) -> Value:
        return OPERATORS["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return OPERATORS["divide"](other, self)

    def __pow__(self, other: Any) -> Value:
        return OPERATORS["power"](self, other)

    def __rpow__(self, other: Any) -> Value:
        return OPERATORS["power"](other, self)

    def __matmul__(self, other: Any) -> Value:
        return OPERATORS["matmul"](self, other)

    def __neg__(self) -> Value:
        return OPERATORS["negative"](self)

    def __abs__(self) -> Value:
        return OPERATORS["absolute"](self)

    def __lt__(self, other: Any) -> Value:
        return OPERATORS["less"](self, other)

    def __le__(self, other: Any) -> Value:
        return OPERATORS["less_equal"](self, other)

    def __gt__(self, other: Any) -> Value:
        return OPERATORS["greater"](self, other)

    def __ge__(self, other: Any) -> Value:
        return OPERATORS["greater_equal"](self, other)

    def __getitem__(self, key: Any) -> Value:
        return OPERATORS["getitem"](self, key)


def _no_number(asked: str, mend: str) -> SymbolicValueError:
    return SymbolicValueError(
        f"{asked} of a symbolic value: it has a shape and a dtype, and no numbers until a "
        "compiled step runs",
        mend=mend,
    )
