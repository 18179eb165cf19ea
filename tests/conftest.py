"""Which tests run here, and golden files: texts that a person has read once and that must not
change unnoticed."""

import os
from pathlib import Path

import pytest

KERNEL_ROW = "cuda kernel"
"""Property of a test's report: a kernel and what it takes of a GPU."""

GOLDEN = Path(__file__).parent / "golden"
IS_SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
"""Numba's CUDA simulator is on or off for a whole process."""


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files anew: read the diff"
    )


def pytest_collection_modifyitems(config, items):
    """With the simulator only its tests; without it all others, and a GPU's where one is."""
    chosen = [item for item in items if _can_run(item)]
    config.hook.pytest_deselected(items=[item for item in items if not _can_run(item)])
    items[:] = chosen


def _can_run(item) -> bool:
    if IS_SIMULATED or item.get_closest_marker("simulator"):
        return IS_SIMULATED and item.get_closest_marker("simulator") is not None
    return item.get_closest_marker("gpu") is None or _has_gpu()


def _has_gpu() -> bool:
    from numbanet.runtime.cuda import is_available

    return is_available()


def pytest_terminal_summary(terminalreporter):
    """The table of CUDA kernels that were assembled for real targets."""
    reports = [r for each in terminalreporter.stats.values() for r in each]
    properties = [p for report in reports for p in getattr(report, "user_properties", ())]
    rows = sorted({row for name, row in properties if name == KERNEL_ROW})
    if rows:
        terminalreporter.section("CUDA kernels")
        head = f"{'kernel':<36}{'threads':>8}{'shared':>8}  registers for 7.5, 8.0, 9.0, 12.0"
        terminalreporter.write_line(head)
        for row in rows:
            terminalreporter.write_line(row)


@pytest.fixture
def golden(request):
    """``golden(name, text)`` compares ``text`` with ``tests/golden/<name>.txt``."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        assert path.exists(), f"no golden file {path.name}: run pytest --update-golden"
        assert text + "\n" == path.read_text()

    return check
