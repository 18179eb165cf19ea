"""The machine: what it is, and the two limits that no kernel gets past."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np


@dataclass(frozen=True)
class Limits:
    """Measured: FLOP/s of a large float32 product, bytes/s of a large copy (read + written)."""

    flops: float
    bandwidth: float

    def seconds(self, flops: float, nbytes: float) -> float:
        """No program that does this much can be faster."""
        return max(flops / self.flops, nbytes / self.bandwidth)


def describe(threads: int) -> dict[str, str]:
    return {
        "processor": _processor(),
        "cores": str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ),
        "threads": str(threads),
        "precision": "float32",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def measure_limits(rounds: int = 5) -> Limits:
    """NumPy's product of two 1024 x 1024 matrices, and its copy of 64 MiB."""
    a = np.random.default_rng(0).standard_normal((1024, 1024), dtype=np.float32)
    c = np.empty_like(a)
    source = np.ones(16 << 20, np.float32)
    target = np.empty_like(source)
    product = median(_seconds(lambda: np.matmul(a, a, out=c)) for _ in range(rounds + 1))
    copy = median(_seconds(lambda: np.copyto(target, source)) for _ in range(rounds + 1))
    return Limits(2 * 1024**3 / product, 2 * source.nbytes / copy)


def _seconds(action: object) -> float:
    start = time.perf_counter()
    action()  # type: ignore[operator]
    return time.perf_counter() - start
