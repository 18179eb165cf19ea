"""Programs as text: one line a launch, then what the memory is for.

::

    program: 6 launches, 71.4 MFLOP, 1.2 MB moved, 512.0 KB of memory
        #  kernel       op      tiles   FLOPs   bytes  writes           layer
        0  gather_rows  gather     64       0  401 KB  arena+0          input
    memory
      arena              98.5 KB  (lower bound 98.5 KB)
"""

from __future__ import annotations

from collections import defaultdict

from numbanet.plan.program import Address, Buffer, Launch, Program


def list_program(program: Program) -> str:
    """The listing of a program; stable, and compared with golden files."""
    return "\n".join([_title(program), *_launch_table(program), *_memory_lines(program)])


def amount(number: float, unit: str) -> str:
    """A quantity with a decimal prefix: ``amount(71_400_000, "FLOP")`` is ``71.4 MFLOP``."""
    for prefix in ("", "k", "M", "G"):
        if abs(number) < 1000:
            digits = 0 if prefix == "" else 1
            return f"{number:.{digits}f} {prefix}{unit}"
        number /= 1000
    return f"{number:.1f} T{unit}"


def _title(program: Program) -> str:
    flops = sum(launch.flops for launch in program.launches)
    moved = sum(launch.nbytes for launch in program.launches)
    lanes = f" on {program.lanes} lanes" if program.lanes > 1 else ""
    return (
        f"program: {len(program.launches)} launches{lanes}, {amount(flops, 'FLOP')}, "
        f"{amount(moved, 'B')} moved, {amount(program.peak_bytes, 'B')} of memory"
    )


def _launch_table(program: Program) -> list[str]:
    rows = [("#", "lane", "kernel", "op", "tiles", "FLOP", "bytes", "writes", "layer")]
    for number, launch in enumerate(program.launches):
        rows.append(
            (
                str(number),
                _lane(launch),
                launch.kernel.name,
                launch.op,
                str(launch.tiles),
                amount(launch.flops, ""),
                amount(launch.nbytes, "B"),
                _written(launch),
                launch.path,
            )
        )
    if program.lanes == 1:
        rows = [(number, *rest) for number, _, *rest in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = [i for i, title in enumerate(rows[0]) if title in ("#", "tiles", "FLOP", "bytes")]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _lane(launch: Launch) -> str:
    """``1 after 3 4``: on lane 1, once launches 3 and 4 of other lanes are done."""
    after = f" after {' '.join(map(str, launch.after))}" if launch.after else ""
    return f"{launch.lane}{after}"


def _written(launch: Launch) -> str:
    places = [launch.arguments[position] for position in launch.writes]
    return " ".join(_place(place) for place in places if isinstance(place, Address))


def _place(place: Address) -> str:
    where = f"{_label(place.buffer)}+{place.offset}"
    return where if place.slices == 1 else f"{place.slices}x{where}"


def _label(buffer: Buffer) -> str:
    return buffer.kind if buffer.kind in ("arena", "zeroed") else f"{buffer.kind}:{buffer.name}"


def _memory_lines(program: Program) -> list[str]:
    sizes: dict[str, int] = defaultdict(int)
    for buffer in program.buffers:
        sizes[buffer.kind] += buffer.nbytes
    lines = ["memory"]
    for kind, nbytes in sizes.items():
        note = f"  (lower bound {amount(program.live_bytes, 'B')})" if kind == "arena" else ""
        lines.append(f"  {kind:10s} {amount(nbytes, 'B'):>10s}{note}")
    return lines
