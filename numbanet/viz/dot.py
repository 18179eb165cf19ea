"""Diagrams in the language of Graphviz, which lays them out itself."""

from __future__ import annotations

from collections.abc import Iterator

from numbanet.viz.diagram import Diagram, Shape


def dot(diagram: Diagram, rankdir: str = "TB") -> str:
    """The whole graph; frames become clusters."""
    lines = [
        f"digraph {_quoted(diagram.name)} {{",
        f"  rankdir={rankdir};",
        "  compound=true;",
        '  node [shape=box, style=rounded, fontname="Helvetica"];',
        *_body(diagram, "  "),
        "}",
        "",
    ]
    return "\n".join(lines)


def _body(diagram: Diagram, indent: str) -> Iterator[str]:
    for key, shape in diagram.shapes.items():
        if shape.inner is None:
            label = "\n".join([shape.title, *shape.lines])
            yield f"{indent}{_quoted(key)} [label={_quoted(label)}];"
        else:
            yield f"{indent}subgraph {_quoted(_cluster(key))} {{"
            yield f"{indent}  label={_quoted(shape.title)};"
            yield from _body(shape.inner, indent + "  ")
            yield f"{indent}}}"
    for source, target in diagram.arrows:
        ends = diagram.shapes[source], diagram.shapes[target]
        tail, head = _node(ends[0], last=True), _node(ends[1], last=False)
        clipped = [
            f"{name}={_quoted(_cluster(shape.key))}"
            for name, shape in zip(("ltail", "lhead"), ends, strict=True)
            if shape.inner is not None
        ]
        options = f" [{', '.join(clipped)}]" if clipped else ""
        yield f"{indent}{_quoted(tail)} -> {_quoted(head)}{options};"


def _cluster(key: str) -> str:
    return f"cluster_{key}"


def _node(shape: Shape, *, last: bool) -> str:
    """Arrows join nodes: to and from a frame, its first and its last."""
    while shape.inner is not None:
        inner = list(shape.inner.shapes.values())
        shape = inner[-1 if last else 0]
    return shape.key


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
