"""Modules beside PyTorch's: how they are made, how they print, what they hold."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

import numbanet.nn as our_nn
from numbanet import ops
from numbanet.ir import Value
from numbanet.testing import evaluate
from tests.nn.parity import compare

Case = tuple[str, tuple[Any, ...], dict[str, Any], tuple[tuple[int, ...], ...]]
"""PyTorch's name (``nn.Linear``), arguments, keyword arguments, and shapes of inputs."""


def both(name: str, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
    """Our module and PyTorch's."""
    import torch

    short = name.removeprefix("nn.")
    return tuple(getattr(nn, short)(*args, **(kwargs or {})) for nn in (our_nn, torch.nn))


def alike(case: Case) -> None:
    """Both print the same, have the same constructor, and hold the same state."""
    import torch

    name, args, kwargs, _ = case
    ours, theirs = both(name, args, kwargs)
    assert repr(ours) == repr(theirs)
    state, expected = ours.state_dict(), theirs.state_dict()
    assert list(state) == list(expected)
    for key, tensor in expected.items():
        assert tuple(state[key].shape) == tuple(tensor.shape), key
        assert state[key].dtype.value == str(tensor.dtype).removeprefix("torch."), key
    names = [key for key, each in ours.named_parameters() if each.requires_grad]
    assert names == [key for key, each in theirs.named_parameters() if each.requires_grad]
    short = name.removeprefix("nn.")
    assert _parameters(getattr(our_nn, short)) == _parameters(getattr(torch.nn, short))


def computes_alike(case: Case, dtype: str, train: bool = True) -> None:
    """Both give the same values and gradients, and hold the same numbers afterwards."""
    name, args, kwargs, shapes = case
    ours, theirs = both(name, args, kwargs)
    ours.to(dtype)
    ours.train(train)
    theirs.train(train)
    rng = np.random.default_rng(0)
    arrays = [np.asarray(rng.normal(0.5, 1.5, shape)) for shape in shapes]
    compare(ours, theirs, arrays, dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-10
    for key, tensor in theirs.state_dict().items():
        found = ours.state_dict()[key].array()
        np.testing.assert_allclose(found, tensor.numpy(), tolerance, tolerance, err_msg=key)


def records_alike(case: Case) -> None:
    """Called on values of an unknown batch size, as a layer of a model, it gives the same."""
    import torch

    name, args, kwargs, shapes = case
    ours, theirs = both(name, args, kwargs)
    ours.load_state_dict({key: each.numpy() for key, each in theirs.state_dict().items()})
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    values = [ops.input_value(f"x{i}", (None, *shape[1:])) for i, shape in enumerate(shapes)]
    y = ours.eval()(*values)
    assert isinstance(y, Value)
    found = evaluate(y, dict(zip(values, arrays, strict=True)))
    expected = theirs.eval()(*map(torch.tensor, arrays)).detach().numpy()
    np.testing.assert_allclose(found, expected, 1e-5, 1e-5)


def _parameters(kind: type) -> list[tuple[str, Any]]:
    """Names and defaults; what PyTorch takes for nothing (``*args``) counts as nothing."""
    given = inspect.signature(kind).parameters.values()
    named = [each for each in given if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    old = ("min_value", "max_value")
    return [(each.name, each.default) for each in named if each.name not in old]
