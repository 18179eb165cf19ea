"""Modules: what holds parameters and computes with them, with PyTorch's protocol."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from numbanet.errors import ArgumentError, GraphError, MemberError
from numbanet.ir import DType, Value, Variable, scope
from numbanet.layers import module as base
from numbanet.layers.structure import flatten, map_leaves
from numbanet.nn import state
from numbanet.nn.conversion import convert, target
from numbanet.nn.hooks import Hook, RemovableHandle, after_forward, before_forward, register
from numbanet.nn.members import KINDS, Hideable, Members, Names, kind_of
from numbanet.nn.parameter import Buffer, Parameter, show
from numbanet.nn.text import describe
from numbanet.tensors.tensor import Tensor

Self = TypeVar("Self", bound="Module")
Found = TypeVar("Found")

_MACHINERY = {
    name
    for name in vars(base.Module)
    if name[0] != "_" and name not in ("forward", "trainable")
}
"""Names of the base class that a member may have: PyTorch's modules do not know them."""


class Module(base.Module):
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
    _names: dict[str, Names]
    _non_persistent_buffers_set: set[str]
    _forward_hooks: dict[int, Hook]
    _forward_pre_hooks: dict[int, Hook]

    if TYPE_CHECKING:
        # Members are attributes that no class declares.
        def __getattr__(self, name: str) -> Any: ...

    def __init__(self) -> None:
        vars(self)["_names"] = {kind: {} for kind in KINDS}
        super().__init__()
        vars(self).update(
            training=True,
            _is_built=True,
            _non_persistent_buffers_set=set(),
            _forward_hooks={},
            _forward_pre_hooks={},
        )

    # Members.

    @property
    def _parameters(self) -> Members:
        return Members(vars(self), "parameter")

    @property
    def _buffers(self) -> Members:
        return Members(vars(self), "buffer")

    @property
    def _modules(self) -> Members:
        return Members(vars(self), "module")

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = vars(self)
        own = _kind_by_type(value)
        if "_names" not in attributes:
            if own is not None:
                raise AttributeError(f"cannot assign a {own} before Module.__init__() call")
            object.__setattr__(self, name, value)
            return
        kind = own or kind_of(attributes, name)
        if kind is None:
            object.__setattr__(self, name, value)
            return
        _check_type(kind, name, value)
        _call_variable(value, name)
        Members(attributes, kind)[name] = value
        if isinstance(value, Buffer):
            self._set_persistent(name, value.persistent)

    def __delattr__(self, name: str) -> None:
        kind = kind_of(vars(self), name)
        if kind is None:
            object.__delattr__(self, name)
        else:
            del Members(vars(self), kind)[name]
            self._non_persistent_buffers_set.discard(name)

    def __copy__(self: Self) -> Self:
        """Another module that holds the same members."""
        copy = self.__class__.__new__(self.__class__)
        vars(copy).update(vars(self))
        vars(copy)["_names"] = {kind: dict(names) for kind, names in self._names.items()}
        for name in ("_non_persistent_buffers_set", "_forward_hooks", "_forward_pre_hooks"):
            vars(copy)[name] = vars(self)[name].copy()
        return copy

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Hold ``param`` as attribute ``name``; None keeps the name for later.

        Raises
        ------
        MemberError
            If the name is empty, has a dot, or is taken.
        TypeError
            If ``param`` is something else.
        """
        self._register("parameter", name, param)

    def register_buffer(
        self, name: str, tensor: Tensor | None, persistent: bool = True
    ) -> None:
        """Hold a tensor that is state, but is not trained.

        Parameters
        ----------
        name : str
        tensor : Tensor, optional
        persistent : bool
            Whether it is in the ``state_dict``.

        Raises
        ------
        MemberError, TypeError
            As of `register_parameter`.
        """
        self._register("buffer", name, tensor)
        if tensor is not None:
            _store(tensor, name)
        self._set_persistent(name, persistent)

    def _set_persistent(self, name: str, persistent: bool) -> None:
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Hold ``module`` as attribute ``name``.

        Raises
        ------
        MemberError, TypeError
            As of `register_parameter`.
        """
        self._register("module", name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    def _register(self, kind: str, name: str, value: Any) -> None:
        attributes = vars(self)
        if "_names" not in attributes:
            raise AttributeError(f"cannot assign a {kind} before Module.__init__() call")
        _check_name(kind, name)
        is_free = kind_of(attributes, name) == kind or name in _MACHINERY - attributes.keys()
        if hasattr(self, name) and not is_free:
            raise MemberError(f"attribute {name!r} already exists", mend="Choose another name")
        _check_type(kind, name, value)
        _call_variable(value, name)
        Members(attributes, kind)[name] = value

    # Finding members.

    def get_submodule(self, target: str) -> Module:
        """The module at a path such as ``"encoder.0.linear"``; ``""`` is this one.

        Raises
        ------
        AttributeError
            If there is none.
        """
        found = self
        for name in target.split(".") if target else ():
            found = _member(found, "module", name)
        return found

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put ``module`` at a path, in place of the one there.

        Parameters
        ----------
        target : str
        module : Module
        strict : bool
            Whether there must be one already.
        """
        if not target:
            raise ArgumentError("set_submodule() needs a path", got="an empty one")
        path, _, name = target.rpartition(".")
        holder = self.get_submodule(path)
        if strict:
            _member(holder, "module", name)
        setattr(holder, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as ``"encoder.0.weight"``; else AttributeError."""
        path, _, name = target.rpartition(".")
        return _member(self.get_submodule(path), "parameter", name)

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a path such as ``"norm.running_mean"``; else AttributeError."""
        path, _, name = target.rpartition(".")
        return _member(self.get_submodule(path), "buffer", name)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once; only the module's own if not ``recurse``."""
        return (each for _, each in self.named_parameters(recurse=recurse))

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Paths and parameters."""
        return self._named("parameter", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once; only the module's own if not ``recurse``."""
        return (each for _, each in self.named_buffers(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Paths and buffers."""
        return self._named("buffer", prefix, recurse, remove_duplicate)

    def _named(
        self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        found = (
            (f"{path}.{name}" if path else name, member)
            for path, module in (modules if recurse else [(prefix, self)])
            for name, member in Members(vars(module), kind).items()
            if member is not None
        )
        return _unique(found) if remove_duplicate else found

    def children(self) -> Iterator[Module]:
        """The modules held directly, each once."""
        return (child for _, child in self.named_children())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Names and modules held directly, each once."""
        return _unique(self.named_held())

    def named_held(self) -> Iterator[tuple[str, Module]]:
        """Names and modules held directly, as often as they are held."""
        held = self._modules.items()
        return ((name, child) for name, child in held if child is not None)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_modules(
        self,
        memo: set[Module] | None = None,
        prefix: str = "",
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Module]]:
        """Paths and modules, parents first.

        Parameters
        ----------
        memo : set of Module, optional
            Those that are not wanted; what is found is added.
        prefix : str
            Path of this module.
        remove_duplicate : bool
            Whether a module that is held twice comes once.
        """
        seen = set() if memo is None else memo
        if self in seen:
            return
        if remove_duplicate:
            seen.add(self)
        yield prefix, self
        for name, child in self.named_held():
            path = f"{prefix}.{name}" if prefix else name
            yield from child.named_modules(seen, path, remove_duplicate)

    # What `numbanet.Model` asks of its layers.

    def submodules(self) -> dict[str, base.Module]:
        """The modules held directly, by name."""
        return dict(self.named_held())

    def own_variables(self) -> dict[str, Variable]:
        """The variables behind the parameters and buffers held directly, by name."""
        found = {}
        for name, each in (*self._parameters.items(), *self._buffers.items()):
            if each is not None and each.variable is not None:
                each.variable.trainable = each.requires_grad
                found[name] = each.variable
        return found

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

    # Calling.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute ``forward``, and the hooks before and after it."""
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
            with scope(self.name):
                return self._run(args, kwargs)
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

    def register_full_backward_hook(self, hook: Any, prepend: bool = False) -> None:
        """Not supported: gradients are computed by a compiled program."""
        raise NotImplementedError("register_full_backward_hook(): read tensor.grad instead")

    def register_full_backward_pre_hook(self, hook: Any, prepend: bool = False) -> None:
        """Not supported, as `register_full_backward_hook`."""
        raise NotImplementedError("register_full_backward_pre_hook(): read tensor.grad instead")

    # Changing all of it.

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
            if set_to_none or parameter.grad is None:
                parameter.grad = None
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


for _name in ("name", "class_name", "has_own_name", "label", "is_built"):
    setattr(Module, _name, Hideable(getattr(base.Module, _name)))

_TYPES: dict[str, type] = {"parameter": Parameter, "buffer": Tensor, "module": Module}


def _kind_by_type(value: Any) -> str | None:
    """What ``value`` becomes when it is set as an attribute, if anything by itself."""
    if isinstance(value, Parameter):
        return "parameter"
    if isinstance(value, Module):
        return "module"
    if isinstance(value, Buffer):
        return "buffer"
    if isinstance(value, base.Module):
        raise NotImplementedError(
            f"a layer in a module: {type(value).__name__} computes with symbolic values only. "
            "Use the module of numbanet.nn instead"
        )
    return None


def _check_type(kind: str, name: str, value: Any) -> None:
    if value is not None and not isinstance(value, _TYPES[kind]):
        raise TypeError(
            f"cannot assign {type(value).__name__!r} as {kind} {name!r} "
            f"({_TYPES[kind].__name__} or None expected)"
        )


def _check_name(kind: str, name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{kind} name should be a string, got {type(name).__name__}")
    if not name or "." in name:
        raise MemberError(f"a {kind} name is not empty and has no dot", got=repr(name))


def _call_variable(value: Any, name: str) -> None:
    """Name what is behind a parameter or buffer, for messages and printed graphs."""
    if isinstance(value, Tensor) and value.variable is not None:
        value.variable.name = name


def _store(buffer: Tensor, name: str) -> None:
    """Put a variable behind a buffer of host numbers: graphs read and update variables."""
    if buffer.variable is None and buffer.numbers is not None and not buffer.is_result:
        show(buffer, buffer.array())
        _call_variable(buffer, name)


def _member(module: Module, kind: str, name: str) -> Any:
    if not hasattr(module, name):
        raise AttributeError(f"{type(module).__name__} has no attribute {name!r}")
    found = Members(vars(module), kind).get(name)
    if found is None:
        raise AttributeError(f"{name!r} of {type(module).__name__} is not a {kind}")
    return found


def _unique(named: Iterator[tuple[str, Found]]) -> Iterator[tuple[str, Found]]:
    """Without those that came before; tensors compare by element, so they go by identity."""
    seen: set[int] = set()
    for name, each in named:
        if id(each) not in seen:
            seen.add(id(each))
            yield name, each


def _as_symbolic(leaf: Any) -> Any:
    return Tensor.symbolic(leaf) if isinstance(leaf, Value) else leaf


def _as_value(leaf: Any) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    if leaf.value is None:
        raise GraphError("a module of a Model returned a tensor that is no part of the graph")
    return leaf.value
