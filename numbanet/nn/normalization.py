"""Normalisation as modules."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from numbanet.errors import ArgumentError, ShapeError
from numbanet.nn import functional as F  # noqa: N812 - the name it is known by
from numbanet.nn.factory import element_type, new_buffer, new_parameter
from numbanet.nn.functional.normalization import batch_norm_step
from numbanet.nn.init import ones_, zeros_
from numbanet.nn.lazy import LazyModuleMixin
from numbanet.nn.module import Module
from numbanet.nn.parameter import (
    Parameter,
    Uninitialized,
    UninitializedBuffer,
    UninitializedParameter,
)
from numbanet.tensors.functions.shapes import squeeze, unsqueeze
from numbanet.tensors.tensor import Tensor


class _Scaled(Module):
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


class _Channels(_Scaled):
    """Base: normalisation of channels, with running statistics.

    ``ranks`` are the numbers of axes that the input may have.
    """

    ranks: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._make_parameters((num_features,), affine, affine and bias, device, dtype)
        self._make_statistics(element_type(dtype))

    def _make_statistics(self, dtype: Any) -> None:
        shape = (self.num_features,)
        for name, new in (
            ("running_mean", lambda: new_buffer(shape, 0, dtype)),
            ("running_var", lambda: new_buffer(shape, 1, dtype)),
            ("num_batches_tracked", lambda: new_buffer((), 0, "int64")),
        ):
            self.register_buffer(name, new() if self.track_running_stats else None)

    def reset_running_stats(self) -> None:
        """Forget all batches: mean zero, variance one."""
        if self.running_mean is not None:
            zeros_(self.running_mean)
            ones_(self.running_var)
            zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Set scale and shift to one and zero, and forget all batches."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_rank(self, input: Tensor) -> None:
        if input.ndim not in self.ranks:
            raise ShapeError(
                f"{type(self).__name__} takes an input of other axes",
                got=str(input.tensor_type),
                expected=" or ".join(f"{rank} axes" for rank in self.ranks),
            )

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Channels):
    """Base: batch normalisation, whatever the number of axes."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Tensor:
        """``[N, C, ...]`` to the same."""
        self._check_rank(input)
        mean, var = self.running_mean, self.running_var
        if not self.training and mean is not None:
            return F.batch_norm(input, mean, var, self.weight, self.bias, eps=self.eps)
        # A user may have switched tracking off after the statistics were made.
        moves = self.training and self.track_running_stats and mean is not None
        running = (mean, var, self.num_batches_tracked) if moves else (None, None, None)
        return batch_norm_step(input, running, self.weight, self.bias, self.momentum, self.eps)


class BatchNorm1d(_BatchNorm):
    """Normalises each channel over the batch and all pixels (Ioffe and Szegedy, 2015).

    In training the batch's own mean and variance normalise it, and the running ones move
    towards them; otherwise the running ones normalise. As a layer of a `numbanet.Model` the
    running ones move too, but ``num_batches_tracked`` stays.

    Inputs are ``[N, C]`` or ``[N, C, L]``.

    Parameters
    ----------
    num_features : int
        Number of channels.
    eps : float
        Added to the variance.
    momentum : float or None
        How far running values move towards the batch's. None: they are the plain averages over
        all batches.
    affine : bool
        Whether there are a scale and a shift.
    track_running_stats : bool
        Whether there are running values; otherwise the batch's own are used always.
    device, dtype
        Of parameters and buffers: the device in use, and float32 by default.
    bias : bool
        Whether there is a shift, if ``affine``.
    """

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` of ``[N, C, H, W]``."""

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` of ``[N, C, D, H, W]``."""

    ranks = (5,)


class _InstanceNorm(_Channels):
    """Base: instance normalisation, whatever the number of axes."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Tensor:
        """``[N, C, ...]``, or ``[C, ...]`` without a batch, to the same."""
        self._check_rank(input)
        is_batchless = input.ndim == self.ranks[0]
        self._check_channels(input.shape[0 if is_batchless else 1])
        if is_batchless:
            return squeeze(self._normalised(unsqueeze(input, 0)), 0)
        return self._normalised(input)

    def _check_channels(self, channels: int) -> None:
        if channels == self.num_features:
            return
        if self.affine:
            raise ShapeError(
                f"{type(self).__name__} takes another number of channels",
                got=str(channels),
                expected=str(self.num_features),
            )
        warnings.warn(
            f"{type(self).__name__} of {self.num_features} channels got {channels}, which "
            "makes no difference without affine=True",
            stacklevel=4,
        )

    def _normalised(self, input: Tensor) -> Tensor:
        return F.instance_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )


class InstanceNorm1d(_InstanceNorm):
    """Normalises each channel of each sample over its pixels (Ulyanov et al., 2016).

    Inputs are ``[N, C, L]`` or ``[C, L]``.

    Parameters
    ----------
    num_features : int
        Number of channels.
    eps : float
        Added to the variance.
    momentum : float
        How far running values move towards the batch's means.
    affine : bool
        Whether there are a scale and a shift.
    track_running_stats : bool
        Whether there are running values, which normalise outside of training.
    device, dtype
        Of parameters and buffers: the device in use, and float32 by default.
    bias : bool
        Whether there is a shift, if ``affine``.
    """

    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` of ``[N, C, H, W]`` or ``[C, H, W]``."""

    ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` of ``[N, C, D, H, W]`` or ``[C, D, H, W]``."""

    ranks = (4, 5)


class _LazyChannels(LazyModuleMixin, _Channels):
    """Takes the number of channels from its first input; parameters as of the plain module."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            0, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        for name, held in (*self._parameters.items(), *self._buffers.items()):
            if isinstance(held, Parameter):
                setattr(self, name, UninitializedParameter(dtype=held.dtype))
            elif held is not None and held.ndim:
                setattr(self, name, UninitializedBuffer(held.dtype))

    def reset_parameters(self) -> None:
        """Set everything to its first numbers, if it is there."""
        if not self.has_uninitialized_params() and self.num_features:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Give parameters and running values their shapes and first numbers."""
        # Where the batch may be missing, the fewest axes are those of one sample.
        is_batchless = isinstance(self, _InstanceNorm) and len(input.shape) == self.ranks[0]
        self.num_features = input.shape[0 if is_batchless else 1]
        if not self.has_uninitialized_params():
            return
        for each in (*self._parameters.values(), *self._buffers.values()):
            if isinstance(each, Uninitialized):
                each.materialize((self.num_features,))
        self.reset_parameters()


class LazyBatchNorm1d(_LazyChannels, BatchNorm1d):
    """`BatchNorm1d` that takes ``num_features`` from its first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyChannels, BatchNorm2d):
    """`BatchNorm2d` that takes ``num_features`` from its first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyChannels, BatchNorm3d):
    """`BatchNorm3d` that takes ``num_features`` from its first input."""

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(_LazyChannels, InstanceNorm1d):
    """`InstanceNorm1d` that takes ``num_features`` from its first input."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyChannels, InstanceNorm2d):
    """`InstanceNorm2d` that takes ``num_features`` from its first input."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyChannels, InstanceNorm3d):
    """`InstanceNorm3d` that takes ``num_features`` from its first input."""

    cls_to_become = InstanceNorm3d


class LayerNorm(_Scaled):
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


class RMSNorm(_Scaled):
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


class GroupNorm(_Scaled):
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
