"""The tensor: numbers, or the promise of numbers."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from numbanet.errors import ArgumentError, DTypeError, ShapeError, SymbolicValueError
from numbanet.ir import DType, TensorType, Value, Variable
from numbanet.tensors.modes import MODES
from numbanet.tensors.size import Size

if TYPE_CHECKING:
    from numbanet.tensors.gradients import Gradients
    from numbanet.tensors.program import Reading
    from numbanet.tensors.trace import Trace


BACKWARD = "backward"
"""What a record remembers ``backward()`` by."""


class Tensor:
    """An array of numbers that are computed when somebody looks.

    Of one of four kinds: it has numbers on the host (`numbanet.tensor`); it shows a variable (a
    parameter or buffer of a module); it is the result of recorded operations, whose numbers are
    computed when they are read, or when an optimizer steps; or it stands for a symbolic value
    while a `numbanet.Model` is being built.

    Operations are methods, Python's operators, and the functions of `numbanet.nn.functional`,
    with PyTorch's names. The numbers never change behind a reader's back: ``numpy()`` copies.

    Attributes
    ----------
    grad : Tensor or None
        The sum of the gradients that ``backward()`` brought here.
    requires_grad : bool
    """

    # Most tensors have few of these, and one is made for each operation of each step: what is
    # not set costs nothing.
    tensor_type: TensorType
    needs_grad: bool = False
    """What `requires_grad` shows, for those who read it often."""
    gradient: Tensor | Gradients | None = None
    """What `grad` shows."""
    hooks: dict[int, Any] | None = None
    """Of a leaf: see `numbanet.tensors.hooks`."""
    trace: Trace | None = None
    """Where ``slot`` is a number of this tensor; see `numbanet.tensors.trace`."""
    slot: int = -1
    is_result: bool = False
    """Whether its numbers or its gradient need the recorded operations behind it."""
    is_spent: bool = False
    """Of a result whose operations are gone, or were on such: no gradient flows through."""
    numbers: Any = None
    """An array; or a reading, an output of a program that nobody has read yet; or None."""
    variable: Variable | None = None
    value: Value | None = None
    views: list[weakref.ref[Any]] | None = None
    """Views of it, and their views: whoever is one shares the list."""
    function: str = ""
    """Name of the function that a result comes from."""
    aims: ClassVar[int] = 0
    """How often a tensor of a variable came to show another one, or to ask for gradients or
    not: who remembers what such a tensor is looks again."""
    __array_ufunc__ = None
    __hash__ = object.__hash__

    # Ways to make one.

    @classmethod
    def wrap(cls, array: np.ndarray, requires_grad: bool = False) -> Tensor:
        """A tensor of ``array``, which is the tensor's own from now on: nobody changes it."""
        tensor = cls.__new__(cls)
        if not array.flags.c_contiguous:
            array = np.array(array, order="C")
        tensor.tensor_type = TensorType(array.shape, DType.of(array.dtype))
        tensor.numbers = array
        if requires_grad:
            tensor.requires_grad_()
        return tensor

    @classmethod
    def of_variable(
        cls,
        variable: Variable,
        requires_grad: bool = False,
    ) -> Tensor:
        """A tensor that shows ``variable``, now and later, as `Variable.numpy` does."""
        tensor = cls.__new__(cls)
        tensor._show(variable)
        if requires_grad:
            tensor.requires_grad_()
        return tensor

    @classmethod
    def symbolic(cls, value: Value) -> Tensor:
        """A tensor that stands for a value of a model that is being built."""
        tensor = cls.__new__(cls)
        tensor.tensor_type = value.type
        tensor.value = value
        return tensor

    def _show(self, variable: Variable) -> None:
        """Become a tensor that shows ``variable``."""
        if self.variable is not None:
            Tensor.aims += 1
        self.tensor_type = TensorType(variable.shape, variable.type.dtype)
        self.variable = variable
        self.trace = self.numbers = None
        self.slot = -1
        self.is_result = False

    # What it is.

    @property
    def shape(self) -> Size:
        return Size(self.tensor_type.shape)  # type: ignore[arg-type]

    @property
    def dtype(self) -> DType:
        return self.tensor_type.dtype

    @property
    def layout(self) -> tuple[int, ...] | None:
        """The permutation by which the variable that it shows is stored, if there is one."""
        return None if self.variable is None else self.variable.layout

    @property
    def ndim(self) -> int:
        return self.tensor_type.rank

    @property
    def is_leaf(self) -> bool:
        """Whether no operation with a gradient is behind it."""
        return not (self.requires_grad and (self.is_result or self.is_spent))

    @property
    def grad_fn(self) -> str | None:
        """Name of what brings its gradient back; None for a leaf."""
        from numbanet.tensors.printing import grad_fn_name

        return None if self.is_leaf else grad_fn_name(self.function, self.ndim)

    @property
    def device(self) -> str:
        """Name of the device that computes."""
        from numbanet.tensors.flush import device

        return device().name

    @property
    def requires_grad(self) -> bool:
        return self.needs_grad

    @requires_grad.setter
    def requires_grad(self, requires_grad: bool) -> None:
        self.requires_grad_(requires_grad)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for gradients, or stop asking; returns the tensor.

        Raises
        ------
        DTypeError
            If it is not floating-point.
        ArgumentError
            If it is a result that needs gradients.
        """
        if requires_grad and not self.tensor_type.dtype.is_floating:
            raise DTypeError(
                "only floating-point tensors can require gradients",
                got=self.tensor_type.dtype.value,
            )
        if not requires_grad and not self.is_leaf:
            raise ArgumentError(
                "only leaves may stop requiring gradients", mend="Use tensor.detach()"
            )
        if requires_grad is not self.requires_grad and self.trace is not None:
            from numbanet.tensors.flush import leave_trace

            # What was recorded knows it as it was until now.
            leave_trace(self)
        if self.variable is not None and requires_grad is not self.needs_grad:
            Tensor.aims += 1
        self.needs_grad = requires_grad
        return self

    # Looking at numbers.

    def array(self) -> np.ndarray:
        """The numbers: not a copy where they are the tensor's own, so not to be changed."""
        if self.variable is not None:
            from numbanet.tensors.flush import settle_variable

            settle_variable(self.variable)
            return self.variable.numpy()
        if self.numbers is None:
            self._compute()
        numbers = self.numbers
        if not isinstance(numbers, np.ndarray):
            numbers = self.numbers = cast("Reading", numbers).read()
        return numbers

    def _compute(self) -> None:
        from numbanet.tensors.flush import flush

        if self.trace is None:
            raise SymbolicValueError(
                "a tensor of a model that is being built has no numbers",
                mend="Run the model, for example with predict()",
            )
        flush(self.trace, (self,))

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """A copy of the numbers.

        Parameters
        ----------
        force : bool
            Also of a tensor that requires gradients.

        Raises
        ------
        ArgumentError
            If it requires gradients: the copy would not.
        """
        if self.requires_grad and not force:
            raise ArgumentError(
                "numpy() of a tensor that requires gradients",
                mend="Use tensor.detach().numpy()",
            )
        return self.array().copy()

    def item(self) -> Any:
        """The only number, as Python's.

        Raises
        ------
        ShapeError
            If there is not exactly one.
        """
        if self.tensor_type.shape and self.tensor_type.size != 1:
            raise ShapeError(
                "item() takes a tensor of one element", got=str(tuple(self.tensor_type.shape))
            )
        return self.array().item()

    def tolist(self) -> Any:
        """The numbers as Python's, in nested lists."""
        return self.array().tolist()

    def __bool__(self) -> bool:
        return bool(self._number("a truth value"))

    def __int__(self) -> int:
        return int(self._number("int()"))

    def __float__(self) -> float:
        return float(self._number("float()"))

    def __index__(self) -> int:
        if self.tensor_type.dtype.is_floating:
            raise DTypeError("an index is an integer", got=self.tensor_type.dtype.value)
        return int(self._number("an index"))

    def _number(self, asked: str) -> Any:
        if self.tensor_type.size != 1:
            raise ShapeError(
                f"{asked} of a tensor that has not one element",
                got=str(tuple(self.tensor_type.shape)),
            )
        return self.array().item()

    def __len__(self) -> int:
        if not self.tensor_type.shape:
            raise TypeError("len() of a tensor without axes")
        return self.tensor_type.sizes[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def settle(self) -> None:
        """Have its own numbers, and no promise of a program's that runs again."""
        if self.numbers is not None and not isinstance(self.numbers, np.ndarray):
            self.numbers = cast("Reading", self.numbers).read()

    # Gradients.

    @property
    def grad(self) -> Tensor | None:
        gradient = self.gradient
        if gradient is not None and not isinstance(gradient, Tensor):
            gradient.show()
        return cast("Tensor | None", self.gradient)

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        self.gradient = gradient

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add the gradient of this tensor with respect to each leaf to the leaf's ``grad``.

        Parameters
        ----------
        gradient : Tensor, optional
            Of this tensor's shape; ones for a scalar by default.
        retain_graph : bool, optional
            Whether ``backward`` may come this way again; by default not.
        create_graph : bool
            Whether the gradients have gradients; then the graph is retained, too.
        inputs : Tensor or sequence of Tensor, optional
            Which leaves; by default all.

        Raises
        ------
        GraphError
            If it does not require a gradient, or has been differentiated before.
        """
        trace = self.trace
        is_plain = gradient is None and inputs is None and not (retain_graph or create_graph)
        if is_plain and trace is not None:
            again = trace.record.ways.get(BACKWARD)
            if again is not None and again.take(trace, self):
                return
        from numbanet.tensors.backward import backward

        wanted = [inputs] if isinstance(inputs, Tensor) else inputs
        backward(self, gradient, bool(retain_graph), create_graph, wanted)

    def retain_grad(self) -> None:
        """Keep the gradient of this result, too."""
        if not self.requires_grad:
            raise ArgumentError("retain_grad() of a tensor that requires no gradient")
        if self.is_result and self.trace is not None:
            self.trace.retained[self.slot] = self

    @property
    def data(self) -> Tensor:
        """The same numbers without gradients; changing them in place changes this tensor."""
        return self._alias()

    @data.setter
    def data(self, other: Tensor) -> None:
        from numbanet.tensors.modes import no_grad

        with no_grad():
            self._replace(other)

    def detach(self) -> Tensor:
        """The same numbers without gradients."""
        return self._alias()

    def _alias(self) -> Tensor:
        if self.variable is not None:
            return Tensor.of_variable(self.variable)
        if self.numbers is None:
            from numbanet.tensors.functions.detaching import detached

            return detached(self)
        alias = Tensor.__new__(Tensor)
        alias.tensor_type = self.tensor_type
        if isinstance(self.numbers, np.ndarray):
            alias.numbers = self.numbers
        else:
            # Nobody has read them yet, and nobody may have to.
            cast("Reading", self.numbers).give(alias)
        self.add_views([alias])
        return alias

    def add_views(self, views: Sequence[Tensor]) -> None:
        """Note that ``views`` show the numbers of this tensor, while somebody holds them."""
        if self.views is None:
            # A variable's numbers may be shown by others, too.
            self.views = [weakref.ref(self if self.variable is None else self.variable)]
        elif len(self.views) > 8:
            self.views[:] = [each for each in self.views if each() is not None]
        for view in views:
            view.views = self.views
            self.views.append(weakref.ref(view))

    @property
    def has_views(self) -> bool:
        """Whether somebody holds a view of this tensor, or what this tensor is a view of."""
        own = (None, self, self.variable)
        return self.views is not None and any(
            all(each() is not one for one in own) for each in self.views
        )

    # Changing.

    def _replace(self, new: Tensor) -> Tensor:
        """Take the numbers of ``new``, a result or a leaf, in place; returns this tensor.

        Raises
        ------
        ArgumentError
            If it is a leaf that requires gradients and these are not switched off.
        NotImplementedError
            If it has views or is one, while somebody holds the others: they would have to
            change with it.
        ShapeError, DTypeError
            If ``new`` is of another type.
        """
        from numbanet.tensors.flush import replace

        self._check_replaceable(new)
        replace(self, new)
        return self

    def _check_replaceable(self, new: Tensor) -> None:
        if self.requires_grad and self.is_leaf and MODES.grad:
            raise ArgumentError(
                "a leaf that requires gradients cannot be changed in place",
                mend="Do it within numbanet.no_grad()",
            )
        if self.has_views:
            raise NotImplementedError(
                "in-place operations on a view, or on a tensor that has views: the others "
                "would have to change too. Use the operation that returns a new tensor"
            )
        if new.tensor_type.shape != self.tensor_type.shape:
            raise ShapeError(
                "an in-place operation keeps the shape",
                got=str(tuple(new.tensor_type.shape)),
                expected=str(tuple(self.tensor_type.shape)),
            )
        if new.tensor_type.dtype is not self.tensor_type.dtype:
            raise DTypeError(
                "an in-place operation keeps the element type",
                got=new.tensor_type.dtype.value,
                expected=self.tensor_type.dtype.value,
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise ArgumentError("only leaves can be copied deeply", mend="Detach it first")
        copy = type(self).__new__(type(self))
        memo[id(self)] = copy
        if self.variable is not None:
            old = self.variable
            same = Variable(self.array(), old.name, trainable=old.trainable, layout=old.layout)
            copy._show(same)
        else:
            copy.tensor_type = self.tensor_type
            copy.numbers = self.array().copy()
        copy.needs_grad = self.needs_grad
        return copy
