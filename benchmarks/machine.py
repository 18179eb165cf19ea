"""The machine: what it is, and the two limits that no kernel gets past."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Limits:
    """Measured: FLOP/s of a large float32 product, bytes/s of a large copy (read + written)."""

    flops: float
    bandwidth: float
    source: str

    def seconds(self, flops: float, nbytes: float) -> float:
        """No program that does this much can be faster."""
        return max(flops / self.flops, nbytes / self.bandwidth)

    def __str__(self) -> str:
        return (
            f"{self.flops / 1e9:,.0f} GFLOP/s, {self.bandwidth / 1e9:,.1f} GB/s ({self.source})"
        )


def describe(device: str, threads: int) -> dict[str, str]:
    return {
        "device": device,
        "processor": _processor(),
        "cores": str(cores()),
        "threads": str(threads),
        "precision": "float32",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def measure_limits(size: int = 2048, megabytes: int = 64, rounds: int = 8) -> Limits:
    """NumPy's product of two square matrices and its copy of a long array, at their best."""
    a = np.random.default_rng(0).standard_normal((size, size), np.float32)
    c = np.empty_like(a)
    source = np.ones(megabytes << 18, np.float32)
    target = np.empty_like(source)
    product = quickest(lambda: np.matmul(a, a, out=c), rounds)
    copy = quickest(lambda: np.copyto(target, source), rounds)
    name = f"NumPy's product at {size} and its copy of {megabytes} MiB"
    return Limits(2 * size**3 / product, 2 * source.nbytes / copy, name)


def quickest(action: Callable[[], object], rounds: int) -> float:
    """Seconds of the quickest of ``rounds``: a limit is what is reached undisturbed."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)
