"""Which row of a picture each node is on, and in what order nodes stand on a row.

The first stages of a layered drawing (Sugiyama, Tagawa and Toda, "Methods for visual
understanding of hierarchical system structures", 1981): edges are turned until there is no
cycle, nodes are ranked by longest path, edges over several ranks become chains of empty nodes,
and the nodes of each rank are ordered by the barycentres of their neighbours.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Key = Any
Edge = tuple[Any, Any]

_SWEEPS = 12


@dataclass(frozen=True)
class Lane:
    """Where edge ``edge`` passes through rank ``rank``."""

    edge: int
    rank: int


@dataclass(frozen=True)
class Layering:
    """Nodes and lanes by rank, in order, and the short edges between neighbouring ranks.

    Attributes
    ----------
    ranks : tuple of tuple
        Of node keys and `Lane` objects, from left to right.
    chains : tuple of tuple
        Of each edge: its upper node, its lanes, its lower node.
    turned : frozenset of int
        Edges that point upwards.
    """

    ranks: tuple[tuple[Any, ...], ...]
    chains: tuple[tuple[Any, ...], ...]
    turned: frozenset[int]


def layering(nodes: Sequence[Key], edges: Sequence[Edge]) -> Layering:
    """Rank and order ``nodes``; no edge may join a node to itself."""
    turned = _back_edges(nodes, edges)
    down = [(b, a) if i in turned else (a, b) for i, (a, b) in enumerate(edges)]
    rank = _ranks(nodes, down)
    chains = tuple(
        (a, *(Lane(i, r) for r in range(rank[a] + 1, rank[b])), b)
        for i, (a, b) in enumerate(down)
    )
    rows = _first_order(nodes, rank, chains)
    return Layering(tuple(map(tuple, _sorted(rows, chains))), chains, turned)


def _back_edges(nodes: Sequence[Key], edges: Sequence[Edge]) -> frozenset[int]:
    """Edges that close a cycle, as a depth-first walk finds them."""
    leaving: dict[Key, list[tuple[int, Key]]] = defaultdict(list)
    for number, (source, target) in enumerate(edges):
        leaving[source].append((number, target))
    state: dict[Key, int] = {}
    back: set[int] = set()
    for root in nodes:
        if root in state:
            continue
        state[root] = 1
        stack = [(root, iter(leaving[root]))]
        while stack:
            node, rest = stack[-1]
            for number, target in rest:
                if state.get(target) == 1:
                    back.add(number)
                elif target not in state:
                    state[target] = 1
                    stack.append((target, iter(leaving[target])))
                    break
            else:
                state[node] = 2
                stack.pop()
    return frozenset(back)


def _ranks(nodes: Sequence[Key], edges: Sequence[Edge]) -> dict[Key, int]:
    """Longest path from the top; what nothing leads to stands right above what it leads to."""
    below: dict[Key, list[Key]] = defaultdict(list)
    missing: dict[Key, int] = dict.fromkeys(nodes, 0)
    for source, target in edges:
        below[source].append(target)
        missing[target] += 1
    rank: dict[Key, int] = dict.fromkeys(nodes, 0)
    sources = [node for node in nodes if not missing[node]]
    ready = list(sources)
    while ready:
        node = ready.pop()
        for target in below[node]:
            rank[target] = max(rank[target], rank[node] + 1)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    for node in sources:
        if below[node]:
            rank[node] = min(rank[target] for target in below[node]) - 1
    return rank


def _first_order(
    nodes: Sequence[Key], rank: Mapping[Key, int], chains: Sequence[Sequence[Any]]
) -> list[list[Any]]:
    rows: list[list[Any]] = [[] for _ in range(1 + max(rank.values(), default=-1))]
    for node in nodes:
        rows[rank[node]].append(node)
    for chain in chains:
        for lane in chain[1:-1]:
            rows[lane.rank].append(lane)
    return rows


def _sorted(rows: list[list[Any]], chains: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """The order with the fewest crossings that sweeps down and up come by."""
    above: dict[Any, list[Any]] = defaultdict(list)
    below: dict[Any, list[Any]] = defaultdict(list)
    for chain in chains:
        for upper, lower in pairwise(chain):
            below[upper].append(lower)
            above[lower].append(upper)
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        is_down = sweep % 2 == 0
        order = range(1, len(rows)) if is_down else range(len(rows) - 2, -1, -1)
        for number in order:
            fixed = rows[number - 1] if is_down else rows[number + 1]
            _by_barycentre(rows[number], fixed, above if is_down else below)
        found = _crossings(rows, below)
        if found < fewest:
            best, fewest = [list(row) for row in rows], found
    return best


def _by_barycentre(row: list[Any], fixed: Sequence[Any], near: Mapping[Any, list[Any]]) -> None:
    """Sort ``row`` by the mean place of neighbours; what has none keeps its own place."""
    place = {each: float(i) for i, each in enumerate(fixed)}
    scale = len(fixed) / max(1, len(row))
    wanted = {}
    for i, each in enumerate(row):
        neighbours = [place[other] for other in near[each]] if each in near else []
        wanted[each] = sum(neighbours) / len(neighbours) if neighbours else i * scale
    row.sort(key=wanted.__getitem__)


def _crossings(rows: Sequence[Sequence[Any]], below: Mapping[Any, Sequence[Any]]) -> int:
    """How many pairs of short edges cross."""
    total = 0
    for upper, lower in pairwise(rows):
        place = {each: i for i, each in enumerate(lower)}
        seen: list[int] = []
        for each in upper:
            ends = sorted(place[other] for other in below.get(each, ()))
            total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return total
