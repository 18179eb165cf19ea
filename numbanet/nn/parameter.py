"""Parameters: tensors that a module owns and an optimizer changes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.ir import DType, TensorType, Variable
from numbanet.tensors.size import Size
from numbanet.tensors.tensor import Tensor


class Parameter(Tensor):
    """A tensor that belongs to the module of which it is made an attribute.

    Parameters
    ----------
    data : Tensor or array_like, optional
        First numbers, copied. Python floats become float32; arrays keep their dtype. Nothing
        is an empty tensor.
    requires_grad : bool
    layout : tuple of int, optional
        The numbers are stored transposed by this permutation, which is how kernels read them,
        and shown as they were given.
    """

    def __init__(
        self,
        data: Any = None,
        requires_grad: bool = True,
        layout: tuple[int, ...] | None = None,
    ) -> None:
        show(self, _first_numbers(data), layout)
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class Buffer(Tensor):
    """A tensor that is state of the module of which it is made an attribute, and not trained.

    Parameters
    ----------
    data : Tensor or array_like, optional
        As of `Parameter`.
    persistent : bool
        Whether it is in the ``state_dict``.
    """

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        show(self, _first_numbers(data))
        self.persistent = persistent


class Uninitialized(Tensor):
    """A member of a lazy module, of a shape that is not known yet; see `LazyModuleMixin`."""

    becomes: ClassVar[type[Tensor]]

    def __init__(self, layout: tuple[int, ...] | None, dtype: DType | str | None) -> None:
        self.tensor_type = TensorType((), DType.of(dtype or DType.FLOAT32))
        self.planned = layout

    @property
    def shape(self) -> Size:
        raise _not_yet("shape")

    def array(self) -> np.ndarray:
        """Refuse: there are no numbers yet."""
        raise _not_yet("numbers")

    def materialize(self, shape: tuple[int, ...], dtype: DType | str | None = None) -> None:
        """Become a plain parameter or buffer of zeros.

        Parameters
        ----------
        shape : tuple of int
        dtype : DType or str, optional
            By default what it was made with.
        """
        element = DType.of(dtype or self.tensor_type.dtype)
        self.__class__ = self.becomes  # type: ignore[assignment]
        show(self, np.zeros(shape, element.numpy), self.planned)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _not_yet(what: str) -> ArgumentError:
    return ArgumentError(
        f"a tensor of a lazy module has no {what} before it is initialised",
        mend="Call the module on data once, or load a state_dict",
    )


class UninitializedParameter(Uninitialized, Parameter):
    """A `Parameter` of a shape that is not known yet.

    Parameters
    ----------
    requires_grad : bool
    layout : tuple of int, optional
        As of `Parameter`, for later.
    dtype : DType or str, optional
        float32 by default.
    """

    becomes = Parameter

    def __init__(
        self,
        requires_grad: bool = True,
        layout: tuple[int, ...] | None = None,
        dtype: DType | str | None = None,
    ) -> None:
        super().__init__(layout, dtype)
        self.requires_grad = requires_grad

    def __deepcopy__(self, memo: dict[int, Any]) -> UninitializedParameter:
        copy = UninitializedParameter(self.requires_grad, self.planned, self.tensor_type.dtype)
        memo[id(self)] = copy
        return copy


class UninitializedBuffer(Uninitialized, Buffer):
    """A `Buffer` of a shape that is not known yet.

    Parameters
    ----------
    dtype : DType or str, optional
        float32 by default.
    persistent : bool
        As of `Buffer`.
    """

    becomes = Buffer

    def __init__(self, dtype: DType | str | None = None, *, persistent: bool = True) -> None:
        super().__init__(None, dtype)
        self.persistent = persistent

    def __deepcopy__(self, memo: dict[int, Any]) -> UninitializedBuffer:
        copy = UninitializedBuffer(self.tensor_type.dtype, persistent=self.persistent)
        memo[id(self)] = copy
        return copy


def is_lazy(tensor: object) -> bool:
    """Whether ``tensor`` waits for its shape."""
    return isinstance(tensor, Uninitialized)


def show(tensor: Tensor, array: np.ndarray, layout: tuple[int, ...] | None = None) -> None:
    """Make ``tensor`` show a new variable that holds ``array``."""
    old = tensor.variable
    name = "parameter" if old is None else old.name
    tensor._show(Variable(array, name, layout=layout))


def _first_numbers(data: Any) -> np.ndarray:
    if data is None:
        return np.zeros(0, np.float32)
    if isinstance(data, Tensor):
        return data.array()
    array = np.asarray(data)
    is_python_float = not hasattr(data, "dtype") and array.dtype == np.float64
    return array.astype(np.float32) if is_python_float else array
