"""Modules and functions of tensors beside PyTorch's: values and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.tensor import Tensor

TOLERANCES = {"float32": (1e-5, 1e-4), "float64": (1e-10, 1e-10)}
"""Of values and of gradients, relative to the largest element."""


def compare(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    arrays: Sequence[Any],
    dtype: str = "float32",
    *,
    fixed: Sequence[int] = (),
    kwargs: Mapping[str, Any] | None = None,
    values: float | None = None,
    gradients: float | None = None,
) -> None:
    """Results, and gradients of floating-point inputs and of all parameters, are the same.

    Parameters
    ----------
    ours, theirs : callable
        Functions, or modules; a module takes the numbers of PyTorch's.
    arrays : sequence
        Positional arguments: floating-point arrays become tensors of ``dtype``, integer arrays
        tensors of theirs; all else is passed on.
    fixed : sequence of int
        Positions of arrays whose gradients are not looked at.
    kwargs : dict, optional
        Further arguments, passed on; arrays in it become tensors without gradients.
    values, gradients : float, optional
        Tolerances; by default of `TOLERANCES`.
    """
    import torch

    to_dtype = getattr(torch, dtype)
    if hasattr(theirs, "state_dict"):
        theirs.to(to_dtype)
        ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    mine = [_ours(a, dtype, i not in fixed) for i, a in enumerate(arrays)]
    peers = [_theirs(a, dtype, i not in fixed) for i, a in enumerate(arrays)]
    extra = dict(kwargs or {})
    found = list(leaves(ours(*mine, **{k: _ours(v, dtype, False) for k, v in extra.items()})))
    expected = list(
        leaves(theirs(*peers, **{k: _theirs(v, dtype, False) for k, v in extra.items()}))
    )
    for_values, for_gradients = TOLERANCES[dtype]
    assert len(found) == len(expected)
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert tuple(a.shape) == tuple(b.shape), f"result {i}"
        assert a.dtype.value == str(b.dtype).removeprefix("torch.")
    _differentiate(found, expected)
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        close(a.array(), b.detach().numpy(), values or for_values, f"result {i}")
    named = [(f"input {i}", a, b) for i, (a, b) in enumerate(zip(mine, peers, strict=True))]
    if hasattr(theirs, "named_parameters"):
        others = dict(theirs.named_parameters())
        named += [(name, p, others[name]) for name, p in ours.named_parameters()]
        assert len(others) == len(list(ours.named_parameters()))
    for name, a, b in named:
        if isinstance(a, Tensor) and a.requires_grad:
            _close_gradients(name, a, b, gradients or for_gradients)


def close(found: np.ndarray, expected: np.ndarray, tolerance: float, what: str) -> None:
    """The same numbers, up to ``tolerance`` of the largest."""
    finite = expected[np.isfinite(expected)] if expected.dtype.kind == "f" else expected
    scale = max(1.0, float(np.abs(finite).max(initial=0.0)))
    np.testing.assert_allclose(
        found, expected, rtol=tolerance, atol=tolerance * scale, err_msg=what
    )


def leaves(result: Any) -> Iterator[Any]:
    """The tensors of a result."""
    if isinstance(result, list | tuple):
        for each in result:
            yield from leaves(each)
    elif result is not None:
        yield result


@tensor_function
def weighted_sum(results: Any, weights: Any) -> Any:
    """A scalar that depends on each element of each result in its own way."""
    from numbanet import ops

    total = None
    for result, weight in zip(results, weights, strict=True):
        term = ops.sum(result * weight)
        total = term if total is None else total + term
    return total


def _differentiate(found: list[Any], expected: list[Any]) -> None:
    import torch

    moving = [i for i, each in enumerate(expected) if each.requires_grad]
    assert [i for i, each in enumerate(found) if each.requires_grad] == moving
    if not moving:
        return
    weights = [
        np.random.default_rng(i)
        .uniform(0.5, 1.5, tuple(expected[i].shape))
        .astype(expected[i].detach().numpy().dtype)
        for i in moving
    ]
    torch.stack(
        [(expected[i] * torch.tensor(w)).sum() for i, w in zip(moving, weights, strict=True)]
    ).sum().backward()
    weighted_sum(
        [found[i] for i in moving], [Tensor.wrap(np.array(w)) for w in weights]
    ).backward()


def _close_gradients(name: str, ours: Tensor, theirs: Any, tolerance: float) -> None:
    expected = theirs.grad
    if expected is None:
        assert ours.grad is None or not ours.grad.array().any(), name
        return
    assert ours.grad is not None, f"{name} has no gradient"
    close(ours.grad.array(), expected.numpy(), tolerance, f"gradient of {name}")


def _ours(argument: Any, dtype: str, moves: bool) -> Any:
    if not isinstance(argument, np.ndarray):
        return argument
    is_floating = argument.dtype.kind == "f"
    array = np.array(argument, dtype) if is_floating else argument.copy()
    return Tensor.wrap(array, requires_grad=is_floating and moves)


def _theirs(argument: Any, dtype: str, moves: bool) -> Any:
    import torch

    if not isinstance(argument, np.ndarray):
        return argument
    is_floating = argument.dtype.kind == "f"
    array = np.array(argument, dtype) if is_floating else argument.copy()
    return torch.tensor(array, requires_grad=is_floating and moves)
