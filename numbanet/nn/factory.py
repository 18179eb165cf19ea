"""Parameters and buffers as modules' constructors make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numbanet.errors import DTypeError
from numbanet.ir import DType
from numbanet.layers.budget import spend
from numbanet.nn.conversion import check_device
from numbanet.nn.parameter import Parameter
from numbanet.tensors.tensor import Tensor


def element_type(dtype: Any) -> DType:
    """The floating-point DType that ``dtype`` names; float32 for None."""
    found = DType.FLOAT32 if dtype is None else DType.of(dtype)
    if not found.is_floating:
        raise DTypeError("parameters are floating-point", got=found.value)
    return found


def new_parameter(
    shape: Sequence[int],
    device: Any = None,
    dtype: Any = None,
    layout: tuple[int, ...] | None = None,
    *,
    number: float = 0.0,
) -> Parameter:
    """A parameter full of ``number``.

    Raises
    ------
    NotImplementedError
        If ``device`` is not the one in use.
    DTypeError
        If ``dtype`` is not floating-point.
    """
    check_device(device)
    spend(shape)
    array = np.full(tuple(shape), number, element_type(dtype).numpy)
    return Parameter(array, layout=layout)


def new_buffer(shape: Sequence[int], number: float, dtype: Any = None) -> Tensor:
    """A tensor full of ``number``, for a buffer; float32 by default."""
    element = DType.FLOAT32 if dtype is None else DType.of(dtype)
    spend(shape)
    return Tensor.wrap(np.full(tuple(shape), number, element.numpy))
