"""Diagrams as SVG, which browsers and editors show in light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from numbanet.viz.diagram import LINE_SIZE, TITLE_SIZE, Diagram, Shape
from numbanet.viz.layout import Box, Point

_MARGIN = 16.0
_ARROW = 7.0

# Of each family: hue, and how strong the colour is.
_COLOURS: Mapping[str, tuple[int, int]] = {
    "input": (140, 35),
    "convolution": (212, 60),
    "dense": (262, 45),
    "recurrent": (320, 45),
    "attention": (348, 55),
    "normalization": (48, 60),
    "pooling": (182, 45),
    "merging": (22, 70),
    "parameters": (235, 35),
    "model": (220, 12),
    "op": (0, 0),
    "other": (210, 14),
}


def svg(diagram: Diagram) -> str:
    """The whole document."""
    width = diagram.layout.width + 2 * _MARGIN
    height = diagram.layout.height + 2 * _MARGIN
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}">',
        f"<title>{escape(diagram.name)}</title>",
        f"<style>\n{_style()}</style>",
        f'<rect class="paper" width="{_n(width)}" height="{_n(height)}"/>',
    ]
    shapes = list(diagram.walk(_MARGIN, _MARGIN))
    # Frames lie below arrows, and arrows below boxes.
    for shape, box in shapes:
        if shape.inner is not None:
            lines += _frame(shape, box)
    for source, target, points in diagram.curves(_MARGIN, _MARGIN):
        lines += _arrow(source, target, points)
    for shape, box in shapes:
        if shape.inner is None:
            lines += _box(shape, box)
    return "\n".join([*lines, "</svg>", ""])


def _style() -> str:
    sheet = [
        "svg { font-family: Helvetica, Arial, 'Liberation Sans', sans-serif; }",
        "text { text-anchor: middle; }",
        f".title {{ font-size: {_n(TITLE_SIZE)}px; font-weight: bold; }}",
        f".line {{ font-size: {_n(LINE_SIZE)}px; }}",
        ".arrow { fill: none; stroke-width: 1.4; }",
        "rect.box, rect.frame { stroke-width: 1.2; }",
        *_colours(is_dark=False),
        "@media (prefers-color-scheme: dark) {",
        *_colours(is_dark=True),
        "}",
    ]
    return "\n".join(sheet) + "\n"


def _colours(*, is_dark: bool) -> Iterator[str]:
    paper, ink, soft, line = (
        ("#16181d", "#eef0f4", "#c3c8d2", "#9aa3b2")
        if is_dark
        else ("#ffffff", "#1b1f27", "#454c59", "#6a7383")
    )
    yield f".paper {{ fill: {paper}; }}"
    yield f".title {{ fill: {ink}; }}"
    yield f".line {{ fill: {soft}; }}"
    yield f".arrow {{ stroke: {line}; }}"
    yield f".head {{ fill: {line}; }}"
    for family, (hue, strength) in _COLOURS.items():
        fill = (strength * 0.5, 20) if is_dark else (strength, 94)
        edge = (strength * 0.8, 55) if is_dark else (strength * 0.8, 56)
        yield f".{family} {{ fill: {_rgb(hue, *fill)}; stroke: {_rgb(hue, *edge)}; }}"


def _rgb(hue: float, saturation: float, lightness: float) -> str:
    """A colour as every renderer knows it; angles in degrees, shares in percent."""
    light, amplitude = lightness / 100, saturation / 100
    amplitude *= min(light, 1 - light)

    def channel(n: int) -> int:
        k = (n + hue / 30) % 12
        return round(255 * (light - amplitude * max(-1, min(k - 3, 9 - k, 1))))

    return f"#{channel(0):02x}{channel(8):02x}{channel(4):02x}"


def _frame(shape: Shape, box: Box) -> list[str]:
    return [
        f"<g data-key={quoteattr(shape.key)}{_details(shape)}>",
        _rect("frame", shape, box, 10),
        _text("title", shape.title, box.x + box.width / 2, shape.title_baseline(box)),
        "</g>",
    ]


def _box(shape: Shape, box: Box) -> list[str]:
    lines = [_text("line", line, x, y) for line, x, y in shape.baselines(box)]
    return [
        f"<g data-key={quoteattr(shape.key)}{_details(shape)}>",
        _rect("box", shape, box, 14 if shape.family == "input" else 6),
        _text("title", shape.title, box.x + box.width / 2, shape.title_baseline(box)),
        *lines,
        "</g>",
    ]


def _details(shape: Shape) -> str:
    text = "\n".join(f"{name}: {value}" for name, value in shape.details.items())
    return f" data-details={quoteattr(text)}" if text else ""


def _rect(kind: str, shape: Shape, box: Box, radius: float) -> str:
    return (
        f'<rect class="{kind} {shape.family}" x="{_n(box.x)}" y="{_n(box.y)}" '
        f'width="{_n(box.width)}" height="{_n(box.height)}" rx="{_n(radius)}"/>'
    )


def _text(kind: str, text: str, x: float, y: float) -> str:
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}">{escape(text)}</text>'


def _arrow(source: str, target: str, points: Sequence[Point]) -> list[str]:
    """A curve, and a head at its end: not a marker, which not every renderer turns."""
    path = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for i in range(1, len(points), 3):
        path.append("C" + " ".join(f"{_n(x)} {_n(y)}" for x, y in points[i : i + 3]))
    (x0, y0), (x1, y1) = points[-2], points[-1]
    angle = math.atan2(y1 - y0, x1 - x0)
    corners = [
        (x1 - _ARROW * math.cos(angle + turn), y1 - _ARROW * math.sin(angle + turn))
        for turn in (0.42, -0.42)
    ]
    head = " ".join(f"{_n(x)},{_n(y)}" for x, y in [(x1, y1), *corners])
    return [
        f"<g data-from={quoteattr(source)} data-to={quoteattr(target)}>",
        f'<path class="arrow" d="{" ".join(path)}"/>',
        f'<polygon class="head" points="{head}"/>',
        "</g>",
    ]


def _n(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
