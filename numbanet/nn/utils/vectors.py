"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.flush import assign
from numbanet.tensors.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """One vector of all elements of all parameters, in order; gradients go through it."""
    given = list(parameters)
    if not given:
        raise ArgumentError("parameters_to_vector() needs a parameter")
    return _join(given)


@tensor_function
def _join(parameters: Any) -> Any:
    return ops.concatenate([ops.reshape(each, (-1,)) for each in parameters], axis=0)


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Replace the numbers of ``parameters``, in order, by those of a vector.

    Raises
    ------
    ShapeError
        If it is no vector of as many elements; nothing has changed then.
    """
    given = list(parameters)
    sizes = [parameter.tensor_type.size for parameter in given]
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters() takes a tensor, got {type(vec).__name__}")
    if tuple(vec.shape) != (sum(sizes),):
        raise ShapeError(
            "the vector and the parameters have different numbers of elements",
            got=str(tuple(vec.shape)),
            expected=str((sum(sizes),)),
        )
    numbers, start = vec.array(), 0
    for parameter, size in zip(given, sizes, strict=True):
        assign(parameter, numbers[start : start + size].reshape(parameter.shape))
        start += size
