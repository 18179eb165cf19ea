"""Other element types for parameters and buffers."""

from __future__ import annotations

from typing import Any

from numbanet.errors import DTypeError
from numbanet.ir import DType, TensorType
from numbanet.nn.parameter import is_lazy, show
from numbanet.tensors.flush import device as device_in_use
from numbanet.tensors.tensor import Tensor


def target(
    *args: Any,
    device: Any = None,
    dtype: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> DType | None:
    """The element type that the arguments of ``to`` ask for, if any.

    ``non_blocking`` and ``copy`` say how numbers move between devices; nothing moves here.
    """
    if memory_format is not None:
        raise NotImplementedError("to(memory_format=): layouts are chosen by the planner")
    for argument in args:
        if isinstance(argument, Tensor):
            dtype = argument.dtype
        elif isinstance(argument, DType) or argument in DType._value2member_map_:
            dtype = argument
        elif argument is not None and not isinstance(argument, bool):
            device = argument
    check_device(device)
    if dtype is None:
        return None
    found = DType.of(dtype)
    if not found.is_floating:
        raise DTypeError("a module has floating-point parameters", got=found.value)
    return found


def check_device(device: Any) -> None:
    """Refuse every device but the one in use; None is that one."""
    if device is None:
        return
    used = device_in_use().name
    if str(device).split(":")[0] != used:
        raise NotImplementedError(f"device={str(device)!r}: all tensors are on {used!r}")


def convert(tensor: Tensor, dtype: DType) -> None:
    """Give a floating-point tensor, and its gradient, another element type in place."""
    if not tensor.dtype.is_floating or tensor.dtype is dtype:
        return
    if is_lazy(tensor):
        tensor.tensor_type = TensorType((), dtype)
        return
    show(tensor, tensor.array().astype(dtype.numpy), tensor.layout)
    if tensor.grad is not None:
        tensor.grad = Tensor.wrap(tensor.grad.array().astype(dtype.numpy))
