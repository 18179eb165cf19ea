"""The real driver over `FakeApi`."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from numbanet.kernels.cuda.compile import Cubin
from numbanet.runtime.cuda import real
from numbanet.runtime.cuda.real import RealDriver

if TYPE_CHECKING:
    from tests.runtime.cuda.fake_api import FakeApi


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    pytest.importorskip("cuda.bindings.driver")
    from tests.runtime.cuda.fake_api import FakeApi

    fake, import_module = FakeApi(), importlib.import_module
    monkeypatch.setattr(
        importlib,
        "import_module",
        lambda name: fake if name == "cuda.bindings.driver" else import_module(name),
    )
    cubin = Cubin(b"\x7fELF", "numbanet_fake", 1, 0, 0, 0, "")
    monkeypatch.setattr(real, "cached_cubin", lambda kernel, cc: cubin)
    yield fake
    gc.collect()
    assert not fake.is_current, "the caller's context was not given back"


@pytest.fixture
def driver(api: FakeApi) -> RealDriver:
    return RealDriver()
