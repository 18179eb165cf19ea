"""Connectionist temporal classification: a sequence's likelihood over all its alignments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.errors import ShapeError
from numbanet.ir import DType, Value
from numbanet.nn.functional.reduction import check_reduction
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.indexing import gather

_LEAST = -1e30
"""The logarithm of an impossible path: finite, for differences of infinities are no numbers."""

_IMPOSSIBLE = 1e29


@tensor_function
def ctc_loss(
    log_probs: Value,
    targets: Value,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Value:
    """Minus the logarithm of the likelihood of labels, over all ways to align them.

    (Graves et al., "Connectionist Temporal Classification", 2006.) The recurrence over time is
    unrolled in the graph.

    Parameters
    ----------
    log_probs : Tensor
        ``[T, N, C]``, logarithms of probabilities, such as `log_softmax` gives.
    targets : Tensor
        Labels ``[N, S]``, padded; none of them blank.
    input_lengths, target_lengths : Tensor or tuple of int
        ``[N]``: how many steps, and how many labels there are.
    blank : int
        The class of no label.
    reduction : {"mean", "sum", "none"}
        The mean divides each loss by its number of labels first.
    zero_infinity : bool
        Zero in the place of infinite losses, of more labels than fit into the steps.

    Returns
    -------
    Tensor
        A scalar, or ``[N]``.

    Raises
    ------
    ShapeError
        If the operands are not of these shapes, or there are no steps or labels.
    ArgumentError
        If the reduction is unknown.
    NotImplementedError
        For targets of all samples in one row, and without a batch.
    """
    check_reduction(reduction)
    if targets.rank == 1:
        raise NotImplementedError("ctc_loss() of targets in one row: pad them to [N, S]")
    if log_probs.rank != 3 or targets.rank != 2 or log_probs.shape[1] != targets.shape[0]:
        raise ShapeError("ctc_loss() of such operands", got=f"{log_probs.type}, {targets.type}")
    if not log_probs.shape[0] or not targets.shape[1]:
        raise ShapeError("ctc_loss() needs steps and labels", got=f"{targets.type}")
    steps, labels = (_lengths(each) for each in (input_lengths, target_lengths))
    losses = -_log_likelihood(log_probs, targets, steps, labels, blank)
    is_infinite = ops.greater(losses, _IMPOSSIBLE)
    losses = ops.where(is_infinite, 0.0 if zero_infinity else math.inf, losses)
    if reduction == "mean":
        return ops.mean(losses / ops.maximum(ops.cast(labels, losses.dtype), 1))
    return losses if reduction == "none" else ops.sum(losses)


def _lengths(given: Any) -> Value:
    if isinstance(given, Value):
        return ops.cast(given, DType.INT64)
    return ops.constant(np.asarray(given, np.int64))


def _log_likelihood(
    log_probs: Value, targets: Value, steps: Value, labels: Value, blank: int
) -> Value:
    """``[N]``, by forward variables of labels with blanks between them, ``[N, 2 S + 1]``."""
    path = _with_blanks(ops.cast(targets, DType.INT64), blank)
    times, count, width = (*log_probs.type.sizes[:2], path.type.sizes[1])
    where = ops.expand(ops.expand_dims(path, 0), (times, count, width))
    emitted = gather(log_probs, 2, where)
    # A label may follow another one at once, if that is not the same.
    may_skip = ops.not_equal(path[:, 2:], path[:, :-2])
    fill = ops.full((count, 2), _LEAST, log_probs.dtype)
    barred = ops.where(may_skip, ops.zeros_like(emitted[0, :, 2:]), _LEAST)
    skip = ops.concatenate([fill, barred], 1)
    start = ops.constant(np.where(np.arange(width) < 2, 0, _LEAST), log_probs.dtype)
    forward = emitted[0] + start
    for time in range(1, times):
        ways = [forward, _shifted(forward, 1), _shifted(forward, 2) + skip]
        new = emitted[time] + _log_sum(ways)
        forward = ops.where(ops.expand_dims(ops.greater(steps, time), 1), new, forward)
    position = ops.iota((width,))
    last = ops.expand_dims(labels * 2, 1)
    is_end = ops.logical_or(ops.equal(position, last), ops.equal(position, last - 1))
    ends = ops.where(is_end, forward, _LEAST)
    return _log_sum([ends[:, place] for place in range(width)])


def _with_blanks(targets: Value, blank: int) -> Value:
    count, length = targets.type.sizes
    blanks = ops.full((count, length), blank, targets.dtype)
    pairs = ops.reshape(ops.stack([blanks, targets], 2), (count, 2 * length))
    return ops.concatenate([pairs, blanks[:, :1]], 1)


def _shifted(forward: Value, by: int) -> Value:
    fill = ops.full((forward.type.sizes[0], by), _LEAST, forward.dtype)
    return ops.concatenate([fill, forward[:, :-by]], 1)


def _log_sum(terms: list[Value]) -> Value:
    """The logarithm of a sum of exponentials."""
    largest = terms[0]
    for term in terms[1:]:
        largest = ops.maximum(largest, term)
    largest = ops.stop_gradient(largest)
    total = ops.exp(terms[0] - largest)
    for term in terms[1:]:
        total = total + ops.exp(term - largest)
    return largest + ops.log(total)
