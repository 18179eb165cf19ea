"""What a node of attention reads, as arguments of kernels on either device."""

from __future__ import annotations

from collections.abc import Mapping

from numbanet.ir import Node, Value
from numbanet.ir.op import attrs_of
from numbanet.ops.attention_scores import AttentionAttrs
from numbanet.ops.fused import Access, broadcast

_ROWS = ("sample", "row", "head")
_SCORES = ("sample", "head", "row", "key")


class Operands:
    """Pointers, and numbers that say where their elements lie, both by name.

    ``q``, ``k``, ``v`` and ``mask`` have a ``_start`` and distances between samples, rows and
    heads, in elements; those of a mask's rows and keys are zero where it is the same for all.

    Attributes
    ----------
    others : dict of str to Value
        What follows the values among the node's inputs.
    mask : Value or None
    """

    def __init__(self, node: Node, others: Mapping[str, Value]) -> None:
        attrs = attrs_of(node, AttentionAttrs)
        q, k, v = attrs.types(*(value.type for value in node.inputs))
        self.dtype, self.is_causal, self.scale = q.dtype, attrs.is_causal, attrs.scale
        self.batch, self.length, self.heads, self.width = q.sizes
        self.keys, self.wide = k.sizes[1], v.sizes[3]
        masks = node.inputs[3 + len(others) :]
        self.mask = masks[0] if masks else None
        self.pointers: dict[str, Value] = dict(zip("qkv", node.inputs, strict=False))
        self.pointers.update(others)
        # Without a mask nothing reads one.
        self.pointers["mask"] = node.inputs[0] if self.mask is None else self.mask
        self.numbers = {"heads": self.heads, "length": self.length, "keys": self.keys}
        for i, (name, type_) in enumerate(zip("qkv", (q, k, v), strict=True)):
            access = attrs.reads[i].access if attrs.reads else None
            self.place(name, access or broadcast(type_.sizes, type_.sizes), _ROWS)
        scores = (self.batch, self.heads, self.length, self.keys)
        shape = (1,) if self.mask is None else self.mask.type.sizes
        self.place("mask", broadcast(shape, scores), _SCORES)

    def place(self, name: str, access: Access, axes: tuple[str, ...] = _ROWS) -> None:
        """Enter where an operand's elements lie."""
        self.numbers[f"{name}_start"] = access.offset
        for axis, stride in zip(axes, access.strides, strict=False):
            self.numbers[f"{name}_{axis}"] = stride
