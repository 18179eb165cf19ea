"""Inputs: the values that a model starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numbanet.errors import ArgumentError
from numbanet.ir import DType, Value
from numbanet.ops.leaf import input_value


def Input(  # noqa: N802 - Keras's name
    shape: Sequence[int] | int | None = None,
    batch_size: int | None = None,
    dtype: str | DType | None = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> Value:
    """A symbolic batch of samples.

    Parameters
    ----------
    shape : sequence of int
        Shape of one sample, without the batch axis.
    batch_size : int, optional
        What a stateful layer has to know; all others take batches of any size.
    dtype : str, optional
        ``"float32"``, which is the default, ``"float64"``, or an integer type for ids.
    batch_shape : sequence of int or None, optional
        The batch size and the shape in one.
    name : str, optional
        Key for feeding a dict of arrays; unique in a model.
    sparse, ragged, tensor, optional
        Not supported.

    Returns
    -------
    Value
        Of shape ``(batch_size, *shape)``.

    Examples
    --------
    >>> Input((28, 28, 1)).shape
    (None, 28, 28, 1)
    """
    refused = {"sparse": sparse, "ragged": ragged, "tensor": tensor, "optional": optional}
    for argument, value in refused.items():
        if value is not None and value is not False:
            raise NotImplementedError(f"Input does not support {argument}={value!r}")
    if (shape is None) == (batch_shape is None):
        raise ArgumentError(
            "Input takes a shape or a batch_shape", got=f"{shape}, {batch_shape}"
        )
    sample = batch_shape[1:] if batch_shape is not None else shape
    batch_size = batch_shape[0] if batch_shape is not None else batch_size
    sizes = tuple(sample) if isinstance(sample, Sequence) else (sample,)
    known = sizes if batch_size is None else (batch_size, *sizes)
    if not all(isinstance(size, int) and size >= 0 for size in known):
        raise ArgumentError(
            "Input takes the shape of one sample",
            got=repr(known),
            expected="sizes that are known and not negative",
            mend="Leave the batch axis out: Input((28, 28, 1))",
        )
    dtype = DType.FLOAT32 if dtype is None else DType.of(dtype)
    return input_value(name or "", (batch_size, *sizes), dtype)
