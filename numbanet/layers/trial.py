"""What a layer would return: it is recorded, and then is as it was before."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numbanet.errors import ArgumentError, DTypeError
from numbanet.ir import DType
from numbanet.layers.budget import budget
from numbanet.layers.ownership import unbuilt_afterwards
from numbanet.layers.structure import map_leaves
from numbanet.ops.leaf import input_value

if TYPE_CHECKING:
    from numbanet.layers.module import Module

_ANY_NUMBER = 2**62


def output_shape(module: Module, shapes: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Shapes of what ``module`` returns, nested as that is; see `Module.compute_output_shape`.

    Inputs are floating-point as the weights are, or integers if the layer takes no others.
    """
    kinds = (weight.type.dtype for weight in module.weights)
    dtype = next((kind for kind in kinds if kind.is_floating), DType.FLOAT32)
    try:
        return _recorded(module, shapes, named, dtype)
    except DTypeError:
        return _recorded(module, shapes, named, DType.INT64)


def _recorded(
    module: Module, shapes: Sequence[Any], named: Mapping[str, Any], dtype: DType
) -> Any:
    # Within a budget no initializer draws: what is drawn later is what it would have been.
    with unbuilt_afterwards(module), budget(_ANY_NUMBER):
        args = [_values(shape, dtype) for shape in shapes]
        kwargs = {
            _argument(module, name): _values(shape, dtype) for name, shape in named.items()
        }
        return map_leaves(lambda value: value.shape, module.record(*args, **kwargs))


def _argument(module: Module, name: str) -> str:
    """The argument of ``forward`` whose shape is called ``name``."""
    argument = name.removesuffix("_shape")
    parameters = list(inspect.signature(module.forward).parameters)
    if argument in parameters and argument != name:
        return argument
    if name == "input_shape" and parameters:
        return parameters[0]
    raise ArgumentError(
        f"{module.label} takes no {name}",
        expected=", ".join(f"{parameter}_shape" for parameter in parameters),
    )


def _values(shape: Any, dtype: DType) -> Any:
    """Symbolic inputs of the shape, or of each in nested lists, tuples and dicts."""
    if shape is None:
        return None
    if isinstance(shape, Mapping):
        return {key: _values(each, dtype) for key, each in shape.items()}
    if all(size is None or isinstance(size, int) for size in shape):
        return input_value("", tuple(shape), dtype)
    return [_values(each, dtype) for each in shape]
