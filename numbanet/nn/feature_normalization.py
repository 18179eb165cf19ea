"""Normalisation of features, group by group, as modules."""

from __future__ import annotations

from typing import Any

from numbanet.errors import ArgumentError
from numbanet.nn import functional as F  # noqa: N812 - the name it is known by
from numbanet.nn.factory import new_parameter
from numbanet.nn.init import ones_, zeros_
from numbanet.nn.module import Module
from numbanet.nn.parameter import Parameter
from numbanet.tensors.tensor import Tensor


class Scaled(Module):
    """Base: a scale and a shift, first one and zero, either of which may be missing."""

    weight: Parameter | None
    bias: Parameter | None

    def _make_parameters(
        self, shape: tuple[int, ...], scale: bool, shift: bool, device: Any, dtype: Any
    ) -> None:
        for name, is_there, number in (("weight", scale, 1.0), ("bias", shift, 0.0)):
            made = new_parameter(shape, device, dtype, number=number) if is_there else None
            self.register_parameter(name, made)

    def reset_parameters(self) -> None:
        """Set the scale to one and the shift to zero."""
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)


class LayerNorm(Scaled):
    """Normalises each sample over its last axes (Ba, Kiros and Hinton, 2016).

    Parameters
    ----------
    normalized_shape : int or sequence of int
        What the input's shape ends with.
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Whether there are a scale and a shift.
    bias : bool
        Whether there is a shift, if ``elementwise_affine``.
    device, dtype
        Of the parameters: the device in use, and float32 by default.
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        shift = elementwise_affine and bias
        self._make_parameters(self.normalized_shape, elementwise_affine, shift, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """``[..., *normalized_shape]`` to the same."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Scaled):
    """Divides each sample by its root mean square over its last axes.

    (Zhang and Sennrich, "Root mean square layer normalization", 2019.)

    Parameters
    ----------
    normalized_shape : int or sequence of int
        What the input's shape ends with.
    eps : float, optional
        Added to the mean square; by default the dtype's epsilon.
    elementwise_affine : bool
        Whether there is a scale.
    device, dtype
        Of the parameter: the device in use, and float32 by default.
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        made = new_parameter(self.normalized_shape, device, dtype, number=1.0)
        self.register_parameter("weight", made if elementwise_affine else None)

    def reset_parameters(self) -> None:
        """Set the scale to one."""
        if self.weight is not None:
            ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """``[..., *normalized_shape]`` to the same."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(Scaled):
    """Normalises each sample over groups of channels and all pixels (Wu and He, 2018).

    Parameters
    ----------
    num_groups : int
        Divides ``num_channels``.
    num_channels : int
    eps : float
        Added to the variance.
    affine : bool
        Whether there are a scale and a shift.
    device, dtype
        Of the parameters: the device in use, and float32 by default.
    bias : bool
        Whether there is a shift, if ``affine``.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ArgumentError(
                "GroupNorm needs groups of equal size",
                got=f"{num_channels} channels, {num_groups} groups",
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make_parameters((num_channels,), affine, affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """``[N, C, ...]`` to the same."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """Divides each number by a power of the mean square of its neighbours across channels.

    (Krizhevsky, Sutskever and Hinton, 2012.)

    Parameters
    ----------
    size : int
        Number of neighbouring channels.
    alpha, beta, k : float
        The divisor is ``(k + alpha * mean square) ** beta``.
    """

    def __init__(
        self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
    ) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        """``[N, C, ...]`` to the same."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _as_shape(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, int) else tuple(shape)
