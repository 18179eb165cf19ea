"""Placement: which block of memory each value lies in, before blocks have addresses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from numbanet.errors import VerificationError
from numbanet.ir import Graph, Node, Value
from numbanet.kernels.kernel import Call, Scratch, Table
from numbanet.ops.leaf import ConstantAttrs, InputAttrs, VariableAttrs
from numbanet.ops.state import PACK, PackAttrs
from numbanet.plan.lanes import Lanes
from numbanet.plan.materialise import has_gaps
from numbanet.plan.memory import Block
from numbanet.plan.program import Buffer
from numbanet.plan.schedule import Schedule, written_parts

Place = tuple[Block, int]


@dataclass
class Placement:
    """Blocks of values, of scratch memory and of tables; filled in by `place`."""

    values: dict[Value, Place] = field(default_factory=dict)
    scratch: dict[Scratch | Table, Place] = field(default_factory=dict)
    buffers: list[Buffer] = field(default_factory=list)

    def where(self, argument: Value | Scratch | Table) -> Place:
        """Block of a call's argument, and the byte offset in it."""
        if isinstance(argument, Scratch | Table):
            return self.scratch[argument]
        if argument not in self.values:
            raise VerificationError(f"nothing computes {argument!r}")
        return self.values[argument]

    def arena_blocks(self) -> list[Block]:
        """Blocks that still need an offset in the arena."""
        places = (*self.values.values(), *self.scratch.values())
        blocks = dict.fromkeys(block for block, _ in places)
        return [block for block in blocks if block.parent is None and block.buffer is None]


def place(graph: Graph, order: Schedule, calls: Sequence[Call]) -> Placement:
    """Blocks for all values of a materialised, scheduled graph."""
    placement = Placement()
    for node in graph.nodes:
        if node.op.is_leaf:
            _fix(placement, node.output, _leaf_buffer(node))
    for node in order.nodes:
        _place_outputs(placement, node)
    for name, value in graph.outputs.items():
        type_, is_zeroed = value.type, has_gaps(value.node)
        buffer = Buffer("output", name, type_.nbytes, type=type_, is_zeroed=is_zeroed)
        _bind(placement, value, buffer)
    for update in graph.updates:
        buffer = placement.values[update.old][0].buffer
        if buffer is None:
            raise VerificationError(f"{update.old!r} is updated and is no variable")
        _bind(placement, update.new, buffer)
    for index, call in enumerate(calls):
        for block in _blocks(placement, call.arguments):
            block.resolve()[0].touch(index)
            block.touch(index)
    return placement


def _leaf_buffer(node: Node) -> Buffer:
    type_ = node.output.type
    match node.attrs:
        case VariableAttrs(variable):
            return Buffer(
                "variable", variable.name, type_.nbytes, variable=variable, type=type_
            )
        case InputAttrs(name, _):
            return Buffer("input", name, type_.nbytes, type=type_)
        case ConstantAttrs(numbers):
            return Buffer(
                "constant", str(numbers), type_.nbytes, array=numbers.array, type=type_
            )
    raise VerificationError(f"a leaf of op {node.op.name!r} was left unbound", layer=node.path)


def _fix(placement: Placement, value: Value, buffer: Buffer) -> None:
    placement.buffers.append(buffer)
    placement.values[value] = (Block(buffer.nbytes, buffer), 0)


def _bind(placement: Placement, value: Value, buffer: Buffer) -> None:
    """``value``'s own block is to be ``buffer``."""
    block, offset = placement.values[value]
    if block.buffer is not None and block.buffer.kind == "zeroed" and buffer.is_zeroed:
        placement.buffers.remove(block.buffer)
        block.buffer = None
    if offset or block.parent is not None or block.buffer is not None:
        raise VerificationError(f"{value!r} cannot be computed in place of {buffer.name!r}")
    block.buffer = buffer
    placement.buffers.append(buffer)


def _place_outputs(placement: Placement, node: Node) -> None:
    shift = None if node.op.view is None else node.op.view(node)
    if shift is not None:
        block, offset = placement.values[node.inputs[0]]
        value = node.output
        placement.values[value] = (block, offset + shift * value.dtype.itemsize)
        return
    for value in node.outputs:
        placement.values[value] = (Block(value.type.nbytes), 0)
    if node.op is PACK:
        _place_parts(placement, node)


def _place_parts(placement: Placement, node: Node) -> None:
    """Put the blocks of a pack's inputs inside of the packed block."""
    attrs = node.attrs
    if not isinstance(attrs, PackAttrs):
        raise VerificationError(f"a pack without its attributes: {node!r}")
    packed = placement.values[node.output][0]
    itemsize = node.output.dtype.itemsize
    for value, offset in zip(node.inputs, attrs.offsets, strict=True):
        placement.values[value][0].put_inside(packed, offset * itemsize)
    if has_gaps(node):
        layout = ",".join(
            f"{o}+{v.type.size}" for o, v in zip(attrs.offsets, node.inputs, strict=True)
        )
        packed.buffer = Buffer(
            "zeroed", f"pack[{layout}]", packed.nbytes, type=node.output.type
        )
        placement.buffers.append(packed.buffer)


def _blocks(placement: Placement, arguments: Iterable[object]) -> Iterable[Block]:
    for argument in arguments:
        if isinstance(argument, Scratch) and argument not in placement.scratch:
            placement.scratch[argument] = (Block(argument.nbytes), 0)
        if isinstance(argument, Table) and argument not in placement.scratch:
            array = argument.array
            buffer = Buffer("constant", f"table{list(array.shape)}", array.nbytes, array=array)
            placement.buffers.append(buffer)
            placement.scratch[argument] = (Block(array.nbytes, buffer), 0)
        if isinstance(argument, Value | Scratch | Table):
            yield placement.where(argument)[0]


def late_updates(graph: Graph, calls: Sequence[Call], placement: Placement) -> set[Value]:
    """Old values that some call still reads once their new value is being written."""
    readers: dict[Buffer | None, list[int]] = defaultdict(list)
    for index, call in enumerate(calls):
        for position, argument in enumerate(call.arguments):
            if isinstance(argument, Value) and position not in call.writes:
                block = placement.where(argument)[0]
                if block.buffer is not None and block.buffer.kind == "variable":
                    readers[block.buffer].append(index)
    late = set()
    for update in graph.updates:
        old = placement.values[update.old][0]
        for part, start in written_parts(update.new):
            new = placement.values[part][0]
            piece = Piece(old, start, start + new.nbytes)
            reads = [i for i in readers[old.buffer] if piece.positions(calls[i], placement)]
            if any(i > new.start for i in reads) or (
                new.start in reads and not _in_place(calls[new.start], piece, new, placement)
            ):
                late.add(update.old)
    return late


@dataclass(frozen=True)
class Piece:
    """Bytes ``start .. end - 1`` of a block that lies in no other."""

    block: Block
    start: int
    end: int

    def positions(self, call: Call, placement: Placement) -> list[int]:
        """Of the arguments that the call reads here."""
        return [
            position
            for position, argument in enumerate(call.arguments)
            if isinstance(argument, Value | Scratch)
            and position not in call.writes
            and self._meets(argument, placement)
        ]

    def _meets(self, argument: Value | Scratch, placement: Placement) -> bool:
        block, start = _root(argument, placement)
        nbytes = argument.type.nbytes if isinstance(argument, Value) else argument.nbytes
        return block is self.block and start < self.end and self.start < start + nbytes


def _root(argument: Value | Scratch, placement: Placement) -> tuple[Block, int]:
    """The outermost block of an argument, and the byte where it begins there."""
    block, offset = placement.where(argument)
    outer, inner = block.resolve()
    return outer, inner + offset


def _in_place(call: Call, piece: Piece, new: Block, placement: Placement) -> bool:
    """Whether ``call`` may write ``new`` over a piece of what there was: it reads that once,
    element by element."""
    reads = piece.positions(call, placement)
    writes = [p for p in call.writes if placement.where(call.arguments[p])[0] is new]  # type: ignore[arg-type]
    if len(reads) != 1 or len(writes) != 1 or (reads[0], writes[0]) not in call.in_place:
        return False
    return _root(call.arguments[reads[0]], placement)[1] == piece.start  # type: ignore[arg-type]


def share_in_place(calls: Sequence[Call], placement: Placement, lanes: Lanes) -> None:
    """Let results take over the memory of operands that end with the call, where it may."""
    for index, call in enumerate(calls):
        taken: set[Block] = set()
        for read, written in call.in_place:
            source, result = call.arguments[read], call.arguments[written]
            if not isinstance(source, Value) or not isinstance(result, Value):
                continue
            old = placement.where(source)[0].resolve()[0]
            new = placement.where(result)[0]
            ends_here = old.buffer is None and old.end == index and old not in taken
            fits = old.nbytes == new.nbytes and new.start == index and new not in taken
            is_last = ends_here and lanes.is_after(index, old.calls - {index})
            if is_last and fits and _in_place(call, Piece(old, 0, old.nbytes), new, placement):
                _take_over(old, new)
                taken |= {old, new, new.resolve()[0]}


def _take_over(old: Block, new: Block) -> None:
    """Make the two one piece of memory, in the place that the new one is bound to, if any."""
    if new.parent is None and new.buffer is None:
        new.put_inside(old)
        return
    place = new.resolve()[0].buffer
    if place is None or place.kind in ("output", "zeroed"):
        old.put_inside(new)
