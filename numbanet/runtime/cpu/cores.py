"""How many processors this process may keep busy."""

from __future__ import annotations

import os
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cores() -> int:
    """Physical cores that this process may run on, at most what its container is granted."""
    processors = _allowed_processors()
    cores = len({_core(processor) for processor in processors})
    return max(1, min(cores, _granted(len(processors))))


def _allowed_processors() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _core(processor: int) -> str:
    """A name shared by the hyperthreads of one core, where the system tells."""
    try:
        return (_CPUS / f"cpu{processor}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(processor)


def _granted(default: int) -> int:
    """Processors' worth of time that a container may use: its threads must not outnumber it."""
    try:
        quota, period = _QUOTA.read_text().split()
        return default if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return default
