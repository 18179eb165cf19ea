"""Compiled kernels on disk, so that a second process compiles nothing.

An entry is a file named by the hash of everything that went into it, so an entry is never
wrong, only unused. It starts with the hash of its own contents: a file that a crash or a full
disk cut short reads as absent.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

FOLDER_VARIABLE = "NUMBANET_CACHE_DIR"
"""Environment variable that names the folder of the cache."""

_DIGEST_BYTES = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """The folder of the cache: ``NUMBANET_CACHE_DIR``, else the user's own cache folder."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else _user_cache() / "numbanet"


def cache_key(*parts: object) -> str:
    """A file name for ``parts``, whose ``repr`` must be the same in every process.

    The sources and versions that compiling depends on go in as well.
    """
    return hashlib.sha256(repr((*parts, fingerprint())).encode()).hexdigest()


def load(key: str) -> bytes | None:
    """The entry named ``key``, or None if there is no whole one that only its owner wrote."""
    path = cache_folder() / key
    try:
        with path.open("rb") as file:
            if not _is_own(os.fstat(file.fileno())):
                return None
            stored = file.read()
    except OSError:
        return None
    digest, contents = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    return contents if hashlib.sha256(contents).digest() == digest else None


def store(key: str, contents: bytes) -> Path | None:
    """Write an entry, whole or not at all, and return its path.

    Where the folder cannot be written a warning says so, once, and None comes back: the kernel
    is compiled anew in the next process.
    """
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(hashlib.sha256(contents).digest() + contents)
        try:
            os.replace(file.name, folder / key)
        except OSError:
            os.unlink(file.name)
            raise
    except OSError as error:
        _warn_once(str(folder), str(error))
        return None
    return folder / key


@functools.cache
def fingerprint() -> str:
    """Hash of the sources and versions that a compiled kernel depends on."""
    digest = hashlib.sha256(sys.version.encode())
    digest.update(platform.machine().encode())
    for package in ("numba", "llvmlite", "numba-cuda", "numpy", "cuda-core"):
        digest.update(f"{package} {_version(package)}\n".encode())
    for path in _sources():
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    package = Path(__file__).resolve().parent.parent
    for room in ("ir", "ops", "kernels"):
        yield from sorted((package / room).rglob("*.py"))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _is_own(status: os.stat_result) -> bool:
    """Compiled code is run, so an entry that another user could have written is not read."""
    if sys.platform == "win32":
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


@functools.cache
def _warn_once(folder: str, reason: str) -> None:
    warnings.warn(
        f"compiled kernels cannot be kept in {folder} ({reason}); every process compiles them "
        f"anew. Set {FOLDER_VARIABLE} to a folder that can be written.",
        RuntimeWarning,
        stacklevel=4,
    )
