"""Inputs: the values that a model starts from."""

from __future__ import annotations

from collections.abc import Sequence

from numbanet.errors import ArgumentError
from numbanet.ir import DType, Value
from numbanet.ops.leaf import input_value


def Input(  # noqa: N802 - Keras's name
    shape: Sequence[int],
    name: str | None = None,
    dtype: str | DType = "float32",
) -> Value:
    """A symbolic batch of samples.

    Parameters
    ----------
    shape : sequence of int
        Shape of one sample, without the batch axis.
    name : str, optional
        Key for feeding a dict of arrays; unique in a model.
    dtype : str
        ``"float32"``, ``"float64"``, or an integer type for ids.

    Returns
    -------
    Value
        Of shape ``(None, *shape)``.

    Examples
    --------
    >>> Input((28, 28, 1)).shape
    (None, 28, 28, 1)
    """
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise ArgumentError(
            "Input takes the shape of one sample",
            got=repr(sizes),
            expected="sizes that are known and not negative",
            mend="Leave the batch axis out: Input((28, 28, 1))",
        )
    return input_value(name or "", (None, *sizes), DType.of(dtype))
