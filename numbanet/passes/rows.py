"""Rows: a chain of ops on short rows becomes one node, which is one launch.

What a small model does between its first product and its weights' gradients is much too little
for the launches that it takes, and all of it happens row by row: bias, activation, a product
with a small matrix, softmax, the loss, and their gradients. Where such ops feed each other, and
none reads another row than its own, they become one row node.
"""

from __future__ import annotations

from dataclasses import dataclass

from numbanet.ir import Graph, Node, Value
from numbanet.ir.op import attrs_of
from numbanet.ops.composite import ROWS, row_shape
from numbanet.ops.fused import FUSED, Access, FusedAttrs, contiguous
from numbanet.ops.matmul import MATMUL, MatmulAttrs
from numbanet.passes.composite import compose
from numbanet.passes.grouping import Groups

MOST_COLUMNS = 1024
"""Of a row that a block of threads works on."""
MOST_OPS = 16
MOST_NUMBERS = 2048
"""Elements of all rows that a block keeps at once."""
THIN = 32
"""Rows or columns, at most, of a matrix that rows are multiplied by where they lie."""
MOST_WEIGHTS = 1 << 14
"""Elements of such a matrix: each row reads all of it."""
MOST_PRODUCTS = 1 << 23
"""Multiplications that are few enough to be done so: tiles do many of them faster."""

SEEDS = frozenset({"softmax", "log_softmax", "cross_entropy"})
"""Ops that look at a whole row of their first input, and at one element of the others."""


def rows(graph: Graph) -> Graph:
    """``graph`` with row nodes in the place of chains that are worth it."""
    kinds = {node: kind for node in graph.nodes if (kind := _kind_of(node)) is not None}
    groups = _RowGroups(graph, kinds)
    chains = {}
    for node in kinds:
        members = groups.members(node)
        if len(members) > 1 and any(kinds[each].crosses for each in members):
            chains[node] = tuple(sorted(members, key=lambda each: not kinds[each].is_head))
    heads = {node for node, kind in kinds.items() if kind.is_head}
    return compose(graph, ROWS, chains, heads)


@dataclass(frozen=True)
class _Kind:
    """What a row op needs.

    Attributes
    ----------
    count : int
        Rows.
    along : frozenset of int
        The inputs that are read row by row, and so may be results of the chain.
    crosses : bool
        Whether an element depends on all of its row: that is what a chain is made for.
    is_head : bool
        Whether it is a large product, which only the first op of a chain can be.
    """

    count: int
    along: frozenset[int]
    crosses: bool = True
    is_head: bool = False


def _kind_of(node: Node) -> _Kind | None:
    if not all(value.dtype.is_floating for value in node.outputs) or _is_empty(node):
        return None
    if node.op.name in SEEDS:
        count, columns = row_shape(node.inputs[0])
        return _Kind(count, frozenset({0})) if columns <= MOST_COLUMNS else None
    if node.op is MATMUL:
        return _product_kind(node)
    return _fused_kind(node) if node.op is FUSED else None


def _is_empty(node: Node) -> bool:
    return any(value.type.size == 0 for value in (*node.inputs, *node.outputs))


def _product_kind(node: Node) -> _Kind | None:
    attrs = attrs_of(node, MatmulAttrs)
    out = node.output
    if out.rank != 2 or attrs.transpose_a or any(value.rank > 2 for value in node.inputs):
        return None
    count, terms = node.inputs[0].type.sizes
    columns = out.type.sizes[1]
    if columns > MOST_COLUMNS:
        return None
    along = {i for i, each in enumerate(node.inputs) if i > 1 and _is_like(each, out)}
    is_thin = min(terms, columns) <= THIN and terms * columns <= MOST_WEIGHTS
    if is_thin and terms <= MOST_COLUMNS and count * terms * columns <= MOST_PRODUCTS:
        return _Kind(count, frozenset({0, *along}))
    return _Kind(count, frozenset(along), crosses=False, is_head=True)


def _is_like(value: Value, out: Value) -> bool:
    return value.type.sizes == out.type.sizes and value.dtype is out.dtype


def _fused_kind(node: Node) -> _Kind | None:
    attrs = attrs_of(node, FusedAttrs)
    if attrs.reduction is not None or len(attrs.shape) != 2:
        return None
    count, columns = attrs.shape
    whole = contiguous(attrs.shape)
    along = {i for i, access in enumerate(attrs.accesses) if access == whole}
    others = {access for access in attrs.accesses if access != whole}
    simple = {Access(0, (0, 0)), Access(0, (0, 1)), Access(0, (1, 0))}
    if columns > MOST_COLUMNS or not others <= simple:
        return None
    real = node.outputs[0].dtype
    along = {i for i in along if node.inputs[i].type.sizes == attrs.shape}
    along = {i for i in along if node.inputs[i].dtype is real}
    return _Kind(count, frozenset(along), crosses=False)


class _RowGroups(Groups):
    """Chains that fit a block: found as groups of elementwise ops are."""

    def __init__(self, graph: Graph, kinds: dict[Node, _Kind]) -> None:
        self._kinds = kinds
        super().__init__(graph, tuple(kinds))

    def _fits(self, first: Node, second: Node) -> bool:
        group = {*self._members[first], *self._members[second]}
        kinds = [self._kinds[node] for node in group]
        dtypes = {value.dtype for node in group for value in node.outputs}
        numbers = sum(row_shape(value)[1] for node in group for value in node.outputs)
        return (
            len({kind.count for kind in kinds}) == len(dtypes) == 1
            and sum(kind.is_head for kind in kinds) <= 1
            and numbers <= MOST_NUMBERS
            and len(group) <= MOST_OPS
            and all(self._stays_in_row(node, group) for node in group)
        )

    def _stays_in_row(self, node: Node, group: set[Node]) -> bool:
        """Whether ``node`` reads results of the group only element by element or row by row."""
        return all(
            value.node not in group or (i in self._kinds[node].along and value.rank > 1)
            for i, value in enumerate(node.inputs)
        )
