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

Self = TypeVar("Self", bound="_Table")


class _Table(Module):
    """A table of rows: what the look-ups share."""

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        weight: Tensor | None,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        refuse_options("embedding", max_norm, scale_grad_by_freq, sparse)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else row_of(padding_idx, num_embeddings)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        shape = (num_embeddings, embedding_dim)
        if weight is None:
            self.weight = new_parameter(shape, device, dtype)
            self.reset_parameters()
        elif weight.shape != shape:
            raise ShapeError(
                f"{type(self).__name__} takes a table",
                got=str(weight.tensor_type),
                expected=str(shape),
            )
        else:
            self.weight = Parameter(weight)

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            numbers = self.weight.array().copy()
            numbers[self.padding_idx] = 0
            assign(self.weight, numbers)

    @classmethod
    def _of(cls: type[Self], embeddings: Tensor, freeze: bool, **options: Any) -> Self:
        """One that has ``embeddings`` for its table."""
        if embeddings.ndim != 2:
            raise ShapeError("from_pretrained() takes a table", got=str(embeddings.tensor_type))
        make: Any = cls
        made = make(*embeddings.shape, _weight=embeddings, **options)
        made.weight.requires_grad_(not freeze)
        return made


class Embedding(_Table):
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
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            device,
            dtype,
        )
        self.weight.requires_grad_(not _freeze)

    def forward(self, input: Tensor) -> Tensor:
        """Integers ``[...]`` to ``[..., embedding_dim]``."""
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """The sizes, and the padding."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
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
        return cls._of(
            embeddings,
            freeze,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
        )


class EmbeddingBag(_Table):
    """Sums, means or maxima of bags of rows of a table; see `functional.embedding_bag`.

    Parameters
    ----------
    num_embeddings, embedding_dim
        As of `Embedding`.
    mode : {"sum", "mean", "max"}
    include_last_offset : bool
        Whether offsets end with the number of elements.
    padding_idx : int, optional
        A row that is in no bag, and first zero.
    max_norm, norm_type, scale_grad_by_freq, sparse
        Not supported, except for their defaults.
    device, dtype
        Of the table: the device in use, and float32 by default.

    Attributes
    ----------
    weight : Parameter
        ``[num_embeddings, embedding_dim]``, first normal with deviation one.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            device,
            dtype,
        )
        self.mode, self.include_last_offset = mode, include_last_offset

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        """Integers ``[B, N]``, or ``[L]`` with offsets ``[B]``, to ``[B, embedding_dim]``."""
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            mode=self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    def extra_repr(self) -> str:
        """The sizes, the mode, and the padding."""
        text = f"{self.num_embeddings}, {self.embedding_dim}, mode={self.mode!r}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """Bags of a given table; arguments as of `Embedding.from_pretrained` and the class."""
        return cls._of(
            embeddings,
            freeze,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            mode=mode,
            sparse=sparse,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
        )
