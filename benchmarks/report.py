"""The tables: Markdown for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.machine import Limits
from benchmarks.rounds import Measurement
from benchmarks.workloads import WORKLOADS

OURS = "numbanet"


def markdown(
    results: Mapping[str, Sequence[Measurement]], machine: Mapping[str, str], limits: Limits
) -> str:
    lines = ["# Benchmark", "", *_machine_lines(machine, limits), ""]
    lines += [
        "Microseconds a step: median over interleaved rounds, and half the distance between",
        "the quartiles. Each framework runs in its own process from the same weights and",
        "batches; the losses of the first steps agreed before anything was timed. *Ratio*: to",
        "the best peer.",
        "",
    ]
    for name, found in results.items():
        lines += [f"## {WORKLOADS[name].title}", "", *_table(found), ""]
    return "\n".join(lines)


def _machine_lines(machine: Mapping[str, str], limits: Limits) -> list[str]:
    rows = [f"- {key}: {value}" for key, value in machine.items()]
    return [
        *rows,
        f"- measured limits: {limits.flops / 1e9:.0f} GFLOP/s (NumPy's product at 1024), "
        f"{limits.bandwidth / 1e9:.1f} GB/s (copy, read + written)",
    ]


def _table(found: Sequence[Measurement]) -> list[str]:
    best = min(
        (each.seconds for each in found if each.times and each.peer != OURS), default=None
    )
    lines = [
        "| | us a step | spread | ratio | open and first step, s |",
        "|---|---|---|---|---|",
    ]
    for each in found:
        if not each.times:
            lines.append(f"| {each.peer} | - | | | {each.error.splitlines()[0][:120]} |")
            continue
        ratio = f"{each.seconds / best:.2f}" if best else "-"
        lines.append(
            f"| {each.peer} ({each.version}) | {each.seconds * 1e6:,.0f} | "
            f"{each.spread:.0%} | {ratio} | {each.first_step_seconds:.2f} |"
        )
    return lines


def write(
    folder: Path,
    device: str,
    results: Mapping[str, Sequence[Measurement]],
    machine: Mapping[str, str],
    limits: Limits,
) -> tuple[Path, Path]:
    """Write ``<device>.md`` and ``<device>.json`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    text, data = folder / f"{device}.md", folder / f"{device}.json"
    text.write_text(markdown(results, machine, limits) + "\n")
    content = {
        "machine": dict(machine),
        "limits": asdict(limits),
        "results": {name: [asdict(each) for each in found] for name, found in results.items()},
    }
    data.write_text(json.dumps(content, indent=1) + "\n")
    return text, data
