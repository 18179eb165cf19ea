"""What a module holds: parameters, buffers and modules among its attributes."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from numbanet.nn.watch import Watch

KINDS = ("parameter", "buffer", "module")

Names = dict[str, None]
"""An ordered set of names."""


class Members(MutableMapping[str, Any]):
    """The parameters, the buffers or the modules that a module holds, by name; a live view.

    They are plain attributes of the module, so that reading one costs no more than reading any
    other; the module keeps the names of each kind, in the order in which they were set.

    Parameters
    ----------
    attributes : dict
        Of the module.
    kind : {"parameter", "buffer", "module"}
    """

    __slots__ = ("_attributes", "_kind")

    def __init__(self, attributes: dict[str, Any], kind: str) -> None:
        self._attributes = attributes
        self._kind = kind

    @property
    def _names(self) -> Names:
        return self._attributes["_names"][self._kind]

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return self._attributes[name]

    def __setitem__(self, name: str, value: Any) -> None:
        Watch.see(self._attributes)
        for kind, names in self._attributes["_names"].items():
            if kind != self._kind:
                names.pop(name, None)
        self._names[name] = None
        self._attributes[name] = value

    def __delitem__(self, name: str) -> None:
        Watch.see(self._attributes)
        del self._names[name]
        del self._attributes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))


def kind_of(attributes: dict[str, Any], name: str) -> str | None:
    """The kind of the member called ``name``; None if there is none."""
    for kind, names in attributes["_names"].items():
        if name in names:
            return kind
    return None


class Hideable:
    """A property that an attribute of the instance hides.

    A module's attributes are its author's: a name that only the machinery of `numbanet.Model`
    needs must not be in the way.
    """

    def __init__(self, of: Any) -> None:
        self._get = of.fget
        self.__doc__ = of.__doc__

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else self._get(instance)
