"""State dicts: the numbers of a module by name, and back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numbanet.errors import StateDictError
from numbanet.nn.parameter import Parameter, Uninitialized, is_lazy
from numbanet.tensors.flush import assign as replace
from numbanet.tensors.size import Size
from numbanet.tensors.tensor import Tensor

if TYPE_CHECKING:
    from numbanet.nn.module import Module

EXTRA = "_extra_state"
"""The key of what ``get_extra_state`` returns."""


class IncompatibleKeys(NamedTuple):
    """Which keys did not meet.

    Attributes
    ----------
    missing_keys : list of str
        Of the module, and not in the state.
    unexpected_keys : list of str
        In the state, and not of the module.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


def save(
    module: Module, destination: OrderedDict[str, Any], prefix: str, keep_vars: bool
) -> OrderedDict[str, Any]:
    """Add the state of ``module`` and of all below it to ``destination``."""
    for name, tensor in own_state(module).items():
        whole = keep_vars or is_lazy(tensor)
        destination[prefix + name] = tensor if whole else tensor.data
    if has_extra_state(module):
        destination[prefix + EXTRA] = module.get_extra_state()
    for name, child in module.named_held():
        child.state_dict(
            destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
        )
    return destination


def own_state(module: Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers held directly, by name."""
    found = {name: each for name, each in module._parameters.items() if each is not None}
    for name, each in module._buffers.items():
        if each is not None and name not in module._non_persistent_buffers_set:
            found[name] = each
    return found


def has_extra_state(module: Module) -> bool:
    """Whether the class of ``module`` says what its extra state is."""
    from numbanet.nn.module import Module

    return type(module).get_extra_state is not Module.get_extra_state


def load(
    module: Module, state: Mapping[str, Any], strict: bool, assign: bool
) -> IncompatibleKeys:
    """Replace the numbers of ``module`` and of all below it by those of ``state``.

    Everything is checked before anything changes.

    Raises
    ------
    StateDictError
        With a line for each kind of mistake.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"a state_dict is a mapping, got {type(state).__name__}")
    loading = _Loading()
    loading.plan(module, dict(state), "")
    problems = loading.problems(strict)
    if problems:
        title = f"Error(s) in loading state_dict for {type(module).__name__}:"
        raise StateDictError("\n\t".join([title, *problems]))
    for change in loading.changes:
        change.carry_out(assign)
    for owner, extra in loading.extras:
        owner.set_extra_state(extra)
    return IncompatibleKeys(loading.missing, loading.unexpected)


@dataclass(frozen=True)
class _Change:
    """A tensor of a module, and what replaces its numbers."""

    module: Module
    name: str
    tensor: Tensor
    value: Any
    array: np.ndarray

    def carry_out(self, assign: bool) -> None:
        if assign:
            self._assign()
            return
        if isinstance(self.tensor, Uninitialized):
            self.tensor.materialize(self.array.shape)
        replace(self.tensor, self.array)

    def _assign(self) -> None:
        """Put the value in the tensor's place."""
        old, new = self.tensor, self.value
        if not isinstance(old, Parameter):
            own = new if isinstance(new, Tensor) else Tensor.wrap(self.array.copy())
            self.module.register_buffer(self.name, own)
        elif isinstance(new, Parameter):
            setattr(self.module, self.name, new)
        else:
            replaced = Parameter(self.array, old.requires_grad, old.layout)
            setattr(self.module, self.name, replaced)


@dataclass
class _Loading:
    """What loading a state would do, and what is wrong with it."""

    changes: list[_Change] = field(default_factory=list)
    extras: list[tuple[Module, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    misfits: list[str] = field(default_factory=list)

    def plan(self, module: Module, state: dict[str, Any], prefix: str) -> None:
        """Add what ``module`` takes from ``state``, whose keys all begin with ``prefix``."""
        own = own_state(module)
        for name, tensor in own.items():
            if prefix + name in state:
                self._match(module, name, tensor, prefix + name, state[prefix + name])
            else:
                self.missing.append(prefix + name)
        self._plan_extra(module, state, prefix + EXTRA)
        children = dict(module.named_held())
        parts: dict[str, dict[str, Any]] = {name: {} for name in children}
        for key, value in state.items():
            head, dot, _ = key[len(prefix) :].partition(".")
            if dot and head in parts:
                parts[head][key] = value
            elif dot or (head not in own and head != EXTRA):
                self.unexpected.append(key)
        for name, child in children.items():
            self.plan(child, parts[name], f"{prefix}{name}.")

    def _plan_extra(self, module: Module, state: dict[str, Any], key: str) -> None:
        takes = has_extra_state(module)
        if takes and key in state:
            self.extras.append((module, state[key]))
        elif takes:
            self.missing.append(key)
        elif key in state:
            self.unexpected.append(key)

    def _match(self, module: Module, name: str, tensor: Tensor, key: str, value: Any) -> None:
        array = _as_array(value)
        if array is None:
            self.misfits.append(
                f'While copying the parameter named "{key}", expected a tensor or an array '
                f"from checkpoint but received {type(value)}"
            )
        elif not is_lazy(tensor) and array.shape != tensor.shape:
            self.misfits.append(
                f"size mismatch for {key}: copying a param with shape {Size(array.shape)} from "
                f"checkpoint, the shape in current model is {tensor.shape}."
            )
        else:
            self.changes.append(_Change(module, name, tensor, value, array))

    def problems(self, strict: bool) -> list[str]:
        """Lines of the report: keys first, and only if they must all meet."""
        kinds = (("Missing", self.missing), ("Unexpected", self.unexpected))
        lines = [
            f"{kind} key(s) in state_dict: {', '.join(_quoted(keys))}. "
            for kind, keys in kinds
            if strict and keys
        ]
        return lines + self.misfits


def _quoted(keys: list[str]) -> list[str]:
    return [f'"{key}"' for key in keys]


def _as_array(value: Any) -> np.ndarray | None:
    """The numbers of an array or of a tensor, PyTorch's too; None of anything else."""
    if isinstance(value, Tensor):
        return None if is_lazy(value) else value.array()
    if isinstance(value, np.ndarray | np.generic):
        return np.asarray(value)
    if hasattr(value, "detach") and hasattr(value, "__array__"):
        return np.asarray(value.detach().cpu())
    return None
