"""Helpers that compile: they change how long it takes, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numba.core.errors import TypingError

from numbanet.errors import ArgumentError
from numbanet.kernels.cpu import crew, translate
from numbanet.kernels.cpu.compile import _ENTRY
from numbanet.kernels.cpu.machine import linker
from numbanet.kernels.kernel import Kernel
from tests.kernels.cpu.scale import SIGNATURE, make_scale

ROOT = Path(__file__).parents[3]


def jobs(start: int, count: int = crew.ENOUGH_KERNELS) -> list[crew.Job]:
    """Kernels that multiply by ``start``, ``start + 1`` and so on."""
    factors = range(start, start + count)
    return [(Kernel("scale", make_scale, (k,), SIGNATURE), f"crew_{k}") for k in factors]


def check(some_jobs: list[crew.Job], codes: list[bytes]) -> None:
    """Link and run every object."""
    for (kernel, symbol), code in zip(some_jobs, codes, strict=True):
        (factor,) = kernel.parameters
        assert isinstance(factor, int)
        x, y = np.arange(5, dtype=np.float32), np.zeros(5, dtype=np.float32)
        words = np.array([x.ctypes.data, y.ctypes.data])
        _ENTRY(linker().link(code, symbol))(0, 5, words.ctypes.data)
        np.testing.assert_array_equal(y, x * factor)


@pytest.fixture(autouse=True)
def fresh_crew(monkeypatch):
    monkeypatch.delenv(crew.WORKERS_VARIABLE, raising=False)
    fresh = crew._Crew()
    monkeypatch.setattr(crew, "_CREW", fresh)
    yield fresh
    fresh.end()


@pytest.fixture
def compiled_here(monkeypatch):
    """The symbols that this process compiled itself."""
    symbols = []
    compile_here = translate.object_code

    def spy(kernel, symbol):
        symbols.append(symbol)
        return compile_here(kernel, symbol)

    monkeypatch.setattr(translate, "object_code", spy)
    return symbols


def test_helpers_take_a_part(fresh_crew, compiled_here, monkeypatch):
    helped = threading.Event()
    compile_there, compile_here = crew._Helper.compile, translate.object_code

    def tell(helper, job):
        code = compile_there(helper, job)
        helped.set()
        return code

    def wait_for_help(kernel, symbol):
        assert helped.wait(60)
        return compile_here(kernel, symbol)

    monkeypatch.setattr(crew._Helper, "compile", tell)
    monkeypatch.setattr(translate, "object_code", wait_for_help)
    mine = jobs(100)
    check(mine, crew.object_codes(mine, workers=1))
    assert 0 < len(compiled_here) < len(mine)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_everything_is_compiled_where_helpers_die(fresh_crew, compiled_here, moment):
    (helper,) = fresh_crew.helpers(1)
    if moment == "after":
        assert helper.wait(60)
    helper._process.kill()
    fresh_crew.helpers = lambda count: [helper]
    mine = jobs(200 if moment == "before" else 300)
    check(mine, crew.object_codes(mine, workers=1))
    assert sorted(compiled_here) == sorted(symbol for _, symbol in mine)


def test_a_dead_helper_is_replaced(fresh_crew):
    (dead,) = fresh_crew.helpers(1)
    dead._process.kill()
    dead._process.wait()
    (living,) = fresh_crew.helpers(1)
    assert living is not dead
    assert living.is_alive


@pytest.mark.parametrize(
    ("said", "count", "workers"),
    [("0", crew.ENOUGH_KERNELS, 3), (None, crew.ENOUGH_KERNELS - 1, 3), (None, 9, 0)],
)
def test_no_process_is_started_in_vain(fresh_crew, monkeypatch, said, count, workers):
    if said is not None:
        monkeypatch.setenv(crew.WORKERS_VARIABLE, said)
    mine = jobs(400, count)
    crew.object_codes(mine, workers)
    assert fresh_crew._helpers == []


@pytest.mark.parametrize("said", ["", "two", "-1"])
def test_the_number_of_workers_must_be_one(monkeypatch, said):
    monkeypatch.setenv(crew.WORKERS_VARIABLE, said)
    with pytest.raises(ArgumentError, match="NUMBANET_COMPILE_WORKERS"):
        crew.object_codes(jobs(500), 1)


def make_wrong():
    def kernel(first, last, x, y):
        y[0] = x[0] + "text"

    return kernel


def test_errors_come_from_this_process(fresh_crew):
    (helper,) = fresh_crew.helpers(1)
    assert helper.wait(60)
    wrong = (Kernel("wrong", make_wrong, (), SIGNATURE), "wrong")
    assert helper.compile(wrong) is None
    assert helper.compile(jobs(600)[0]) is not None
    with pytest.raises(TypingError, match="float32"):
        crew.object_codes([wrong, *jobs(600)], 1)


SCRIPT = """
import sys
import numpy as np
from numbanet.kernels.cpu import crew
from numbanet.kernels.cpu.compile import compile_kernels, run_kernel
from numbanet.kernels.kernel import Kernel
from tests.kernels.cpu.scale import SIGNATURE, make_scale

print("script")

def make(term):
    def kernel(first, last, x, y):
        y[0] = x[0] + term
    return kernel

travelling = [Kernel("scale", make_scale, (k,), SIGNATURE) for k in range(8)]
staying = [Kernel("own", make, (k,), SIGNATURE) for k in range(3)]
compile_kernels([*travelling, *staying], workers=1)
(helper,) = crew._CREW.helpers(1)
assert helper.wait(60)
x, y = np.ones(1, np.float32), np.zeros(1, np.float32)
for k, kernel in enumerate(staying):
    run_kernel(kernel, (x, y), 1)
    assert y[0] == 1 + k
print(helper._process.pid)
"""


def test_helpers_run_no_script_and_end_with_the_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        env=os.environ | {"NUMBANET_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split()
    assert lines[0] == "script"
    assert len(lines) == 2
    with pytest.raises(ProcessLookupError):
        os.kill(int(lines[1]), 0)
