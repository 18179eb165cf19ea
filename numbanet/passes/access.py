"""Composition of strided reads: reading through a view, as one read of what the view reads."""

from __future__ import annotations

from numbanet.ops.fused import Access, contiguous


def compose(
    outer: Access, outer_shape: tuple[int, ...], shape: tuple[int, ...], inner: Access
) -> Access | None:
    """The access to a source of reading it through ``inner``, itself read through ``outer``.

    Parameters
    ----------
    outer : Access
        How iteration space ``outer_shape`` reads the flat memory of a row-major tensor of
        ``shape``.
    inner : Access
        How that tensor's elements, as iteration space ``shape``, read the source.

    Returns
    -------
    Access or None
        None if the outer read does not keep to the tensor's axes (a reshape in between).
    """
    if 0 in outer_shape:
        # Nothing is read.
        return Access(0, (0,) * len(outer_shape))
    steps = _steps(outer, outer_shape, shape)
    if steps is None:
        return None
    starts, moves = steps
    offset = inner.offset + sum(s * i for s, i in zip(inner.strides, starts, strict=True))
    strides = tuple(0 if move is None else inner.strides[move[0]] * move[1] for move in moves)
    return Access(offset, strides)


def _steps(
    access: Access, iteration: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[list[int], list[tuple[int, int] | None]] | None:
    """Per axis of ``shape`` the first index, and per iteration axis the axis and step it walks.

    Reading is by flat offset, so the offset is taken apart like a number in mixed radix. That
    is exact as long as no digit overflows, which is checked.
    """
    strides = contiguous(shape).strides
    axes = [axis for axis in range(len(shape)) if shape[axis] > 1]
    starts = [0] * len(shape)
    rest = access.offset
    for axis in axes:
        starts[axis], rest = divmod(rest, strides[axis])
    if rest:
        return None
    furthest = list(starts)
    moves: list[tuple[int, int] | None] = []
    for size, stride in zip(iteration, access.strides, strict=True):
        if stride == 0 or size <= 1:
            moves.append(None)
            continue
        axis = next((a for a in axes if stride % strides[a] == 0), None)
        if stride < 0 or axis is None:
            return None
        step = stride // strides[axis]
        furthest[axis] += (size - 1) * step
        moves.append((axis, step))
    if any(furthest[axis] >= max(shape[axis], 1) for axis in range(len(shape))):
        return None
    return starts, moves
