"""How much memory this process holds (Linux: "proc", section 3.9 of the kernel's manual)."""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident_bytes(*, peak: bool = False) -> int:
    """Resident bytes now, or the most since the start or `reset_peak`; 0 where unknown."""
    if not _STATUS.exists():
        return 0
    key = "VmHWM:" if peak else "VmRSS:"
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def reset_peak() -> None:
    """Let the peak start from what is resident now.

    Raises
    ------
    OSError
        Where there is no such interface.
    """
    Path("/proc/self/clear_refs").write_text("5")
