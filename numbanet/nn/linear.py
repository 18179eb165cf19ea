"""Products with learnt weights."""

from __future__ import annotations

import math
from typing import Any

from numbanet.errors import ArgumentError
from numbanet.nn import functional as F  # noqa: N812 - the name it is known by
from numbanet.nn import init
from numbanet.nn.conversion import check_device
from numbanet.nn.factory import element_type, new_parameter
from numbanet.nn.lazy import LazyModuleMixin
from numbanet.nn.module import Module
from numbanet.nn.parameter import Parameter, UninitializedParameter
from numbanet.tensors.tensor import Tensor


class Identity(Module):
    """Returns its input; takes any arguments and ignores them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """The input itself."""
        return input


class Linear(Module):
    """``x @ weight.T + bias``.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Whether there is one.
    device, dtype
        Of the parameters: the device in use, and float32 by default.

    Attributes
    ----------
    weight : Parameter
        ``[out_features, in_features]``, first uniform within ``1 / sqrt(in_features)``.
    bias : Parameter or None
        ``[out_features]``, first uniform within the same.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_sizes("Linear", in_features, out_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = new_parameter((out_features, in_features), device, dtype)
        _register_bias(self, out_features if bias else None, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        _draw(self.weight, self.bias, self.in_features)

    def forward(self, input: Tensor) -> Tensor:
        """``[..., in_features]`` to ``[..., out_features]``."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes, and whether there is a bias."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class LazyLinear(LazyModuleMixin, Linear):
    """`Linear` that takes ``in_features`` from its first input.

    Parameters
    ----------
    out_features : int
    bias : bool
        Whether there is one.
    device, dtype
        Of the parameters.
    """

    cls_to_become = Linear

    def __init__(
        self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        check_device(device)
        super().__init__(0, 0, bias, device, dtype)
        _check_sizes("LazyLinear", out_features)
        self.out_features = out_features
        self.weight = UninitializedParameter(dtype=element_type(dtype))
        if bias:
            self.bias = UninitializedParameter(dtype=element_type(dtype))

    def reset_parameters(self) -> None:
        """Draw the parameters anew, if they are there."""
        if not self.has_uninitialized_params() and self.in_features:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Give the parameters their shapes and first numbers."""
        self.in_features = input.shape[-1]
        if not self.has_uninitialized_params():
            return
        for parameter, shape in (
            (self.weight, (self.out_features, self.in_features)),
            (self.bias, (self.out_features,)),
        ):
            if isinstance(parameter, UninitializedParameter):
                parameter.materialize(shape)
        self.reset_parameters()


class Bilinear(Module):
    """``y[o] = x1 @ weight[o] @ x2 + bias[o]``.

    Parameters
    ----------
    in1_features, in2_features, out_features : int
    bias : bool
        Whether there is one.
    device, dtype
        Of the parameters: the device in use, and float32 by default.

    Attributes
    ----------
    weight : Parameter
        ``[out_features, in1_features, in2_features]``, first uniform within
        ``1 / sqrt(in1_features)``.
    bias : Parameter or None
        ``[out_features]``, first uniform within the same.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_sizes("Bilinear", in1_features, in2_features, out_features)
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = new_parameter((out_features, in1_features, in2_features), device, dtype)
        _register_bias(self, out_features if bias else None, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        _draw(self.weight, self.bias, self.in1_features)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """``[..., in1_features]`` and ``[..., in2_features]`` to ``[..., out_features]``."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes, and whether there is a bias."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


def _check_sizes(name: str, *sizes: int) -> None:
    if min(sizes) < 0:
        raise ArgumentError(f"{name} takes numbers of features", got=str(sizes))


def _register_bias(module: Module, size: int | None, device: Any, dtype: Any) -> None:
    bias = None if size is None else new_parameter((size,), device, dtype)
    module.register_parameter("bias", bias)


def _draw(weight: Parameter, bias: Parameter | None, inputs: int) -> None:
    """Uniform numbers within ``1 / sqrt(inputs)``."""
    bound = 1 / math.sqrt(inputs) if inputs else 0.0
    init.uniform_(weight, -bound, bound)
    if bias is not None:
        init.uniform_(bias, -bound, bound)
