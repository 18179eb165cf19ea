"""Epilogues: what follows a product or a convolution moves into it, element by element.

Bias, activation, the gradient mask of an activation, a residual added: as long as the result is
read only by the next elementwise op, that op is applied while the result is still in registers
or cache, and the intermediate value is never stored. Elementwise ops that only feed such an op
(the ``y > 0`` of a mask) move in with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numbanet.ir import Graph, Node, Value, at_path, rewrite
from numbanet.ops.expression import Expression, Step, is_positional, number_step
from numbanet.ops.shapes import reshape

MAX_STEPS = 16
"""Longer epilogues gain nothing: by then the arithmetic outweighs the traffic saved."""


def epilogue(graph: Graph) -> Graph:
    """``graph`` with elementwise ops absorbed by the products and convolutions they follow."""
    plan = _Plan(graph)

    def absorb(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        position = plan.running.get(node)
        if position is None:
            return None
        writer = _Writer(inputs[position].node, node.path)
        return (writer.extended(node, inputs, position, plan.sides[node]),)

    return rewrite(graph, absorb)


class _Plan:
    """What is absorbed, decided on the old graph.

    ``running`` names for each absorbed op the input that is the product's running result, and
    ``sides`` the inputs whose ops serve nobody else and can be computed along with it.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.kept = set(graph.results)
        self.running: dict[Node, int] = {}
        self.sides: dict[Node, frozenset[int]] = {}
        length: dict[Value, int] = {}
        for node in graph.nodes:
            if hasattr(node.attrs, "epilogue") and len(node.outputs) == 1:
                length[node.outputs[0]] = 0
            elif _is_plain(node):
                self._enter(node, length)

    def _enter(self, node: Node, length: dict[Value, int]) -> None:
        for position in reversed(range(len(node.inputs))):
            value = node.inputs[position]
            steps = length.get(value, MAX_STEPS) + 1
            if steps <= MAX_STEPS and self._is_private(value) and self._fits(node, value):
                others = (p for p in range(len(node.inputs)) if p != position)
                self.running[node] = position
                self.sides[node] = frozenset(p for p in others if self._is_side(node, p, value))
                length[node.outputs[0]] = steps + len(self.sides[node])
                return

    def _is_private(self, value: Value) -> bool:
        return value not in self.kept and len(self.graph.consumers[value]) == 1

    def _fits(self, node: Node, value: Value) -> bool:
        """Whether ``node`` changes ``value`` element by element, from what is at hand."""
        if node.outputs[0].type != value.type:
            return False
        return all(other is value or _kind(other, value) is not None for other in node.inputs)

    def _is_side(self, node: Node, position: int, value: Value) -> bool:
        other = node.inputs[position]
        if not self._is_private(other) or not _is_plain(other.node):
            return False
        return all(_kind(source, value) is not None for source in other.node.inputs)


def _is_plain(node: Node) -> bool:
    """An elementwise op whose result does not depend on where the element lies."""
    return node.op.is_elementwise and not node.op.is_leaf and not is_positional(node)


def _kind(extra: Value, value: Value) -> str | None:
    """How an epilogue may read ``extra`` beside ``value``: None if not at all."""
    if extra.type.shape == value.type.shape:
        return "full"
    if extra.type.size == 1:
        return "number"
    is_vector = extra.type.shape[-1:] == value.type.shape[-1:]
    return "vector" if is_vector and extra.type.size == extra.type.sizes[-1] else None


class _Writer:
    """Appends steps to the epilogue of a product.

    Arguments of steps are kept as handles, ``("extra", n)`` or ``("step", n)``, until all extra
    inputs are known and slots can be numbered.
    """

    def __init__(self, product: Node, path: str) -> None:
        self.product = product
        self.path = path or product.path
        self.attrs: Any = product.attrs
        known: Expression | None = self.attrs.epilogue
        taken = 0 if known is None else len(known.inputs) - 1
        count = len(product.inputs) - taken
        self.operands = product.inputs[:count]
        self.extras = list(product.inputs[count:])
        self.accumulated = product.outputs[0].dtype if known is None else known.inputs[0]
        self.steps: list[tuple[Step, tuple[tuple[str, int], ...]]] = []
        self.result = ("extra", -1)  # slot 0, the accumulated element
        if known is not None:
            for step in known.steps:
                self._append(step, tuple(self._handle(slot, taken) for slot in step.args))
            self.result = self._handle(known.outputs[0], taken)

    def extended(
        self, node: Node, inputs: tuple[Value, ...], position: int, sides: frozenset[int]
    ) -> Value:
        """The product with ``node`` at the end of its epilogue."""
        arguments = tuple(
            self.result if each == position else self._read(value, is_side=each in sides)
            for each, value in enumerate(inputs)
        )
        self.result = self._apply(node, arguments)
        attrs = replace(self.attrs, epilogue=self._expression())
        operands = (*self.operands, *self.extras)
        return self.product.op.node(*operands, attrs=attrs, path=self.path).outputs[0]

    def _read(self, value: Value, *, is_side: bool = False) -> tuple[str, int]:
        number = number_step(value)
        if number is not None:
            return self._append(number, ())
        if is_side and _is_plain(value.node):
            return self._apply(value.node, tuple(self._read(v) for v in value.node.inputs))
        extra = self._as_extra(value)
        if extra not in self.extras:
            self.extras.append(extra)
        return ("extra", self.extras.index(extra))

    def _as_extra(self, value: Value) -> Value:
        product = self.product.outputs[0]
        with at_path(self.path):
            match _kind(value, product):
                case "number":
                    return value if value.shape == () else reshape(value, ())
                case "vector":
                    sizes = value.type.sizes[-1:]
                    return value if value.shape == sizes else reshape(value, sizes)
        return value

    def _apply(self, node: Node, arguments: tuple[tuple[str, int], ...]) -> tuple[str, int]:
        return self._append(Step(node.op, node.attrs, (), node.outputs[0].dtype), arguments)

    def _append(self, step: Step, arguments: tuple[tuple[str, int], ...]) -> tuple[str, int]:
        self.steps.append((step, arguments))
        return ("step", len(self.steps) - 1)

    @staticmethod
    def _handle(slot: int, extras: int) -> tuple[str, int]:
        return ("extra", slot - 1) if slot <= extras else ("step", slot - extras - 1)

    def _expression(self) -> Expression:
        first = 1 + len(self.extras)

        def slot(handle: tuple[str, int]) -> int:
            kind, number = handle
            return 1 + number if kind == "extra" else first + number

        steps = tuple(
            Step(step.op, step.attrs, tuple(slot(each) for each in arguments), step.dtype)
            for step, arguments in self.steps
        )
        dtypes = (self.accumulated, *(extra.dtype for extra in self.extras))
        return Expression(dtypes, steps, (slot(self.result),))
