"""Tensors as other dtypes."""

from __future__ import annotations

from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import DType, Value
from numbanet.tensors.dispatch import tensor_function


@tensor_function
def astype(input: Value, dtype: DType | str) -> Value:
    """``input`` as another dtype: fractions are dropped, bools say what is not zero."""
    return ops.cast(input, DType.of(dtype))


def to(
    input: Any,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
) -> Any:
    """``input`` as another dtype, or as that of another tensor; it is where it computes.

    Parameters
    ----------
    *args
        A dtype, a device's name or a tensor.

    Raises
    ------
    ArgumentError
        If the device is not the one that computes.
    """
    for each in args:
        if isinstance(each, bool):
            continue
        if isinstance(each, type(input)):
            dtype = each.dtype
        elif _is_device(each):
            device = each
        elif each is not None:
            dtype = each
    if device is not None:
        check_device(device)
    return input if dtype is None or DType.of(dtype) is input.dtype else astype(input, dtype)


def _is_device(given: Any) -> bool:
    return isinstance(given, str) and given.split(":")[0] in ("cpu", "cuda")


def check_device(device: Any) -> None:
    """Raise ArgumentError unless ``device`` is None or the one that computes."""
    if device is None:
        return
    from numbanet.tensors.flush import device as current

    name = current().name
    if str(device).split(":")[0] != name.split(":")[0]:
        raise ArgumentError(
            "all tensors are on the one device that computes",
            got=str(device),
            expected=name,
        )


def type_as(input: Any, other: Any) -> Any:
    """``input`` as the dtype of ``other``."""
    return to(input, dtype=other.dtype)
