"""A table of vectors, looked up by id."""

from __future__ import annotations

from numbanet import initializers, ops
from numbanet.errors import ArgumentError, DTypeError
from numbanet.initializers import InitializerLike
from numbanet.ir import Value, Variable
from numbanet.layers.module import Module, is_size
from numbanet.ops.leaf import variable_value


class Embedding(Module):
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
    name : str, optional
    """

    embeddings: Variable

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: InitializerLike = "random_uniform",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if not (is_size(input_dim) and is_size(output_dim)):
            raise ArgumentError(
                "Embedding takes positive sizes", got=f"{input_dim} and {output_dim}"
            )
        self.input_dim = input_dim
        self.output_dim = output_dim
        self.embeddings_initializer = initializers.get(embeddings_initializer)

    def build(self, ids: Value) -> None:
        shape = (self.input_dim, self.output_dim)
        self.embeddings = self.parameter("embeddings", shape, self.embeddings_initializer)

    def forward(self, ids: Value) -> Value:
        if not ids.dtype.is_integer:
            raise DTypeError(
                f"{self.label} takes integer ids",
                got=ids.dtype.value,
                mend="Declare the input as Input(shape, dtype='int64')",
            )
        return ops.take(variable_value(self.embeddings), ids)
