"""Clipping of gradients: recorded, so that a training step stays one program."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.errors import NonFiniteError
from numbanet.ir import Value
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.modes import no_grad
from numbanet.tensors.tensor import Tensor

_EPSILON = 1e-6


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients by one number, so that their common norm is at most ``max_norm``.

    Parameters
    ----------
    parameters : Tensor, or iterable of them
        Those without a gradient do not count.
    max_norm : float
    norm_type : float
        The order of the norm; ``inf`` for the largest element.
    error_if_nonfinite : bool
        Whether to read the norm at once, and to refuse one that is infinite or not a number.
    foreach : bool, optional
        All gradients are scaled in one launch, whatever it says.

    Returns
    -------
    Tensor
        The norm before.

    Raises
    ------
    NonFiniteError
        If the norm is not finite, and that was asked for; nothing has changed then.
    """
    holders = _with_gradients(parameters)
    gradients = [holder.grad for holder in holders if holder.grad is not None]
    norm = get_total_norm(gradients, norm_type, error_if_nonfinite)
    clip_grads_with_norm_(holders, max_norm, norm)
    return norm


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all elements of all ``tensors``, a scalar; see `clip_grad_norm_`."""
    given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not given:
        return Tensor.wrap(np.zeros((), np.float32))
    with no_grad():
        norm = _total_norm(given, float(norm_type))
    if error_if_nonfinite and not math.isfinite(norm.item()):
        raise NonFiniteError(
            f"the norm of order {float(norm_type)} of the gradients is not finite",
            got=str(norm.item()),
            mend="Scale the loss down, or set error_if_nonfinite=False",
        )
    return norm


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Scale all gradients, whose norm is ``total_norm``, so that it becomes ``max_norm``.

    Smaller gradients stay as they are; see `clip_grad_norm_`.
    """
    holders = _with_gradients(parameters)
    if holders:
        with no_grad():
            gradients = [holder.grad for holder in holders]
            _give(holders, _scaled(gradients, total_norm, float(max_norm)))


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Bring all elements of all gradients into [-clip_value, clip_value].

    Parameters
    ----------
    parameters : Tensor, or iterable of them
    clip_value : float
    foreach : bool, optional
        All gradients are clipped in one launch, whatever it says.
    """
    holders = _with_gradients(parameters)
    if not holders:
        return
    with no_grad():
        _give(holders, _clip_by_value([holder.grad for holder in holders], float(clip_value)))


def _with_gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    each = [parameters] if isinstance(parameters, Tensor) else parameters
    return [parameter for parameter in each if parameter.grad is not None]


def _give(holders: Iterable[Tensor], gradients: Iterable[Tensor]) -> None:
    for holder, gradient in zip(holders, gradients, strict=True):
        holder.grad = gradient


@tensor_function
def _total_norm(tensors: Any, order: float) -> Any:
    if order == 0:
        raise NotImplementedError("norm_type=0")
    if order in _NORMS:
        return _NORMS[order](tensors)
    powers = [ops.sum(ops.absolute(each) ** order) for each in tensors]
    return _fold(ops.add, powers) ** (1.0 / order)


@tensor_function
def _scaled(gradients: Any, norm: Any, max_norm: float) -> Any:
    factor = ops.minimum(max_norm / (norm + _EPSILON), 1.0)
    return tuple(gradient * ops.cast(factor, gradient.dtype) for gradient in gradients)


@tensor_function
def _clip_by_value(gradients: Any, clip_value: float) -> Any:
    return tuple(ops.clip(gradient, -clip_value, clip_value) for gradient in gradients)


_NORMS: dict[float, Callable[[list[Value]], Value]] = {
    math.inf: lambda parts: _fold(ops.maximum, [ops.max(ops.absolute(x)) for x in parts]),
    -math.inf: lambda parts: _fold(ops.minimum, [ops.min(ops.absolute(x)) for x in parts]),
    1.0: lambda parts: _fold(ops.add, [ops.sum(ops.absolute(x)) for x in parts]),
    2.0: lambda parts: ops.sqrt(_fold(ops.add, [ops.sum(ops.square(x)) for x in parts])),
}


def _fold(function: Callable[[Value, Value], Value], values: list[Value]) -> Value:
    """All of ``values`` as one, pair by pair: rounding grows with the depth of a tree."""
    while len(values) > 1:
        pairs = [function(a, b) for a, b in zip(values[::2], values[1::2], strict=False)]
        values = pairs + values[len(pairs) * 2 :]
    return values[0]
