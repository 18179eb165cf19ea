"""Mean and variance of channels, as statements of kernels: of parts of the rows, then of all.

They are sound where the mean is large and the variance small (Chan, Golub and LeVeque,
"Updating formulae and a pairwise algorithm for computing sample variances", 1979). A thread
takes distances from the first number it sees, so that what it subtracts from their squares is
at most as many times their sum as it has numbers; threads, and then parts, are put together by
their distance from the common mean; and the mean of a part is kept as its distance from the
part's first number, that of all as the distance from the first number of all.

Of each channel there are ``depth`` lanes in a block, ``width`` threads apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

IN_FLIGHT = 8
"""Rows that a thread loads before it computes: so memory is busy all the time."""


def loop(
    index: str, stop: str, apart: int, loads: Mapping[str, str], each: Sequence[str]
) -> Iterator[str]:
    """Run ``each`` for every ``apart``-th index, with what is loaded for it.

    ``loads`` gives names the source of what they are to be, in which ``{}`` is the index.
    """
    yield f"while {index} + {(IN_FLIGHT - 1) * apart} < {stop}:"
    for i in range(IN_FLIGHT):
        for name, source in loads.items():
            yield f"    {name}{i} = {source.format(f'int32({index} + {i * apart})')}"
    for i in range(IN_FLIGHT):
        for name in loads:
            yield f"    {name} = {name}{i}"
        yield from (f"    {line}" for line in each)
        yield f"    {index} = int32({index} + {apart})"
    yield f"while {index} < {stop}:"
    for name, source in loads.items():
        yield f"    {name} = {source.format(index)}"
    yield from (f"    {line}" for line in each)
    yield f"    {index} = int32({index} + {apart})"


def sum_lanes(name: str, width: int, depth: int) -> Iterator[str]:
    """Leave in ``name`` of all lanes of a channel the sum of their ``name``s."""
    if depth == 1:
        return
    yield f"shared[thread] = {name}"
    yield "cuda.syncthreads()"
    half = depth // 2
    while half:
        yield f"if lane < {half}:"
        yield f"    other = shared[uint32(thread + {half * width})]"
        yield "    shared[thread] = shared[thread] + other"
        yield "cuda.syncthreads()"
        half //= 2
    yield f"{name} = shared[uint32(thread % {width})]"
    yield "cuda.syncthreads()"


def begin(real: str) -> Iterator[str]:
    """Before the first number of a thread."""
    for name in ("shift", "total", "square", "own"):
        yield f"{name} = {real}(0)"


def take(number: str) -> list[str]:
    """The next number, where ``shift`` is the first."""
    return [
        f"away = {number} - shift",
        "total = total + away",
        "square = square + away * away",
    ]


def settle(real: str, width: int, depth: int, rows: str) -> Iterator[str]:
    """Leave in ``centre`` and ``square`` the mean of a part of ``rows`` rows, as its distance
    from ``base``, its first number, and the sum of squared distances from it.

    A thread has taken ``count`` numbers.
    """
    yield "if count > 0:"
    yield f"    own = total / {real}(count)"
    yield f"    square = max(square - total * own, {real}(0))"
    yield "    own = own + (shift - base)"
    yield f"centre = own * {real}(count)"
    yield from sum_lanes("centre", width, depth)
    yield f"centre = centre / {real}({rows})"
    yield f"square = square + {real}(count) * (own - centre) * (own - centre)"
    yield from sum_lanes("square", width, depth)


def merge(real: str, width: int, depth: int) -> Iterator[str]:
    """Leave in ``centre``, as the distance from ``base``, and ``square`` those of all rows of
    ``x[rows, columns]``, from those of ``parts`` parts of ``chunk`` rows."""
    at = "int32({} * columns + column)"
    first = "x[int32({} * chunk * columns + column)]"
    share = f"{real}(min(chunk, int32(rows - i * chunk)))"
    mean = "(part_mean + (part_base - base))"
    means = {"part_mean": f"means[{at}]", "part_base": first}
    stop = "(parts if column < columns else int32(0))"
    yield f"base = {real}(0)"
    yield "if column < columns:"
    yield "    base = x[column]"
    yield f"stop = int32({stop})"
    yield f"centre = {real}(0)"
    yield f"square = {real}(0)"
    yield "i = lane"
    yield from loop("i", "stop", depth, means, [f"centre = centre + {share} * {mean}"])
    yield from sum_lanes("centre", width, depth)
    yield f"centre = centre / {real}(rows)"
    yield "i = lane"
    loads = {**means, "part_square": f"squares[{at}]"}
    each = [f"away = {mean} - centre", f"square = square + part_square + {share} * away * away"]
    yield from loop("i", "stop", depth, loads, each)
    yield from sum_lanes("square", width, depth)


class Measure(Protocol):
    """What a product's tiles find out of the numbers that they store: statements, for threads
    each of which stores numbers of one column.

    Attributes
    ----------
    channels : int
        Of the result.
    reads : tuple of str
        Names of pointers that the statements read.
    results : tuple of (str, str)
        Names of pointers that are written, and the source of a ``channel``'s number.
    """

    @property
    def channels(self) -> int: ...

    @property
    def reads(self) -> tuple[str, ...]: ...

    @property
    def results(self) -> tuple[tuple[str, str], ...]: ...

    def begin(self, real: str, inside: str, channel: str) -> Iterator[str]:
        """Before the first number; the ``channel`` is one of the result if ``inside``."""
        ...

    def take(self, number: str, position: str) -> Iterator[str]:
        """The number that is stored at ``position``."""
        ...

    def settle(self, real: str, width: int, depth: int, rows: str) -> Iterator[str]:
        """Put together what the lanes of a column have of a tile of ``rows`` rows."""
        ...


@dataclass(frozen=True)
class Moments:
    """Mean and squares of each tile."""

    channels: int
    reads = ()
    results = (("means", "centre"), ("squares", "square"))

    def begin(self, real: str, inside: str, channel: str) -> Iterator[str]:
        yield from begin(real)
        yield "count = int32(0)"

    def take(self, number: str, position: str) -> Iterator[str]:
        yield f"shift = {number} if count == 0 else shift"
        yield from take(number)
        yield "count = int32(count + 1)"

    def settle(self, real: str, width: int, depth: int, rows: str) -> Iterator[str]:
        yield "if lane == 0:"
        yield "    shared[thread] = shift"
        yield "cuda.syncthreads()"
        yield f"base = shared[uint32(thread % {width})]"
        yield "cuda.syncthreads()"
        yield from settle(real, width, depth, rows)


@dataclass(frozen=True)
class GradientSums:
    """Of a gradient ``g`` the sums of ``g * (x - mean) * rstd`` and ``g`` of each tile."""

    channels: int
    reads = ("of_x", "of_mean", "of_rstd")
    results = (("dgammas", "dgamma * of_rstd[channel]"), ("dbetas", "dbeta"))

    def begin(self, real: str, inside: str, channel: str) -> Iterator[str]:
        for name in ("centre", "dgamma", "dbeta"):
            yield f"{name} = {real}(0)"
        yield f"if {inside}:"
        yield f"    centre = of_mean[{channel}]"

    def take(self, number: str, position: str) -> Iterator[str]:
        yield f"dgamma = dgamma + {number} * (of_x[{position}] - centre)"
        yield f"dbeta = dbeta + {number}"

    def settle(self, real: str, width: int, depth: int, rows: str) -> Iterator[str]:
        yield from sum_lanes("dgamma", width, depth)
        yield from sum_lanes("dbeta", width, depth)
