"""Sequences of different lengths: padded to one, and packed so that recurrent networks skip
the padding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import DType, Value
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions import narrow, transpose
from numbanet.tensors.functions.indexing import getitem, pick
from numbanet.tensors.tensor import Tensor


class PackedSequence:
    """Sequences without their padding, as recurrent networks take them.

    PyTorch keeps the elements of all sequences in one table, whose number of rows changes with
    each batch. Programs are planned for shapes, so here the padded tensor is kept, with the
    lengths as data; the table is made when somebody asks for it.

    Parameters
    ----------
    data : Tensor
        The table: the elements of all sequences at the first moment, then at the second, and so
        on; longer sequences first.
    batch_sizes : Tensor
        How many sequences there are at each moment: decreasing integers on the host.
    sorted_indices, unsorted_indices : Tensor, optional
        Which sequence each of the table's was in the order of the caller's, and the inverse;
        either is enough.
    """

    def __init__(
        self,
        data: Tensor,
        batch_sizes: Tensor,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> None:
        sizes = batch_sizes.array()
        order = None if sorted_indices is None else sorted_indices.array()
        if order is None and unsorted_indices is not None:
            order = np.argsort(unsorted_indices.array())
        lengths = np.count_nonzero(np.arange(sizes[0]) < sizes[:, None], axis=0)
        starts = np.cumsum(sizes) - sizes
        places = np.where(
            np.arange(sizes[0]) < sizes[:, None], starts[:, None] + np.arange(sizes[0]), 0
        )
        if order is not None:
            places, lengths = places[:, np.argsort(order)], lengths[np.argsort(order)]
        self._keep(pick(data, Tensor.wrap(places)), lengths, order)

    def _keep(self, padded: Tensor, lengths: np.ndarray, order: np.ndarray | None) -> None:
        self.padded = padded
        self.lengths = Tensor.wrap(lengths.astype(np.int64))
        self._order = order

    @classmethod
    def of(cls, padded: Tensor, lengths: np.ndarray, order: np.ndarray | None) -> Any:
        """Of ``padded`` ``[T, N, ...]`` in the caller's order; ``order`` sorts by length."""
        packed = cls.__new__(cls)
        packed._keep(padded, lengths, order)
        return packed

    def like(self, padded: Tensor) -> PackedSequence:
        """The same lengths of other sequences."""
        return PackedSequence.of(padded, self.lengths.array(), self._order)

    @property
    def data(self) -> Tensor:
        lengths = self.lengths.array()
        order = np.arange(len(lengths)) if self._order is None else self._order
        moments, ranks = np.nonzero(np.arange(self.padded.shape[0])[:, None] < lengths[order])
        return pick(self.padded, (Tensor.wrap(moments), Tensor.wrap(order[ranks])))

    @property
    def batch_sizes(self) -> Tensor:
        moments = np.arange(self.padded.shape[0])[:, None]
        return Tensor.wrap(np.count_nonzero(moments < self.lengths.array(), axis=1))

    @property
    def sorted_indices(self) -> Tensor | None:
        return None if self._order is None else Tensor.wrap(self._order.copy())

    @property
    def unsorted_indices(self) -> Tensor | None:
        return None if self._order is None else Tensor.wrap(np.argsort(self._order))

    def __repr__(self) -> str:
        names = ("data", "batch_sizes", "sorted_indices", "unsorted_indices")
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"PackedSequence({shown})"


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Padded sequences with their lengths, for a recurrent network.

    Parameters
    ----------
    input : Tensor
        ``[T, N, ...]``, or ``[N, T, ...]`` if ``batch_first``.
    lengths : sequence of int, or Tensor
        Of each sequence, at least 1; read at once.
    enforce_sorted : bool
        Whether sequences must come in decreasing order of length. Nothing is faster for it.

    Raises
    ------
    ShapeError
        If there is not a length for each sequence, or the longest is longer than ``T``.
    ArgumentError
        If a length is not positive, or the order is not what it must be.
    """
    counts = _counts(lengths)
    padded = transpose(input, 0, 1) if batch_first else input
    moments, batch = padded.shape[:2]
    if counts.shape != (batch,) or counts.max(initial=0) > moments:
        raise ShapeError(
            "pack_padded_sequence() takes a length for each sequence",
            got=str(counts.tolist()),
            expected=f"{batch} of 1 to {moments}",
        )
    if counts.min() < 1:
        raise ArgumentError("a packed sequence has elements", got=str(counts.tolist()))
    if enforce_sorted and (np.diff(counts) > 0).any():
        raise ArgumentError(
            "lengths do not decrease",
            got=str(counts.tolist()),
            mend="Pass enforce_sorted=False",
        )
    longest = int(counts.max())
    order = None if enforce_sorted else np.argsort(-counts, kind="stable")
    return PackedSequence.of(
        padded if longest == moments else narrow(padded, 0, 0, longest), counts, order
    )


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The sequences padded to one length again, and their lengths.

    Parameters
    ----------
    padding_value : float
    total_length : int, optional
        To pad to; that of the longest sequence by default.

    Returns
    -------
    (Tensor, Tensor)
        ``[T, N, ...]``, or ``[N, T, ...]`` if ``batch_first``; int64 ``[N]``.

    Raises
    ------
    ArgumentError
        If a sequence is longer than ``total_length``.
    """
    longest = sequence.padded.shape[0]
    total = longest if total_length is None else total_length
    if total < longest:
        raise ArgumentError(
            "a sequence is longer than total_length", got=str(longest), expected=str(total)
        )
    padded = _refilled(
        sequence.padded, sequence.lengths, total, float(padding_value), batch_first
    )
    return padded, Tensor.wrap(sequence.lengths.array().copy())


@tensor_function
def _refilled(
    padded: Value, lengths: Value, total: int, padding_value: float, batch_first: bool
) -> Value:
    """``padding_value`` where sequences have ended, up to ``total`` moments."""
    longest = padded.type.sizes[0]
    if total > longest:
        padded = ops.pad(padded, [(0, total - longest)] + [(0, 0)] * (padded.rank - 1))
    moments = ops.iota((total, 1), 0, lengths.dtype)
    is_there = ops.expand_dims(ops.less(moments, lengths), tuple(range(2, padded.rank)))
    filled = ops.where(is_there, padded, padding_value)
    return ops.transpose(filled, (1, 0, *range(2, padded.rank))) if batch_first else filled


def pad_sequence(
    sequences: Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences ``[L, ...]`` of different lengths, padded to the longest and stacked.

    Parameters
    ----------
    sequences : iterable of Tensor
        Alike in all axes but the first.
    batch_first : bool
        Whether the result is ``[N, T, ...]``, not ``[T, N, ...]``.
    padding_side : {"right", "left"}

    Raises
    ------
    ShapeError
        If there are none, or they are not alike.
    ArgumentError
        If ``padding_side`` is something else.
    """
    given = list(sequences)
    if padding_side not in ("right", "left"):
        raise ArgumentError("unknown padding_side", got=repr(padding_side), expected="a side")
    if not given or len({(tuple(each.shape[1:]), each.dtype) for each in given}) != 1:
        raise ShapeError(
            "pad_sequence() takes sequences that differ in length only",
            got=", ".join(str(each.tensor_type) for each in given) or "none",
        )
    longest = max(each.shape[0] for each in given)
    lengths = Tensor.wrap(np.array([each.shape[0] for each in given]))
    if any(each.requires_grad for each in given):
        padded = _stacked(given, lengths, longest, float(padding_value), padding_side)
    else:
        padded = Tensor.wrap(_filled(given, longest, padding_value, padding_side))
    return padded if batch_first else transpose(padded, 0, 1)


def _filled(
    sequences: list[Tensor], longest: int, padding_value: float, padding_side: str
) -> np.ndarray:
    """On the host, where batches of data are made: each has other lengths."""
    arrays = [each.array() for each in sequences]
    padded = np.full(
        (len(arrays), longest, *arrays[0].shape[1:]), padding_value, arrays[0].dtype
    )
    for row, array in zip(padded, arrays, strict=True):
        first = longest - len(array) if padding_side == "left" else 0
        row[first : first + len(array)] = array
    return padded


@tensor_function
def _stacked(
    sequences: Sequence[Value],
    lengths: Value,
    longest: int,
    padding_value: float,
    padding_side: str,
) -> Value:
    rows = []
    for each in sequences:
        missing = longest - each.type.sizes[0]
        sides = (missing, 0) if padding_side == "left" else (0, missing)
        rows.append(ops.pad(each, [sides] + [(0, 0)] * (each.rank - 1)))
    moments = ops.iota((1, longest), 1, lengths.dtype)
    if padding_side == "left":
        moments = longest - 1 - moments
    stacked = ops.stack(rows)
    is_there = ops.less(moments, ops.expand_dims(lengths, 1))
    return ops.where(
        ops.expand_dims(is_there, tuple(range(2, stacked.rank))), stacked, padding_value
    )


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences ``[L, ...]`` of different lengths, for a recurrent network.

    Raises
    ------
    ShapeError, ArgumentError
        As `pad_sequence` and `pack_padded_sequence`.
    """
    lengths = [each.shape[0] for each in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, False, enforce_sorted)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The sequences ``[L, ...]`` that were padded; lengths are read at once."""
    rows = padded_sequences if batch_first else transpose(padded_sequences, 0, 1)
    return [
        getitem(rows, (place, slice(int(count))))
        for place, count in enumerate(_counts(lengths))
    ]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences ``[L, ...]`` that were packed."""
    return unpad_sequence(packed_sequences.padded, packed_sequences.lengths)


def _counts(lengths: Tensor | Sequence[int]) -> np.ndarray:
    given = lengths.array() if isinstance(lengths, Tensor) else [int(each) for each in lengths]
    counts = np.asarray(given)
    if counts.ndim != 1 or counts.dtype.kind not in "iu":
        raise ShapeError("lengths are a vector of integers", got=str(counts.shape))
    return counts.astype(DType.INT64.numpy)
