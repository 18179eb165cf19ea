"""The tables: Markdown for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.machine import Limits
from benchmarks.measurement import Measurement
from benchmarks.plans import Figures, times_planned
from benchmarks.workloads import BEST, KINDS, WORKLOADS, Workload

OURS = "numbanet"

NOTES = """\
Each row: the median over interleaved rounds, and half the distance between the quartiles.
Each framework runs in its own process from the same weights and batches, in float32; the
losses of the first steps (of an operation, its results and gradients) agreed before anything
was timed. *Ratio*: to the best peer. *Target*: what numbanet's ratio may be at most, to the
best peer unless another one is named.

*Share of the limit*: the time that the machine needs at least, max(FLOPs / measured FLOP/s,
bytes / measured bandwidth), as a part of the time taken. FLOPs and bytes are those of
numbanet's planned program, also in the rows of others, whose own programs move other amounts.
What fits into caches is not bound by the bandwidth of memory, and may show more than 100%.

*Build*: model, weights and data brought into place. *First*: the first step (epoch, call),
with whatever is compiled for it. Neither is part of the time before. numbanet finds kernels
that an earlier process compiled in its cache; cold starts are measured with and without.
"""


@dataclass
class Report:
    """All that was measured.

    ``planned`` holds what numbanet planned, by workload.
    """

    machine: dict[str, str]
    limits: Limits | None
    found: dict[str, list[Measurement]] = field(default_factory=dict)
    planned: dict[str, Figures] = field(default_factory=dict)

    def markdown(self) -> str:
        device = self.machine["device"].upper()
        lines = [f"# Benchmark: {device}", ""]
        lines += [f"- {key}: {value}" for key, value in self.machine.items()]
        lines += [f"- measured limits: {self.limits or 'none'}", "", NOTES]
        for group in dict.fromkeys(WORKLOADS[name].group for name in self.found):
            names = [name for name in self.found if WORKLOADS[name].group == group]
            lines += [f"## {group}", "", *self._table(names), ""]
        return "\n".join(lines)

    def _table(self, names: Sequence[str]) -> list[str]:
        unit = KINDS[WORKLOADS[names[0]].kind].unit
        columns = ("", unit, "spread", "ratio", "target", "share of the limit")
        heads = (*columns, "build, s", "first, s")
        lines = [_row("workload", *heads), _row(*["---"] * (len(heads) + 1))]
        for name in names:
            title = WORKLOADS[name].title
            for each in self.found[name]:
                lines.append(_row(title, *self._cells(WORKLOADS[name], each)))
                title = ""
        return lines

    def _cells(self, workload: Workload, each: Measurement) -> list[str]:
        if not each.is_good:
            return [each.peer, "-", "", "", "", "", "", _brief(each.error)]
        best = best_peer(self.found[workload.name])
        is_timed = bool(each.first_seconds)
        return [
            f"{each.peer} ({each.version})",
            _number(each.middle * KINDS[workload.kind].scale),
            f"{each.spread:.0%}" if len(each.samples) > 1 else "",
            f"{each.middle / best.middle:.2f}" if best else "",
            self._target(workload, each) if each.peer == OURS else "",
            self._share(workload, each),
            f"{each.build_seconds:.2f}" if is_timed else "",
            f"{each.first_seconds:.2f}" if is_timed else "",
        ]

    def _target(self, workload: Workload, ours: Measurement) -> str:
        if self.machine["device"] == "cuda":
            wanted = workload.cuda_target * KINDS[workload.kind].scale
            return f"{_number(wanted)} {KINDS[workload.kind].unit}" if wanted else ""
        parts = []
        for peer, most in workload.targets.items():
            ratio = ratio_to(self.found[workload.name], ours, peer)
            if peer == BEST:
                parts.append(f"{most}")
            elif ratio is not None:
                parts.append(f"{most} of {peer} (is {ratio:.2f})")
        return ", ".join(parts)

    def _share(self, workload: Workload, each: Measurement) -> str:
        planned = self.planned.get(workload.name)
        if planned is None:
            return ""
        if workload.kind == "memory" and each.peer == OURS:
            return f"plan: {_number(planned.peak_bytes * KINDS['memory'].scale)} MB"
        if self.limits is None or not KINDS[workload.kind].has_limit:
            return ""
        least = self.limits.seconds(planned.flops, planned.nbytes) * times_planned(workload)
        return f"{least / each.middle:.0%}"

    def write(self, folder: Path) -> tuple[Path, Path]:
        """``<device>.md`` and ``<device>.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        text, data = (
            folder / f"{self.machine['device']}.{suffix}" for suffix in ("md", "json")
        )
        text.write_text(self.markdown() + "\n")
        data.write_text(json.dumps(asdict(self), indent=1) + "\n")
        return text, data


def best_peer(found: Sequence[Measurement]) -> Measurement | None:
    """The best of those that are not numbanet."""
    peers = [each for each in found if each.is_good and not each.peer.startswith(OURS)]
    return min(peers, key=lambda each: each.middle, default=None)


def ratio_to(found: Sequence[Measurement], ours: Measurement, peer: str) -> float | None:
    """Of numbanet to ``peer``, which may be `BEST`."""
    named = next((each for each in found if each.peer == peer and each.is_good), None)
    other = best_peer(found) if peer == BEST else named
    return ours.middle / other.middle if other else None


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(number: float) -> str:
    """Three significant digits, and whole numbers from a hundred."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _brief(error: str) -> str:
    return error.splitlines()[0][:120].replace("|", "/") if error else "no time"
