"""What a module holds, and how it is found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from numbanet.errors import ArgumentError, MemberError
from numbanet.ir import Variable
from numbanet.layers import module as base
from numbanet.layers.ownership import Owner
from numbanet.nn.members import KINDS, Hideable, Members, Names, kind_of
from numbanet.nn.parameter import Buffer, Parameter, show
from numbanet.nn.watch import Watch
from numbanet.tensors.tensor import Tensor

if TYPE_CHECKING:
    from numbanet.nn.module import Module

Self = TypeVar("Self", bound="Holder")

_BASE = {**vars(Owner), **vars(base.Module)}
_MACHINERY = {name for name in _BASE if name[0] != "_" and name not in ("forward", "trainable")}
"""Names of the base class that a member may have: PyTorch's modules do not know them."""


class Holder(base.Module):
    """Holds parameters, buffers and modules as attributes: the lower half of `Module`."""

    _names: dict[str, Names]
    _non_persistent_buffers_set: set[str]
    _own_collections: ClassVar[tuple[str, ...]] = ("_non_persistent_buffers_set",)
    _takes_call = False

    if TYPE_CHECKING:
        # Members are attributes that no class declares.
        def __getattr__(self, name: str) -> Any: ...

    def __init__(self) -> None:
        vars(self)["_names"] = {kind: {} for kind in KINDS}
        super().__init__()
        vars(self).update(_is_built=True, _non_persistent_buffers_set=set())

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
        Watch.see(attributes)
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
        Watch.see(vars(self))
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
        for name in self._own_collections:
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
        found = cast("Module", self)
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
        # Tensors compare by element, so it goes by identity.
        seen: set[int] = set()
        for path, module in modules if recurse else [(prefix, self)]:
            for name, member in _held(module, kind):
                if remove_duplicate:
                    if id(member) in seen:
                        continue
                    seen.add(id(member))
                yield (f"{path}.{name}" if path else name), member

    def children(self) -> Iterator[Module]:
        """The modules held directly, each once."""
        return (child for _, child in self.named_children())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Names and modules held directly, each once."""
        seen: set[int] = set()
        for name, child in self.named_held():
            if id(child) not in seen:
                seen.add(id(child))
                yield name, child

    def named_held(self) -> Iterator[tuple[str, Module]]:
        """Names and modules held directly, as often as they are held."""
        return _held(self, "module")

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_modules(
        self,
        memo: set[Any] | None = None,
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
        yield prefix, cast("Module", self)
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


for _name in _MACHINERY:
    _member_of_base = _BASE[_name]
    if isinstance(_member_of_base, property):
        setattr(Holder, _name, Hideable(_member_of_base))

_TYPES: dict[str, type] = {"parameter": Parameter, "buffer": Tensor, "module": Holder}


def _kind_by_type(value: Any) -> str | None:
    """What ``value`` becomes when it is set as an attribute, if anything by itself."""
    if isinstance(value, Parameter):
        return "parameter"
    if isinstance(value, Holder):
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
            f"({kind.title()} or None expected)"
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


def _held(module: Holder, kind: str) -> Iterator[tuple[str, Any]]:
    """Names and members of a kind, without those that are None."""
    attributes = vars(module)
    for name in list(attributes["_names"][kind]):
        member = attributes[name]
        if member is not None:
            yield name, member
