"""Cubins on disk: a warm start compiles nothing."""

from __future__ import annotations

import dataclasses
import json

from numbanet.kernels.cache import cache_key, load, store
from numbanet.kernels.cuda.compile import ComputeCapability, Cubin, compile_kernel
from numbanet.kernels.kernel import Kernel


def cached_cubin(kernel: Kernel, cc: ComputeCapability) -> Cubin:
    """The cubin of ``kernel`` from the cache; compiled and stored if it is not there."""
    key = cache_key("cubin", kernel.name, kernel.key, cc)
    stored = load(key)
    if stored is not None:
        return _unpack(stored)
    cubin = compile_kernel(kernel, cc)
    store(key, _pack(cubin))
    return cubin


def _pack(cubin: Cubin) -> bytes:
    """One line of JSON, then the code."""
    fields = dataclasses.asdict(cubin)
    code = fields.pop("code")
    return json.dumps(fields).encode() + b"\n" + code


def _unpack(stored: bytes) -> Cubin:
    head, code = stored.split(b"\n", 1)
    return Cubin(code=code, **json.loads(head))
