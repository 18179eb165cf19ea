"""What the losses share: how elements become one number, and operands of one dtype."""

from __future__ import annotations

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value

_REDUCTIONS = {"none": lambda losses: losses, "mean": ops.mean, "sum": ops.sum}


def reduced(losses: Value, reduction: str) -> Value:
    """The losses themselves (``"none"``), their ``"mean"`` or their ``"sum"``."""
    check_reduction(reduction)
    return _REDUCTIONS[reduction](losses)


def weighted(losses: Value, weights: Value, reduction: str) -> Value:
    """`reduced`, but the mean is over ``weights``; the losses were multiplied by them."""
    if reduction == "mean":
        return ops.sum(losses) / ops.sum(weights)
    return reduced(losses, reduction)


def check_reduction(reduction: str, *more: str) -> None:
    """Raise ArgumentError unless the reduction is one of PyTorch's three, or of ``more``."""
    names = (*_REDUCTIONS, *more)
    if reduction not in names:
        raise ArgumentError(
            "unknown reduction", got=repr(reduction), expected=" or ".join(map(repr, names))
        )


def refuse_legacy(size_average: bool | None, reduce: bool | None) -> None:
    """Raise NotImplementedError if an argument that ``reduction`` replaced is given."""
    for name, given in (("size_average", size_average), ("reduce", reduce)):
        if given is not None:
            raise NotImplementedError(f"{name}= is not supported: use reduction=")


def promoted(*values: Value) -> tuple[Value, ...]:
    """Values as the widest floating-point dtype among them, float32 if there is none."""
    wide = [value.dtype for value in values if value.dtype.is_floating]
    dtype = max(wide, key=lambda each: each.itemsize, default="float32")
    return tuple(ops.cast(value, dtype) for value in values)


def require_same_shape(name: str, what: str, value: Value, other: Value) -> None:
    """Raise ShapeError unless ``value``, called ``what``, has the shape of ``other``."""
    if value.shape != other.shape:
        raise ShapeError(
            f"{name}() takes {what} of another shape",
            got=str(value.shape),
            expected=str(other.shape),
        )
