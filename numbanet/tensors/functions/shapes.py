"""The same elements under another shape or in another order, and repeated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.ops.axes import normalise_axes, normalise_axis
from numbanet.ops.elementwise import broadcast_shapes
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.joining import cat
from numbanet.tensors.functions.promotion import known_size


def listed(given: Sequence[Any], keyword: Any = None) -> list[Any]:
    """Numbers that may come one by one, as one sequence, or by their keyword."""
    if keyword is not None:
        given = (keyword,)
    if len(given) == 1 and (given[0] is None or isinstance(given[0], (tuple, list))):
        given = given[0] or ()
    return list(given)


@tensor_function
def reshape(input: Value, *sizes: Any, shape: Any = None) -> Value:
    """The same elements in row-major order under another shape.

    Parameters
    ----------
    *sizes : int or sequence of int
        One may be -1: whatever is left. Beside it the unknown batch size may stand as None.
    shape : sequence of int
        The same by its name.
    """
    target = (None,) if sizes == (None,) else listed(sizes, shape)
    if None in target and -1 in target:
        known = math.prod(size for size in input.shape if size is not None)
        others = math.prod(size for size in target if size not in (None, -1))
        target = [known // max(others, 1) if size == -1 else size for size in target]
    return ops.reshape(input, target)


@tensor_function
def view(input: Value, *sizes: Any, shape: Any = None) -> Value:
    """As `reshape`."""
    if sizes and not isinstance(sizes[0], (int, tuple, list, type(None))):
        raise NotImplementedError("view() as another dtype; use .to(dtype) to convert")
    return reshape(input, *sizes, shape=shape)


@tensor_function
def reshape_as(input: Value, other: Value) -> Value:
    """`reshape` to the shape of ``other``."""
    return reshape(input, *other.shape) if other.rank else ops.reshape(input, ())


@tensor_function
def flatten(input: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    """Axes from ``start_dim`` to ``end_dim`` as one."""
    if input.rank == 0:
        return ops.reshape(input, (1,))
    first = normalise_axis("flatten", start_dim, input.rank)
    last = normalise_axis("flatten", end_dim, input.rank)
    if first > last:
        raise ArgumentError(
            "flatten() takes start_dim before end_dim", got=f"{start_dim} and {end_dim}"
        )
    joined = input.shape[first : last + 1]
    size = None if None in joined else math.prod(n for n in joined if n is not None)
    return ops.reshape(input, (*input.shape[:first], size, *input.shape[last + 1 :]))


@tensor_function
def ravel(input: Value) -> Value:
    """All axes as one."""
    return flatten(input)


@tensor_function
def unflatten(input: Value, dim: int, sizes: Sequence[int]) -> Value:
    """One axis as several of these sizes; one may be -1."""
    axis = normalise_axis("unflatten", dim, input.rank)
    parts = list(sizes)
    size = input.shape[axis]
    if -1 in parts and size is not None:
        others = math.prod(part for part in parts if part != -1)
        parts[parts.index(-1)] = size // max(others, 1)
    if size is not None and math.prod(parts) != size:
        raise ShapeError(
            f"unflatten() of axis {dim}",
            got=f"{input.type} and {list(sizes)}",
            expected=f"sizes with the product {size}",
        )
    return ops.reshape(input, (*input.shape[:axis], *parts, *input.shape[axis + 1 :]))


@tensor_function
def squeeze(input: Value, dim: int | Sequence[int] | None = None) -> Value:
    """Without axes of size one: all, or those of ``dim`` that have it."""
    if input.rank == 0:
        return input
    axes = normalise_axes("squeeze", dim, input.rank)
    return ops.squeeze(input, tuple(axis for axis in axes if input.shape[axis] == 1))


@tensor_function
def unsqueeze(input: Value, dim: int) -> Value:
    """With an axis of size one put in at ``dim`` of the result."""
    return ops.expand_dims(input, dim)


@tensor_function
def transpose(input: Value, dim0: int, dim1: int) -> Value:
    """Two axes exchanged."""
    if input.rank == 0:
        return input
    order = list(range(input.rank))
    a = normalise_axis("transpose", dim0, input.rank)
    b = normalise_axis("transpose", dim1, input.rank)
    order[a], order[b] = b, a
    return ops.transpose(input, order)


swapaxes = swapdims = transpose


@tensor_function
def t(input: Value) -> Value:
    """A matrix transposed; a vector as it is."""
    if input.rank > 2:
        raise ShapeError("t() takes at most two axes", got=str(input.type))
    return ops.transpose(input)


@tensor_function
def reverse_axes(input: Value) -> Value:
    """All axes in reverse order: ``tensor.T``."""
    return ops.transpose(input)


@tensor_function
def adjoint(input: Value) -> Value:
    """The last two axes exchanged: ``tensor.mT``."""
    if input.rank < 2:
        raise ShapeError("mT takes matrices", got=str(input.type))
    return transpose(input, -2, -1)


@tensor_function
def permute(input: Value, *order: Any, dims: Any = None) -> Value:
    """Axis ``i`` of the result is axis ``dims[i]`` of ``input``."""
    return ops.transpose(input, listed(order, dims))


@tensor_function
def movedim(input: Value, source: Any, destination: Any) -> Value:
    """The axes ``source`` put at ``destination``; the others keep their order."""
    sources = [source] if isinstance(source, int) else list(source)
    targets = [destination] if isinstance(destination, int) else list(destination)
    if len(sources) != len(targets):
        raise ArgumentError(
            "movedim() takes as many destinations as sources", got=f"{source}, {destination}"
        )
    sources = [normalise_axis("movedim", axis, input.rank) for axis in sources]
    targets = [normalise_axis("movedim", axis, input.rank) for axis in targets]
    moved = dict(zip(targets, sources, strict=True))
    rest = iter(axis for axis in range(input.rank) if axis not in sources)
    order = [moved[axis] if axis in moved else next(rest) for axis in range(input.rank)]
    return ops.transpose(input, order)


moveaxis = movedim


@tensor_function
def expand(input: Value, *sizes: Any, size: Any = None) -> Value:
    """Axes of size one repeated; -1 keeps a size."""
    target = listed(sizes, size)
    return ops.expand(input, [-1 if n is None else n for n in target])


@tensor_function
def expand_as(input: Value, other: Value) -> Value:
    """`expand` to the shape of ``other``."""
    return expand(input, list(other.shape))


@tensor_function
def broadcast_to(input: Value, size: Sequence[int]) -> Value:
    """As `expand`."""
    return expand(input, list(size))


@tensor_function
def broadcast_tensors(*tensors: Value) -> tuple[Value, ...]:
    """Tensors expanded to the shape in which they meet."""
    shape = broadcast_shapes("broadcast_tensors", tuple(value.type for value in tensors))
    return tuple(expand(value, list(shape)) for value in tensors)


@tensor_function
def repeat(input: Value, *counts: Any, repeats: Any = None) -> Value:
    """The whole tensor repeated along each axis; axes may be put in front."""
    times = listed(counts, repeats)
    lead = len(times) - input.rank
    if lead < 0:
        raise ShapeError(
            "repeat() takes a number for each axis", got=f"{times} for {input.type}"
        )
    value = ops.expand_dims(input, tuple(range(lead))) if lead else input
    shape = value.shape
    spread = ops.expand_dims(value, tuple(range(0, 2 * value.rank, 2)))
    pairs = zip(times, shape, strict=True)
    spread = ops.expand(
        spread, [n for time, size in pairs for n in (time, -1 if size is None else size)]
    )
    return ops.reshape(
        spread, [None if n is None else n * time for n, time in zip(shape, times, strict=True)]
    )


@tensor_function
def tile(input: Value, *counts: Any, dims: Any = None) -> Value:
    """As `repeat`, of the last axes if fewer numbers are given."""
    times = listed(counts, dims)
    return repeat(input, [1] * (input.rank - len(times)) + times)


@tensor_function
def repeat_interleave(input: Value, repeats: int, dim: int | None = None) -> Value:
    """Each element repeated in its place along ``dim``, or of the flat tensor.

    Raises
    ------
    NotImplementedError
        If ``repeats`` is a tensor: the shape of the result would depend on its numbers.
    """
    if not isinstance(repeats, int):
        raise NotImplementedError("repeat_interleave() with a tensor of repeats")
    value = flatten(input) if dim is None else input
    axis = normalise_axis("repeat_interleave", dim or 0, value.rank)
    size = known_size("repeat_interleave", value, axis)
    spread = ops.expand_dims(value, axis + 1)
    target = [-1] * spread.rank
    target[axis + 1] = repeats
    spread = ops.expand(spread, target)
    return ops.reshape(spread, (*value.shape[:axis], size * repeats, *value.shape[axis + 1 :]))


@tensor_function
def flip(input: Value, *axes: Any, dims: Any = None) -> Value:
    """Backwards along axes."""
    value = input
    for axis in normalise_axes("flip", listed(axes, dims), input.rank):
        value = ops.flip(value, axis)
    return value


@tensor_function
def fliplr(input: Value) -> Value:
    """Backwards along axis 1."""
    return flip(input, 1)


@tensor_function
def flipud(input: Value) -> Value:
    """Backwards along axis 0."""
    return flip(input, 0)


@tensor_function
def roll(input: Value, shifts: Any, dims: Any = None) -> Value:
    """Elements moved along axes, those that fall off put in front."""
    distances = [shifts] if isinstance(shifts, int) else list(shifts)
    if dims is None:
        if len(distances) != 1:
            raise ArgumentError("roll() without dims takes one shift", got=str(shifts))
        return reshape_as(roll(flatten(input), distances[0], 0), input)
    axes = [dims] if isinstance(dims, int) else list(dims)
    if len(axes) != len(distances):
        raise ArgumentError("roll() takes a shift for each of dims", got=f"{shifts}, {dims}")
    value = input
    for distance, dim in zip(distances, axes, strict=True):
        axis = normalise_axis("roll", dim, input.rank)
        size = known_size("roll", value, axis)
        moved = distance % size if size else 0
        if moved:
            first, last = ops.split(value, [size - moved, moved], axis)
            value = cat([last, first], axis)
    return value


@tensor_function
def rot90(input: Value, k: int = 1, dims: Sequence[int] = (0, 1)) -> Value:
    """Turned by ``k`` quarters in the plane of two axes, from the first to the second."""
    first, second = dims
    turns = {
        0: lambda: input,
        1: lambda: flip(transpose(input, first, second), first),
        2: lambda: flip(input, first, second),
        3: lambda: flip(transpose(input, first, second), second),
    }
    return turns[k % 4]()


@tensor_function
def contiguous(input: Value) -> Value:
    """``input``: every tensor is contiguous."""
    return input


@tensor_function
def clone(input: Value) -> Value:
    """The same numbers, through which gradients flow."""
    return input
