"""Activation functions, softmax and its kin."""

from __future__ import annotations

import warnings

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import DType, Value
from numbanet.nn.functional.in_place import in_place, in_place_function
from numbanet.ops.axes import normalise_axis
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions import reductions, transcendental


@in_place_function
def relu(input: Value, inplace: bool = False) -> Value:
    """``max(x, 0)``; slope zero at zero."""
    return transcendental.relu(input)


@in_place_function
def relu6(input: Value, inplace: bool = False) -> Value:
    """``min(max(x, 0), 6)``."""
    return ops.relu6(input)


@in_place_function
def hardtanh(
    input: Value, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Value:
    """``min(max(x, min_val), max_val)``; slope zero on the bounds."""
    if min_val > max_val:
        raise ArgumentError(
            "hardtanh() takes a min_val below its max_val", got=f"{min_val} and {max_val}"
        )
    return ops.hard_tanh(input, min_val, max_val)


@in_place_function
def hardsigmoid(input: Value, inplace: bool = False) -> Value:
    """``relu6(x + 3) / 6``."""
    return ops.hard_sigmoid(input)


@in_place_function
def hardswish(input: Value, inplace: bool = False) -> Value:
    """``x * relu6(x + 3) / 6`` (Howard et al., "Searching for MobileNetV3", 2019)."""
    return ops.hard_swish(input)


@in_place_function
def leaky_relu(input: Value, negative_slope: float = 0.01, inplace: bool = False) -> Value:
    """``x`` where it is positive, ``negative_slope * x`` elsewhere."""
    return ops.leaky_relu(input, negative_slope)


@in_place_function
def elu(input: Value, alpha: float = 1.0, inplace: bool = False) -> Value:
    """``x`` where it is positive, ``alpha * (e ** x - 1)`` elsewhere (Clevert et al., 2015)."""
    return ops.elu(input, alpha)


@in_place_function
def selu(input: Value, inplace: bool = False) -> Value:
    """The self-normalising ELU (Klambauer et al., 2017)."""
    return ops.selu(input)


@in_place_function
def celu(input: Value, alpha: float = 1.0, inplace: bool = False) -> Value:
    """``x`` where it is positive, ``alpha * (e ** (x / alpha) - 1)`` elsewhere.

    (Barron, "Continuously differentiable exponential linear units", 2017.)
    """
    if alpha == 0:
        raise ArgumentError("celu() divides by alpha", got="0")
    is_positive = input > 0
    # Where x is large the power would overflow, and its slope would turn zeros into NaNs.
    low = ops.where(is_positive, 0, input)
    return ops.where(is_positive, input, ops.expm1(low / alpha) * alpha)


@tensor_function
def prelu(input: Value, weight: Value) -> Value:
    """``x`` where it is positive, ``weight * x`` elsewhere (He et al., 2015).

    Parameters
    ----------
    input : Tensor
        ``[N, C, ...]``, or any shape if there is one weight.
    weight : Tensor
        ``[C]``, or one number.

    Raises
    ------
    ShapeError
        If there are not as many weights as channels.
    """
    channels = input.shape[1] if input.rank > 1 else 1
    if weight.rank > 1 or weight.type.size not in (1, channels):
        raise ShapeError(
            "prelu() takes one weight, or one for each channel",
            got=f"{weight.type} for {input.type}",
        )
    count = weight.type.size
    slopes = ops.reshape(weight, () if count == 1 else (count, *(1,) * (input.rank - 2)))
    return ops.where(input > 0, input, slopes * input)


@in_place_function
def rrelu(
    input: Value,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Value:
    """`leaky_relu` whose slopes are drawn from [lower, upper) while training (Xu et al., 2015).

    Otherwise all slopes are ``(lower + upper) / 2``.
    """
    if lower > upper:
        raise ArgumentError(
            "rrelu() takes a lower that is at most its upper", got=f"{lower} and {upper}"
        )
    if not training:
        return ops.leaky_relu(input, (lower + upper) / 2)
    drawn = ops.random_uniform(input, *ops.random_state(), is_noise=True)
    return ops.where(input > 0, input, (drawn * (upper - lower) + lower) * input)


@tensor_function
def gelu(input: Value, approximate: str = "none") -> Value:
    """``x`` times the normal distribution function of ``x`` (Hendrycks and Gimpel, 2016).

    Parameters
    ----------
    input : Tensor
    approximate : {"none", "tanh"}
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(
            "unknown approximate of gelu()", got=repr(approximate), expected="'none' or 'tanh'"
        )
    return ops.gelu(input, approximate == "tanh")


@in_place_function
def silu(input: Value, inplace: bool = False) -> Value:
    """``x * sigmoid(x)``, also known as swish."""
    return ops.silu(input)


@in_place_function
def mish(input: Value, inplace: bool = False) -> Value:
    """``x * tanh(softplus(x))`` (Misra, 2019)."""
    return ops.mish(input)


@tensor_function
def logsigmoid(input: Value) -> Value:
    """``log(sigmoid(x))`` without underflow."""
    return ops.log_sigmoid(input)


@tensor_function
def softplus(input: Value, beta: float = 1.0, threshold: float = 20.0) -> Value:
    """``log(1 + e ** (beta * x)) / beta``; ``x`` itself where ``beta * x > threshold``."""
    return ops.where(input * beta > threshold, input, ops.softplus(input, beta))


@tensor_function
def softsign(input: Value) -> Value:
    """``x / (1 + |x|)``."""
    return ops.softsign(input)


@tensor_function
def tanhshrink(input: Value) -> Value:
    """``x - tanh(x)``."""
    return input - ops.tanh(input)


@tensor_function
def hardshrink(input: Value, lambd: float = 0.5) -> Value:
    """``x`` where ``|x| > lambd``, zero elsewhere."""
    return ops.where(abs(input) <= lambd, 0, input)


@tensor_function
def softshrink(input: Value, lambd: float = 0.5) -> Value:
    """``x`` moved towards zero by ``lambd``, and zero where that would cross it."""
    if lambd < 0:
        raise ArgumentError("softshrink() takes a lambd that is not negative", got=str(lambd))
    # Not the constant zero in the middle: NaN stays NaN.
    middle = ops.where(input < -lambd, input + lambd, input * 0.0)
    return ops.where(input > lambd, input - lambd, middle)


@in_place_function
def threshold(input: Value, threshold: float, value: float, inplace: bool = False) -> Value:
    """``x`` where it is larger than ``threshold``, ``value`` elsewhere."""
    return ops.where(input <= threshold, value, input)


@tensor_function
def glu(input: Value, dim: int = -1) -> Value:
    """The first half along ``dim`` times the sigmoid of the second (Dauphin et al., 2016).

    Raises
    ------
    ShapeError
        If the size along ``dim`` is odd.
    """
    axis = normalise_axis("glu", dim, input.rank)
    size = input.shape[axis]
    if size is None or size % 2:
        raise ShapeError("glu() halves an axis of even size", got=f"{input.type}, axis {axis}")
    first, second = ops.split(input, 2, axis)
    return first * ops.sigmoid(second)


relu_ = in_place(relu, "relu_")
hardtanh_ = in_place(hardtanh, "hardtanh_")
leaky_relu_ = in_place(leaky_relu, "leaky_relu_")
elu_ = in_place(elu, "elu_")
selu_ = in_place(selu, "selu_")
celu_ = in_place(celu, "celu_")
rrelu_ = in_place(rrelu, "rrelu_")
threshold_ = in_place(threshold, "threshold_")


@tensor_function
def softmax(
    input: Value, dim: int | None = None, _stacklevel: int = 3, dtype: DType | str | None = None
) -> Value:
    """``exp(x) / sum(exp(x))`` along ``dim``.

    Parameters
    ----------
    input : Tensor
    dim : int, optional
        If it is not given, an old rule chooses, with a warning: 0 for 0, 1 and 3 axes, else 1.
    dtype : DType or str, optional
        Convert the input first.
    """
    return reductions.softmax(input, _chosen("softmax", input, dim), dtype=dtype)


@tensor_function
def log_softmax(
    input: Value, dim: int | None = None, _stacklevel: int = 3, dtype: DType | str | None = None
) -> Value:
    """``log(softmax(x))`` without underflow; parameters as in `softmax`."""
    return reductions.log_softmax(input, _chosen("log_softmax", input, dim), dtype=dtype)


@tensor_function
def softmin(
    input: Value, dim: int | None = None, _stacklevel: int = 3, dtype: DType | str | None = None
) -> Value:
    """``softmax(-x)``; parameters as in `softmax`."""
    return reductions.softmax(-input, _chosen("softmin", input, dim), dtype=dtype)


def _chosen(name: str, x: Value, dim: int | None) -> int:
    if dim is not None:
        return dim
    warnings.warn(f"{name}() without dim chooses one; pass dim=", stacklevel=4)
    return 0 if x.rank in (0, 1, 3) else 1


@tensor_function
def gumbel_softmax(
    logits: Value, tau: float = 1.0, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Value:
    """A sample of a categorical distribution, relaxed so that it has a gradient.

    (Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax", 2016.)

    Parameters
    ----------
    logits : Tensor
        Unnormalised logarithms of probabilities along ``dim``.
    tau : float
        Temperature; a low one gives samples close to one-hot codes.
    hard : bool
        Return the one-hot code, with the gradient of the relaxed sample.
    eps : float
        Has no effect, as in PyTorch.
    dim : int

    Returns
    -------
    Tensor
        Of the shape of ``logits``; sums to one along ``dim``.
    """
    uniform = ops.random_uniform(logits, *ops.random_state())
    # A uniform number may be zero, but not one: -inf is a noise that softmax can take.
    relaxed = ops.softmax((logits - ops.log(-ops.log(uniform))) / tau, dim)
    if not hard:
        return relaxed
    axis = normalise_axis("gumbel_softmax", dim, logits.rank)
    size = logits.type.sizes[axis]
    order = [*range(axis), logits.rank - 1, *range(axis, logits.rank - 1)]
    code = ops.transpose(ops.one_hot(ops.argmax(relaxed, axis), size, logits.dtype), order)
    return code - ops.stop_gradient(relaxed) + relaxed
