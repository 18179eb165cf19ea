"""Tensors as text, in PyTorch's format."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.ir import DType


@dataclass
class PrintOptions:
    """How tensors are printed; see `set_printoptions`."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


OPTIONS = PrintOptions()

_PROFILES = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors are printed. What is None stays.

    Parameters
    ----------
    precision : int
        Digits after the point.
    threshold : float
        Tensors of more elements are summarised.
    edgeitems : int
        Elements that a summary shows at either end of a dimension.
    linewidth : int
        Characters in a line.
    profile : {"default", "short", "full"}
        Sets all of the above, before they are applied.
    sci_mode : bool, optional
        Whether numbers have exponents; by default that depends on them.
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ArgumentError(
                "an unknown profile", got=repr(profile), expected=", ".join(_PROFILES)
            )
        _assign(_PROFILES[profile])
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    _assign({name: value for name, value in given.items() if value is not None})
    OPTIONS.sci_mode = sci_mode


def _assign(options: dict[str, Any]) -> None:
    for name, value in options.items():
        setattr(OPTIONS, name, value)


def format_tensor(
    array: np.ndarray,
    *,
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    is_parameter: bool = False,
    namespace: str = "numbanet",
) -> str:
    """The text of a tensor.

    Parameters
    ----------
    array : ndarray
        Its numbers.
    requires_grad : bool
        Named behind the numbers unless there is a ``grad_fn_name``.
    grad_fn_name : str, optional
        As ``"AddBackward0"``.
    is_parameter : bool
        Whether a line says so first.
    namespace : str
        What element types are named with: ``"numbanet"`` as in ``numbanet.float64``.
    """
    prefix = "tensor("
    text = prefix + _numbers(array, len(prefix))
    suffixes = _suffixes(array, namespace)
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    heading = "Parameter containing:\n" if is_parameter else ""
    return heading + _with_suffixes(text, suffixes, len(prefix)) + ")"


def _numbers(array: np.ndarray, indent: int) -> str:
    if array.size == 0:
        return "[]"
    is_summary = array.size > OPTIONS.threshold
    style = _style_of(_edges(array) if is_summary else array)
    return _nested(array, indent, is_summary, style)


def _suffixes(array: np.ndarray, namespace: str) -> list[str]:
    """The shape and the dtype, where the numbers do not tell them."""
    dtype = DType.of(array.dtype)
    suffixes = []
    if array.size == 0 and array.ndim != 1:
        suffixes.append(f"size={array.shape}")
    if array.size == 0:
        is_obvious = dtype is DType.FLOAT32
    else:
        is_obvious = dtype in (DType.FLOAT32, DType.INT64, DType.BOOL)
    if not is_obvious:
        suffixes.append(f"dtype={namespace}.{dtype}")
    return suffixes


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    """``text`` and what follows it, on a new line where the last is full."""
    # Counted with a comma and a space for what may follow.
    width = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if width + len(suffix) + 2 > OPTIONS.linewidth:
            text += ",\n" + " " * indent + suffix
            width = indent + len(suffix)
        else:
            text += ", " + suffix
            width += len(suffix) + 2
    return text


@dataclass(frozen=True)
class _Style:
    """How each number of a tensor is written."""

    is_floating: bool
    is_scientific: bool = False
    is_whole: bool = True
    width: int = 1

    def write(self, number: Any) -> str:
        """``number`` without the space in front of it."""
        if not self.is_floating:
            return str(number)
        if self.is_scientific:
            return f"{number:.{OPTIONS.precision}e}"
        if self.is_whole:
            return f"{number:.0f}" + "." * math.isfinite(number)
        return f"{number:.{OPTIONS.precision}f}"

    def aligned(self, number: Any) -> str:
        return self.write(number).rjust(self.width)


def _style_of(array: np.ndarray) -> _Style:
    """One style for all numbers; infinities, NaN and zeros have no say in it."""
    if array.dtype.kind != "f":
        return _fitted(_Style(is_floating=False), array.ravel().tolist())
    deciding = array[np.isfinite(array) & (array != 0)]
    if deciding.size == 0:
        return _Style(is_floating=True)
    is_whole = bool((deciding == np.ceil(deciding)).all())
    sizes = np.abs(deciding.astype(np.float64))
    smallest, largest = float(sizes.min()), float(sizes.max())
    is_scientific = (
        largest / smallest > 1000 or largest > 1e8 or (not is_whole and smallest < 1e-4)
    )
    if OPTIONS.sci_mode is not None:
        is_scientific = OPTIONS.sci_mode
    return _fitted(_Style(True, is_scientific, is_whole), deciding.tolist())


def _fitted(style: _Style, numbers: list[Any]) -> _Style:
    """``style`` as wide as the longest of ``numbers``."""
    width = max(len(style.write(number)) for number in numbers)
    return _Style(style.is_floating, style.is_scientific, style.is_whole, max(1, width))


def _edges(array: np.ndarray) -> np.ndarray:
    """The elements that a summary shows."""
    for axis, size in enumerate(array.shape):
        if size > 2 * OPTIONS.edgeitems:
            ends = [*range(OPTIONS.edgeitems), *range(size - OPTIONS.edgeitems, size)]
            array = array.take(ends, axis)
    return array


def _nested(array: np.ndarray, indent: int, is_summary: bool, style: _Style) -> str:
    if array.ndim == 0:
        return style.aligned(array.item())
    if array.ndim == 1:
        return _row(array, indent, is_summary, style)
    parts = [
        "..." if part is None else _nested(part, indent + 1, is_summary, style)
        for part in _shown(array, is_summary)
    ]
    separator = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + separator.join(parts) + "]"


def _row(array: np.ndarray, indent: int, is_summary: bool, style: _Style) -> str:
    words = [
        " ..." if part is None else style.aligned(part.item())
        for part in _shown(array, is_summary)
    ]
    per_line = max(1, (OPTIONS.linewidth - indent) // (style.width + 2))
    lines = [
        ", ".join(words[start : start + per_line]) for start in range(0, len(words), per_line)
    ]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _shown(array: np.ndarray, is_summary: bool) -> Iterator[Any]:
    """The parts along the first axis, None for those that a summary leaves out."""
    edge = OPTIONS.edgeitems
    if not is_summary or len(array) <= 2 * edge:
        return iter(array)
    last = array[len(array) - edge :]
    return itertools.chain(array[:edge], (None,), last)


_GRAD_NAMES = {
    "matmul": {0: "Dot", 1: "Mv", 2: "Mm", 3: "Bmm"},
    "sum": {0: "Sum", None: "Sum1"},
    "mean": {0: "Mean", None: "Mean1"},
    "linear": {2: "Addmm", None: "View"},
    "getitem": {None: "Select"},
    "conv2d": {None: "Convolution"},
    "max_pool2d": {None: "MaxPool2DWithIndices"},
    "cross_entropy": {None: "NllLoss"},
    "flatten": {None: "View"},
    "reshape": {None: "View"},
}
"""PyTorch's names of what brings gradients back where they are not the function's, by rank."""


def grad_fn_name(function: str, rank: int) -> str:
    """The name that PyTorch prints for the ``grad_fn`` of a result, as ``"AddBackward0"``.

    Parameters
    ----------
    function : str
        Name of the function that the result comes from.
    rank : int
        Number of the result's axes.
    """
    names = _GRAD_NAMES.get(function, {})
    plain = "".join(part.capitalize() for part in function.split("_"))
    name = names.get(rank, names.get(None, plain))
    version = name[-1] if name[-1] == "1" else "0"
    return f"{name.rstrip('1') if version == '1' else name}Backward{version}"
