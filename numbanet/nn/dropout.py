"""Dropout as modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from numbanet.errors import ArgumentError
from numbanet.nn import functional as F  # noqa: N812 - the name it is known by
from numbanet.nn.module import Module
from numbanet.tensors.tensor import Tensor


class _Dropout(Module):
    """Base: a function of the input, ``p``, whether it is training, and ``inplace``."""

    function: ClassVar[Callable[..., Any]]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ArgumentError(
                f"{type(self).__name__} takes a probability", got=str(p), expected="0 <= p <= 1"
            )
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Of the input's shape; the input itself outside of training."""
        return type(self).function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The probability, and whether it happens in place."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, zeroes each number with probability ``p`` and scales the others.

    Parameters
    ----------
    p : float
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.dropout)


class Dropout1d(_Dropout):
    """`Dropout` of whole channels of ``[N, C, L]`` or ``[C, L]``.

    Parameters
    ----------
    p : float
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """`Dropout` of whole channels of ``[N, C, H, W]``.

    Parameters
    ----------
    p : float
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.dropout2d)


class Dropout3d(_Dropout):
    """`Dropout` of whole channels of ``[N, C, D, H, W]`` or ``[C, D, H, W]``.

    Parameters
    ----------
    p : float
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.dropout3d)


class AlphaDropout(_Dropout):
    """Dropout that keeps zero mean and unit variance, made for `SELU`.

    Parameters
    ----------
    p : float
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels of ``[N, C, ...]``.

    Parameters
    ----------
    p : float
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.feature_alpha_dropout)
