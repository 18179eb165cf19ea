"""The cache on disk returns what was stored, or nothing."""

import os
import stat

import pytest

from numbanet.kernels import cache


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "kernels"
    monkeypatch.setenv(cache.FOLDER_VARIABLE, str(path))
    return path


def test_returns_what_was_stored(folder):
    assert cache.load("key") is None
    cache.store("key", b"\x00machine code")
    assert cache.load("key") == b"\x00machine code"
    assert [path.name for path in folder.iterdir()] == ["key"]


@pytest.mark.skipif(os.name == "nt", reason="file modes are POSIX's")
def test_only_the_owner_can_enter(folder):
    path = cache.store("key", b"code")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="file modes are POSIX's")
def test_ignores_an_entry_that_others_may_write(folder):
    path = cache.store("key", b"code")
    path.chmod(0o666)
    assert cache.load("key") is None


@pytest.mark.parametrize("length", [0, 10, 31, 32, 35])
def test_a_cut_entry_is_absent(folder, length):
    path = cache.store("key", b"machine code")
    path.write_bytes(path.read_bytes()[:length])
    assert cache.load("key") is None


def test_a_changed_entry_is_absent_and_can_be_replaced(folder):
    path = cache.store("key", b"machine code")
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    assert cache.load("key") is None
    cache.store("key", b"machine code")
    assert cache.load("key") == b"machine code"


def test_keys_differ_by_part_and_by_source(monkeypatch):
    key = cache.cache_key("kernel", (9, 0))
    assert key == cache.cache_key("kernel", (9, 0))
    assert key != cache.cache_key("kernel", (8, 0))
    monkeypatch.setattr(cache, "fingerprint", lambda: "other sources")
    assert key != cache.cache_key("kernel", (9, 0))


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("in the way")
    monkeypatch.setenv(cache.FOLDER_VARIABLE, str(file / "kernels"))
    with pytest.warns(RuntimeWarning, match="NUMBANET_CACHE_DIR"):
        assert cache.store("key", b"code") is None
    assert cache.load("key") is None
