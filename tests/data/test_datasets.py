"""MNIST from files that the tests make, over a server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numbanet.data import DataLoader, datasets, transforms
from numbanet.data import download as module
from numbanet.data.datasets import MNIST, FashionMNIST, Resource
from numbanet.data.download import download
from numbanet.errors import DownloadError, FormatError
from tests.data.test_files import idx_of

LENGTHS = {True: 6, False: 3}


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files`` by path, and remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        name = self.path.lstrip("/")
        server.asked.append(name)
        if name not in server.files:
            self.send_error(404)
            return
        content = server.files[name]
        self.send_response(200)
        # Files called "cut" break off before their end.
        self.send_header("Content-Length", str(len(content) + 100 * ("cut" in name)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def small(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[bool, Any]:
    """Small files in the place of MNIST's, on the server; returns images and labels."""
    made, resources = {}, {}
    rng = np.random.default_rng(0)
    for train, parts in MNIST.resources.items():
        images = rng.integers(256, size=(LENGTHS[train], 28, 28), dtype=np.uint8)
        labels = rng.integers(10, size=LENGTHS[train], dtype=np.uint8)
        made[train] = (images, labels)
        resources[train] = ()
        for part, array in zip(parts, made[train], strict=True):
            content = gzip.compress(idx_of(array, 0x08))
            server.files[f"b/{part.name}.gz"] = content
            resources[train] += (Resource(part.name, sha256(content)),)
    monkeypatch.setattr(MNIST, "resources", resources)
    monkeypatch.setattr(MNIST, "mirrors", (f"{server.url}a/", f"{server.url}b/"))
    return made


@pytest.mark.parametrize("train", [True, False])
def test_mnist(tmp_path: Path, server: Server, small: Any, train: bool) -> None:
    dataset = MNIST(tmp_path, train=train, download=True)
    images, labels = small[train]
    assert len(dataset) == LENGTHS[train]
    np.testing.assert_array_equal(dataset.data, images)
    assert (dataset.targets.dtype, dataset.targets.tolist()) == (np.int64, labels.tolist())
    image, label = dataset[1]
    np.testing.assert_array_equal(image, images[1])
    assert (type(label), label) == (int, labels[1])
    assert sorted(path.name for path in (tmp_path / "MNIST" / "raw").iterdir()) == sorted(
        f"{part.name}.gz" for parts in MNIST.resources.values() for part in parts
    )
    # The first mirror has none of the four files, the second has all.
    assert len(server.asked) == 8
    MNIST(tmp_path, train=train, download=True)
    assert len(server.asked) == 8


def test_mnist_in_a_loader(tmp_path: Path, small: Any) -> None:
    prepare = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5], [0.5])])
    dataset = MNIST(tmp_path, transform=prepare, target_transform=lambda y: -y, download=True)
    (images, labels), *_ = DataLoader(dataset, batch_size=4)
    expected = small[True][0][:4, None].astype(np.float32) / 255 * 2 - 1
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-6)
    assert labels.numpy().tolist() == [-int(label) for label in small[True][1][:4]]


def test_plain_files_are_read_too(tmp_path: Path) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    images, labels = FashionMNIST.resources[False]
    (folder / images.name).write_bytes(idx_of(np.zeros((2, 28, 28)), 0x08))
    (folder / labels.name).write_bytes(idx_of(np.array([9, 1]), 0x08))
    dataset = FashionMNIST(tmp_path, train=False)
    assert [dataset.classes[label] for _, label in dataset] == ["Ankle boot", "Trouser"]
    assert dataset.class_to_idx["Sneaker"] == 7
    assert str(dataset) == (
        "Dataset FashionMNIST\n    Number of datapoints: 2\n"
        f"    Root location: {tmp_path}\n    Split: Test"
    )


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="download=True"):
        MNIST(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((2, 28, 27)), np.zeros(2)),
        (np.zeros((2, 28, 28)), np.zeros(3)),
        (np.zeros((2, 28, 28)), np.array([1, 10])),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, images: Any, labels: Any) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, array in zip(MNIST.resources[True], (images, labels), strict=True):
        (folder / part.name).write_bytes(idx_of(array, 0x08))
    with pytest.raises(FormatError):
        MNIST(tmp_path)


def test_checksums_are_of_distinct_files() -> None:
    sums = [
        part.sha256
        for kind in (datasets.MNIST, datasets.FashionMNIST)
        for parts in kind.resources.values()
        for part in parts
    ]
    assert len(set(sums)) == 8
    assert all(len(bytes.fromhex(each)) == 32 for each in sums)


def test_download_replaces_what_is_wrong(tmp_path: Path, server: Server) -> None:
    server.files["file"] = b"content"
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    path.write_bytes(b"damaged")
    assert download(f"{server.url}file", path, sha256(b"content"), 100) == path
    assert path.read_bytes() == b"content"
    assert [each.name for each in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "404"),
        ("wrong", "wrong checksum"),
        ("large", "too large"),
        ("cut", "wrong checksum|IncompleteRead"),
    ],
)
def test_download_leaves_nothing_half_done(
    tmp_path: Path, server: Server, name: str, reason: str
) -> None:
    server.files |= {"wrong": b"other", "large": b"content" * 99, "cut": b"cont"}
    with pytest.raises(DownloadError, match=reason):
        download(server.url + name, tmp_path / "file", sha256(b"content"), 100)
    assert not list(tmp_path.iterdir())


def test_download_names_each_mirrors_refusal(tmp_path: Path, server: Server) -> None:
    server.files["wrong"] = b"other"
    gone = "http://127.0.0.1:1/file"
    urls = [f"{server.url}missing", f"{server.url}wrong", gone, "file:///etc/hostname"]
    with pytest.raises(DownloadError) as caught:
        download(urls, tmp_path / "file", sha256(b"content"), 100)
    for url in urls:
        assert url in str(caught.value)
    assert "not an address of the web" in str(caught.value)


def test_download_gives_up_a_silent_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr(module, "TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        with pytest.raises(DownloadError, match="timed out"):
            download(url, tmp_path / "file", sha256(b""), 100)
    assert not list(tmp_path.iterdir())
