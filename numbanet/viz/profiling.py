"""Where the time of a training step goes: a table by layer, and a trace for a viewer."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.models.data import DataSet, Piece
from numbanet.models.graphs import ORDER
from numbanet.plan.listing import amount
from numbanet.plan.program import Launch
from numbanet.runtime.device import Executable
from numbanet.viz.measuring import Peaks, measure, peaks

if TYPE_CHECKING:
    from numbanet.models.model import Model

OUTSIDE = "(loss, optimizer and data)"
"""What no layer recorded."""


@dataclass(frozen=True, eq=False)
class Profile:
    """The launches of a training step, and the seconds that each took.

    Attributes
    ----------
    name : str
        The model's.
    batch_size : int
    launches : tuple of Launch
    seconds : tuple of float
        Each launch by itself: threads meet and caches empty between them, so that the step as
        a whole takes less.
    limits : Peaks
    """

    name: str
    batch_size: int
    launches: tuple[Launch, ...]
    seconds: tuple[float, ...]
    limits: Peaks

    @property
    def layers(self) -> dict[str, float]:
        """Seconds by layer, in order of their first launch."""
        found: dict[str, float] = defaultdict(float)
        for launch, seconds in zip(self.launches, self.seconds, strict=True):
            found[launch.path or OUTSIDE] += seconds
        return dict(found)

    def trace(self) -> dict[str, Any]:
        """Events as Chrome's tracing and Perfetto read them: layers above, launches below."""
        events: list[dict[str, Any]] = [
            _named("process_name", 0, f"{self.name}, {self.batch_size} samples"),
            _named("thread_name", 0, "layers"),
            _named("thread_name", 1, "launches"),
        ]
        timed = list(zip(self.launches, self.seconds, strict=True))
        start = 0.0
        for path, group in groupby(timed, lambda each: each[0].path or OUTSIDE):
            first = start
            for launch, seconds in group:
                events.append(_event(launch.op, path, 1, start, seconds, _arguments(launch)))
                start += seconds
            events.append(_event(path, "layer", 0, first, start - first, {}))
        return {"traceEvents": events, "displayTimeUnit": "ns"}

    def __str__(self) -> str:
        total = sum(self.seconds)
        rows: list[tuple[str, ...]] = [
            ("layer", "launches", "time", "share", "bytes", "FLOP", "limit")
        ]
        for path, seconds in sorted(self.layers.items(), key=lambda each: -each[1]):
            own = [each for each in self.launches if (each.path or OUTSIDE) == path]
            rows.append((path, str(len(own)), *self._cells(own, seconds, total)))
        rows.append(
            ("total", str(len(self.launches)), *self._cells(self.launches, total, total))
        )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if i in (0, 6) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join(lines)

    def _cells(self, launches: Any, seconds: float, total: float) -> tuple[str, ...]:
        nbytes = sum(each.nbytes for each in launches)
        flops = sum(each.flops for each in launches)
        parts = [
            (nbytes / self.limits.bytes_per_second, "bandwidth"),
            (flops / self.limits.flops_per_second, "arithmetic"),
        ]
        least, limit = max(parts)
        return (
            f"{seconds * 1e6:.1f} us",
            f"{seconds / total:.0%}" if total else "",
            amount(nbytes, "B"),
            amount(flops, ""),
            f"{least / seconds:.0%} of {limit}" if seconds and least else "",
        )


def profile_step(
    model: Model,
    data: DataSet | None,
    batch_size: int,
    to_file: str | os.PathLike[str] | None,
    repeats: int,
) -> Profile:
    """Time the launches of a training step of a compiled model; see `Model.profile`."""
    trainer = model.trainer
    trainer.state.adopt()
    if data is None:
        types, samples = trainer.data_types(batch_size), batch_size
    else:
        types, samples = data.types, data.samples
        batch_size = min(batch_size, samples)

    order = np.arange(samples, dtype=np.int64)

    def bind(executable: Executable) -> None:
        if data is None:
            executable.bind(ORDER, order)
        else:
            Piece(data, order, 0, batch_size, 1).bind(executable, trainer.device)

    program = trainer.train_program(types, batch_size)
    seconds = measure(trainer.device, program, bind, repeats)
    limits = peaks(trainer.device)
    found = Profile(model.name, batch_size, program.launches, tuple(seconds), limits)
    if to_file is not None:
        Path(to_file).write_text(json.dumps(found.trace()), encoding="utf-8")
    return found


def _named(kind: str, thread: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": 0, "tid": thread, "args": {"name": name}}


def _event(
    name: str, category: str, thread: int, start: float, seconds: float, args: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "cat": category,
        "ph": "X",
        "ts": start * 1e6,
        "dur": seconds * 1e6,
        "pid": 0,
        "tid": thread,
        "args": args,
    }


def _arguments(launch: Launch) -> dict[str, Any]:
    return {
        "layer": launch.path,
        "op": launch.op,
        "kernel": launch.kernel.name,
        "tiles": launch.tiles,
        "threads": launch.kernel.threads,
        "bytes": launch.nbytes,
        "FLOP": launch.flops,
    }
