"""Normalisation of channels, over the batch or each image, as modules."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from numbanet.errors import ShapeError
from numbanet.nn import functional as F  # noqa: N812 - the name it is known by
from numbanet.nn.factory import element_type, new_buffer
from numbanet.nn.feature_normalization import Scaled
from numbanet.nn.functional.normalization import batch_norm_step
from numbanet.nn.init import ones_, zeros_
from numbanet.nn.lazy import LazyModuleMixin
from numbanet.nn.parameter import (
    Parameter,
    Uninitialized,
    UninitializedBuffer,
    UninitializedParameter,
)
from numbanet.tensors.functions.shapes import squeeze, unsqueeze
from numbanet.tensors.tensor import Tensor


class _Channels(Scaled):
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
