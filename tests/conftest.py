"""Which tests run here, and golden files: texts that a person has read once and that must not
change unnoticed."""

import os
from pathlib import Path

import pytest

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
