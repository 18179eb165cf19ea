"""Compiled CPU kernels on disk: a second process compiles nothing, and damage is mended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SOURCE = """
import numpy as np
from numbanet.kernels import cache
from numbanet.kernels.cpu import translate
from numbanet.kernels.cpu.compile import run_kernel
from numbanet.kernels.kernel import Kernel
from tests.kernels.cpu.scale import SIGNATURE, make_scale

cache.fingerprint = lambda: "sources that nobody edits while the test runs"
compiled = []
object_code = translate.object_code
translate.object_code = lambda *args: compiled.append(args) or object_code(*args)
for factor in (3, 4):
    x, y = np.arange(5, dtype=np.float32), np.zeros(5, dtype=np.float32)
    run_kernel(Kernel("scale", make_scale, (factor,), SIGNATURE), (x, y), 5)
    assert (y == x * factor).all()
print(len(compiled))
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def start(folder: Path, source: str = SOURCE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", source],
        env=os.environ | {"NUMBANET_CACHE_DIR": str(folder)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> int:
    """The number that the process printed: how many kernels it compiled."""
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return int(out)


def test_a_second_process_compiles_nothing(folder):
    assert finish(start(folder)) == 2
    assert len(list(folder.iterdir())) == 2
    assert finish(start(folder)) == 0


def test_damaged_files_are_compiled_anew(folder):
    finish(start(folder))
    cut, changed = folder.iterdir()
    cut.write_bytes(cut.read_bytes()[:200])
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    assert finish(start(folder)) == 2
    assert finish(start(folder)) == 0


def test_two_processes_may_fill_the_cache_at_once(folder):
    both = [start(folder), start(folder)]
    assert all(finish(each) <= 2 for each in both)
    assert len(list(folder.iterdir())) == 2
    assert finish(start(folder)) == 0


RECIPE = """
def make():
    def kernel(first, last, x):
        x[0] = {}

    return kernel
"""

RUN_RECIPE = """
import numpy as np
from numbanet.kernels.cpu.compile import run_kernel
from numbanet.kernels.kernel import Kernel
from recipe import make

x = np.zeros(1, dtype=np.int64)
run_kernel(Kernel("recipe", make, (), ("int64*",)), (x,), 1)
print(x[0])
"""


def test_a_kernel_follows_the_file_that_makes_it(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for number in (7, 11, 7):
        (tmp_path / "recipe.py").write_text(RECIPE.format(number))
        assert finish(start(folder, RUN_RECIPE)) == number
