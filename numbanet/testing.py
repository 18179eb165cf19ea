"""Oracles: graphs computed by the ops' NumPy references, and gradients by differences.

Nothing here is fast, and nothing here knows of kernels, plans or devices: that is the point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import GraphError, ShapeError, VerificationError
from numbanet.ir import Arg, DType, Graph, Node, TensorType, Value, topological
from numbanet.ops.leaf import CONSTANT, InputAttrs, variable_of

Feeds = Mapping[Any, ArrayLike]
"""Arrays for leaves, by ``Value`` or by the input's name."""


@overload
def evaluate(target: Graph, feeds: Feeds | None = None) -> dict[str, np.ndarray]: ...
@overload
def evaluate(target: Value, feeds: Feeds | None = None) -> np.ndarray: ...
@overload
def evaluate(target: Sequence[Value], feeds: Feeds | None = None) -> list[np.ndarray]: ...
def evaluate(target: Graph | Value | Sequence[Value], feeds: Feeds | None = None) -> Any:
    """Compute a graph's outputs, a value or several values by the ops' references.

    Parameters
    ----------
    target : Graph, Value or sequence of Value
    feeds : mapping, optional
        Arrays for inputs (and other leaves), by value or by the input's name. They take the
        leaf's dtype. Variables that are not fed are read; constants feed themselves.

    Returns
    -------
    dict of str to ndarray, ndarray or list of ndarray
        As ``target`` is. A graph's updates are not applied: `run` does that.

    Raises
    ------
    GraphError
        If a leaf is not fed.
    VerificationError
        If a reference disagrees with its op's shape rule.
    """
    if isinstance(target, Graph):
        arrays = _compute(tuple(target.outputs.values()), feeds or {})
        return dict(zip(target.outputs, arrays, strict=True))
    if isinstance(target, Value):
        return _compute((target,), feeds or {})[0]
    return _compute(target, feeds or {})


def run(graph: Graph, feeds: Feeds | None = None) -> dict[str, np.ndarray]:
    """One step: the outputs of ``graph``, whose updates are then assigned to the variables."""
    arrays = _compute(graph.results, feeds or {})
    for update, array in zip(graph.updates, arrays[len(graph.outputs) :], strict=True):
        variable = variable_of(update.old)
        if variable is None:
            raise GraphError("only a variable can be updated", got=repr(update.old))
        variable.store(array)
    return dict(zip(graph.outputs, arrays, strict=False))


def _compute(values: Sequence[Value], feeds: Feeds) -> list[np.ndarray]:
    known: dict[Value, np.ndarray] = {}
    for node in topological(values):
        results = _feed(node, feeds) if node.op.is_leaf else _apply(node, known)
        for value, result in zip(node.outputs, results, strict=True):
            known[value] = _checked(value, result)
    return [known[value] for value in values]


def _apply(node: Node, known: Mapping[Value, np.ndarray]) -> tuple[Any, ...]:
    with np.errstate(all="ignore"):
        result = node.op.reference(node.attrs, *(known[value] for value in node.inputs))
    return result if isinstance(result, tuple) else (result,)


def _checked(value: Value, result: Any) -> np.ndarray:
    array = np.asarray(result)
    if not _fits(array.shape, value.type) or array.dtype != value.dtype.numpy:
        raise VerificationError(
            f"the reference of {value.node.op.name}() disagrees with its shape rule",
            got=f"{array.dtype}{list(array.shape)}",
            expected=str(value.type),
            layer=value.path or None,
        )
    return array


def _fits(shape: tuple[int, ...], type_: TensorType) -> bool:
    return len(shape) == type_.rank and all(
        size in (None, actual) for size, actual in zip(type_.shape, shape, strict=True)
    )


def _feed(leaf: Node, feeds: Feeds) -> tuple[np.ndarray]:
    value, attrs = leaf.output, leaf.attrs
    name = attrs.name if isinstance(attrs, InputAttrs) else None
    if value in feeds or name in feeds:
        fed = np.asarray(feeds[value] if value in feeds else feeds[str(name)])
        if not _fits(fed.shape, value.type):
            raise ShapeError(
                f"an array fed to {name or leaf.op.name}",
                got=str(fed.shape),
                expected=str(value.type),
            )
        return (fed.astype(value.dtype.numpy, casting="same_kind"),)
    variable = variable_of(value)
    if variable is not None:
        return (variable.stored(),)
    if leaf.op is CONSTANT:
        return (leaf.op.reference(attrs),)
    raise GraphError(f"{name or leaf.op.name} is not fed", layer=leaf.path or None)


def sample(arg: Arg, rng: np.random.Generator) -> np.ndarray:
    """An array as ``arg`` describes it."""
    if arg.dtype is DType.BOOL:
        return rng.random(arg.shape) < 0.5
    if arg.dtype.is_integer:
        return rng.integers(int(arg.low), int(arg.high), arg.shape).astype(arg.dtype.numpy)
    array = rng.uniform(arg.low, arg.high, arg.shape)
    for point in arg.avoid:
        side = np.where(array < point, -1, 1)
        array = np.where(np.abs(array - point) < 0.05, point + 0.05 * side, array)
    return array.astype(arg.dtype.numpy)


def inputs_like(arrays: Sequence[np.ndarray]) -> tuple[Value, ...]:
    """Input leaves ``x0``, ``x1``, .. of the arrays' shapes and dtypes."""
    return tuple(
        ops.input_value(f"x{i}", array.shape, DType.of(array.dtype))
        for i, array in enumerate(arrays)
    )


def check_gradients(
    function: Callable[..., Value | Sequence[Value]],
    *arrays: ArrayLike,
    step: float = 1e-6,
    tolerance: float = 1e-6,
) -> None:
    """Compare a function's gradients with central differences, in float64.

    Parameters
    ----------
    function : callable
        Takes a value per array and returns values; the floating-point ones are summed with
        random weights, and that sum is differentiated.
    *arrays : array_like
        Where to differentiate; integers and bools are held fixed.
    step : float
        Half the distance of a difference.
    tolerance : float
        Largest error, relative to the larger of the gradient and one.

    Raises
    ------
    AssertionError
        If a gradient is off.
    """
    feeds = [_as_double(array) for array in arrays]
    inputs = inputs_like(feeds)
    objective = _weighted(function(*inputs))
    moving = [i for i, value in enumerate(inputs) if value.dtype.is_floating]
    gradients = differentiate([objective], [inputs[i] for i in moving])
    computed = evaluate(gradients, dict(zip(inputs, feeds, strict=True)))

    def at(position: int, moved: np.ndarray) -> float:
        fed = dict(zip(inputs, feeds, strict=True)) | {inputs[position]: moved}
        return float(evaluate(objective, fed))

    for position, gradient in zip(moving, computed, strict=True):
        expected = _differences(lambda x, i=position: at(i, x), feeds[position], step)
        np.testing.assert_allclose(
            gradient,
            expected,
            rtol=tolerance,
            atol=tolerance,
            err_msg=f"gradient with respect to argument {position}",
        )


def _as_double(array: ArrayLike) -> np.ndarray:
    taken = np.asarray(array)
    return taken.astype(np.float64) if taken.dtype.kind == "f" else taken


def _weighted(outputs: Value | Sequence[Value]) -> Value:
    """A sum of all floating-point elements of ``outputs``, each with a weight of its own."""
    rng = np.random.default_rng(0)
    total = ops.constant(0.0, DType.FLOAT64)
    for output in (outputs,) if isinstance(outputs, Value) else outputs:
        if output.dtype.is_floating:
            weights = ops.constant(rng.uniform(0.5, 1.5, output.type.sizes))
            total = total + ops.sum(ops.cast(output, DType.FLOAT64) * weights)
    return total


def _differences(
    function: Callable[[np.ndarray], float], x: np.ndarray, step: float
) -> np.ndarray:
    slopes = np.zeros(x.shape)
    for position in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[position] += sign * step
            ends.append(function(moved))
        slopes[position] = (ends[0] - ends[1]) / (2 * step)
    return slopes
