"""``python -m tests.sanitize``: the GPU's tests under NVIDIA's compute-sanitizer.

``memcheck`` finds accesses outside of memory, ``racecheck`` threads of a block that
meet in shared memory without a barrier between, ``synccheck`` barriers that not all threads
reach. Needs a GPU, and compute-sanitizer, which is a part of the CUDA toolkit. Kernels run tens
of times slower, so by default only ops and layers are run: give paths for others.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

TOOLS = ("memcheck", "racecheck", "synccheck")
TESTS = (
    "tests/devices/test_ops.py",
    "tests/devices/test_gpu.py::test_every_layer_learns_as_on_the_cpu",
    "tests/devices/test_gpu.py::test_a_model_trains_as_on_the_cpu",
)
PLACES = ("/usr/local/cuda/bin", "/opt/cuda/bin")
FOUND = 86
"""What the sanitizer exits with where it found something; pytest exits with less."""


def main() -> int:
    arguments = _arguments()
    sanitizer = find()
    if sanitizer is None:
        print("compute-sanitizer not found: install the CUDA toolkit, or set PATH")
        return 2
    worst = 0
    for tool in arguments.tool or TOOLS:
        print(f"{tool}: {' '.join(arguments.tests)}", flush=True)
        code = subprocess.run(command(sanitizer, tool, arguments.tests)).returncode
        print(f"{tool}: {said(code)}", flush=True)
        worst = max(worst, code)
    return worst


def find() -> str | None:
    """The sanitizer, in the PATH or where toolkits are installed."""
    return shutil.which(
        "compute-sanitizer", path=os.pathsep.join((os.environ["PATH"], *PLACES))
    )


def command(sanitizer: str, tool: str, tests: list[str]) -> list[str]:
    """What to run. Errors that the driver reports to us, such as full memory, are no finds."""
    own = ["--report-api-errors", "no"] if tool == "memcheck" else []
    return [
        sanitizer,
        *("--tool", tool, *own, "--error-exitcode", str(FOUND), "--target-processes", "all"),
        *(sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *tests),
    ]


def said(code: int) -> str:
    """An exit status in words."""
    words = {0: "nothing found", 5: "no tests were run: is there a GPU?", FOUND: "see above"}
    return words.get(code, f"pytest failed with {code}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sanitize", description=__doc__)
    parser.add_argument("--tool", action="append", choices=TOOLS, help="by default all three")
    parser.add_argument("tests", nargs="*", default=list(TESTS), help="paths for pytest")
    return parser.parse_args()


if __name__ == "__main__":
    os.chdir(Path(__file__).parent.parent)
    sys.exit(main())
