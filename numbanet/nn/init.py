"""First numbers of tensors, in place, with PyTorch's names.

All draws come from the generator that `numbanet.set_seed` seeds, unless another one is given.
Every function returns the tensor that it was given.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import shared_generator
from numbanet.tensors.flush import assign
from numbanet.tensors.tensor import Tensor

Generator = np.random.Generator | None

_GAINS: dict[str, float] = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}
_DEFAULT_SLOPE = 0.01


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor of the standard deviation that keeps the variance through a nonlinearity.

    Parameters
    ----------
    nonlinearity : str
        Such as ``"relu"``, ``"tanh"``, ``"leaky_relu"``.
    param : float, optional
        The negative slope of a leaky ReLU, 0.01 by default.

    Raises
    ------
    ArgumentError
        If the nonlinearity is unknown, or the slope is no number.
    """
    if nonlinearity == "leaky_relu":
        slope = _DEFAULT_SLOPE if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise ArgumentError("a negative slope is a number", got=repr(param))
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ArgumentError(
            "unknown nonlinearity",
            got=repr(nonlinearity),
            expected=", ".join([*_GAINS, "leaky_relu"]),
        )
    return _GAINS[nonlinearity]


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator = None
) -> Tensor:
    """Uniform numbers in [a, b)."""
    return _fill(tensor, _source(generator).uniform(a, b, tensor.shape))


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator = None
) -> Tensor:
    """Normal numbers."""
    return _fill(tensor, _source(generator).normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator = None,
) -> Tensor:
    """Normal numbers, of which only those in [a, b] are taken.

    Parameters
    ----------
    tensor : Tensor
    mean, std : float
        Of the normal distribution, before it is cut.
    a, b : float
        Numbers, not multiples of ``std``.
    generator : numpy.random.Generator, optional
    """
    lower, upper = (a - mean) / std, (b - mean) / std
    if lower > 2 or upper < -2:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_", stacklevel=2
        )
    count = math.prod(tensor.shape)
    numbers = _truncated_normal(_source(generator), count, lower, upper) * std + mean
    return _fill(tensor, np.clip(numbers, a, b).reshape(tensor.shape))


def _truncated_normal(
    generator: np.random.Generator, count: int, lower: float, upper: float
) -> np.ndarray:
    """Unit normal numbers in [lower, upper]: proposals until enough are accepted.

    Where the interval is likely, proposals are normal. Elsewhere they are exponential, falling
    from the point nearest to zero as fast as the density does there (Robert, 1995).
    """
    if not lower < upper:
        raise ArgumentError("trunc_normal_ needs a < b", got=f"[{lower}, {upper}] in std")
    if upper < 0:
        return -_truncated_normal(generator, count, -upper, -lower)
    propose: Callable[[], np.ndarray]
    if math.erf(upper / math.sqrt(2)) - math.erf(lower / math.sqrt(2)) > 0.5:

        def propose() -> np.ndarray:
            drawn = generator.normal(size=count)
            return drawn[(drawn >= lower) & (drawn <= upper)]
    else:
        slope, width = max(lower, 0.0), upper - lower

        def propose() -> np.ndarray:
            step = generator.uniform(size=count)
            if slope > 0:
                step = -np.log1p(step * np.expm1(-slope * width)) / slope
            else:
                step = step * width
            drawn = lower + step
            accepted = generator.uniform(size=count) < np.exp(-0.5 * (drawn - slope) ** 2)
            return drawn[accepted]

    taken = np.empty(0)
    while taken.size < count:
        taken = np.concatenate([taken, propose()])
    return taken[:count]


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element is ``val``."""
    return _fill(tensor, np.full(tensor.shape, val))


def ones_(tensor: Tensor) -> Tensor:
    """Every element is 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Every element is 0."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix; of two axes."""
    if tensor.ndim != 2:
        raise ShapeError("eye_ fills a matrix", got=str(tuple(tensor.shape)))
    rows, columns = tensor.shape
    return _fill(tensor, np.eye(rows, columns))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Kernels of a convolution that passes as many channels through as it can.

    Parameters
    ----------
    tensor : Tensor
        ``[out, in, *kernel]``, with one to three axes of the kernel.
    groups : int
        In each group of output channels, the first ones pass the input channels on.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ShapeError("dirac_ fills 3, 4 or 5 axes", got=str(tuple(tensor.shape)))
    outputs, inputs, *kernel = tensor.shape
    if outputs % groups:
        raise ArgumentError(
            "groups divides the number of output channels", got=f"{groups} and {outputs}"
        )
    numbers = np.zeros(tensor.shape)
    centre = tuple(size // 2 for size in kernel)
    each = outputs // groups
    for group in range(groups):
        for channel in range(min(each, inputs)):
            numbers[(group * each + channel, channel, *centre)] = 1
    return _fill(tensor, numbers)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Uniform, variance gain^2 * 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Normal, variance gain^2 * 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
) -> Tensor:
    """Uniform, variance gain^2 / fan (He et al., 2015).

    Parameters
    ----------
    tensor : Tensor
    a : float
        The negative slope, for a leaky ReLU.
    mode : {"fan_in", "fan_out"}
    nonlinearity : str
        See `calculate_gain`.
    generator : numpy.random.Generator, optional
    """
    bound = math.sqrt(3.0) * _kaiming_deviation(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
) -> Tensor:
    """Normal, variance gain^2 / fan (He et al., 2015); see `kaiming_uniform_`."""
    deviation = _kaiming_deviation(tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, deviation, generator)


def _kaiming_deviation(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    modes = ("fan_in", "fan_out")
    if mode not in modes:
        raise ArgumentError("unknown mode", got=repr(mode), expected=" or ".join(modes))
    gain = calculate_gain(nonlinearity, a)
    # An empty tensor has no fan, and takes no numbers.
    return gain / math.sqrt(max(1, _fans(tensor)[modes.index(mode)]))


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator = None) -> Tensor:
    """Rows or columns, whichever are fewer, are orthogonal (Saxe et al., 2014).

    Axes after the first are taken as one.
    """
    if tensor.ndim < 2:
        raise ShapeError("orthogonal_ fills two or more axes", got=str(tuple(tensor.shape)))
    rows = tensor.shape[0]
    columns = math.prod(tensor.shape[1:])
    drawn = _source(generator).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    # The sign of r's diagonal makes the distribution uniform.
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator = None
) -> Tensor:
    """Normal numbers, a part of which is 0 in each column (Martens, 2010).

    Parameters
    ----------
    tensor : Tensor
        Of two axes.
    sparsity : float
        That part, rounded up to whole rows.
    std : float
    generator : numpy.random.Generator, optional
    """
    if tensor.ndim != 2:
        raise ShapeError("sparse_ fills a matrix", got=str(tuple(tensor.shape)))
    source = _source(generator)
    rows, columns = tensor.shape
    numbers = source.normal(0.0, std, (rows, columns))
    zeros = math.ceil(sparsity * rows)
    for column in range(columns):
        numbers[source.permutation(rows)[:zeros], column] = 0
    return _fill(tensor, numbers)


def _fans(tensor: Tensor) -> tuple[int, int]:
    """How many inputs and outputs an element of ``[out, in, *kernel]`` connects."""
    if tensor.ndim < 2:
        raise ShapeError("fans need a tensor of two or more axes", got=str(tuple(tensor.shape)))
    outputs, inputs, *kernel = tensor.shape
    field = math.prod(kernel)
    return inputs * field, outputs * field


def _source(generator: Generator) -> np.random.Generator:
    if generator is None:
        return shared_generator()
    if not isinstance(generator, np.random.Generator):
        raise ArgumentError(
            "generator is a numpy.random.Generator", got=type(generator).__name__
        )
    return generator


def _fill(tensor: Tensor, numbers: np.ndarray) -> Tensor:
    assign(tensor, numbers)
    return tensor
