"""Modules: what computes with parameters, with PyTorch's protocol."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from numbanet.errors import ArgumentError, GraphError
from numbanet.ir import DType, Value
from numbanet.layers.structure import flatten, map_leaves
from numbanet.nn import shortcuts, state
from numbanet.nn.backward_hooks import BackwardHooks
from numbanet.nn.conversion import convert, target
from numbanet.nn.holder import Holder
from numbanet.nn.hooks import Hook, RemovableHandle, after_forward, before_forward, register
from numbanet.nn.text import describe
from numbanet.tensors.replay import NOTHING, repeat
from numbanet.tensors.tensor import Tensor

Self = TypeVar("Self", bound="Module")


class Module(Holder):
    """Base of everything that computes with parameters.

    A subclass calls ``super().__init__()``, sets its parameters, buffers and modules as
    attributes, and implements ``forward``. Modules in plain lists or dicts are not held: use
    `ModuleList` and `ModuleDict`.

    A module is called on tensors. It may be called on the values of a `numbanet.Model`, too,
    and then is one of its layers.

    Attributes
    ----------
    training : bool
        Whether dropout drops and normalisation learns; see `train` and `eval`.

    Examples
    --------
    >>> class Residual(Module):
    ...     def __init__(self, width):
    ...         super().__init__()
    ...         self.inner = Linear(width, width)
    ...
    ...     def forward(self, x):
    ...         return x + F.relu(self.inner(x))
    """

    training: bool
    _is_built_in: ClassVar[bool] = False
    """Whether it does what it does, and nothing besides; see `numbanet.nn.shortcuts`."""
    _forward_hooks: dict[int, Hook]
    _forward_pre_hooks: dict[int, Hook]
    _backward_hooks: BackwardHooks | None = None
    _own_collections = (*Holder._own_collections, "_forward_hooks", "_forward_pre_hooks")

    def __init__(self) -> None:
        super().__init__()
        vars(self).update(training=True, _forward_hooks={}, _forward_pre_hooks={})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._is_built_in = cls.__module__.startswith("numbanet.nn.")

    # Calling.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute ``forward``, and the hooks before and after it."""
        if not self._is_built_in or kwargs:
            return self._compute(args, kwargs)
        result = repeat(self, args, kwargs)
        if result is NOTHING:
            start = shortcuts.here()
            result = self._compute(args, kwargs)
            shortcuts.note(self, start, args, result)
        return result

    def _compute(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if (
            self._forward_pre_hooks
            or self._forward_hooks
            or not args
            or not isinstance(args[0], Tensor)
            or args[0].value is not None
        ):
            return self._call(args, kwargs)
        return self.forward(*args, **kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        leaves = flatten([args, kwargs])
        if any(isinstance(leaf, Value) for leaf in leaves):
            return super().__call__(*args, **kwargs)
        if any(isinstance(leaf, Tensor) and leaf.value is not None for leaf in leaves):
            # Called on values, so that pictures of what holds it find its calls.
            args, kwargs = map_leaves(_as_value, [args, kwargs])
            return map_leaves(_as_symbolic, super().__call__(*args, **kwargs))
        return self._run(args, kwargs)

    def record(self, *args: Any, **kwargs: Any) -> Any:
        """Compute ``forward`` on symbolic values under the open scope."""
        for module in self.modules():
            for name, child in module.named_held():
                child.find_name(name)
        symbolic = map_leaves(_as_symbolic, [args, kwargs])
        return map_leaves(_as_value, self._run(*symbolic))

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs = before_forward(self, self._forward_pre_hooks, args, kwargs)
        output = self.forward(*args, **kwargs)
        return after_forward(self, self._forward_hooks, args, kwargs, output)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before ``forward``; it may return other arguments.

        Parameters
        ----------
        hook : callable
        prepend : bool
            Before the hooks that are there.
        with_kwargs : bool
            Call ``hook(module, args, kwargs)``, which returns both if it returns any.
        """
        return register(self._forward_pre_hooks, Hook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after ``forward``; it may return another output.

        Parameters
        ----------
        hook : callable
        prepend : bool
            Before the hooks that are there.
        with_kwargs : bool
            Call ``hook(module, args, kwargs, output)``.
        always_call : bool
            Not supported.
        """
        if always_call:
            raise NotImplementedError("register_forward_hook(always_call=True)")
        return register(self._forward_hooks, Hook(hook, with_kwargs), prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when gradients have come through.

        Both are tuples, of the gradients of the positional arguments and of the results, with
        None where there is none. It may return other gradients of the arguments.

        Parameters
        ----------
        hook : callable
        prepend : bool
            Before the hooks that are there.
        """
        return register(self._both_ends().after, hook, prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before gradients go through.

        It may return other gradients of the results.

        Parameters
        ----------
        hook, prepend
            As of `register_full_backward_hook`.
        """
        return register(self._both_ends().before, hook, prepend)

    def _both_ends(self) -> BackwardHooks:
        """The hooks at both ends of its calls, which are marked from now on."""
        if self._backward_hooks is None:
            self._backward_hooks = BackwardHooks()
            self.register_forward_pre_hook(self._backward_hooks.enter)
            self.register_forward_hook(self._backward_hooks.leave)
        return self._backward_hooks

    # Changing all of it.

    @property
    def trainable(self) -> bool:
        """Whether some parameter requires a gradient, or there are none.

        Setting it is `requires_grad_`.
        """
        flags = [each.requires_grad for each in self.parameters()]
        return any(flags) or not flags

    @trainable.setter
    def trainable(self, is_trainable: bool) -> None:
        self.requires_grad_(bool(is_trainable))

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn`` on all modules below this one, then on this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self: Self, mode: bool = True) -> Self:
        """Behave as in training, or as in evaluation if ``mode`` is False."""
        if not isinstance(mode, bool):
            raise ArgumentError("train() takes a bool", got=repr(mode))
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Behave as in evaluation."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Ask for gradients of all parameters, or stop asking."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all parameters' gradients, or set them to zeros."""
        for parameter in self.parameters():
            if set_to_none or parameter.gradient is None:
                parameter.gradient = None
            else:
                parameter.grad = Tensor.wrap(np.zeros(parameter.shape, parameter.dtype.numpy))

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Convert floating-point parameters and buffers.

        Called as ``to(dtype)``, ``to(device)``, ``to(device, dtype)`` or ``to(tensor)``.

        Raises
        ------
        NotImplementedError
            If it is not the device in use, which is chosen once for all tensors.
        DTypeError
            If the element type is not floating-point.
        """
        dtype = target(*args, **kwargs)
        return self if dtype is None else self.type(dtype)

    def type(self: Self, dst_type: DType | str) -> Self:
        """Convert floating-point parameters and buffers to ``dst_type``."""
        dtype = target(dtype=dst_type)
        for module in self.modules():
            for tensor in (*module._parameters.values(), *module._buffers.values()):
                if tensor is not None and dtype is not None:
                    convert(tensor, dtype)
        return self

    def float(self: Self) -> Self:
        """Convert floating-point parameters and buffers to float32."""
        return self.type(DType.FLOAT32)

    def double(self: Self) -> Self:
        """Convert floating-point parameters and buffers to float64."""
        return self.type(DType.FLOAT64)

    def half(self: Self) -> Self:
        """Not supported: there is no float16."""
        raise NotImplementedError("half(): there is no float16")

    def bfloat16(self: Self) -> Self:
        """Not supported: there is no bfloat16."""
        raise NotImplementedError("bfloat16(): there is no bfloat16")

    def cpu(self: Self) -> Self:
        """The module, if the CPU is the device in use; else NotImplementedError."""
        return self.to("cpu")

    def cuda(self: Self, device: Any = None) -> Self:
        """The module, if CUDA is the device in use; else NotImplementedError."""
        return self.to("cuda" if device is None else device)

    # State.

    def state_dict(
        self,
        *,
        destination: OrderedDict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> OrderedDict[str, Any]:
        """Parameters and persistent buffers by path.

        They are the module's own and change with it: copy them to keep what they are now.

        Parameters
        ----------
        destination : OrderedDict, optional
            Where to put them.
        prefix : str
            What the paths begin with.
        keep_vars : bool
            The parameters themselves, not tensors without gradients of the same numbers.
        """
        found = OrderedDict() if destination is None else destination
        return state.save(self, found, prefix, keep_vars)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> state.IncompatibleKeys:
        """Take the numbers of ``state_dict``: tensors, NumPy arrays, or PyTorch's tensors.

        Parameters
        ----------
        state_dict : mapping
        strict : bool
            Whether its keys must be the module's.
        assign : bool
            Whether parameters are replaced, with their element types, and not only their
            numbers.

        Returns
        -------
        IncompatibleKeys
            A named tuple ``(missing_keys, unexpected_keys)``.

        Raises
        ------
        StateDictError
            If keys or shapes do not fit; nothing has changed then.
        """
        return state.load(self, state_dict, strict, assign)

    def get_extra_state(self) -> Any:
        """What a subclass adds to the ``state_dict``; see `set_extra_state`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement get_extra_state()")

    def set_extra_state(self, state: Any) -> None:
        """Take back what ``get_extra_state`` returned."""
        raise NotImplementedError(f"{type(self).__name__} does not implement set_extra_state()")

    # Printing.

    def extra_repr(self) -> str:
        """What is printed between the parentheses."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def _printed_children(self) -> list[tuple[str, str]]:
        return [(name, repr(child)) for name, child in self._modules.items()]

    def __repr__(self) -> str:
        return describe(self._get_name(), self.extra_repr(), self._printed_children())


def _as_symbolic(leaf: Any) -> Any:
    return Tensor.symbolic(leaf) if isinstance(leaf, Value) else leaf


def _as_value(leaf: Any) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    if leaf.value is None:
        raise GraphError("a module of a Model returned a tensor that is no part of the graph")
    return leaf.value
