"""Updates: products that are weights' gradients move the weights themselves.

An optimizer's step is one elementwise node on flat values: parameters, slots, and the gradients
packed behind one another. Where a large part of the pack is a product that nobody else reads,
the product takes that part of the step along: its gradient is never stored, and weights and
slots are read and written while the sums are at hand. What is left between such parts stays an
elementwise node on a shorter pack.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from numbanet.ir import Graph, Node, Value, at_path
from numbanet.ir.op import attrs_of
from numbanet.ir.scope import common_path
from numbanet.ops.expression import Expression, Step, identity
from numbanet.ops.fused import FUSED, Access, FusedAttrs, broadcast, contiguous
from numbanet.ops.leaf import constant
from numbanet.ops.matmul import MATMUL, MATMUL_UPDATE, MatmulAttrs
from numbanet.ops.shapes import reshape
from numbanet.ops.state import PACK, PackAttrs, pack, segment
from numbanet.passes.rebuild import Rebuild

LEAST_BYTES = 16 * 1024
"""Of a gradient: many small ones are sooner moved in one launch."""


def updates(graph: Graph) -> Graph:
    """``graph`` with elementwise nodes on packs taken apart, where products can do a part."""
    moves = {node: move for node in graph.nodes if (move := _move(node, graph)) is not None}
    return _Splitter(graph, moves).run() if moves else graph


@dataclass(frozen=True, eq=False)
class _Move:
    """An elementwise node that reads a pack, and the products that can do a part of it.

    ``position`` is the pack's among the inputs; ``products`` are parts by their offset.
    """

    node: Node
    attrs: FusedAttrs
    position: int
    parts: dict[int, Value]
    products: dict[int, Value]

    @property
    def size(self) -> int:
        return self.attrs.shape[0]

    def others(self) -> Iterator[tuple[Value, bool]]:
        """The inputs but for the pack, and whether they are flat: else they are numbers."""
        whole = contiguous(self.attrs.shape)
        for i, value in enumerate(self.node.inputs):
            if i != self.position:
                yield value, self.attrs.accesses[i] == whole

    def pieces(self) -> Iterator[tuple[int, int, Value | None]]:
        """Start and end of each product, and of what lies between them."""
        last = 0
        for start, product in self.products.items():
            if last < start:
                yield last, start, None
            last = start + product.type.size
            yield start, last, product
        if last < self.size:
            yield last, self.size, None


def _move(node: Node, graph: Graph) -> _Move | None:
    if node.op is not FUSED:
        return None
    attrs = attrs_of(node, FusedAttrs)
    if attrs.reduction is not None or attrs.expression.uses_index or len(attrs.shape) != 1:
        return None
    packs = [i for i, value in enumerate(node.inputs) if value.node.op is PACK]
    reads = zip(node.inputs, attrs.accesses, strict=True)
    if len(packs) != 1 or not all(_is_simple(*each, attrs.shape) for each in reads):
        return None
    packed = node.inputs[packs[0]]
    if packed.shape != attrs.shape or not _is_private(packed, graph):
        return None
    offsets = attrs_of(packed.node, PackAttrs).offsets
    parts = zip(offsets, packed.node.inputs, strict=True)
    filled = {start: part for start, part in parts if part.type.size}
    products = {start: part for start, part in filled.items() if _is_product(part, graph)}
    return _Move(node, attrs, packs[0], filled, products) if products else None


def _is_simple(value: Value, access: Access, shape: tuple[int, ...]) -> bool:
    """Whether an input is one number, or flat and read from front to end."""
    if value.shape == shape and access == contiguous(shape):
        return True
    return value.type.size == 1 and access == broadcast((), shape)


def _is_private(value: Value, graph: Graph) -> bool:
    return value not in graph.results and len(graph.consumers[value]) == 1


def _is_product(part: Value, graph: Graph) -> bool:
    """Whether a part of a pack is a large product, which nothing else needs."""
    node = part.node
    if node.op is not MATMUL or part.type.nbytes < LEAST_BYTES:
        return False
    if any(value.rank != 2 for value in (part, *node.inputs[:2])):
        return False
    known = attrs_of(node, MatmulAttrs).epilogue
    return (known is None or not known.uses_index) and _is_private(part, graph)


class _Splitter(Rebuild):
    """Emits products that move their part, and shorter elementwise nodes for the rest."""

    def __init__(self, graph: Graph, moves: dict[Node, _Move]) -> None:
        super().__init__(graph)
        self.moves = moves

    def sources(self, node: Node) -> tuple[Value, ...]:
        move = self.moves.get(node)
        if move is None:
            return node.inputs
        found = [value for value, _ in move.others()]
        for start, part in move.parts.items():
            found += part.node.inputs if start in move.products else (part,)
        return tuple(found)

    def build(self, node: Node) -> None:
        move = self.moves.get(node)
        if move is None:
            self.keep(node)
            return
        with at_path(node.path):
            pieces = [
                self._rest(move, start, end)
                if product is None
                else self._product(move, start, product)
                for start, end, product in move.pieces()
            ]
            offsets = [start for start, _, _ in move.pieces()]
            for output, parts in zip(node.outputs, zip(*pieces, strict=True), strict=True):
                self.new[output] = pack(parts, offsets, move.size)

    def _product(self, move: _Move, start: int, part: Value) -> tuple[Value, ...]:
        """The move of the elements of ``part``, by the product that computes it."""
        product = part.node
        attrs = attrs_of(product, MatmulAttrs)
        first = attrs.epilogue or identity(part.dtype)
        expression = _composed(first, move.attrs.expression, move.position)
        extras = [
            segment(self.new[value], start, part.type.sizes)
            if is_flat
            else reshape(self.new[value], ())
            for value, is_flat in move.others()
        ]
        return MATMUL_UPDATE.node(
            *(self.new[value] for value in product.inputs),
            *extras,
            attrs=replace(attrs, epilogue=expression),
            path=common_path((product.path, move.node.path)),
        ).outputs

    def _rest(self, move: _Move, start: int, end: int) -> tuple[Value, ...]:
        """The move of the elements from ``start`` to ``end``, among which are no products."""
        shape = (end - start,)
        inputs = [
            segment(self.new[value], start, shape) if is_flat else self.new[value]
            for value, is_flat in move.others()
        ]
        inputs.insert(move.position, self._packed(move, start, end))
        whole = contiguous(move.attrs.shape)
        accesses = tuple(
            contiguous(shape) if each == whole else broadcast((), shape)
            for each in move.attrs.accesses
        )
        attrs = FusedAttrs(move.attrs.expression, shape, accesses)
        return FUSED.node(*inputs, attrs=attrs, path=move.node.path).outputs

    def _packed(self, move: _Move, start: int, end: int) -> Value:
        """The gradients in a part of the pack; zeros if it is but a gap between two others."""
        inside = {at: part for at, part in move.parts.items() if start <= at < end}
        if not inside:
            dtype = move.node.inputs[move.position].dtype
            return constant(np.zeros(end - start, dtype.numpy))
        parts = [self.new[part] for part in inside.values()]
        return pack(parts, [at - start for at in inside], end - start)


def _composed(first: Expression, then: Expression, position: int) -> Expression:
    """``then`` after ``first``, whose result is its input at ``position``.

    Inputs are those of ``first``, and after them the others of ``then``.
    """
    others = (*then.inputs[:position], *then.inputs[position + 1 :])
    inputs = (*first.inputs, *others)

    def of_first(slot: int) -> int:
        return slot if slot < len(first.inputs) else slot + len(others)

    def of_then(slot: int) -> int:
        if slot == position:
            return of_first(first.outputs[0])
        if slot < len(then.inputs):
            return len(first.inputs) + slot - (slot > position)
        return len(inputs) + len(first.steps) + slot - len(then.inputs)

    steps = tuple(
        Step(each.op, each.attrs, tuple(map(number, each.args)), each.dtype)
        for program, number in ((first, of_first), (then, of_then))
        for each in program.steps
    )
    return Expression(inputs, steps, tuple(map(of_then, then.outputs)))
