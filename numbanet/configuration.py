"""Configurations: what an object was constructed with, in a form that JSON holds.

A class is written as a name. Names of numbanet's own classes and functions are looked up in its
public rooms; all others must have been registered, or be given by the caller: nothing is ever
imported because a configuration says so.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

from numbanet.errors import ArgumentError, FormatError
from numbanet.ir import DType, Value

T = TypeVar("T")
Self = TypeVar("Self", bound="Configured")

Objects = Mapping[str, Any]
"""Classes and functions by name."""

CUSTOM = "custom>"
"""What the names of classes begin with that are not numbanet's."""

ROOMS = (
    "layers",
    "models",
    "activations",
    "initializers",
    "regularizers",
    "constraints",
    "optimizers",
    "optimizers.schedules",
    "losses",
    "metrics",
    "nn",
    "ops",
)
"""Where public names are looked up; the first two are left out of names."""

_UNNAMED = 2

_REGISTERED: dict[str, Any] = {}


class Configured:
    """Keeps the arguments that its constructor was called with."""

    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls: type[Self], *args: Any, **kwargs: Any) -> Self:
        self = object.__new__(cls)
        vars(self)["_arguments"] = (args, kwargs)
        return self

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments by name, as JSON holds them.

        Objects among them become ``{"class_name": ..., "config": ...}``.

        Raises
        ------
        ArgumentError
            If an argument cannot be written: a lambda, say.
        """
        return self._configuration()

    @classmethod
    def from_config(
        cls: type[Self], config: Mapping[str, Any], custom_objects: Objects | None = None
    ) -> Self:
        """An object like the one whose `get_config` returned ``config``.

        Parameters
        ----------
        config : dict
        custom_objects : dict of str to class or function, optional
            Yours, by the names that they have in ``config``; see also `register`.

        Raises
        ------
        FormatError
            If ``config`` names an unknown class.
        """
        return cls._of_configuration(config, custom_objects)

    # What those two do; not they themselves, which may be the user's.

    def _configuration(self) -> dict[str, Any]:
        return to_config(arguments(self))

    @classmethod
    def _of_configuration(
        cls: type[Self], config: Mapping[str, Any], objects: Objects | None
    ) -> Self:
        parts = {key: from_config(value, objects) for key, value in config.items()}
        return construct(cls, parts)


def register(thing: T | None = None, *, name: str | None = None) -> T | Callable[[T], T]:
    """Let files name a class or function of yours; a decorator.

    Parameters
    ----------
    thing : class or function
    name : str, optional
        By default its own.

    Raises
    ------
    ArgumentError
        If something else is registered under that name.

    Examples
    --------
    >>> @register
    ... class Scale(Module):
    ...     pass
    """
    if thing is None:
        return lambda decorated: register(decorated, name=name)  # type: ignore[return-value]
    key = name or thing.__name__  # type: ignore[attr-defined]
    known = _REGISTERED.setdefault(key, thing)
    # A notebook's cell that is run again defines its class again.
    if _origin(known) != _origin(thing):
        raise ArgumentError(f"{key!r} is registered already", got=_origin(thing))
    _REGISTERED[key] = thing
    return thing


def _origin(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def name_of(thing: Any) -> str:
    """The name by which `find` finds a class or function."""
    name = getattr(thing, "__name__", repr(thing))
    for room in ROOMS:
        if thing.__module__.startswith(f"numbanet.{room}") and _public(room, name) is thing:
            return name if room in ROOMS[:_UNNAMED] else f"{room}.{name}"
    registered = (key for key, known in _REGISTERED.items() if known is thing)
    return CUSTOM + next(registered, name)


def find(name: str, objects: Objects | None = None) -> Any:
    """The class or function of a name from `name_of`.

    Raises
    ------
    FormatError
        If it is neither numbanet's, nor registered, nor among ``objects``.
    """
    own = name.removeprefix(CUSTOM)
    if own != name:
        known: Mapping[str, Any] = {**_REGISTERED, **(objects or {})}
        if own in known:
            return known[own]
        raise FormatError(
            f"unknown class {own!r}",
            mend=f"Register it, or give custom_objects={{{own!r}: ...}}",
        )
    room, _, last = name.rpartition(".")
    for each in [room] if room else ROOMS[:_UNNAMED]:
        found = _public(each, last) if each in ROOMS else None
        if found is not None:
            return found
    raise FormatError(f"numbanet has no {name!r}")


def _public(room: str, name: str) -> Any:
    """What ``numbanet.room`` offers under ``name``: a class or a function, else None."""
    try:
        module = import_module(f"numbanet.{room}")
    except ModuleNotFoundError:
        return None
    public = getattr(module, "__all__", None)
    found = getattr(module, name, None) if public is None or name in public else None
    is_own = getattr(found, "__module__", "").startswith("numbanet.")
    return found if is_own and callable(found) and not name.startswith("_") else None


def arguments(thing: Configured) -> dict[str, Any]:
    """What ``thing`` was constructed with, by name, defaults included; as it was given."""
    args, kwargs = thing._arguments
    bound = inspect.signature(type(thing).__init__).bind(thing, *args, **kwargs)
    bound.apply_defaults()
    parameters = list(bound.signature.parameters.values())
    named: dict[str, Any] = {}
    for parameter in parameters[1:]:
        given = bound.arguments[parameter.name]
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            named.update(given)
        else:
            named[parameter.name] = given
    return named


def is_plain(value: Any) -> bool:
    """Whether the arguments of its constructor are all that makes ``value``."""
    return isinstance(value, Configured) and type(value).get_config is Configured.get_config


def reconfigure(thing: Configured, **changes: Any) -> None:
    """Change arguments that are attributes of the same names, as if ``thing`` was made so."""
    if changes:
        vars(thing)["_arguments"] = ((), {**arguments(thing), **changes})
        for name, value in changes.items():
            setattr(thing, name, value)


def construct(kind: Callable[..., T], named: Mapping[str, Any]) -> T:
    """Call ``kind`` with what `arguments` returned."""
    named = dict(named)
    positional: list[Any] = []
    target = kind.__init__ if isinstance(kind, type) else kind
    for parameter in inspect.signature(target).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL and parameter.name in named:
            before = [name for name in inspect.signature(target).parameters if name != "self"]
            before = before[: before.index(parameter.name)]
            positional = [named.pop(name) for name in before] + list(named.pop(parameter.name))
    return kind(*positional, **named)


def to_config(value: Any) -> Any:
    """``value`` as JSON holds it, objects as ``{"class_name": ..., "config": ...}``."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [to_config(each) for each in value]
    if isinstance(value, dict):
        return {str(key): to_config(each) for key, each in value.items()}
    class_name, parts = parts_of(value)
    return {"class_name": class_name, "config": to_config(parts)}


def parts_of(value: Any) -> tuple[str, Any]:
    """The name of an object's class, and what to construct it from."""
    if isinstance(value, np.ndarray):
        return "array", {"dtype": value.dtype.name, "data": value.tolist()}
    if isinstance(value, DType):
        return "dtype", value.value
    if isinstance(value, Value):
        raise ArgumentError(
            "a configuration has no place for symbolic values",
            got=repr(value),
            mend="A whole model is written with save(), and rebuilt with load()",
        )
    if inspect.isfunction(value) or inspect.isbuiltin(value):
        if value.__name__ == "<lambda>":
            raise ArgumentError(
                "a lambda has no name to be found by",
                mend="Write a function, and register it",
            )
        return "function", name_of(value)
    if hasattr(value, "get_config"):
        return name_of(type(value)), value.get_config()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value) if field.init]
        return name_of(type(value)), {name: getattr(value, name) for name in fields}
    raise ArgumentError(
        "an argument that cannot be written into a configuration",
        got=repr(value),
        mend="Give its class a get_config() and a from_config()",
    )


def from_config(value: Any, objects: Objects | None = None) -> Any:
    """The value that `to_config` wrote."""
    if isinstance(value, list | tuple):
        return type(value)(from_config(each, objects) for each in value)
    if not isinstance(value, Mapping):
        return value
    if set(value) != {"class_name", "config"}:
        return {key: from_config(each, objects) for key, each in value.items()}
    return object_from(value["class_name"], value["config"], objects)


def object_from(class_name: Any, config: Any, objects: Objects | None = None) -> Any:
    """The object of a class and its configuration."""
    if not isinstance(class_name, str):
        raise FormatError("a class is written as its name", got=repr(class_name))
    if class_name == "array":
        return np.asarray(config["data"], dtype=config["dtype"])
    if class_name == "dtype":
        return DType.of(config)
    if class_name == "function":
        return find(config, objects)
    kind = find(class_name, objects)
    own = getattr(kind, "from_config", None)
    if (
        own is not None
        and getattr(own, "__func__", None) is not Configured.from_config.__func__
    ):  # type: ignore[attr-defined]
        return own(config)
    if not isinstance(kind, type):
        raise FormatError(f"{class_name!r} is not a class")
    if issubclass(kind, Configured):
        return kind._of_configuration(config, objects)
    return construct(kind, {key: from_config(each, objects) for key, each in config.items()})
