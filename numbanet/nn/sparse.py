"""Tables of vectors, looked up by index."""

from __future__ import annotations

from typing import Any, TypeVar

from numbanet.errors import ShapeError
from numbanet.nn import functional as F  # noqa: N812 - the name it is known by
from numbanet.nn import init
from numbanet.nn.factory import new_parameter
from numbanet.nn.functional.sparse import refuse_options, row_of
from numbanet.nn.module import Module
from numbanet.nn.parameter import Parameter
from numbanet.tensors.flush import assign
from numbanet.tensors.tensor import Tensor

Self = TypeVar("Self", bound="Embedding")


class Embedding(Module):
    """Row ``input[...]`` of a table.

    Parameters
    ----------
    num_embeddings : int
        Number of rows.
    embedding_dim : int
        Length of a row.
    padding_idx : int, optional
        A row that is first zero and gets no gradient; negative ones count from the end.
    max_norm, norm_type, scale_grad_by_freq, sparse
        Not supported, except for their defaults.
    device, dtype
        Of the table: the device in use, and float32 by default.

    Attributes
    ----------
    weight : Parameter
        ``[num_embeddings, embedding_dim]``, first normal with deviation one.
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        refuse_options(max_norm, scale_grad_by_freq, sparse)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else row_of(padding_idx, num_embeddings)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        shape = (num_embeddings, embedding_dim)
        if _weight is None:
            self.weight = new_parameter(shape, device, dtype)
            self.reset_parameters()
        elif _weight.shape != shape:
            raise ShapeError(
                "Embedding takes a table", got=str(_weight.tensor_type), expected=str(shape)
            )
        else:
            self.weight = Parameter(_weight)
        self.weight.requires_grad_(not _freeze)

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            numbers = self.weight.array().copy()
            numbers[self.padding_idx] = 0
            assign(self.weight, numbers)

    def forward(self, input: Tensor) -> Tensor:
        """Integers ``[...]`` to ``[..., embedding_dim]``."""
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """The sizes, and the padding."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"

    @classmethod
    def from_pretrained(
        cls: type[Self],
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """An embedding of a given table.

        Parameters
        ----------
        embeddings : Tensor
            ``[num_embeddings, embedding_dim]``; copied.
        freeze : bool
            Whether the table gets no gradient.
        padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
            As of the class.
        """
        if embeddings.ndim != 2:
            raise ShapeError("from_pretrained() takes a table", got=str(embeddings.tensor_type))
        return cls(
            embeddings.shape[0],
            embeddings.shape[1],
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight=embeddings,
            _freeze=freeze,
        )
