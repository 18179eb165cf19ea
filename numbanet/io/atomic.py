"""Files that are replaced as a whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from numbanet.errors import ArgumentError

PathLike = str | os.PathLike[str]


@contextmanager
def replacing(path: PathLike, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of ``path`` when the block ends.

    If the block raises, or the disk is full, what was at ``path`` is still there, and nothing
    else is left behind.

    Raises
    ------
    ArgumentError
        If something is there already, and ``overwrite`` is False.
    """
    target = Path(path)
    if not overwrite and target.exists():
        raise ArgumentError("the file exists", got=str(target), mend="Give overwrite=True")
    # In the same directory: only within a file system does a rename replace at once.
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, _mode(target))
        os.replace(name, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
    _sync_directory(target.parent)


def _mode(target: Path) -> int:
    """The permissions of the file there is, else those of any new one."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_directory(directory: Path) -> None:
    """Let the new name outlive a power failure, where directories can be synchronised."""
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
