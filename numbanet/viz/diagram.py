"""A model as boxes and arrows, with a place for each of them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from numbanet.ir import Value
from numbanet.layers.activation import Activation
from numbanet.models.functional import Step
from numbanet.viz.layout import Box, Layout, Point, layout
from numbanet.viz.outline import Outline, Part
from numbanet.viz.summary import size
from numbanet.viz.text import text_width

TITLE_SIZE, LINE_SIZE = 13.0, 11.0
"""Font sizes in pixels."""
_LINE_HEIGHT = 16.0
_PADDING = 12.0
_FRAME = 16.0  # between a frame and what stands in it
_FRAME_TITLE = 24.0


@dataclass(frozen=True)
class Style:
    """What is shown of each layer."""

    show_shapes: bool = False
    show_dtype: bool = False
    show_layer_names: bool = False
    show_layer_activations: bool = False
    show_trainable: bool = False
    expand_nested: bool = False
    rankdir: str = "TB"


@dataclass(frozen=True)
class Shape:
    """A box with text, or a frame around others.

    Attributes
    ----------
    key : str
        Unique in the picture: a path.
    family : str
        Which colour it has.
    title : str
    lines : tuple of str
    details : dict of str to str
        Shown when somebody points at it.
    inner : Diagram or None
        Of a frame.
    """

    key: str
    family: str
    title: str
    lines: tuple[str, ...]
    details: Mapping[str, str] = field(default_factory=dict)
    inner: Diagram | None = None

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        wide = text_width(self.title, TITLE_SIZE, is_bold=True)
        if self.inner is not None:
            found = self.inner.layout
            width = max(found.width, wide) + 2 * _FRAME
            return width, found.height + _FRAME_TITLE + 2 * _FRAME
        wide = max([wide, *(text_width(line, LINE_SIZE) for line in self.lines)])
        return wide + 2 * _PADDING, (1 + len(self.lines)) * _LINE_HEIGHT + _PADDING

    def inner_origin(self, box: Box) -> Point:
        """Where the picture in a frame begins, if the frame stands at ``box``."""
        assert self.inner is not None
        aside = (box.width - self.inner.layout.width) / 2
        return box.x + aside, box.y + _FRAME_TITLE + _FRAME

    def baselines(self, box: Box) -> Iterator[tuple[str, float, float]]:
        """The lines below the title, and where each is written, centred."""
        for number, line in enumerate(self.lines, 1):
            yield line, box.x + box.width / 2, self.title_baseline(box) + number * _LINE_HEIGHT

    def title_baseline(self, box: Box) -> float:
        return box.y + (_FRAME_TITLE - 6 if self.inner else _PADDING / 2 + TITLE_SIZE - 1)


@dataclass(frozen=True)
class Diagram:
    """Shapes by key, the arrows between them, and the layout of both."""

    name: str
    shapes: Mapping[str, Shape]
    arrows: tuple[tuple[str, str], ...]
    layout: Layout

    def walk(self, x: float = 0.0, y: float = 0.0) -> Iterator[tuple[Shape, Box]]:
        """All shapes with their boxes in the whole picture, frames before what they hold."""
        for key, box in self.layout.boxes.items():
            shape = self.shapes[key]
            placed = Box(box.x + x, box.y + y, box.width, box.height)
            yield shape, placed
            if shape.inner is not None:
                yield from shape.inner.walk(*shape.inner_origin(placed))

    def curves(self, x: float = 0.0, y: float = 0.0) -> Iterator[tuple[str, str, list[Point]]]:
        """Source, target and points of all arrows in the whole picture."""
        for route in self.layout.routes:
            yield route.source, route.target, [(a + x, b + y) for a, b in route.points]
        for key, box in self.layout.boxes.items():
            shape = self.shapes[key]
            if shape.inner is not None:
                placed = Box(box.x + x, box.y + y, box.width, box.height)
                yield from shape.inner.curves(*shape.inner_origin(placed))


def diagram(name: str, of: Outline, style: Style, prefix: str = "") -> Diagram:
    """The picture of an outline, laid out."""
    shapes: dict[str, Shape] = {}
    keys: dict[Part | str, str] = {}
    for own, value in of.inputs.items():
        key = keys[own] = f"{prefix}{own}"
        shapes[key] = _input_shape(key, own, value, style)
    for part in of.parts:
        # Ops have names that are not unique.
        key, number = part.path, 1
        while key in shapes:
            key, number = f"{part.path}#{number}", number + 1
        keys[part] = key
        shapes[key] = _shape(key, part, of.sources, style)
    arrows = tuple(
        dict.fromkeys(
            (keys[of.sources[value].part], keys[part])
            for part in of.parts
            for call in part.calls
            for value in call.inputs
            if value in of.sources
        )
    )
    sizes = {key: shape.size for key, shape in shapes.items()}
    return Diagram(name, shapes, arrows, layout(sizes, arrows, style.rankdir))


def _input_shape(key: str, name: str, value: Value, style: Style) -> Shape:
    shown = {"shape": str(value.shape), "dtype": str(value.dtype)}
    lines = []
    if style.show_shapes:
        lines.append(shown["shape"])
    if style.show_dtype:
        lines.append(shown["dtype"])
    return Shape(key, "input", _title(name, "Input", style), tuple(lines), shown)


def _title(name: str, kind: str, style: Style) -> str:
    return f"{name} ({kind})" if style.show_layer_names else (name if kind == "op" else kind)


def _shape(key: str, part: Part, sources: Container[Value], style: Style) -> Shape:
    title = _title(part.name, part.kind, style)
    if len(part.calls) > 1:
        title += f" ×{len(part.calls)}"  # noqa: RUF001 - a sign
    inner = None
    if style.expand_nested and part.inner is not None:
        inner = diagram(part.name, part.inner, style, f"{key}/")
    lines = () if inner is not None else tuple(_lines(part, sources, style))
    return Shape(key, _family(part), title, lines, _details(part), inner)


def _lines(part: Part, sources: Container[Value], style: Style) -> Iterator[str]:
    if style.show_layer_activations and (activation := _activation(part)):
        yield f"activation: {activation}"
    if style.show_shapes:
        yield from dict.fromkeys(_shapes(call, sources) for call in part.calls)
    if style.show_dtype:
        yield ", ".join(dict.fromkeys(str(v.dtype) for c in part.calls for _, v in c.outputs))
    if style.show_trainable and part.parameters and part.module is not None:
        yield "trainable" if part.module.trainable else "frozen"


def _shapes(call: Step, sources: Container[Value]) -> str:
    given = [str(value.shape) for value in call.inputs if value in sources]
    return f"{_counted(given)} → {_counted([str(value.shape) for _, value in call.outputs])}"


def _counted(shapes: Sequence[str]) -> str:
    """``4 × (None, 8)`` for four of one kind in a row."""
    runs = [(shape, len(list(run))) for shape, run in groupby(shapes)]
    return ", ".join(s if n == 1 else f"{n} × {s}" for s, n in runs)  # noqa: RUF001


def _activation(part: Part) -> str | None:
    """The name of the activation that a layer ends with, if it does anything."""
    given: Any = getattr(part.module, "activation", None)
    if given is None or (isinstance(part.module, Activation) and part.kind != "Activation"):
        return None
    name = getattr(given, "__name__", None) or str(given)
    return None if name == "linear" else name


def _details(part: Part) -> dict[str, str]:
    shown = {"layer": part.path, "class": part.kind, "output": "; ".join(part.shapes)}
    if part.parameters:
        shown["parameters"] = f"{part.parameters:,}"
    if part.flops is not None:
        shown["FLOPs of a sample"] = f"{part.flops:,}"
    shown["outputs of a sample"] = size(part.activation_bytes)
    if part.module is not None and part.parameters:
        shown["trainable"] = "yes" if part.module.trainable else "no"
    return shown


_FAMILIES = {
    "convolution": ("Conv",),
    "dense": ("Dense", "Linear", "Embedding"),
    "recurrent": ("LSTM", "GRU", "RNN", "Bidirectional"),
    "attention": ("Attention", "Transformer"),
    "normalization": ("Normalization", "Norm"),
    "pooling": ("Pool", "UpSampling"),
    "merging": (
        "Add",
        "Subtract",
        "Multiply",
        "Concatenate",
        "Average",
        "Maximum",
        "Minimum",
        "Dot",
    ),
}


def _family(part: Part) -> str:
    """The colour of a layer: by words in the name of its class."""
    if part.inner is not None:
        return "model"
    if part.kind == "op":
        return "op"
    for family, words in _FAMILIES.items():
        exact = family == "merging"
        if any(part.kind == word if exact else word in part.kind for word in words):
            return family
    return "parameters" if part.parameters else "other"
