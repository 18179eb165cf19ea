"""Functions whose result has a shape that depends on numbers: these are read at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet.errors import DTypeError
from numbanet.tensors.functions.indexing import pick
from numbanet.tensors.functions.shapes import expand
from numbanet.tensors.tensor import Tensor


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Where elements are not zero: int64 ``[count, axes]``, or a vector for each axis."""
    places = np.nonzero(input.array())
    if as_tuple:
        return tuple(Tensor.wrap(each) for each in places)
    return Tensor.wrap(np.stack(places, -1) if places else np.empty((0, 0), np.int64))


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements at which the mask is true, as a vector."""
    if not isinstance(mask, Tensor) or mask.dtype.value != "bool":
        raise DTypeError("masked_select() takes a mask of bools", got=str(mask))
    shape = np.broadcast_shapes(input.shape, mask.shape)
    places = np.nonzero(np.broadcast_to(mask.array(), shape))
    return pick(expand(input, shape), tuple(Tensor.wrap(each) for each in places))


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
) -> Any:
    """The different elements in order; with them where each went, and how many there were."""
    found, inverse, counts = np.unique(input.array(), return_inverse=True, return_counts=True)
    results = [Tensor.wrap(found)]
    if return_inverse:
        results.append(Tensor.wrap(inverse.reshape(input.shape)))
    if return_counts:
        results.append(Tensor.wrap(counts))
    return tuple(results) if len(results) > 1 else results[0]


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each integer from 0 on occurs, or the sums of the weights that go with it."""
    if weights is None:
        return Tensor.wrap(np.bincount(input.array(), minlength=minlength).astype(np.int64))
    given = weights.array()
    return Tensor.wrap(np.bincount(input.array(), given, minlength).astype(given.dtype))
