"""Files from the network: checked, and there as a whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from numbanet.errors import DownloadError

CHUNK = 1 << 20
TIMEOUT = 30.0
"""Seconds without a byte after which a server is given up."""

_SCHEMES = ("https://", "http://")


def download(
    urls: str | Sequence[str], path: str | os.PathLike[str], sha256: str, max_bytes: int
) -> Path:
    """Fetch a file from the first of ``urls`` that has it; one that is there and right stays.

    It is written under another name, and takes its own when its checksum is right.

    Parameters
    ----------
    urls : str or sequence of str
        Mirrors, tried in order; http or https.
    path : path
        Where the file belongs; its folder is made.
    sha256 : str
        Checksum, in hexadecimal digits.
    max_bytes : int
        Most that is read.

    Raises
    ------
    DownloadError
        If no mirror has it, with what each said.
    """
    path = Path(path)
    if path.exists() and checksum(path) == sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    refusals = []
    for url in [urls] if isinstance(urls, str) else urls:
        try:
            _fetch(url, path, sha256, max_bytes)
        except (OSError, http.client.HTTPException, DownloadError) as error:
            refusals.append(f"\n  {url}: {error}")
        else:
            return path
    raise DownloadError(f"{path.name} could not be fetched", got="".join(refusals))


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _fetch(url: str, path: Path, sha256: str, max_bytes: int) -> None:
    if not url.startswith(_SCHEMES):
        raise DownloadError("not an address of the web", got=url)
    request = urllib.request.Request(url, headers={"User-Agent": "numbanet"})
    # In the same folder, so that renaming it is one step.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with (
            os.fdopen(handle, "wb") as file,
            urllib.request.urlopen(request, timeout=TIMEOUT) as answer,
        ):
            found = _copy(answer, file, max_bytes)
        if found != sha256:
            raise DownloadError("wrong checksum", got=found, expected=sha256)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _copy(answer: http.client.HTTPResponse, file: object, max_bytes: int) -> str:
    digest, total = hashlib.sha256(), 0
    while chunk := answer.read(CHUNK):
        total += len(chunk)
        if total > max_bytes:
            raise DownloadError("the file is too large", expected=f"at most {max_bytes} bytes")
        digest.update(chunk)
        file.write(chunk)  # type: ignore[attr-defined]
    return digest.hexdigest()
