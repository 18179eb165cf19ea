"""Activation functions as modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from numbanet.errors import ShapeError
from numbanet.nn import functional as F  # noqa: N812 - the name it is known by
from numbanet.nn.factory import new_parameter
from numbanet.nn.init import constant_
from numbanet.nn.module import Module
from numbanet.nn.parameter import Parameter
from numbanet.tensors.tensor import Tensor


class Elementwise(Module):
    """Base of modules that are a function with settings: attributes of the same names.

    A subclass sets ``function``, which takes the settings in their order, and overrides
    ``extra_repr`` where PyTorch does not print all settings but an ``inplace`` that is false.
    """

    function: ClassVar[Callable[..., Any]]

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self._settings = tuple(settings)
        for name, setting in settings.items():
            setattr(self, name, setting)

    def forward(self, input: Tensor) -> Tensor:
        """The function of ``input``, of any shape."""
        return type(self).function(input, *[getattr(self, name) for name in self._settings])

    def extra_repr(self) -> str:
        """``name=value`` of each setting."""
        shown = ((name, getattr(self, name)) for name in self._settings)
        return ", ".join(f"{k}={v!r}" for k, v in shown if k != "inplace" or v)


class _Plain(Elementwise):
    """Without settings; PyTorch's take any arguments and ignore them, these take none."""

    def __init__(self) -> None:
        super().__init__()


class _InPlace(Elementwise):
    """With the only setting ``inplace``: whether the input takes the result."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class ReLU(_InPlace):
    """``max(x, 0)``.

    Parameters
    ----------
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.relu)


class Hardtanh(Elementwise):
    """``min(max(x, min_val), max_val)``.

    Parameters
    ----------
    min_val, max_val : float
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.hardtanh)

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
    ) -> None:
        super().__init__(min_val=min_val, max_val=max_val, inplace=inplace)


class ReLU6(Hardtanh):
    """``min(max(x, 0), 6)``.

    Parameters
    ----------
    inplace : bool
        Whether the input takes the result.
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        """Only ``inplace``, if it is true."""
        return "inplace=True" if self.inplace else ""


class Hardsigmoid(_InPlace):
    """``relu6(x + 3) / 6``.

    Parameters
    ----------
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.hardsigmoid)

    def extra_repr(self) -> str:
        """Nothing."""
        return ""


class Hardswish(_InPlace):
    """``x * relu6(x + 3) / 6``.

    Parameters
    ----------
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.hardswish)

    def extra_repr(self) -> str:
        """Nothing."""
        return ""


class LeakyReLU(Elementwise):
    """``x`` where it is positive, ``negative_slope * x`` elsewhere.

    Parameters
    ----------
    negative_slope : float
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.leaky_relu)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(negative_slope=negative_slope, inplace=inplace)


class ELU(Elementwise):
    """``x`` where it is positive, ``alpha * (e ** x - 1)`` elsewhere.

    Parameters
    ----------
    alpha : float
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.elu)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(alpha=alpha, inplace=inplace)


class CELU(Elementwise):
    """``x`` where it is positive, ``alpha * (e ** (x / alpha) - 1)`` elsewhere.

    Parameters
    ----------
    alpha : float
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.celu)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(alpha=alpha, inplace=inplace)


class SELU(_InPlace):
    """The self-normalising ELU.

    Parameters
    ----------
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.selu)


class PReLU(Module):
    """``x`` where it is positive, ``weight * x`` elsewhere, with learnt weights.

    Parameters
    ----------
    num_parameters : int
        1, or the number of channels: the size of axis 1.
    init : float
        The first weight.
    device, dtype
        Of the weight.
    """

    weight: Parameter

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = new_parameter((num_parameters,), device, dtype, number=init)

    def reset_parameters(self) -> None:
        """Set all weights to ``init``."""
        constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """``[N, C, ...]`` to the same, or any shape if there is one weight."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """The number of weights."""
        return f"num_parameters={self.num_parameters}"


class RReLU(Elementwise):
    """`LeakyReLU` with slopes drawn from [lower, upper) in training, their mean otherwise.

    Parameters
    ----------
    lower, upper : float
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.rrelu)

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__(lower=lower, upper=upper, inplace=inplace)

    def forward(self, input: Tensor) -> Tensor:
        """The function of ``input``, of any shape."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class GELU(Elementwise):
    """``x`` times the normal distribution function of ``x``.

    Parameters
    ----------
    approximate : {"none", "tanh"}
    """

    function = staticmethod(F.gelu)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__(approximate=approximate)


class Sigmoid(_Plain):
    """``1 / (1 + e ** -x)``."""

    function = staticmethod(F.sigmoid)


class Tanh(_Plain):
    """The hyperbolic tangent."""

    function = staticmethod(F.tanh)


class SiLU(_InPlace):
    """``x * sigmoid(x)``.

    Parameters
    ----------
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.silu)


class Mish(_InPlace):
    """``x * tanh(softplus(x))``.

    Parameters
    ----------
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.mish)


class LogSigmoid(_Plain):
    """``log(sigmoid(x))``."""

    function = staticmethod(F.logsigmoid)


class Softplus(Elementwise):
    """``log(1 + e ** (beta * x)) / beta``; ``x`` itself where ``beta * x > threshold``.

    Parameters
    ----------
    beta, threshold : float
    """

    function = staticmethod(F.softplus)

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__(beta=beta, threshold=threshold)


class Softsign(_Plain):
    """``x / (1 + |x|)``."""

    function = staticmethod(F.softsign)


class Tanhshrink(_Plain):
    """``x - tanh(x)``."""

    function = staticmethod(F.tanhshrink)


class Hardshrink(Elementwise):
    """``x`` where ``|x| > lambd``, zero elsewhere.

    Parameters
    ----------
    lambd : float
    """

    function = staticmethod(F.hardshrink)

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__(lambd=lambd)

    def extra_repr(self) -> str:
        """The bound."""
        return str(self.lambd)


class Softshrink(Hardshrink):
    """``x`` moved towards zero by ``lambd``, and zero where that would cross it.

    Parameters
    ----------
    lambd : float
    """

    function = staticmethod(F.softshrink)


class Threshold(Elementwise):
    """``x`` where it is larger than ``threshold``, ``value`` elsewhere.

    Parameters
    ----------
    threshold, value : float
    inplace : bool
        Whether the input takes the result.
    """

    function = staticmethod(F.threshold)

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(threshold=threshold, value=value, inplace=inplace)


class GLU(Elementwise):
    """The first half along ``dim`` times the sigmoid of the second.

    Parameters
    ----------
    dim : int
    """

    function = staticmethod(F.glu)

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim=dim)


class Softmax(Elementwise):
    """``exp(x) / sum(exp(x))`` along ``dim``.

    Parameters
    ----------
    dim : int, optional
        If it is not given, an old rule chooses, with a warning.
    """

    function = staticmethod(F.softmax)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__(dim=dim)


class Softmin(Softmax):
    """``softmax(-x)`` along ``dim``.

    Parameters
    ----------
    dim : int, optional
        If it is not given, an old rule chooses, with a warning.
    """

    function = staticmethod(F.softmin)


class LogSoftmax(Softmax):
    """``log(softmax(x))`` along ``dim``.

    Parameters
    ----------
    dim : int, optional
        If it is not given, an old rule chooses, with a warning.
    """

    function = staticmethod(F.log_softmax)


class Softmax2d(Module):
    """Softmax over the channels of each pixel of ``[N, C, H, W]`` or ``[C, H, W]``."""

    def forward(self, input: Tensor) -> Tensor:
        """Of the input's shape."""
        if input.ndim not in (3, 4):
            raise ShapeError(
                "Softmax2d takes images", got=str(input.tensor_type), expected="3 or 4 axes"
            )
        return F.softmax(input, -3)
