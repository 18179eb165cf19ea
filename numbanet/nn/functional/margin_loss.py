"""Losses of pairs and triplets: what belongs together is to lie closer than what does not."""

from __future__ import annotations

import math
from collections.abc import Callable

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.nn.functional.distance import pairwise_distance
from numbanet.nn.functional.reduction import promoted, reduced, refuse_legacy
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.tensor import Tensor

_LEAST_NORM = 1e-12
"""Added to squared norms before their root is divided by."""


@tensor_function
def cosine_embedding_loss(
    input1: Value,
    input2: Value,
    target: Value,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``1 - cos`` of the angle where the target is 1, ``max(0, cos - margin)`` where it is -1.

    Parameters
    ----------
    input1, input2 : Tensor
        ``[N, D]`` or ``[D]``.
    target : Tensor
        ``[N]`` or a scalar: 1 or -1.
    """
    refuse_legacy(size_average, reduce)
    if target.rank + 1 != max(input1.rank, input2.rank) or target.rank > 1:
        raise ShapeError(
            "cosine_embedding_loss() takes one target for each pair",
            got=f"{input1.shape}, {input2.shape} and {target.shape}",
            expected="[N, D], [N, D] and [N], or [D], [D] and a scalar",
        )
    squares = (ops.sum(input1 * input1, -1), ops.sum(input2 * input2, -1))
    norms = ops.sqrt((squares[0] + _LEAST_NORM) * (squares[1] + _LEAST_NORM))
    cosine = ops.sum(input1 * input2, -1) / norms
    apart = ops.clip(cosine - margin, 0.0, math.inf)
    losses = ops.where(ops.equal(target, 1), 1.0 - cosine, 0.0) + ops.where(
        ops.equal(target, -1), apart, 0.0
    )
    return reduced(losses, reduction)


@tensor_function
def margin_ranking_loss(
    input1: Value,
    input2: Value,
    target: Value,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``max(0, -target (input1 - input2) + margin)``: 1 asks for a larger first, -1 for a
    larger second."""
    refuse_legacy(size_average, reduce)
    if not input1.rank == input2.rank == target.rank:
        raise ShapeError(
            "margin_ranking_loss() takes operands with as many axes",
            got=f"{input1.shape}, {input2.shape} and {target.shape}",
        )
    input1, input2, target = promoted(input1, input2, target)
    losses = margin - target * (input1 - input2)
    return reduced(ops.clip(losses, 0.0, math.inf), reduction)


@tensor_function
def triplet_margin_loss(
    anchor: Value,
    positive: Value,
    negative: Value,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``max(0, |anchor - positive| - |anchor - negative| + margin)``.

    Parameters
    ----------
    anchor, positive, negative : Tensor
        ``[N, D]`` or ``[D]``.
    margin : float
        Above 0.
    p : float
        The norm's degree; may be infinite.
    eps : float
        Added to each difference, so that the norm has a slope.
    swap : bool
        Whether the distance from the positive to the negative counts where it is the smaller
        (Balntas et al., 2016).
    """
    refuse_legacy(size_average, reduce)
    if margin <= 0:
        raise ArgumentError("triplet_margin_loss() takes a margin above 0", got=str(margin))
    if not anchor.rank == positive.rank == negative.rank:
        raise ShapeError(
            "triplet_margin_loss() takes operands with as many axes",
            got=f"{anchor.shape}, {positive.shape} and {negative.shape}",
        )

    def distance(a: Value, b: Value) -> Value:
        return pairwise_distance(a, b, p, eps)

    near, far = distance(anchor, positive), distance(anchor, negative)
    return _excess(near, far, distance(positive, negative) if swap else None, margin, reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with any distance.

    Parameters
    ----------
    anchor, positive, negative : Tensor
    distance_function : callable, optional
        Of two tensors, `pairwise_distance` by default.
    margin, swap, reduction
        As of `triplet_margin_loss`.
    """
    if margin <= 0:
        raise ArgumentError("a triplet's margin is above 0", got=str(margin))
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    return _excess(near, far, distance(positive, negative) if swap else None, margin, reduction)


@tensor_function
def _excess(
    near: Value, far: Value, other: Value | None, margin: float, reduction: str
) -> Value:
    """``max(0, near - far + margin)``, with ``other`` in place of a larger ``far``."""
    nearest = far if other is None else ops.minimum(far, other)
    return reduced(ops.clip(margin + near - nearest, 0.0, math.inf), reduction)
