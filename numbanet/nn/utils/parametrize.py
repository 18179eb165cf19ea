"""Parametrizations: a module computes a tensor of another each time it is read.

A parametrized module gets a class of its own, which has a property in the place of the tensor.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from numbanet.errors import ArgumentError
from numbanet.nn.containers import ModuleDict, ModuleList
from numbanet.nn.module import Module
from numbanet.nn.parameter import Parameter
from numbanet.tensors.modes import no_grad
from numbanet.tensors.tensor import Tensor

M = TypeVar("M", bound=Module)


class _Cache:
    depth = 0
    found: dict[int, Any] = {}  # noqa: RUF012 - shared on purpose


@contextmanager
def cached() -> Iterator[None]:
    """Within the block each parametrized tensor is computed once."""
    _Cache.depth += 1
    try:
        yield
    finally:
        _Cache.depth -= 1
        if not _Cache.depth:
            _Cache.found.clear()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, and what they compute it from.

    Parameters
    ----------
    modules : sequence of Module
    original : Tensor or Parameter

    Attributes
    ----------
    original : Parameter or Tensor
        Or ``original0``, ``original1``, ..., if a ``right_inverse`` gives several.
    """

    def __init__(self, modules: list[Module], original: Tensor) -> None:
        super().__init__(modules)
        with no_grad():
            new: Any = original
            for module in reversed(modules):
                if hasattr(module, "right_inverse"):
                    new = module.right_inverse(new)
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        for name, each in zip(self._names_of_originals(), self._several(new), strict=True):
            self._hold(name, each, original)

    def _names_of_originals(self) -> list[str]:
        return (
            ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]
        )

    def _several(self, tensors: Any) -> list[Any]:
        return [tensors] if self.is_tensor else list(tensors)

    def _hold(self, name: str, tensor: Tensor, like: Tensor) -> None:
        if not isinstance(like, Parameter):
            self.register_buffer(name, tensor)
        elif tensor is like:
            self.register_parameter(name, like)
        else:
            layout = like.layout if tensor.ndim == like.ndim else None
            self.register_parameter(name, Parameter(tensor, like.requires_grad, layout))

    def forward(self) -> Any:
        tensors = [getattr(self, name) for name in self._names_of_originals()]
        modules = list(self)
        value = modules[0](*tensors)
        for module in modules[1:]:
            value = module(value)
        return value

    def right_inverse(self, value: Tensor) -> None:
        """Change the originals so that ``value`` comes of them.

        Raises
        ------
        NotImplementedError
            If a parametrization has no ``right_inverse``.
        """
        with no_grad():
            new: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise NotImplementedError(
                        f"{type(module).__name__} has no right_inverse(), so that nothing can "
                        "be assigned"
                    )
                new = module.right_inverse(new)
            names = self._names_of_originals()
            for name, each in zip(names, self._several(new), strict=True):
                getattr(self, name).copy_(each)


def register_parametrization(
    module: M, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> M:
    """Let a parameter or buffer be computed by another module, each time that it is read.

    Parameters
    ----------
    module : Module
    tensor_name : str
    parametrization : Module
        Called on the original. If it has ``right_inverse``, the original is what that gives for
        the numbers of now, and the tensor can be assigned.
    unsafe : bool
        Whether shapes and element types may change.

    Returns
    -------
    Module
        The same module, of a class of its own.

    Raises
    ------
    ArgumentError
        If there is no such tensor, or its type would change.
    """
    if is_parametrized(module, tensor_name):
        listed = module.parametrizations[tensor_name]
        before = getattr(module, tensor_name)
        listed.append(parametrization)
    else:
        before = _member(module, tensor_name)
        listed = ParametrizationList([parametrization], before)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _take_own_class(module)
            module.parametrizations = ModuleDict()
        module.parametrizations[tensor_name] = listed
        setattr(type(module), tensor_name, _property(tensor_name))
    after = getattr(module, tensor_name)
    if not unsafe and after.tensor_type != before.tensor_type:
        raise ArgumentError(
            "a parametrization keeps shape and element type",
            got=str(after.tensor_type),
            expected=str(before.tensor_type),
            mend="Give unsafe=True",
        )
    return module


def _member(module: Any, name: str) -> Any:
    for held in (module._parameters, module._buffers):
        if held.get(name) is not None:
            return held[name]
    raise ArgumentError(f"{type(module).__name__} has no parameter or buffer {name!r}")


def _take_own_class(module: Any) -> None:
    kind = type(module)
    own = type(f"Parametrized{kind.__name__}", (kind,), {"__module__": kind.__module__})
    # Its tensors are computed by what others write.
    own._is_built_in = False  # type: ignore[attr-defined]
    module.__class__ = own


def _property(name: str) -> property:
    def get(module: Any) -> Any:
        listed = module.parametrizations[name]
        if not _Cache.depth:
            return listed()
        if id(listed) not in _Cache.found:
            _Cache.found[id(listed)] = listed()
        return _Cache.found[id(listed)]

    def set_(module: Any, value: Any) -> None:
        module.parametrizations[name].right_inverse(value)

    return property(get, set_)


def is_parametrized(module: Any, tensor_name: str | None = None) -> bool:
    """Whether ``module`` has parametrizations, or that tensor has some."""
    found = vars(module).get("parametrizations")
    if not isinstance(found, ModuleDict) or not type(module).__name__.startswith(
        "Parametrized"
    ):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: M, tensor_name: str, leave_parametrized: bool = True) -> M:
    """Undo `register_parametrization`.

    Parameters
    ----------
    module : Module
    tensor_name : str
    leave_parametrized : bool
        Whether the tensor keeps the numbers that it has now; else it is the original again.

    Returns
    -------
    Module
        The same module, of its old class if nothing else is parametrized.

    Raises
    ------
    ArgumentError
        If it is not parametrized, or computed from several originals that it shall be again.
    """
    if not is_parametrized(module, tensor_name):
        raise ArgumentError(f"{tensor_name!r} of {type(module).__name__} is not parametrized")
    listed = module.parametrizations[tensor_name]
    if not leave_parametrized and not listed.is_tensor:
        raise ArgumentError("several originals cannot be one tensor again")
    original = getattr(listed, listed._names_of_originals()[-1])
    with no_grad():
        numbers = getattr(module, tensor_name) if leave_parametrized else original
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if isinstance(original, Parameter):
        again = Parameter(numbers, original.requires_grad, original.layout)
        module.register_parameter(tensor_name, again)
    else:
        module.register_buffer(tensor_name, numbers.detach())
    if not len(module.parametrizations):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that a module had before it was parametrized."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)
