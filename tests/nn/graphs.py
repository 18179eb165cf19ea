"""Functions of values against PyTorch's: the graph computed by the ops' references.

No kernel runs, so that a sweep over many argument combinations costs little; what kernels do
with the ops is the business of the registry's sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.testing import evaluate, inputs_like

TOLERANCES = {"float32": (1e-5, 1e-4), "float64": (1e-10, 1e-10)}
"""Of values and of gradients, relative to the largest element."""


def compare_graphs(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    arrays: Sequence[np.ndarray | None],
    dtype: str,
    fixed: Sequence[int] = (),
) -> None:
    """Values of two functions, and gradients of all floating-point arguments, are the same.

    Floating-point arrays are taken in ``dtype``. Of each result a weighted sum is
    differentiated, but not with respect to the arrays at the ``fixed`` positions.
    """
    import torch

    fed = [_as(dtype, array) for array in arrays]
    given = [array for array in fed if array is not None]
    values = inputs_like(given)
    places = [i for i, array in enumerate(fed) if array is not None]
    moving = [
        i
        for i, (place, array) in enumerate(zip(places, given, strict=True))
        if array.dtype.kind == "f" and place not in fixed
    ]
    peers = [torch.tensor(array, requires_grad=i in moving) for i, array in enumerate(given)]
    found = _flat(ours(*_again(fed, values)))
    expected = _flat(theirs(*_again(fed, peers)))
    assert len(found) == len(expected)
    weights = [
        np.random.default_rng(i).uniform(0.5, 1.5, tuple(each.shape)).astype(dtype)
        for i, each in enumerate(expected)
    ]
    total = sum(
        (each * torch.tensor(w)).sum() for each, w in zip(expected, weights, strict=True)
    )
    total.backward()
    seeds = [ops.constant(w) for w in weights]
    gradients = differentiate(found, [values[i] for i in moving], seeds)
    results = evaluate([*found, *gradients], dict(zip(values, given, strict=True)))
    for_values, for_gradients = TOLERANCES[dtype]
    for result, each in zip(results, expected, strict=False):
        check(result, each.detach().numpy(), for_values)
    for result, i in zip(results[len(found) :], moving, strict=True):
        slope = peers[i].grad
        want = np.zeros_like(given[i]) if slope is None else slope.numpy()
        check(result, want, for_gradients)


def check(result: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    assert result.shape == expected.shape
    assert result.dtype == expected.dtype
    scale = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))) or 1.0
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance * scale)


def _as(dtype: str, array: np.ndarray | None) -> np.ndarray | None:
    return array.astype(dtype) if array is not None and array.dtype.kind == "f" else array


def _again(arrays: Sequence[np.ndarray | None], given: Sequence[Any]) -> list[Any]:
    """``given``, with None where an array was None."""
    rest = iter(given)
    return [None if array is None else next(rest) for array in arrays]


def _flat(outputs: Any) -> list[Any]:
    if isinstance(outputs, (tuple, list)):
        return [leaf for each in outputs for leaf in _flat(each)]
    return [] if outputs is None else [outputs]
