"""Containers: sequences and dicts of modules and of parameters."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from itertools import chain
from typing import Any, TypeVar

from numbanet.errors import ArgumentError
from numbanet.nn.module import Module
from numbanet.nn.parameter import Parameter
from numbanet.nn.text import fold
from numbanet.tensors.tensor import Tensor

Self = TypeVar("Self", bound="_Numbered")
Items = Mapping[str, Any] | Iterable[Any]


class _Numbered(Module):
    """Modules with numbers for names."""

    def _key(self, index: Any) -> str:
        """The name of the module at ``index``, counted from the end if negative."""
        names = list(self._modules)
        try:
            return names[operator.index(index)]
        except IndexError:
            raise IndexError(f"index {index} is out of range") from None

    def _replace(self, modules: Iterable[Module]) -> None:
        """Hold ``modules``, with new numbers, and no others."""
        held = list(modules)
        for name in list(self._modules):
            delattr(self, name)
        for position, module in enumerate(held):
            self.add_module(str(position), module)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._part(list(self._modules.items())[index])
        return self._modules[self._key(index)]

    def _part(self, items: list[tuple[str, Module]]) -> Any:
        return type(self)(*(module for _, module in items))

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._key(index), module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)
        gone = set(names[index]) if isinstance(index, slice) else {self._key(index)}
        self._replace([each for name, each in self._modules.items() if name not in gone])

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._modules.values()))

    def append(self: Self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self: Self, modules: Iterable[Module]) -> Self:
        """Add all of ``modules`` at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"extend() takes an iterable, got {type(modules).__name__}")
        for module in list(modules):
            self.append(module)
        return self

    def insert(self: Self, index: int, module: Module) -> Self:
        """Put a module before the one at ``index``."""
        if not isinstance(module, Module):
            raise TypeError(f"insert() takes a module, got {type(module).__name__}")
        held = list(self)
        held.insert(index, module)
        self._replace(held)
        return self

    def pop(self, index: int | slice) -> Any:
        """Take away and return the module at ``index``."""
        popped = self[index]
        del self[index]
        return popped


class Sequential(_Numbered):
    """Modules one after the other.

    Parameters
    ----------
    *modules : Module
        Or one OrderedDict, which names them.

    Examples
    --------
    >>> Sequential(Linear(8, 4), ReLU())
    >>> Sequential(OrderedDict([("fc", Linear(8, 4)), ("relu", ReLU())]))
    """

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], OrderedDict):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            for position, module in enumerate(modules):
                self.add_module(str(position), module)

    def forward(self, input: Any) -> Any:
        attributes = vars(self)
        for name in attributes["_names"]["module"]:
            input = attributes[name](input)
        return input

    def _part(self, items: list[tuple[str, Module]]) -> Sequential:
        return type(self)(OrderedDict(items))

    def insert(self, index: int, module: Module) -> Sequential:
        """Put a module before the one at ``index``."""
        if not -len(self) <= index <= len(self):
            raise IndexError(f"index {index} is out of range")
        return super().insert(index, module)

    def __add__(self, other: Sequential) -> Sequential:
        _check_sequential(other)
        return Sequential(*self, *other)

    def __iadd__(self, other: Sequential) -> Sequential:
        _check_sequential(other)
        return self.extend(other)

    def __mul__(self, times: int) -> Sequential:
        return Sequential(*list(self) * _factor(times))

    def __rmul__(self, times: int) -> Sequential:
        return self * times

    def __imul__(self, times: int) -> Sequential:
        return self.extend(list(self) * (_factor(times) - 1))


def _check_sequential(other: object) -> None:
    if not isinstance(other, Sequential):
        raise ArgumentError(
            "a Sequential can be added to a Sequential only", got=type(other).__name__
        )


def _factor(times: object) -> int:
    if not isinstance(times, int):
        raise TypeError(f"a Sequential is multiplied by an int, got {type(times).__name__}")
    if times <= 0:
        raise ArgumentError("a Sequential is multiplied by a positive int", got=str(times))
    return times


class ModuleList(_Numbered):
    """A list of modules that belong to the module of which it is an attribute.

    Parameters
    ----------
    modules : iterable of Module, optional
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(() if modules is None else modules)

    def _part(self, items: list[tuple[str, Module]]) -> ModuleList:
        return type(self)(module for _, module in items)

    def find_name(self, name: str) -> None:
        super().find_name(name)
        _name_inner(self, name)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList(chain(self, other))

    def __iadd__(self, other: Iterable[Module]) -> ModuleList:
        return self.extend(other)

    def _printed_children(self) -> list[tuple[str, str]]:
        return fold(super()._printed_children())


class ModuleDict(Module):
    """A dict of modules that belong to the module of which it is an attribute.

    Parameters
    ----------
    modules : mapping of str to Module, or iterable of pairs, optional
    """

    def __init__(self, modules: Items | None = None) -> None:
        super().__init__()
        self.update({} if modules is None else modules)

    def find_name(self, name: str) -> None:
        super().find_name(name)
        _name_inner(self, name)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def keys(self) -> Any:
        """The names."""
        return self._modules.keys()

    def items(self) -> Any:
        """Names and modules."""
        return self._modules.items()

    def values(self) -> Any:
        """The modules."""
        return self._modules.values()

    def clear(self) -> None:
        """Take all modules away."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Take away and return the module of this name."""
        return self._modules.pop(key)

    def update(self, modules: Items) -> None:
        """Add modules, in place of those of the same names."""
        for key, module in _pairs(modules):
            self[key] = module


class ParameterList(Module):
    """A list of parameters that belong to the module of which it is an attribute.

    Tensors become parameters; anything else is kept as it is.

    Parameters
    ----------
    values : iterable, optional
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        self.extend(() if values is None else values)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)([self[each] for each in range(len(self))[index]])
        return getattr(self, self._key(index))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._key(index), _as_parameter(value))

    def _key(self, index: Any) -> str:
        try:
            return str(range(self._size)[operator.index(index)])
        except IndexError:
            raise IndexError(f"index {index} is out of range") from None

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([self[index] for index in range(len(self))])

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def append(self, value: Any) -> ParameterList:
        """Add a parameter at the end."""
        self._size += 1
        self[-1] = value
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add all of ``values`` at the end."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(f"extend() takes an iterable, got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self) -> str:
        return _lines(enumerate(self))


class ParameterDict(Module, MutableMapping[str, Any]):
    """A dict of parameters that belong to the module of which it is an attribute.

    Tensors become parameters; anything else is kept as it is.

    Parameters
    ----------
    parameters : mapping of str, or iterable of pairs, optional
    """

    # As a module it is compared by identity.
    __hash__ = Module.__hash__  # type: ignore[assignment]
    __eq__ = Module.__eq__  # type: ignore[assignment]

    def __init__(self, parameters: Items | None = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        self.update({} if parameters is None else parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        value = _as_parameter(value)
        if key not in self._keys and hasattr(self, key):
            # The name of a method: a member would hide it.
            self._register("parameter", key, value)
        setattr(self, key, value)
        self._keys[key] = None

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._keys))

    def update(self, parameters: Items) -> None:  # type: ignore[override]
        """Add parameters, in place of those of the same names."""
        pairs = _pairs(parameters)
        if isinstance(parameters, Mapping) and not isinstance(
            parameters, OrderedDict | ParameterDict
        ):
            # Keys of a plain dict are sorted, as PyTorch sorts them: optimizers see this order.
            pairs = sorted(pairs, key=lambda pair: pair[0])
        for key, value in pairs:
            self[key] = value

    def popitem(self) -> tuple[str, Any]:
        """Take away and return the last key and parameter."""
        if not self._keys:
            raise KeyError("popitem() of an empty ParameterDict")
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def copy(self) -> ParameterDict:
        """Another dict of the same parameters."""
        return ParameterDict(OrderedDict(self.items()))

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A dict with ``default`` for each of ``keys``."""
        return ParameterDict((key, default) for key in keys)

    def __or__(self, other: ParameterDict) -> ParameterDict:
        joined = self.copy()
        joined.update(other)
        return joined

    def __ior__(self, other: ParameterDict) -> ParameterDict:
        self.update(other)
        return self

    def extra_repr(self) -> str:
        return _lines(self.items())

    __repr__ = Module.__repr__


def _as_parameter(value: Any) -> Any:
    is_plain = isinstance(value, Tensor) and not isinstance(value, Parameter)
    return Parameter(value) if is_plain else value


def _name_inner(container: Module, name: str) -> None:
    """Name modules after the container, which is no layer itself, and their place in it."""
    for key, child in container.named_held():
        child.find_name(f"{name}_{key}")


def _pairs(items: Items) -> Iterable[tuple[str, Any]]:
    """Keys and values."""
    if isinstance(items, Mapping | ModuleDict):
        return list(items.items())
    if not isinstance(items, Iterable):
        raise TypeError(f"a mapping or pairs are needed, got {type(items).__name__}")
    return [(key, value) for key, value in items]


def _lines(items: Iterable[tuple[Any, Any]]) -> str:
    return "\n".join(f"  ({key}): {_short(value)}" for key, value in items)


def _short(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    sizes = "x".join(map(str, value.shape))
    return f"{kind} containing: [numbanet.{value.dtype} of size {sizes}]"
