"""Dropout: noise that training adds and inference does without."""

from __future__ import annotations

import math

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.nn.functional.in_place import in_place_function

_SATURATED = -1.7580993408473766
"""What SELU gives far below zero, ``-scale * alpha``: alpha dropout puts it for a zero."""


@in_place_function
def dropout(
    input: Value, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Value:
    """Zero each number with probability ``p``; scale the others by ``1 / (1 - p)``.

    (Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
    2014.)

    Parameters
    ----------
    input : Tensor
    p : float
        From 0 to 1.
    training : bool
        Otherwise the result is the input.
    inplace : bool
        Whether the input takes the result.
    """
    if not _is_active("dropout", p, training):
        return input
    if p == 1:
        return input * 0.0
    return ops.dropout(input, p, *ops.random_state())


@in_place_function
def dropout1d(
    input: Value, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Value:
    """`dropout` of whole channels of ``[N, C, L]`` or ``[C, L]`` (Tompson et al., 2015)."""
    return _channel_dropout("dropout1d", input, p, training, (2, 3), 1)


@in_place_function
def dropout2d(
    input: Value, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Value:
    """`dropout` of whole channels of ``[N, C, H, W]`` (Tompson et al., 2015).

    Of three axes the first two count as samples and channels, as in PyTorch.
    """
    return _channel_dropout("dropout2d", input, p, training, (3, 4), 2)


@in_place_function
def dropout3d(
    input: Value, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Value:
    """`dropout` of whole channels of ``[N, C, D, H, W]`` or ``[C, D, H, W]``."""
    return _channel_dropout("dropout3d", input, p, training, (4, 5), 1)


@in_place_function
def alpha_dropout(
    input: Value, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Value:
    """Dropout that keeps zero mean and unit variance, made for SELU (Klambauer et al., 2017).

    Dropped numbers become SELU's saturation value; then all are scaled and shifted.
    """
    return _alpha_dropout("alpha_dropout", input, p, training, input.rank)


@in_place_function
def feature_alpha_dropout(
    input: Value, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Value:
    """`alpha_dropout` of whole channels of ``[N, C, ...]``."""
    if input.rank < 2:
        raise ShapeError("feature_alpha_dropout() needs channels", got=str(input.type))
    return _alpha_dropout("feature_alpha_dropout", input, p, training, 2)


def _is_active(name: str, p: float, training: bool) -> bool:
    if not 0 <= p <= 1:
        raise ArgumentError(f"{name}() takes a probability", got=str(p), expected="0 <= p <= 1")
    return training and p > 0


def _channel_dropout(
    name: str, x: Value, p: float, training: bool, ranks: tuple[int, int], batchless: int
) -> Value:
    """``batchless``: how many of the first axes the mask has where the batch's is missing."""
    if x.rank not in ranks:
        raise ShapeError(
            f"{name}() of other axes",
            got=str(x.type),
            expected=f"{ranks[0]} or {ranks[1]} axes",
        )
    if not _is_active(name, p, training):
        return x
    if p == 1:
        return x * 0.0
    axes = batchless if x.rank == ranks[0] else 2
    return x * ops.dropout(_ones(x, axes), p, *ops.random_state())


def _alpha_dropout(name: str, x: Value, p: float, training: bool, axes: int) -> Value:
    if not _is_active(name, p, training):
        return x
    if p == 1:
        return x * 0.0
    a = 1 / math.sqrt((1 - p) * (1 + p * _SATURATED**2))
    shift = -a * _SATURATED * p
    drawn = ops.dropout(_ones(x, axes), p, *ops.random_state())
    # At inference what is drawn is the one that it was drawn from, and the input stays.
    kept = ops.where(ops.equal(drawn, 1), x, x * a + shift)
    return ops.where(drawn > 0, kept, a * _SATURATED + shift)


def _ones(x: Value, axes: int) -> Value:
    """Ones of the shape of ``x`` in its first axes, and of size one in the others."""
    return ops.ones_like(x[(slice(None),) * axes + (slice(0, 1),) * (x.rank - axes)])
