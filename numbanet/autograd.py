"""Gradients that are asked for by name, and functions with a backward of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError, GraphError
from numbanet.tensors.backward import check
from numbanet.tensors.flow import Gradient, gone, gradients_of
from numbanet.tensors.functions.custom import Function, FunctionCtx
from numbanet.tensors.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from numbanet.tensors.tensor import Tensor

__all__ = [
    "Function",
    "FunctionCtx",
    "Variable",
    "backward",
    "enable_grad",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]

Tensors = Tensor | Sequence[Tensor]


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Gradient, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``; no ``grad`` changes.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
        If there are several, their gradients are added up.
    inputs : Tensor or sequence of Tensor
        Leaves or results that require gradients.
    grad_outputs : Tensor or sequence of (Tensor or None), optional
        Of the outputs' shapes: what their gradients are multiplied by. Ones for scalars.
    retain_graph : bool, optional
        Whether gradients may come this way again; ``create_graph`` by default.
    create_graph : bool
        Whether the gradients have gradients.
    only_inputs : bool
        True: old programs say so.
    allow_unused : bool, optional
        Whether an input that the outputs do not depend on gets None, and is no error;
        ``materialize_grads`` by default.
    is_grads_batched : bool
        Not supported.
    materialize_grads : bool
        Zeros in the place of None.

    Returns
    -------
    tuple of (Tensor or None)
        One for each input.

    Raises
    ------
    GraphError
        If an output or an input requires no gradient, an input is not used, or the graph was
        differentiated before.
    ShapeError
        If a gradient of an output is missing or has another shape.
    ArgumentError
        If ``materialize_grads`` goes with ``allow_unused=False``.
    """
    if not only_inputs:
        raise NotImplementedError("only_inputs=False: call backward()")
    if is_grads_batched:
        raise NotImplementedError("is_grads_batched=True")
    if allow_unused is False and materialize_grads:
        raise ArgumentError("materialize_grads=True allows unused inputs")
    sources, wanted = _listed(outputs), _listed(inputs)
    if not all(each.requires_grad for each in wanted):
        raise GraphError("an input of grad() requires no gradient")
    found = gradients_of(
        sources,
        _seeds(sources, grad_outputs),
        wanted,
        retain_graph=create_graph if retain_graph is None else retain_graph,
        create_graph=create_graph,
    )
    gradients = [gradient for _, gradient in found]
    if materialize_grads:
        pairs = zip(gradients, wanted, strict=True)
        return tuple(_zeros(like) if each is None else each for each, like in pairs)
    if not allow_unused and any(each is None for each in gradients):
        raise GraphError(
            "an input of grad() was not used for the outputs", mend="Give allow_unused=True"
        )
    return tuple(gradients)


def backward(
    tensors: Tensors,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Tensors | None = None,
) -> None:
    """`Tensor.backward` of each of ``tensors``.

    Parameters
    ----------
    tensors : Tensor or sequence of Tensor
    grad_tensors : Tensor or sequence of (Tensor or None), optional
        Their gradients; ones for scalars.
    retain_graph, create_graph, inputs
        As of `Tensor.backward`.
    grad_variables
        Not supported: the old name of ``grad_tensors``.

    Raises
    ------
    GraphError, ShapeError
        As of `Tensor.backward`.
    """
    if grad_variables is not None:
        raise NotImplementedError("grad_variables of backward(): call it grad_tensors")
    sources = _listed(tensors)
    pairs = list(zip(sources, _seeds(sources, grad_tensors), strict=True))
    for position, (tensor, seed) in enumerate(pairs, 1):
        # Those after it may come the same way.
        retain = bool(retain_graph) or position < len(pairs)
        tensor.backward(seed, retain, create_graph, inputs)


def Variable(data: Tensor, requires_grad: bool = False) -> Tensor:  # noqa: N802 - PyTorch's
    """The tensor ``data``, as old programs make one that gradients go to."""
    return data.detach().requires_grad_(requires_grad)


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _seeds(sources: list[Tensor], given: Any) -> list[Gradient]:
    listed = given if isinstance(given, list | tuple) else [given] * len(sources)
    if len(listed) != len(sources):
        raise ArgumentError(
            "a gradient for each output", got=str(len(listed)), expected=str(len(sources))
        )
    for source, seed in zip(sources, listed, strict=True):
        check(source, seed)
        if source.is_spent:
            raise gone()
    return list(listed)


def _zeros(like: Tensor) -> Tensor:
    return Tensor.wrap(np.zeros(like.tensor_type.sizes, like.dtype.numpy))
