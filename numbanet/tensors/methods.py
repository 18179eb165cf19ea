"""What a tensor can do: its methods, properties and operators.

Importing this module attaches them to `Tensor`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from numbanet.errors import DTypeError
from numbanet.ir import DType
from numbanet.tensors import creation, flush, functions, interop, printing
from numbanet.tensors.functions import arithmetic, conversions, indexing, shapes, sized
from numbanet.tensors.functions.detaching import detached
from numbanet.tensors.hooks import register_hook
from numbanet.tensors.numbers import takes_numbers
from numbanet.tensors.tensor import Tensor

Function = Callable[..., Any]

VIEWS = frozenset(
    {
        *(shapes.view, shapes.reshape, shapes.reshape_as, shapes.flatten, shapes.ravel),
        *(shapes.unflatten, shapes.squeeze, shapes.unsqueeze, shapes.transpose, shapes.t),
        *(shapes.reverse_axes, shapes.adjoint, shapes.permute, shapes.movedim),
        *(shapes.expand, shapes.expand_as, shapes.broadcast_to, shapes.broadcast_tensors),
        *(functions.split, functions.chunk, functions.tensor_split, functions.unbind),
        *(functions.diagonal, functions.narrow, functions.select, indexing.getitem),
    }
)
"""Functions whose results share memory with their input in PyTorch. Here they do not, so that
nothing is written in place through a view, nor to a tensor that has views."""

_NUMERIC = (
    *("add", "sub", "mul", "div", "lerp", "addcmul", "addcdiv"),
    *("clamp", "clamp_min", "clamp_max", "masked_fill", "where"),
    *("eq", "ne", "lt", "le", "gt", "ge"),
)
"""Functions of which numbers may be data: see `numbanet.tensors.numbers`."""

_FREE = frozenset(
    {
        *("cat", "concat", "concatenate", "stack", "hstack", "vstack", "einsum"),
        *("broadcast_tensors", "std_mean", "var_mean", "where", "trace"),
    }
)
"""Functions that are no methods, or other ones; a tensor's ``trace`` is its recording."""

_IN_PLACE = frozenset(
    {
        *("index_add", "logical_and", "logical_not", "logical_or", "logical_xor"),
        *("masked_fill", "scatter", "scatter_add", "tril", "triu"),
        *(
            name
            for name in functions.__all__
            if getattr(functions, name).__module__.endswith((".arithmetic", ".transcendental"))
        ),
    }
    - {"positive", "minimum", "maximum", "logaddexp"}
)
"""Functions that have a twin, with ``_`` behind its name, that changes its first tensor."""

_CONVERSIONS = {
    "float": DType.FLOAT32,
    "double": DType.FLOAT64,
    "int": DType.INT32,
    "long": DType.INT64,
    "byte": DType.UINT8,
    "bool": DType.BOOL,
}


def _conversion(name: str, dtype: DType) -> Function:
    def convert(self: Tensor) -> Tensor:
        return conversions.to(self, dtype=dtype)

    convert.__name__ = name
    convert.__doc__ = f"The tensor as {dtype}."
    return convert


def _construct(self: Tensor, *data: Any) -> None:
    """A float32 tensor of numbers, or of zeros if ``data`` is sizes; see `numbanet.tensor`."""
    made = creation.construct(DType.FLOAT32, *data)
    self.tensor_type, self.numbers = made.tensor_type, made.numbers


# In place.


def _in_place(function: Function, name: str) -> Function:
    @functools.wraps(function)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self._replace(_of_dtype(self, function(self, *args, **kwargs), name))

    method.__name__ = name
    method.__doc__ = f"`{name.rstrip('_')}` in place: the tensor takes the result."
    return method


def _of_dtype(tensor: Tensor, result: Tensor, name: str) -> Tensor:
    """``result`` as the dtype of ``tensor``, unless that holds less of a kind of number."""
    if result.dtype is tensor.dtype:
        return result
    if _kind(result.dtype) > _kind(tensor.dtype):
        raise DTypeError(
            f"{name}() has a result that the tensor cannot hold",
            got=str(result.dtype),
            expected=str(tensor.dtype),
        )
    return conversions.to(result, dtype=tensor.dtype)


def _kind(dtype: DType) -> int:
    return 2 if dtype.is_floating else int(dtype.is_integer)


def _filled(tensor: Tensor, numbers: Any) -> Tensor:
    """``tensor``, whose numbers are replaced by some of the host's."""
    array = np.broadcast_to(np.asarray(numbers), tensor.tensor_type.sizes)
    return tensor._replace(Tensor.wrap(array.astype(tensor.dtype.numpy)))


def zero_(self: Tensor) -> Tensor:
    """Set all elements to zero."""
    return _filled(self, 0)


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set all elements to a number."""
    return _filled(self, value) if not isinstance(value, Tensor) else copy_(self, value)


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Take the numbers of another tensor, broadcast and converted."""
    source = conversions.to(src, dtype=self.dtype)
    if source.shape != self.shape:
        source = shapes.expand(source, list(self.shape))
    return self._replace(source)


def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Any = None) -> Tensor:
    """Draw all elements uniformly from ``[a, b)``. (PyTorch calls ``a`` and ``b`` from, to.)"""
    drawn = creation.uniform_array(self.tensor_type.sizes, self.dtype, generator)
    return _filled(self, a + (b - a) * drawn)


def normal_(
    self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None
) -> Tensor:
    """Draw all elements from a normal distribution."""
    return _filled(self, creation.drawer(generator).normal(mean, std, self.tensor_type.sizes))


def bernoulli_(self: Tensor, p: float = 0.5, *, generator: Any = None) -> Tensor:
    """Set each element to one with probability ``p``, else to zero."""
    return _filled(
        self, creation.uniform_array(self.tensor_type.sizes, DType.FLOAT64, generator) < p
    )


def random_(self: Tensor, low: int, high: int | None = None) -> Tensor:
    """Draw integers below ``high`` (from 0 on if only one number is given)."""
    first, last = (0, low) if high is None else (low, high)
    return _filled(self, creation.drawer(None).integers(first, last, self.tensor_type.sizes))


# Indexing.


def _getitem(self: Tensor, key: Any) -> Tensor:
    """``tensor[key]``, see `numbanet.tensors.functions.indexing.pick`; masks are read."""
    keys, is_basic = _understood(self, key)
    return (indexing.getitem if is_basic else indexing.pick)(self, keys)


def _setitem(self: Tensor, key: Any, value: Any) -> None:
    """``tensor[key] = value`` in place."""
    new = value if isinstance(value, (Tensor, int, float, bool)) else creation.tensor(value)
    if _is_whole_mask(self, key) and not (isinstance(new, Tensor) and new.ndim):
        keys = key
    else:
        keys, _ = _understood(self, key)
    self._replace(indexing.setitem(self, keys, new))


def _is_whole_mask(tensor: Tensor, key: Any) -> bool:
    return isinstance(key, Tensor) and key.dtype is DType.BOOL and key.ndim <= tensor.ndim


def _understood(tensor: Tensor, key: Any) -> tuple[Any, bool]:
    """``key`` with tensors of integers for sequences and masks; whether there are none."""
    given = key if isinstance(key, tuple) else (key,)
    if all(each is None or each is Ellipsis or type(each) in (int, slice) for each in given):
        return key, True
    keys: list[Any] = []
    axis = 0
    for position, each in enumerate(given):
        new = _indices(each)
        if each is Ellipsis:
            axis = tensor.ndim - sum(_axes_of(rest) for rest in given[position + 1 :])
        for index in new:
            if isinstance(index, Tensor):
                indexing.check_range(index, tensor, axis)
            axis += index is not None and index is not Ellipsis
        keys += new
    return tuple(keys), not any(isinstance(each, Tensor) for each in keys)


def _axes_of(key: Any) -> int:
    """The number of axes that one of the keys is about."""
    return 0 if key is None else len(_indices(key))


def _indices(key: Any) -> list[Any]:
    """One key as it is, or for an array as tensors of integers; a mask gives several."""
    if isinstance(key, (bool, np.bool_)):
        raise NotImplementedError("indexing by True or False")
    if isinstance(key, Tensor) and key.dtype is DType.BOOL:
        if key.value is not None:
            raise NotImplementedError(indexing.MASK)
        key = key.array()
    if isinstance(key, (list, tuple, range)):
        key = creation.tensor(list(key)).array() if len(key) else np.empty(0, np.int64)
    if not isinstance(key, np.ndarray):
        return [key]
    if key.dtype.kind != "b":
        return [creation.tensor(key)]
    return [Tensor.wrap(places) for places in np.nonzero(key)]


def _iterate(self: Tensor) -> Iterator[Tensor]:
    """The parts along the first axis."""
    if not self.ndim:
        raise TypeError("iteration over a tensor without axes")
    return iter(functions.unbind(self))


def _contains(self: Tensor, element: Any) -> bool:
    return bool((self.array() == creation.as_tensor(element).array()).any())


# Comparison with what is neither tensor nor number is Python's.


def _comparison(function: Function, name: str) -> Function:
    def compare(self: Tensor, other: Any) -> Any:
        if not isinstance(other, (Tensor, int, float, np.generic)):
            return NotImplemented
        return function(self, other)

    compare.__name__ = name
    return compare


def _reversed(function: Function, name: str) -> Function:
    def operator(self: Tensor, other: Any) -> Any:
        return function(other, self)

    operator.__name__ = name
    return operator


# Facts.


def size(self: Tensor, dim: int | None = None) -> Any:
    """The shape, or the size of one dimension."""
    return self.shape if dim is None else self.shape[dim]


def dim(self: Tensor) -> int:
    """The number of dimensions."""
    return self.tensor_type.rank


def numel(self: Tensor) -> int:
    """The number of elements."""
    return self.tensor_type.size


def element_size(self: Tensor) -> int:
    """The number of bytes of an element."""
    return self.dtype.itemsize


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is float32 or float64."""
    return input.dtype.is_floating


def is_tensor(obj: Any) -> bool:
    """Whether ``obj`` is a tensor."""
    return isinstance(obj, Tensor)


def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor: its elements always lie next to each other."""
    if memory_format is not None:
        raise NotImplementedError("memory_format of contiguous(): there is one")
    return self


def is_contiguous(self: Tensor) -> bool:
    """True."""
    return True


def cpu(self: Tensor) -> Tensor:
    """The tensor; raises ArgumentError unless the CPU computes."""
    return conversions.to(self, device="cpu")


def cuda(self: Tensor, device: Any = None) -> Tensor:
    """The tensor; raises ArgumentError unless a GPU computes."""
    return conversions.to(self, device="cuda")


def as_type(self: Tensor, dtype: Any = None) -> Any:
    """The tensor as another dtype; the name of its own if none is given."""
    if dtype is None:
        return f"numbanet.{_TYPE_NAMES[self.dtype]}Tensor"
    return conversions.to(self, dtype=dtype)


_TYPE_NAMES = {
    DType.FLOAT32: "Float",
    DType.FLOAT64: "Double",
    DType.INT32: "Int",
    DType.INT64: "Long",
    DType.UINT8: "Byte",
    DType.BOOL: "Bool",
}


def new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """`numbanet.tensor` of this tensor's dtype."""
    return creation.tensor(data, dtype=dtype or self.dtype, requires_grad=requires_grad)


def new(self: Tensor, *data: Any) -> Tensor:
    """A tensor of this one's dtype: of numbers, or of zeros if ``data`` is sizes."""
    return creation.construct(self.dtype, *data)


def _new(create: Function, name: str) -> Function:
    def method(self: Tensor, *args: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        return create(*args, dtype=dtype or self.dtype, **kwargs)

    method.__name__ = name
    method.__doc__ = f"`numbanet.{name.removeprefix('new_')}` of this tensor's dtype."
    return method


def where(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """The tensor's elements where ``condition`` is true, those of ``other`` elsewhere."""
    return functions.where(condition, self, other)


def view_as(self: Tensor, other: Tensor) -> Tensor:
    """`view` to the shape of another tensor."""
    return shapes.reshape_as(self, other)


def detach_(self: Tensor) -> Tensor:
    """Cut the tensor off from what it was computed from, in place."""
    if self.is_result:
        # Nobody else sees this view of it.
        flush.replace(self, detached(self))
        self.views = None
    return self.requires_grad_(False)


# Text.


def _text(self: Tensor) -> str:
    if self.value is not None:
        return f"tensor({self.value!r})"
    return printing.format_tensor(
        self.array(), requires_grad=self.requires_grad, grad_fn_name=self.grad_fn
    )


def _format(self: Tensor, spec: str) -> str:
    return (
        format(self.item(), spec)
        if not self.ndim and self.value is None
        else format(_text(self), spec)
    )


_OWN = (
    *(zero_, fill_, copy_, uniform_, normal_, bernoulli_, random_, detach_),
    *(size, dim, numel, element_size, is_floating_point, contiguous, is_contiguous),
    *(cpu, cuda, new, new_tensor, view_as, where, register_hook),
    *(shapes.clone, shapes.expand, shapes.expand_as, shapes.repeat, shapes.reshape_as),
    *(shapes.view, conversions.to, conversions.type_as),
    *(sized.nonzero, sized.masked_select, sized.unique, sized.bincount),
    *(creation.bernoulli, creation.multinomial),
)

_NEW = ("new_zeros", "new_ones", "new_full", "new_empty")

METHODS: dict[str, Function] = {
    **{name: getattr(functions, name) for name in functions.__all__ if name not in _FREE},
    **{
        f"{name}_": _in_place(getattr(functions, name), f"{name}_")
        for name in sorted(_IN_PLACE)
    },
    **{name: _conversion(name, dtype) for name, dtype in _CONVERSIONS.items()},
    **{name: _new(getattr(creation, name.removeprefix("new_")), name) for name in _NEW},
    **{function.__name__: function for function in _OWN},
    "ndimension": dim,
    "nelement": numel,
    "type": as_type,
}

_BINARY: dict[str, tuple[Function, Function]] = {
    "add": (functions.add, functions.add),
    "sub": (functions.sub, arithmetic.rsub),
    "mul": (functions.mul, functions.mul),
    "truediv": (functions.div, arithmetic.reverse_div),
    "floordiv": (functions.floor_divide, _reversed(functions.floor_divide, "rfloordiv")),
    "mod": (functions.remainder, _reversed(functions.remainder, "rmod")),
    "pow": (functions.pow, arithmetic.rpow),
    "matmul": (functions.matmul, _reversed(functions.matmul, "rmatmul")),
    "and": (functions.bitwise_and, functions.bitwise_and),
    "or": (functions.bitwise_or, functions.bitwise_or),
    "xor": (functions.bitwise_xor, functions.bitwise_xor),
}
"""An operator's function, and that of its reflection."""

OPERATORS: dict[str, Function] = {
    "__init__": _construct,
    **{f"__{name}__": pair[0] for name, pair in _BINARY.items()},
    **{f"__r{name}__": pair[1] for name, pair in _BINARY.items()},
    **{
        f"__i{name}__": _in_place(pair[0], f"__i{name}__")
        for name, pair in _BINARY.items()
        if name != "matmul"
    },
    **{
        f"__{name}__": _comparison(getattr(functions, name), f"__{name}__")
        for name in ("eq", "ne", "lt", "le", "gt", "ge")
    },
    "__neg__": functions.neg,
    "__pos__": contiguous,
    "__abs__": functions.abs,
    "__invert__": functions.bitwise_not,
    "__getitem__": _getitem,
    "__setitem__": _setitem,
    "__iter__": _iterate,
    "__contains__": _contains,
    "__repr__": _text,
    "__format__": _format,
    "__dlpack__": interop.to_dlpack,
    "__dlpack_device__": interop.dlpack_device,
}

PROPERTIES: dict[str, Function] = {
    "__cuda_array_interface__": interop.cuda_array_interface,
    "T": shapes.reverse_axes,
    "mT": shapes.adjoint,
    "itemsize": element_size,
}


def _attach() -> None:
    for function in VIEWS:
        inspect.unwrap(function).is_view = True  # type: ignore[attr-defined]
    numeric = [getattr(functions, name) for name in _NUMERIC]
    takes_numbers(map(inspect.unwrap, (*numeric, arithmetic.rsub, arithmetic.reverse_div)))
    for name, function in {**METHODS, **OPERATORS}.items():
        setattr(Tensor, name, function)
    for name, function in PROPERTIES.items():
        setattr(Tensor, name, property(function))


_attach()
