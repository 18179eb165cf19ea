"""Layouts of any graph: boxes apart, edges from box to box and through none."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbanet.viz.layout import Box, Layout, Point, layout

Size = tuple[float, float]


def sampled(points: tuple[Point, ...] | list[Point], pieces: int = 24) -> list[Point]:
    """Points along cubic curves."""
    found = [points[0]]
    for i in range(0, len(points) - 1, 3):
        p, q, r, s = points[i : i + 4]
        for step in range(1, pieces + 1):
            t = step / pieces
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            x, y = (
                sum(w * each[axis] for w, each in zip(weights, (p, q, r, s), strict=True))
                for axis in (0, 1)
            )
            found.append((x, y))
    return found


def holds(box: Box, point: Point, inset: float) -> bool:
    """Whether ``point`` lies in ``box``, at least ``inset`` from its sides."""
    x, y = point
    across = box.x + inset < x < box.x + box.width - inset
    return across and box.y + inset < y < box.y + box.height - inset


def overlap(a: Box, b: Box) -> bool:
    across = a.x < b.x + b.width and b.x < a.x + a.width
    return across and a.y < b.y + b.height and b.y < a.y + a.height


def check(found: Layout, edges: list[tuple[int, int]]) -> None:
    for a, b in combinations(found.boxes.values(), 2):
        assert not overlap(a, b)
    for box in found.boxes.values():
        assert box.x >= -1e-6
        assert box.y >= -1e-6
        assert box.x + box.width <= found.width + 1e-6
        assert box.y + box.height <= found.height + 1e-6
    assert [(route.source, route.target) for route in found.routes] == edges
    for route in found.routes:
        for end, key in ((route.points[0], route.source), (route.points[-1], route.target)):
            box = found.boxes[key]
            assert holds(box, end, -1e-6)
            assert not holds(box, end, 1e-6)
        for point in sampled(route.points):
            assert not any(holds(box, point, 0.5) for box in found.boxes.values())


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[int, Size], list[tuple[int, int]]]:
    count = draw(st.integers(1, 14))
    side = st.integers(10, 160)
    sizes = {i: (float(draw(side)), float(draw(side))) for i in range(count)}
    node = st.integers(0, count - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=2 * count, unique=True))
    return sizes, edges


@settings(max_examples=60, deadline=None, derandomize=True)
@given(graphs(), st.sampled_from(("TB", "BT", "LR", "RL")))
def test_any_graph(
    graph: tuple[dict[int, Size], list[tuple[int, int]]], direction: str
) -> None:
    sizes, edges = graph
    found = layout(sizes, edges, direction)
    check(found, edges)
    for key, (width, height) in sizes.items():
        box = found.boxes[key]
        assert (box.width, box.height) == pytest.approx((width, height))


@pytest.mark.parametrize("direction", ["TB", "BT", "LR", "RL"])
def test_edges_lead_where_they_are_told(direction: str) -> None:
    found = layout(dict.fromkeys(range(4), (60.0, 20.0)), [(0, 1), (1, 2), (2, 3)], direction)
    axis = "y" if direction in ("TB", "BT") else "x"
    places = [getattr(found.boxes[i], axis) for i in range(4)]
    assert places == sorted(places, reverse=direction in ("BT", "RL"))
    assert len(set(places)) == 4


def test_chains_are_straight_beside_skips() -> None:
    sizes = {i: (40.0 + 20 * (i % 3), 20.0) for i in range(9)}
    chain = [(i, i + 1) for i in range(8)]
    found = layout(sizes, [*chain, (0, 8), (1, 4), (4, 7)])
    middles = [box.x + box.width / 2 for box in found.boxes.values()]
    assert max(middles) - min(middles) < 1e-6
    # The lane of a long edge is straight, too.
    inner = [x for x, y in found.routes[8].points if found.boxes[1].y < y < found.boxes[7].y]
    assert max(inner) - min(inner) < 1e-6


def test_sweeps_untangle_crossings() -> None:
    edges = [(0, 5), (1, 4), (2, 3)]
    found = layout(dict.fromkeys(range(6), (30.0, 20.0)), edges)
    for (a, b), (c, d) in combinations(edges, 2):
        order = found.boxes[a].x - found.boxes[c].x
        assert order * (found.boxes[b].x - found.boxes[d].x) > 0


def test_a_long_chain() -> None:
    count = 2000
    found = layout(
        dict.fromkeys(range(count), (30.0, 20.0)), [(i, i + 1) for i in range(count - 1)]
    )
    assert len({box.x for box in found.boxes.values()}) == 1


def test_nothing() -> None:
    assert layout({}, []) == Layout(0.0, 0.0, {}, ())
