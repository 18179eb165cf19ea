"""Where sequences begin: a table of vectors, looked up by id, and masks of padding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numbanet import ops
from numbanet.errors import ArgumentError, DTypeError
from numbanet.initializers import InitializerLike
from numbanet.ir import DType, Value, Variable
from numbanet.layers.layer import ConstraintLike, Layer, RegularizerLike
from numbanet.layers.module import is_size
from numbanet.ops.leaf import variable_value


class Embedding(Layer):
    """Row ``ids[...]`` of a trainable table: integers ``(batch, ...)`` to
    ``(batch, ..., output_dim)``.

    Parameters
    ----------
    input_dim : int
        Number of rows; ids are in ``0 .. input_dim - 1``.
    output_dim : int
        Length of a row.
    embeddings_initializer : str, Initializer or callable
        By default uniform in [-0.05, 0.05).
    embeddings_regularizer, embeddings_constraint : str or callable, optional
    mask_zero : bool
        Whether id 0 is padding: the output has a mask of where it is not.
    weights : array_like, optional
        The first numbers of the table, or a list with them.
    **options
        As of `Layer`; the table's dtype is float32 by default.
    """

    embeddings: Variable

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: InitializerLike = "uniform",
        embeddings_regularizer: RegularizerLike = None,
        embeddings_constraint: ConstraintLike = None,
        mask_zero: bool = False,
        weights: ArrayLike | list[ArrayLike] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not (is_size(input_dim) and is_size(output_dim)):
            raise ArgumentError(
                "Embedding takes positive sizes", got=f"{input_dim} and {output_dim}"
            )
        self.mask_zero = self.supports_masking = mask_zero
        self.input_dim = input_dim
        self.output_dim = output_dim
        table = None if weights is None else np.asarray(weights)
        if table is not None and table.size != input_dim * output_dim:
            raise ArgumentError(
                "Embedding takes weights of its table's shape",
                got=str(table.shape),
                expected=str((input_dim, output_dim)),
            )
        self.describe(
            "embeddings",
            embeddings_initializer if table is None else lambda shape, _: table.reshape(shape),
            embeddings_regularizer,
            embeddings_constraint,
        )

    def build(self, ids: Value) -> None:
        shape = (self.input_dim, self.output_dim)
        self.embeddings = self.weight("embeddings", shape, self.dtype or DType.FLOAT32)

    def forward(self, ids: Value) -> Value:
        if not ids.dtype.is_integer:
            raise DTypeError(
                f"{self.label} takes integer ids",
                got=ids.dtype.value,
                mend="Declare the input as Input(shape, dtype='int64')",
            )
        return ops.take(variable_value(self.embeddings), ids)

    def compute_mask(self, inputs: Value, previous_mask: Value | None = None) -> Value | None:
        return ops.not_equal(inputs, 0) if self.mask_zero else None


class Masking(Layer):
    """Gives sequences ``(batch, steps, features)`` a mask, and makes masked steps zeros.

    Parameters
    ----------
    mask_value : float
        A step counts if any of its features is another number.
    **options
        As of `Layer`.
    """

    def __init__(self, mask_value: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.mask_value = mask_value

    def forward(self, x: Value) -> Value:
        return ops.where(ops.expand_dims(self.compute_mask(x), -1), x, 0)

    def compute_mask(self, inputs: Value, previous_mask: Value | None = None) -> Value:
        differs = ops.not_equal(inputs, self.mask_value)
        return ops.max(ops.cast(differs, inputs.dtype), -1) > 0
