"""Fuse: elementwise ops, reductions and strided views become few fused nodes.

Three things happen, in this order of preference:

1. *Views are pulled.* A transpose, slice or broadcast that computes nothing becomes a strided
   read of whoever reads it.
2. *Elementwise ops are grouped.* Ops of one shape that feed each other become one node with
   several outputs, wherever that makes no cycle. Ops on single numbers are grouped even if they
   are unrelated, since a launch costs more than they do; but none waits for tensors that only
   others need.
3. *Reductions pull their operand.* What only one reduction reads is computed while it is
   reduced, and never stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from numbanet.ir import Graph, Node, Value
from numbanet.ir.scope import common_path
from numbanet.ops.expression import Expression, Step, number_step
from numbanet.ops.fused import FUSED, Access, FusedAttrs, contiguous, fused_form
from numbanet.passes.access import compose
from numbanet.passes.grouping import Groups
from numbanet.passes.rebuild import Rebuild

MAX_PULLS = 16
"""How far a read is followed through views, so that the walk stays shallow."""


@dataclass(frozen=True, eq=False)
class Form:
    """A node as it would look fused."""

    attrs: FusedAttrs
    inputs: tuple[Value, ...]

    @property
    def is_view(self) -> bool:
        return not self.attrs.expression.steps and self.attrs.reduction is None

    @property
    def is_pointwise(self) -> bool:
        return self.attrs.reduction is None and not self.is_view


def fuse(graph: Graph) -> Graph:
    """``graph`` with fused nodes in the place of everything that `fused_form` knows."""
    forms = {
        node: Form(*form)
        for node in graph.nodes
        if not node.op.is_leaf and (form := fused_form(node)) is not None
    }
    pulled = _pulled(graph, forms)
    pointwise = [node for node in forms if forms[node].is_pointwise and node not in pulled]
    groups = Groups(graph, pointwise)
    return _Fuser(graph, forms, pulled, groups).run()


def _pulled(graph: Graph, forms: dict[Node, Form]) -> set[Node]:
    """Nodes that are computed where they are read."""
    kept = set(graph.results)
    pulled: set[Node] = set()
    for node in reversed(graph.nodes):
        form = forms.get(node)
        if form is None:
            continue
        is_private = form.is_pointwise and not kept.intersection(node.outputs)
        if form.is_view or (is_private and _feeds_one_reduction(node, graph, forms, pulled)):
            pulled.add(node)
    return pulled


def _feeds_one_reduction(
    node: Node, graph: Graph, forms: dict[Node, Form], pulled: set[Node]
) -> bool:
    """Whether one reduction alone reads ``node``, itself or through ops that it alone reads."""
    readers = [reader for value in node.outputs for reader in graph.consumers[value]]
    if len(readers) != 1 or readers[0] not in forms:
        return False
    form = forms[readers[0]]
    return form.attrs.reduction is not None or (form.is_pointwise and readers[0] in pulled)


@dataclass
class _Writer:
    """Assembles the expression of one fused node."""

    shape: tuple[int, ...]
    forms: dict[Node, Form]
    pulled: set[Node]
    inputs: dict[tuple[Value, Access], int] = field(default_factory=dict)
    steps: list[tuple[Step, tuple[object, ...]]] = field(default_factory=list)
    slots: dict[object, object] = field(default_factory=dict)

    def read(self, value: Value, access: Access, depth: int = 0) -> object:
        """A handle on element ``access`` of ``value``: an input, or a step computed here."""
        whole = access == contiguous(self.shape) and value.type.shape == self.shape
        if whole and value in self.slots:
            return self.slots[value]
        key = (value, access)
        if key in self.slots:
            return self.slots[key]
        number = number_step(value)
        handle = self._pull(value, access, depth) if number is None else self._step(number, ())
        if handle is None:
            handle = ("input", self.inputs.setdefault(key, len(self.inputs)))
        self.slots[key] = handle
        return handle

    def _pull(self, value: Value, access: Access, depth: int) -> object | None:
        node = value.node
        if node not in self.pulled or depth >= MAX_PULLS:
            return None
        form = self.forms[node]
        whole = access == contiguous(self.shape) and form.attrs.shape == self.shape
        if form.attrs.expression.uses_index and not whole:
            return None
        composed = [
            compose(access, self.shape, form.attrs.shape, inner)
            for inner in form.attrs.accesses
        ]
        if any(each is None for each in composed):
            return None
        return self.write(form, value.index, composed, depth + 1)

    def write(
        self, form: Form, output: int, accesses: Iterable[Access | None], depth: int = 0
    ) -> object:
        """Append the steps of ``form``, read through ``accesses``; a handle on its output."""
        handles = [
            self.read(value, access, depth)
            for value, access in zip(form.inputs, accesses, strict=True)
            if access is not None
        ]
        expression = form.attrs.expression
        for step in expression.steps:
            arguments = tuple(handles[slot] for slot in step.args)
            handles.append(self._step(step, arguments))
        return handles[expression.outputs[output]]

    def _step(self, step: Step, arguments: tuple[object, ...]) -> object:
        key = (step.op, step.attrs, step.dtype, arguments)
        if key not in self.slots:
            self.slots[key] = ("step", len(self.steps))
            self.steps.append((step, arguments))
        return self.slots[key]

    def expression(self, results: Iterable[object]) -> Expression:
        def slot(handle: object) -> int:
            kind, number = handle  # type: ignore[misc]
            return number if kind == "input" else len(self.inputs) + number

        steps = tuple(
            Step(step.op, step.attrs, tuple(slot(a) for a in arguments), step.dtype)
            for step, arguments in self.steps
        )
        dtypes = tuple(value.dtype for value, _ in self.inputs)
        return Expression(dtypes, steps, tuple(slot(each) for each in results))


@dataclass(frozen=True, eq=False)
class _Unit:
    """What one new node is made of: its reads of old values, and the old values it yields."""

    attrs: FusedAttrs
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    path: str


class _Fuser(Rebuild):
    """Emits a fused node for each group."""

    def __init__(
        self, graph: Graph, forms: dict[Node, Form], pulled: set[Node], groups: Groups
    ) -> None:
        super().__init__(graph)
        self.forms = forms
        self.pulled = pulled
        self.groups = groups
        self.units: dict[Node, _Unit] = {}

    def sources(self, node: Node) -> tuple[Value, ...]:
        return self._unit(node).inputs if node in self.forms else node.inputs

    def build(self, node: Node) -> None:
        if node not in self.forms:
            self.keep(node)
            return
        unit = self._unit(node)
        inputs = tuple(self.new[value] for value in unit.inputs)
        made = FUSED.node(*inputs, attrs=unit.attrs, path=unit.path).outputs
        self.new.update(zip(unit.outputs, made, strict=True))

    def _unit(self, node: Node) -> _Unit:
        if node not in self.units:
            members = self.groups.members(node)
            unit = self._assemble(members)
            for member in members:
                self.units[member] = unit
        return self.units[node]

    def _assemble(self, members: tuple[Node, ...]) -> _Unit:
        first = self.forms[members[0]].attrs
        writer = _Writer(first.shape, self.forms, self.pulled)
        handles: dict[Value, object] = {}
        for member in members:
            form = self.forms[member]
            for value in member.outputs:
                handles[value] = writer.write(form, value.index, form.attrs.accesses)
                if first.reduction is None:
                    writer.slots[value] = handles[value]
        outputs = tuple(value for value in handles if self._is_wanted(value, members))
        expression = writer.expression(handles[value] for value in outputs)
        accesses = tuple(access for _, access in writer.inputs)
        attrs = FusedAttrs(expression, first.shape, accesses, first.reduction)
        inputs = tuple(value for value, _ in writer.inputs)
        return _Unit(attrs, inputs, outputs, common_path(member.path for member in members))

    def _is_wanted(self, value: Value, members: tuple[Node, ...]) -> bool:
        """Whether anybody outside of the new node reads ``value``."""
        if value in self.kept or len(members) == 1:
            return True
        inside = set(members)
        return any(reader not in inside for reader in self.graph.consumers[value])
