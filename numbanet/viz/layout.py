"""From a graph to coordinates: where boxes stand and how edges run, whatever draws them.

Edges run straight through the ranks, in lanes that boxes keep clear of, and bend only in the
gaps between ranks. So no edge crosses a box, whatever the graph.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from numbanet.viz.layering import Edge, Key, Lane, Layering, layering

Point = tuple[float, float]

GAP = 22.0
"""Between neighbours on a rank."""
RANK_GAP = 34.0
"""Between ranks; more where edges go far to the side."""
LANE = 10.0
"""Width of a passing edge."""
LOOP = 18.0
"""How far an edge from a node to itself stands out."""

_SWEEPS = 17  # odd: the last one goes down, and leaves chains straight
_INSET = 14.0  # of the ends of edges from the corners of boxes


@dataclass(frozen=True)
class Box:
    """A rectangle by its upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Route:
    """An edge as cubic curves: ``points`` are a start, then two controls and an end each."""

    source: Any
    target: Any
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Layout:
    """Boxes by node, and a route for each edge, in their order."""

    width: float
    height: float
    boxes: Mapping[Any, Box]
    routes: tuple[Route, ...]


def layout(
    sizes: Mapping[Key, tuple[float, float]],
    edges: Sequence[Edge],
    direction: str = "TB",
) -> Layout:
    """Lay a graph out in ranks.

    Parameters
    ----------
    sizes : dict of key to (width, height)
        The nodes, in the order in which ties are broken.
    edges : sequence of (source, target)
        Cycles and edges from a node to itself are fine.
    direction : {"TB", "BT", "LR", "RL"}
        Where edges lead: down, up, right or left.
    """
    is_sideways = direction in ("LR", "RL")
    if is_sideways:
        sizes = {key: (height, width) for key, (width, height) in sizes.items()}
    found = _down(sizes, edges)
    if is_sideways:
        found = _mapped(found, lambda x, y: (y, x), found.height, found.width)
    if direction in ("BT", "RL"):
        width, height = found.width, found.height
        flip = (
            (lambda x, y: (x, height - y))
            if direction == "BT"
            else (lambda x, y: (width - x, y))
        )
        found = _mapped(found, flip, width, height)
    return found


def _mapped(found: Layout, move: Any, width: float, height: float) -> Layout:
    def box(each: Box) -> Box:
        x0, y0 = move(each.x, each.y)
        x1, y1 = move(each.x + each.width, each.y + each.height)
        return Box(min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0))

    routes = tuple(
        Route(r.source, r.target, tuple(move(*point) for point in r.points))
        for r in found.routes
    )
    return Layout(width, height, {k: box(b) for k, b in found.boxes.items()}, routes)


def _down(sizes: Mapping[Key, tuple[float, float]], edges: Sequence[Edge]) -> Layout:
    looped = {source for source, target in edges if source == target}
    numbers = [i for i, (source, target) in enumerate(edges) if source != target]
    layers = layering(list(sizes), [edges[i] for i in numbers])
    widths = {key: sizes[key][0] + (2 * LOOP if key in looped else 0.0) for key in sizes}
    x = _across(layers, widths)
    left = min((x[key] - widths[key] / 2 for key in sizes), default=0.0)
    left = min([left, *(x[each] for row in layers.ranks for each in row)])
    x = {each: place - left for each, place in x.items()}
    bands = _bands(layers, sizes, x)
    boxes = {
        key: Box(x[key] - w / 2, (bands[r][0] + bands[r][1] - h) / 2, w, h)
        for r, row in enumerate(layers.ranks)
        for key in row
        if not isinstance(key, Lane)
        for w, h in (sizes[key],)
    }
    routes: dict[int, Route] = {}
    for number, points in zip(numbers, _routes(layers, boxes, x, bands), strict=True):
        routes[number] = Route(*edges[number], points)
    for number, (source, target) in enumerate(edges):
        if source == target:
            routes[number] = Route(source, target, _loop(boxes[source]))
    right = [x[each] + widths.get(each, 0.0) / 2 for row in layers.ranks for each in row]
    height = bands[-1][1] if bands else 0.0
    ordered = {key: boxes[key] for key in sizes}
    return Layout(
        max(right, default=0.0), height, ordered, tuple(routes[i] for i in range(len(edges)))
    )


# Across: by sweeps that move each rank to where its neighbours want it.


def _across(layers: Layering, widths: Mapping[Key, float]) -> dict[Any, float]:
    near = _neighbours(layers)
    x: dict[Any, float] = {}
    for row in layers.ranks:
        place = 0.0
        for each, after in zip(row, (*row[1:], None), strict=True):
            x[each] = place
            place += 0.0 if after is None else _apart(each, after, widths)
    last = len(layers.ranks) - 1
    for sweep in range(_SWEEPS):
        is_down = sweep % 2 == 0
        for number in range(last + 1) if is_down else range(last, -1, -1):
            _settle(layers.ranks[number], x, near["above" if is_down else "below"], widths)
        _straighten(layers, x, widths)
    return x


Neighbours = Mapping[str, Mapping[Any, list[tuple[Any, float]]]]


def _neighbours(layers: Layering) -> Neighbours:
    """Who pulls whom: lanes pull lanes, and boxes pull boxes, harder than one the other."""
    near: dict[str, dict[Any, list[tuple[Any, float]]]] = {
        "above": defaultdict(list),
        "below": defaultdict(list),
    }
    for chain in layers.chains:
        for upper, lower in pairwise(chain):
            is_like = isinstance(upper, Lane) == isinstance(lower, Lane)
            pull = 3.0 if is_like else 2.0
            near["below"][upper].append((lower, pull))
            near["above"][lower].append((upper, pull))
    return near


def _apart(left: Any, right: Any, widths: Mapping[Key, float]) -> float:
    """The least distance between the centres of two neighbours."""
    wide = [LANE if isinstance(each, Lane) else widths[each] for each in (left, right)]
    both = isinstance(left, Lane) and isinstance(right, Lane)
    return sum(wide) / 2 + (0.0 if both else GAP)


def _settle(
    row: Sequence[Any],
    x: dict[Any, float],
    near: Mapping[Any, list[tuple[Any, float]]],
    widths: Mapping[Key, float],
) -> None:
    """Move a rank's nodes to the medians of their neighbours, as near as their order lets
    them."""
    wanted, offsets = [], []
    for i, each in enumerate(row):
        offsets.append(offsets[-1] + _apart(row[i - 1], each, widths) if i else 0.0)
        pulls = [(x[other], pull) for other, pull in near[each]]
        weight = (1e-9 if isinstance(each, Lane) else 1.0) * (1.0 if pulls else 0.001)
        wanted.append((_median(pulls) if pulls else x[each], weight))
    x.update(zip(row, _spaced(wanted, offsets), strict=True))


def _spaced(wanted: Sequence[tuple[float, float]], offsets: Sequence[float]) -> Iterator[float]:
    """Places as near to ``wanted`` ones, by their weights, as neighbours let them that are as
    far apart as their ``offsets``: least squares by pooling those that push each other."""
    blocks: list[tuple[float, float, int]] = []  # weighted sum, weight, members
    for (place, weight), offset in zip(wanted, offsets, strict=True):
        blocks.append((weight * (place - offset), weight, 1))
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            second, first = blocks.pop(), blocks.pop()
            blocks.append((first[0] + second[0], first[1] + second[1], first[2] + second[2]))
    places = (_mean(block) for block in blocks for _ in range(block[2]))
    return (place + offset for place, offset in zip(places, offsets, strict=True))


def _mean(block: tuple[float, float, int]) -> float:
    return block[0] / block[1]


def _median(pulls: list[tuple[float, float]]) -> float:
    """The weighted median; halfway between two where the weights are in balance."""
    pulls.sort()
    half = sum(weight for _, weight in pulls) / 2
    seen = 0.0
    for i, (place, weight) in enumerate(pulls):
        seen += weight
        if seen > half:
            return place
        if seen == half:
            return (place + pulls[i + 1][0]) / 2
    return pulls[-1][0]


def _straighten(layers: Layering, x: dict[Any, float], widths: Mapping[Key, float]) -> None:
    """Give all lanes of an edge one place, where their neighbours leave room for it."""
    rows = layers.ranks
    place = {each: (r, i) for r, row in enumerate(rows) for i, each in enumerate(row)}
    for chain in layers.chains:
        lanes = chain[1:-1]
        if len(lanes) < 2:
            continue
        low, high = float("-inf"), float("inf")
        for lane in lanes:
            r, i = place[lane]
            if i > 0:
                low = max(low, x[rows[r][i - 1]] + _apart(rows[r][i - 1], lane, widths))
            if i + 1 < len(rows[r]):
                high = min(high, x[rows[r][i + 1]] - _apart(lane, rows[r][i + 1], widths))
        if low <= high:
            middle = sum(x[lane] for lane in lanes) / len(lanes)
            for lane in lanes:
                x[lane] = min(max(middle, low), high)


# Down: ranks are bands, as high as their highest box.


def _bands(
    layers: Layering, sizes: Mapping[Key, tuple[float, float]], x: Mapping[Any, float]
) -> list[tuple[float, float]]:
    """Top and bottom of each rank. Where edges go far aside, the gap above is larger."""
    far = [0.0] * (len(layers.ranks) + 1)
    rank = {each: r for r, row in enumerate(layers.ranks) for each in row}
    for chain in layers.chains:
        for upper, lower in pairwise(chain):
            far[rank[lower]] = max(far[rank[lower]], abs(x[upper] - x[lower]))
    bands: list[tuple[float, float]] = []
    y = 0.0
    for number, row in enumerate(layers.ranks):
        y += RANK_GAP + min(40.0, far[number] / 10) if number else 0.0
        high = max((sizes[each][1] for each in row if not isinstance(each, Lane)), default=0.0)
        bands.append((y, y + high))
        y += high
    return bands


def _routes(
    layers: Layering,
    boxes: Mapping[Any, Box],
    x: Mapping[Any, float],
    bands: Sequence[tuple[float, float]],
) -> list[tuple[Point, ...]]:
    rank = {each: r for r, row in enumerate(layers.ranks) for each in row}
    starts = _ports(layers, boxes, x, is_upper=True)
    ends = _ports(layers, boxes, x, is_upper=False)
    routes = []
    for number, chain in enumerate(layers.chains):
        upper, lower = boxes[chain[0]], boxes[chain[-1]]
        top, bottom = bands[rank[chain[0]]][1], bands[rank[chain[-1]]][0]
        stops: list[Point] = [(starts[number], upper.y + upper.height), (starts[number], top)]
        for lane in chain[1:-1]:
            stops += [(x[lane], bands[lane.rank][0]), (x[lane], bands[lane.rank][1])]
        stops += [(ends[number], bottom), (ends[number], lower.y)]
        points = _smooth(stops)
        routes.append(points[::-1] if number in layers.turned else points)
    return routes


def _ports(
    layers: Layering, boxes: Mapping[Any, Box], x: Mapping[Any, float], *, is_upper: bool
) -> list[float]:
    """Where on its box each edge begins (or ends): as far towards the other end as it can with
    some room between two, a lone edge in the middle."""
    ends: dict[Any, list[tuple[float, int]]] = defaultdict(list)
    for number, chain in enumerate(layers.chains):
        own, other = (chain[0], chain[1]) if is_upper else (chain[-1], chain[-2])
        ends[own].append((x[other], number))
    ports = [0.0] * len(layers.chains)
    for own, edges in ends.items():
        box = boxes[own]
        middle, most = box.x + box.width / 2, max(0.0, box.width / 2 - _INSET)
        gaps = len(edges) - 1
        if not gaps:
            most = 0.0
        gap = min(LANE, 2 * most / max(1, gaps))
        edges.sort()
        wanted = []
        for place, _ in edges:
            near = min(max(place, middle - most), middle + most)
            wanted.append((near, 1.0 if near == place else 0.01))  # what is straight stays
        offsets = [gap * i for i in range(len(edges))]
        for i, place in enumerate(_spaced(wanted, offsets)):
            low, high = middle - most + offsets[i], middle + most - gap * (gaps - i)
            ports[edges[i][1]] = min(max(place, low), high)
    return ports


def _smooth(stops: Sequence[Point]) -> tuple[Point, ...]:
    """Curves through ``stops`` that are vertical at each of them."""
    points = [stops[0]]
    for (x0, y0), (x1, y1) in pairwise(stops):
        if abs(y1 - y0) < 1e-6:
            continue
        middle = (y0 + y1) / 2
        points += [(x0, middle), (x1, middle), (x1, y1)]
    return tuple(points)


def _loop(box: Box) -> tuple[Point, ...]:
    """From a box's right side back to it."""
    x, y = box.x + box.width, box.y + box.height / 2
    rise = box.height / 4
    out = x + LOOP * 4 / 3
    return ((x, y + rise), (out, y + rise), (out, y - rise), (x, y - rise))
