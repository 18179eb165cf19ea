"""Counted figures of all planned programs, compared with those in ``golden.json``.

Times are noisy, these are not: a pass that stops fusing, or a plan that needs more memory,
shows here whatever the machine. What is planned for a CPU depends on its vectors, so that is
done for kinds of processors, and not for the one at hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest import mock

from benchmarks.plans import Drawing, figures
from benchmarks.workloads import WORKLOADS, Workload
from numbanet.kernels.cpu import vector

GOLDEN = Path(__file__).parent / "golden.json"
PROCESSORS = {"cpu-avx512": ("avx512f", "avx2"), "cpu-avx2": ("avx2",)}
TARGETS = (*PROCESSORS, "cuda")
COUNTED = ("train", "predict", "rows", "product")
"""Kinds of workloads with a program of their own; those of the others are among them."""

Golden = dict[str, dict[str, dict[str, int]]]
"""Target, workload, name of the figure."""


def counted(target: str) -> dict[str, dict[str, int]]:
    """Figures by workload for a target."""
    device = Drawing(target.partition("-")[0])
    features = PROCESSORS.get(target)
    with nullcontext() if features is None else _vectors_of(features):
        return {each.name: figures(each, device).as_dict() for each in _workloads()}


def differences(golden: Golden, now: Golden) -> list[str]:
    """A line for each figure that is not as it was."""
    lines = []
    for target, name in sorted({(t, n) for g in (golden, now) for t in g for n in g[t]}):
        old, new = golden.get(target, {}).get(name), now.get(target, {}).get(name)
        if old is None or new is None:
            lines.append(f"{target} {name}: {'new' if old is None else 'gone'}")
            continue
        lines += [
            f"{target} {name}: {key} {old.get(key)} -> {new[key]}"
            for key in new
            if old.get(key) != new[key]
        ]
    return lines


def check(*, update: bool) -> int:
    """Print what differs; the number of differences, none after an update."""
    now = {target: counted(target) for target in TARGETS}
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    found = differences(golden, now)
    print("\n".join(found) or f"{sum(map(len, now.values()))} programs as planned before")
    if update:
        GOLDEN.write_text(_dump(now))
        return 0
    return len(found)


def _dump(golden: Golden) -> str:
    """JSON with a line for each program."""
    blocks = []
    for target, programs in golden.items():
        lines = (f'  "{name}": {json.dumps(each)}' for name, each in programs.items())
        blocks.append(f' "{target}": {{\n' + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def _workloads() -> list[Workload]:
    return [each for each in WORKLOADS.values() if each.kind in COUNTED]


@contextmanager
def _vectors_of(features: tuple[str, ...]) -> Iterator[None]:
    """Plan for a processor with these instructions, whatever the one at hand."""
    derived = (vector.vector_bytes, vector._largest_block)
    with mock.patch.object(vector, "_features", return_value=frozenset(features)):
        for each in derived:
            each.cache_clear()
        yield
    for each in derived:
        each.cache_clear()
