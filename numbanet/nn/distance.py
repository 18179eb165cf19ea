"""Distances and angles between vectors, as modules."""

from __future__ import annotations

from numbanet.nn import functional as F  # noqa: N812 - the name it is known by
from numbanet.nn.module import Module
from numbanet.tensors.tensor import Tensor


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along ``dim``.

    Parameters
    ----------
    dim : int
    eps : float
        Vectors shorter than this count as of this length.
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Tensors of shapes that broadcast to one without ``dim``."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of ``x1 - x2 + eps`` along the last axis.

    Parameters
    ----------
    p : float
    eps : float
        Added to each difference.
    keepdim : bool
        Whether the last axis stays, with size one.
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """``[N, D]`` and ``[N, D]``, or ``[D]``, to ``[N]`` or a number."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
