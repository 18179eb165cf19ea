"""Names, order and defaults of arguments are PyTorch's; what is not supported is refused."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import numbanet
import numbanet.nn as nn
from numbanet.nn import functional as F  # noqa: N812
from tests.docs import coverage

torch = pytest.importorskip("torch")

ROOMS = [room for room in coverage.TORCH if room.theirs != "torch.Tensor"]
NAMES = [
    (room, name)
    for room in ROOMS
    for name in coverage.public(room)
    if hasattr(coverage.resolve(room.ours), name)
]

DISPATCHED = "PyTorch's takes (*args, **kwargs) and looks for return_indices in them"
REST = "the arguments after kernel_size are handed on as (*args, **kwargs)"
LAYOUT = "layout= says how the numbers are stored"
DIFFERENCES = {
    "nn.Hardtanh": "PyTorch's min_value and max_value are deprecated",
    "nn.LazyConv1d": REST,
    "nn.LazyConv2d": REST,
    "nn.LazyConv3d": REST,
    "nn.LazyConvTranspose1d": REST,
    "nn.LazyConvTranspose2d": REST,
    "nn.LazyConvTranspose3d": REST,
    "nn.Parameter": LAYOUT,
    "nn.UninitializedParameter": LAYOUT + "; there is one device",
    "nn.UninitializedBuffer": "a buffer requires no gradient; there is one device",
    "nn.RNN": "PyTorch's says (*args, **kwargs), and takes these",
    "nn.Sequential": "PyTorch calls its modules args",
    "functional.adaptive_max_pool1d": DISPATCHED,
    "functional.adaptive_max_pool2d": DISPATCHED,
    "functional.adaptive_max_pool3d": DISPATCHED,
    "functional.max_pool1d": DISPATCHED,
    "functional.max_pool2d": DISPATCHED,
    "functional.max_pool3d": DISPATCHED,
    "autograd.enable_grad": "the function that it decorates bare is no argument of it",
}
"""Where arguments differ from PyTorch's, and why."""


def arguments(thing: Any) -> list[tuple[str, Any]] | None:
    """Names and defaults; None where PyTorch's function does not tell."""
    try:
        given = inspect.signature(thing).parameters.values()
    except ValueError:
        return None
    # Where nothing is taken, PyTorch's modules say (*args, **kwargs).
    return [
        (each.name, _plain(each.default))
        for each in given
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD) or each.name == "modules"
    ]


def _plain(default: Any) -> Any:
    if inspect.isfunction(default):
        return default.__name__
    return None if isinstance(default, torch.Generator) else default


@pytest.mark.parametrize(
    ("room", "name"), NAMES, ids=[f"{room.theirs}.{name}" for room, name in NAMES]
)
def test_arguments_are_pytorchs(room: coverage.Room, name: str) -> None:
    theirs = arguments(getattr(coverage.resolve(room.theirs), name))
    ours = arguments(getattr(coverage.resolve(room.ours), name))
    differs = f"{room.theirs.rpartition('.')[2]}.{name}" in DIFFERENCES
    assert theirs is None or (ours != theirs) is differs


def image(*shape: int) -> Any:
    return numbanet.tensor(np.ones(shape, np.float32))


REFUSED = [
    ("device", lambda: nn.Linear(2, 3, device="meta")),
    ("max_norm", lambda: nn.Embedding(4, 3, max_norm=1.0)),
    ("sparse", lambda: nn.Embedding(4, 3, sparse=True)),
    ("scale_grad_by_freq", lambda: nn.Embedding(4, 3, scale_grad_by_freq=True)),
    ("foreach", lambda: numbanet.optim.SGD([image(2)], foreach=True)),
    ("fused", lambda: numbanet.optim.Adam([image(2)], fused=True)),
    ("capturable", lambda: numbanet.optim.Adam([image(2)], capturable=True)),
    ("differentiable", lambda: numbanet.optim.Adam([image(2)], differentiable=True)),
    ("antialias", lambda: F.interpolate(image(1, 1, 4, 4), size=2, antialias=True)),
    ("memory_format", lambda: nn.Linear(2, 3).to(memory_format="channels_last")),
    ("memory_format", lambda: image(1, 1, 2, 2).contiguous(memory_format="channels_last")),
    ("is_grads_batched", lambda: numbanet.autograd.grad([], [], is_grads_batched=True)),
    ("only_inputs", lambda: numbanet.autograd.grad([], [], only_inputs=False)),
    ("grad_variables", lambda: numbanet.autograd.backward([], grad_variables=[])),
    ("mode='bicubic'", lambda: F.grid_sample(image(1, 1, 2, 2), image(1, 2, 2, 2), "bicubic")),
]


@pytest.mark.parametrize(("name", "use"), REFUSED, ids=[name for name, _ in REFUSED])
def test_what_is_not_supported_is_refused_by_name(name: str, use: Any) -> None:
    with pytest.raises(NotImplementedError, match=name):
        use()


KINDS = {
    "nn.RNNBase": ["nn.RNN", "nn.LSTM", "nn.GRU"],
    "nn.RNNCellBase": ["nn.RNNCell", "nn.LSTMCell", "nn.GRUCell"],
    "optim.Optimizer": ["optim.SGD", "optim.Adam"],
    "optim.lr_scheduler.LRScheduler": ["optim.lr_scheduler.StepLR"],
    "data.Sampler": ["data.RandomSampler", "data.BatchSampler"],
}


def test_kinds_that_programs_ask_for() -> None:
    for base, names in KINDS.items():
        for name in names:
            kinds = [coverage.resolve(f"numbanet.{each}") for each in (name, base)]
            assert issubclass(*kinds)
