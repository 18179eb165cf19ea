"""Install size: the files of a package and of all that it requires."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from benchmarks.measurement import Measurement
from benchmarks.peers import PEERS


def measure_install(peer: str) -> Measurement:
    """Bytes that a peer's package and its requirements occupy, without optional extras."""
    name = PEERS[peer].packages[0]
    found = Measurement(peer, "install")
    try:
        found.version = f"{name} {metadata.version(name)}"
        found.samples = [float(sum(_own_bytes(each) for each in sorted(closure(name))))]
    except metadata.PackageNotFoundError as error:
        found.error = f"not installed: {error}"
    return found


def closure(name: str) -> set[str]:
    """Distributions that ``name`` requires, itself included, directly or not.

    A requirement that is not installed is one that this platform does not need.
    """
    found: set[str] = set()
    waiting = [_normal(name)]
    while waiting:
        each = waiting.pop()
        if each in found:
            continue
        found.add(each)
        for requirement in metadata.requires(each) or ():
            needed = re.match(r"[\w.-]+", requirement)
            if needed and "extra ==" not in requirement and _is_installed(needed[0]):
                waiting.append(_normal(needed[0]))
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _own_bytes(name: str) -> int:
    """Of the files that were installed; of those in a checkout, if it was installed from one.

    Bytecode that Python wrote itself is left out.
    """
    files = [Path(str(path.locate())) for path in metadata.files(name) or ()]
    present = [path for path in files if path.suffix != ".pyc" and path.is_file()]
    if name == "numbanet":
        package = Path(__file__).parent.parent / "numbanet"
        present = sorted(package.rglob("*.py"))
    return sum(path.stat().st_size for path in present)
