"""Tensors made from numbers, from shapes, and from chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numbanet import initializers
from numbanet.errors import ArgumentError, DTypeError
from numbanet.initializers import set_seed
from numbanet.ir import DType
from numbanet.ir.resident import is_foreign
from numbanet.runtime.host import aligned_copy
from numbanet.tensors.functions.conversions import check_device
from numbanet.tensors.functions.shapes import listed
from numbanet.tensors.interop import from_device
from numbanet.tensors.size import Size
from numbanet.tensors.tensor import Tensor

AnyDType = DType | str | None


def get_default_dtype() -> DType:
    """The dtype of tensors that are made from Python's floats: float32."""
    return DType.FLOAT32


def set_default_dtype(d: DType | str) -> None:
    """Does nothing for float32.

    Raises
    ------
    NotImplementedError
        For any other dtype.
    """
    if DType.of(d) is not DType.FLOAT32:
        raise NotImplementedError(f"set_default_dtype() does not support {DType.of(d)}")


def tensor(
    data: Any,
    *,
    dtype: AnyDType = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor with a copy of numbers.

    Parameters
    ----------
    data : number, nested sequence, array or Tensor
        Python's floats become float32; integers, bools and arrays keep their dtype. Another
        library's array on the GPU that computes is copied there.
    dtype : DType or str, optional
    device : str, optional
        Only the one that computes.
    requires_grad : bool

    Raises
    ------
    DTypeError
        If the dtype is not one of numbanet's, or has no gradient that is asked for.
    """
    check_device(device)
    if not isinstance(data, Tensor) and is_foreign(data):
        return from_device(data, None if dtype is None else DType.of(dtype), requires_grad)
    return Tensor.wrap(aligned_copy(_array(data, dtype)), requires_grad)


def _array(data: Any, dtype: AnyDType) -> np.ndarray:
    """Numbers as an array of one of numbanet's dtypes."""
    if isinstance(data, Tensor):
        array = data.array()
    else:
        array = np.asarray(_plain(data))
        if dtype is None and array.dtype == np.float64 and not _has_dtype(data):
            dtype = DType.FLOAT32
    if dtype is None and array.dtype.kind not in "biuf":
        raise DTypeError("a tensor of other things than numbers", got=str(array.dtype))
    wanted = DType.of(array.dtype if dtype is None else dtype)
    return array.astype(wanted.numpy, copy=False)


def _has_dtype(data: Any) -> bool:
    """Whether the numbers are an array's, whose dtype was chosen, or Python's."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return hasattr(data, "dtype")


def _plain(data: Any) -> Any:
    """Nested sequences without tensors in them."""
    if isinstance(data, Tensor):
        return data.array()
    if isinstance(data, (list, tuple)):
        return [_plain(each) for each in data]
    return data


def as_tensor(data: Any, dtype: AnyDType = None, device: Any = None) -> Tensor:
    """``data`` if that is a tensor of this dtype, else as `tensor`."""
    check_device(device)
    if isinstance(data, Tensor) and (dtype is None or DType.of(dtype) is data.dtype):
        return data
    return tensor(data, dtype=dtype)


asarray = as_tensor


def construct(dtype: DType, *data: Any) -> Tensor:
    """A tensor of numbers, or of zeros if ``data`` is sizes."""
    if all(isinstance(each, int) for each in data):
        return zeros(data, dtype=dtype) if data else tensor([], dtype=dtype)
    (numbers,) = data
    return (zeros if isinstance(numbers, Size) else tensor)(numbers, dtype=dtype)


def _constructor(name: str, dtype: DType) -> Callable[..., Tensor]:
    def make(*data: Any) -> Tensor:
        return construct(dtype, *data)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"A {dtype} tensor of numbers, or of zeros if ``data`` is sizes."
    return make


FloatTensor = _constructor("FloatTensor", DType.FLOAT32)
DoubleTensor = _constructor("DoubleTensor", DType.FLOAT64)
IntTensor = _constructor("IntTensor", DType.INT32)
LongTensor = _constructor("LongTensor", DType.INT64)
ByteTensor = _constructor("ByteTensor", DType.UINT8)
BoolTensor = _constructor("BoolTensor", DType.BOOL)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor with a copy of an array's numbers and of its dtype.

    Unlike PyTorch's it shares no memory with the array.
    """
    if not isinstance(ndarray, np.ndarray):
        raise DTypeError("from_numpy() takes an array", got=type(ndarray).__name__)
    return tensor(ndarray)


def _sizes(given: Sequence[Any], size: Any) -> tuple[int, ...]:
    return tuple(int(each) for each in listed(given, size))


def _filled(
    sizes: tuple[int, ...], number: Any, dtype: AnyDType, device: Any, requires_grad: bool
) -> Tensor:
    check_device(device)
    numpy_dtype = DType.of(dtype or DType.FLOAT32).numpy
    return Tensor.wrap(np.full(sizes, number, numpy_dtype), requires_grad)


def zeros(
    *sizes: Any,
    size: Any = None,
    dtype: AnyDType = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Zeros, float32 by default."""
    return _filled(_sizes(sizes, size), 0, dtype, device, requires_grad)


def ones(
    *sizes: Any,
    size: Any = None,
    dtype: AnyDType = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones, float32 by default."""
    return _filled(_sizes(sizes, size), 1, dtype, device, requires_grad)


empty = zeros


def full(
    size: Sequence[int],
    fill_value: Any,
    *,
    dtype: AnyDType = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """One number everywhere; by default of the dtype that `tensor` gives it."""
    chosen = tensor(fill_value).dtype if dtype is None else dtype
    return _filled(_sizes(size, None), fill_value, chosen, device, requires_grad)


def zeros_like(
    input: Tensor, *, dtype: AnyDType = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Zeros of a tensor's shape and dtype."""
    return full_like(input, 0, dtype=dtype, device=device, requires_grad=requires_grad)


def ones_like(
    input: Tensor, *, dtype: AnyDType = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Ones of a tensor's shape and dtype."""
    return full_like(input, 1, dtype=dtype, device=device, requires_grad=requires_grad)


empty_like = zeros_like


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: AnyDType = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """One number everywhere, in a tensor's shape and dtype."""
    return _filled(
        input.tensor_type.sizes, fill_value, dtype or input.dtype, device, requires_grad
    )


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: AnyDType = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from ``start`` (or 0) to before ``end``; int64 if all three are integers."""
    check_device(device)
    first, last = (0, start) if end is None else (start, end)
    if step == 0 or (last - first) * step < 0:
        raise ArgumentError("arange() that does not arrive", got=f"{first}, {last}, {step}")
    is_whole = all(isinstance(each, (int, np.integer)) for each in (first, last, step))
    wanted = DType.of(dtype or (DType.INT64 if is_whole else DType.FLOAT32))
    count = math.ceil((last - first) / step)
    # In float64 or exact, and only then rounded.
    numbers = first + step * np.arange(count, dtype=np.int64 if is_whole else np.float64)
    return Tensor.wrap(numbers.astype(wanted.numpy), requires_grad)


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: AnyDType = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``steps`` numbers at equal distances, both ends included."""
    check_device(device)
    wanted = DType.of(dtype or DType.FLOAT32)
    return Tensor.wrap(np.linspace(start, end, steps).astype(wanted.numpy), requires_grad)


def logspace(
    start: float,
    end: float,
    steps: int,
    base: float = 10.0,
    *,
    dtype: AnyDType = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``base`` to the power of `linspace`."""
    check_device(device)
    wanted = DType.of(dtype or DType.FLOAT32)
    numbers = np.power(base, np.linspace(start, end, steps))
    return Tensor.wrap(numbers.astype(wanted.numpy), requires_grad)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: AnyDType = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere."""
    check_device(device)
    return Tensor.wrap(
        np.eye(n, m, dtype=DType.of(dtype or DType.FLOAT32).numpy), requires_grad
    )


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinates of all points of a grid, one tensor for each of its axes."""
    arrays = [each.array() for each in listed(tensors)]
    grids = np.meshgrid(*arrays, indexing=indexing)  # type: ignore[call-overload]
    return tuple(tensor(grid) for grid in grids)


def manual_seed(seed: int) -> None:
    """Seed all that numbanet draws from now on; see `numbanet.set_seed`."""
    set_seed(int(seed))


def drawer(generator: Any) -> np.random.Generator:
    """Whoever draws: the shared generator, or a NumPy one of the caller's."""
    if generator is None:
        return initializers._Source.generator
    if isinstance(generator, np.random.Generator):
        return generator
    own = getattr(generator, "numpy", None)
    if isinstance(own, np.random.Generator):
        return own
    raise ArgumentError("a generator of another kind", got=type(generator).__name__)


def _drawn(numbers: np.ndarray, dtype: AnyDType, device: Any, requires_grad: bool) -> Tensor:
    check_device(device)
    wanted = DType.of(dtype or DType.FLOAT32)
    return Tensor.wrap(np.asarray(numbers).astype(wanted.numpy), requires_grad)


def rand(
    *sizes: Any,
    size: Any = None,
    generator: Any = None,
    dtype: AnyDType = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform numbers in [0, 1)."""
    wanted = DType.of(dtype or DType.FLOAT32)
    drawn = uniform_array(_sizes(sizes, size), wanted, generator)
    return _drawn(drawn, dtype, device, requires_grad)


def uniform_array(sizes: tuple[int, ...], dtype: DType, generator: Any = None) -> np.ndarray:
    """Uniform numbers in [0, 1), which rounding to ``dtype`` must not make 1."""
    return drawer(generator).random(sizes, dtype=dtype.numpy)  # type: ignore[arg-type]


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Any = None,
    dtype: AnyDType = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers with mean 0 and deviation 1."""
    drawn = drawer(generator).standard_normal(_sizes(sizes, size))
    return _drawn(drawn, dtype, device, requires_grad)


def rand_like(input: Tensor, *, dtype: AnyDType = None, requires_grad: bool = False) -> Tensor:
    """`rand` of a tensor's shape and dtype."""
    return rand(
        *input.tensor_type.sizes, dtype=dtype or input.dtype, requires_grad=requires_grad
    )


def randn_like(input: Tensor, *, dtype: AnyDType = None, requires_grad: bool = False) -> Tensor:
    """`randn` of a tensor's shape and dtype."""
    return randn(
        *input.tensor_type.sizes, dtype=dtype or input.dtype, requires_grad=requires_grad
    )


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Any = None,
    dtype: AnyDType = None,
    device: Any = None,
) -> Tensor:
    """Integers from ``low`` (0 if left out) to ``high - 1``, int64 by default.

    ``randint(high, size)`` and ``randint(low, high, size)``.
    """
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    drawn = drawer(generator).integers(low, high, _sizes(size, None))
    return _drawn(drawn, dtype or DType.INT64, device, False)


def randint_like(input: Tensor, low: int, high: int | None = None) -> Tensor:
    """`randint` of a tensor's shape and dtype."""
    first, last = (0, low) if high is None else (low, high)
    return randint(first, last, input.tensor_type.sizes, dtype=input.dtype)


def randperm(
    n: int, *, generator: Any = None, dtype: AnyDType = None, device: Any = None
) -> Tensor:
    """The integers below ``n`` in random order."""
    drawn = drawer(generator).permutation(n)
    return _drawn(drawn, dtype or DType.INT64, device, False)


def normal(mean: Any, std: Any = 1.0, size: Any = None, *, generator: Any = None) -> Tensor:
    """Normal numbers; ``mean`` and ``std`` may be tensors, which give the shape, too."""
    means, deviations = _plain(mean), _plain(std)
    sizes = None if size is None else _sizes(size, None)
    drawn = drawer(generator).normal(means, deviations, sizes)
    dtypes = [each.dtype for each in (mean, std) if isinstance(each, Tensor)]
    return _drawn(drawn, dtypes[0] if dtypes else None, None, False)


def bernoulli(input: Tensor, *, generator: Any = None) -> Tensor:
    """One with the probability that each element gives, else zero."""
    probabilities = input.array()
    if probabilities.size and not (0 <= probabilities.min() <= probabilities.max() <= 1):
        raise ArgumentError("bernoulli() takes probabilities", expected="0 to 1")
    drawn = uniform_array(probabilities.shape, input.dtype, generator)
    return _drawn(drawn < probabilities, input.dtype, None, False)


def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Any = None,
) -> Tensor:
    """Indices drawn with probabilities in proportion to each row's weights, an int64."""
    weights = input.array().astype(np.float64)
    source = drawer(generator)
    rows = [
        source.choice(len(row), num_samples, replace=replacement, p=row / row.sum())
        for row in np.atleast_2d(weights)
    ]
    return _drawn(np.array(rows).reshape(*weights.shape[:-1], -1), DType.INT64, None, False)


def device(type: str, index: int | None = None) -> str:
    """The name of a device, as it may be passed to ``to`` and to functions that make tensors.

    Raises
    ------
    ArgumentError
        If tensors are not computed on it.
    """
    name = str(type) if index is None else f"{type}:{index}"
    check_device(name)
    return name
